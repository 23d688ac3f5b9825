"""The words in the picture: the title of the first second, and a small mark after it."""

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from reelbatch.emulator.frames import Overlay

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
WHITE = 235
GREY = 190
MOST_LINES = 5


@lru_cache(maxsize=16)
def font(size: int) -> Font:
    """Pillow's own, so that it looks the same everywhere."""
    return ImageFont.load_default(size)


def title(prompt: str, facts: str, width: int, height: int) -> Overlay:
    """A panel across the lower part: the prompt, and under it seed and size."""
    unit = max(14, min(width, height) // 18)
    lines = wrapped(" ".join(prompt.split()), font(unit), width - 4 * unit)
    panel = Image.new("L", (width, round(unit * (1.45 * len(lines) + 3.1))))
    pen = ImageDraw.Draw(panel)
    y = unit * 0.9
    for line in lines:
        pen.text((2 * unit, y), line, fill=WHITE, font=font(unit))
        y += unit * 1.45
    pen.text((2 * unit, y + unit * 0.2), facts, fill=GREY, font=font(round(unit * 0.72)))
    return overlay(panel, 0, height - (panel.height & ~1), darkness=0.38)


@lru_cache(maxsize=16)
def mark(width: int, height: int) -> Overlay:
    """Says in every frame that no model made this."""
    size = max(12, min(width, height) // 32)
    text = "emulated"
    panel = Image.new("L", (round(font(size).getlength(text)) + size, size * 2))
    ImageDraw.Draw(panel).text((size // 2, size // 3), text, fill=GREY, font=font(size))
    return overlay(panel, width - panel.width - size, size, darkness=0.8)


def overlay(panel: Image.Image, left: int, top: int, darkness: float) -> Overlay:
    """Everything even: half as many pixels carry the colour."""
    ink = np.asarray(panel, np.uint8)[: panel.height & ~1, : panel.width & ~1]
    return Overlay(left & ~1, top & ~1, ink, darkness)


def wrapped(text: str, with_font: Font, width: int) -> list[str]:
    """Lines that fit; the last one ends in an ellipsis where more was to say."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if with_font.getlength(longer) <= width or not lines[-1]:
            lines[-1] = longer
        elif len(lines) == MOST_LINES:
            lines[-1] += " ..."
            break
        else:
            lines.append(word)
    return [shortened(line, with_font, width) for line in lines]


def shortened(line: str, with_font: Font, width: int) -> str:
    while line and with_font.getlength(line) > width:
        line = line[:-1]
    return line
