"""The picture that a first manifest can name by its URL: hills in the evening, made here."""

import io
import math

from PIL import Image, ImageDraw, ImageFilter

from reelbatch.emulator.frames import colour, gradient

WIDTH, HEIGHT = 992, 512
HILLS = 5


def example_png() -> bytes:
    sink = io.BytesIO()
    hills(evening()).save(sink, "PNG")
    return sink.getvalue()


def evening() -> Image.Image:
    """The sky, from blue to orange, with a low sun in its glow."""
    sky = gradient(colour(0.66, 0.55, 0.42), colour(0.07, 0.62, 1.0), (WIDTH, HEIGHT))
    glow = Image.new("L", sky.size)
    disc(glow, 150, 110)
    sun = Image.new("L", sky.size)
    disc(sun, 44, 255)
    warm = Image.new("RGB", sky.size, colour(0.12, 0.35, 1.0))
    sky.paste(warm, mask=glow.filter(ImageFilter.GaussianBlur(50)))
    sky.paste(warm, mask=sun.filter(ImageFilter.GaussianBlur(1)))
    return sky


def disc(mask: Image.Image, radius: int, light: int) -> None:
    x, y = WIDTH * 0.68, HEIGHT * 0.46
    box = (x - radius, y - radius, x + radius, y + radius)
    ImageDraw.Draw(mask).ellipse(box, fill=light)


def hills(picture: Image.Image) -> Image.Image:
    """One behind the other, the nearest the darkest."""
    pen = ImageDraw.Draw(picture)
    for number in range(HILLS):
        ridge = [(x, ridge_at(number, x)) for x in range(0, WIDTH + 8, 8)]
        shade = colour(0.78 - 0.03 * number, 0.35 + 0.06 * number, 0.55 - 0.1 * number)
        pen.polygon([(0, HEIGHT), *ridge, (WIDTH, HEIGHT)], fill=shade)
    return picture


def ridge_at(number: int, x: int) -> float:
    base = HEIGHT * (0.52 + 0.1 * number)
    long, short = math.sin(x / (170 - 14 * number) + 2.1 * number), math.sin(x / 47 + number)
    return base + 30 * long + 9 * short
