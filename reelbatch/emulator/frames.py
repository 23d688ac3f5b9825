"""What is to be seen: a canvas wider than the frame, slowly panned, with words on it.

Everything happens in YUV planes: a frame is then three copied slices, not a colour conversion.
"""

import colorsys
import math
from collections.abc import Iterator
from dataclasses import dataclass

import av
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageOps

MARGIN = 48
PALETTES = 12
GREY = 128

Plane = npt.NDArray[np.uint8]
Planes = tuple[Plane, Plane, Plane]


@dataclass(frozen=True)
class Overlay:
    """Words (`ink`) on a part of the picture that keeps `darkness` of its light."""

    left: int
    top: int
    ink: Plane
    darkness: float


def painted(palette: int, width: int, height: int) -> Image.Image:
    """A diagonal sunset in two related hues, with soft lights in front of it."""
    hue = palette / PALETTES
    size = (width + 2 * MARGIN, height + 2 * MARGIN)
    image = gradient(colour(hue, 0.75, 0.28), colour(hue + 0.12, 0.62, 0.82), size)
    lights = Image.new("RGB", size)
    pen = ImageDraw.Draw(lights)
    for number in range(9):
        x, y = (number * 0.381966 + 0.1) % 1 * size[0], (number * 0.618034 + 0.2) % 1 * size[1]
        radius = size[1] * (0.05 + 0.016 * number)
        box = (x - radius, y - radius, x + radius, y + radius)
        pen.ellipse(box, fill=colour(hue + 0.04 * number, 0.5, 0.35))
    soft = lights.resize((size[0] // 4, size[1] // 4)).filter(ImageFilter.GaussianBlur(4))
    return Image.fromarray(
        np.clip(
            np.asarray(image, np.uint16) + np.asarray(soft.resize(size), np.uint16), 0, 255
        ).astype(np.uint8)
    )


def colour(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def gradient(
    dark: tuple[int, int, int], light: tuple[int, int, int], size: tuple[int, int]
) -> Image.Image:
    across, down = np.linspace(0, 0.4, size[0]), np.linspace(0, 0.6, size[1])[:, None]
    share = (across + down)[..., None]
    mixed = np.array(dark) * (1 - share) + np.array(light) * share
    return Image.fromarray(mixed.astype(np.uint8))


def fitted(image: Image.Image, width: int, height: int) -> Image.Image:
    """A user's picture over the whole canvas."""
    return ImageOps.fit(image, (width + 2 * MARGIN, height + 2 * MARGIN), Image.Resampling.BICUBIC)


def planes_of(image: Image.Image) -> Planes:
    """The canvas in YUV 4:2:0; its sides are even."""
    frame = av.VideoFrame.from_ndarray(np.asarray(image), format="rgb24").reformat(format="yuv420p")
    width, height = image.size
    stacked: Plane = np.asarray(frame.to_ndarray(), np.uint8)
    quarter = width * height // 4
    flat = stacked.reshape(-1)[width * height :]
    half = (height // 2, width // 2)
    return (
        stacked[:height],
        flat[:quarter].reshape(half),
        flat[quarter:].reshape(half),
    )


def panned(
    canvas: Planes, width: int, height: int, frames: int, overlay: Overlay
) -> Iterator[av.VideoFrame]:
    """Out and back again, starting and ending at rest in the canvas' corner."""
    for number in range(frames):
        angle = 2 * math.pi * number / frames
        left = even(MARGIN * (1 - math.cos(angle)))
        top = even(MARGIN * (1 - math.cos(2 * angle)) * 0.5)
        yield cut(canvas, left, top, width, height, overlay)


def even(length: float) -> int:
    return round(length / 2) * 2


def cut(
    canvas: Planes, left: int, top: int, width: int, height: int, overlay: Overlay
) -> av.VideoFrame:
    area = width * height
    flat: Plane = np.empty(area * 3 // 2, np.uint8)
    luma = flat[:area].reshape(height, width)
    luma[:] = canvas[0][top : top + height, left : left + width]
    darken(luma, overlay)
    for number, plane in enumerate(canvas[1:]):
        start = area + number * area // 4
        chroma = flat[start : start + area // 4].reshape(height // 2, width // 2)
        chroma[:] = plane[top // 2 :, left // 2 :][: height // 2, : width // 2]
        fade(chroma, overlay)
    return av.VideoFrame.from_ndarray(flat.reshape(height * 3 // 2, width), format="yuv420p")


def darken(luma: Plane, overlay: Overlay) -> None:
    height, width = overlay.ink.shape
    below = luma[overlay.top : overlay.top + height, overlay.left : overlay.left + width]
    below[:] = np.maximum(below * overlay.darkness, overlay.ink)


def fade(chroma: Plane, overlay: Overlay) -> None:
    """Less colour where it is darker, else it would glow."""
    height, width = overlay.ink.shape
    top, left = overlay.top // 2, overlay.left // 2
    below = chroma[top : top + height // 2, left : left + width // 2]
    below[:] = GREY + (below - float(GREY)) * overlay.darkness
