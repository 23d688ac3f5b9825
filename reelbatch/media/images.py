"""Read an image from wherever a manifest names it, and check that it is one.

The same reading serves the plan, which hashes it, and the uploader, which sends it to fal.
"""

from __future__ import annotations

import base64
import binascii
import io
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote_to_bytes

from reelbatch.config import IMAGE_CAP_BYTES
from reelbatch.errors import Permanent
from reelbatch.media.remote import Remote, too_large

CONTENT_TYPES = {
    "PNG": "image/png",
    "JPEG": "image/jpeg",
    "WEBP": "image/webp",
    "GIF": "image/gif",
}
"""What fal takes, by Pillow's names."""

PIXEL_CAP = 80_000_000
"""Below the size at which Pillow suspects a bomb, and far above what Ovi looks at."""

_RECOGNISED = (*CONTENT_TYPES, "BMP", "TIFF", "ICO")
_APPLE = (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftyphevc")
_SAVE_AS = "Save it as PNG, JPEG or WebP."


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageFacts:
    """What a sound image is, in pixels."""

    content_type: str
    width: int
    height: int


def read_image(location: str, *, remote: Remote) -> bytes:
    """The bytes at an absolute path, `s3://`, `https://` or `data:` location.

    Raises Transient where the network failed, else Permanent: `image_missing`,
    `image_is_directory`, `image_unreadable`, `image_too_large`, `image_data_uri`, or
    what the remote side refused.
    """
    if location.startswith("data:"):
        return _data(location)
    if "://" in location:
        return remote.read(location, cap_bytes=IMAGE_CAP_BYTES)
    return _file(Path(location))


def check_image(content: bytes) -> ImageFacts:
    """What the image is, decoded to its last byte.

    Raises Permanent: `image_empty`, `image_too_large`, `image_format`, `image_too_many_pixels`,
    `image_not_decodable`.
    """
    if not content:
        raise Permanent("The image has 0 bytes.", error="image_empty")
    if len(content) > IMAGE_CAP_BYTES:
        raise _image_too_large(len(content))
    if content[4:12] in _APPLE:
        raise Permanent("The image is an Apple HEIC.", advice=_SAVE_AS, error="image_format")
    try:
        return _decoded(content)
    except Permanent:
        raise
    except Exception as error:  # Pillow's decoders raise what they like on broken bytes
        raise _not_decodable(error) from error


def _decoded(content: bytes) -> ImageFacts:
    from PIL import Image

    with Image.open(io.BytesIO(content), formats=_RECOGNISED) as image:
        width, height = image.size
        if image.format not in CONTENT_TYPES:
            raise Permanent(
                f"The image is a {image.format}, which fal may not take.",
                advice=_SAVE_AS,
                error="image_format",
            )
        if width * height > PIXEL_CAP:
            raise _too_many_pixels(f"{width} x {height}")
        image.draft("RGB", (width // 8, height // 8))  # a JPEG is still read to its end
        image.load()
        return ImageFacts(content_type=CONTENT_TYPES[image.format], width=width, height=height)


def _not_decodable(error: Exception) -> Permanent:
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return _too_many_pixels("far too many")
    reason = str(error).rstrip(".")[:120] or type(error).__name__
    if isinstance(error, UnidentifiedImageError):
        reason = "it is no PNG, JPEG, WebP or GIF"
    return Permanent(
        f"The image cannot be decoded ({reason}).",
        advice="Open and save it again as PNG or JPEG.",
        error="image_not_decodable",
    )


def _too_many_pixels(how_many: str) -> Permanent:
    return Permanent(
        f"The image has {how_many} pixels.",
        advice="Scale it down: Ovi works at about 720 x 720.",
        error="image_too_many_pixels",
    )


def _file(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise Permanent(
                f"{path} is a directory.",
                advice="Name one image file.",
                error="image_is_directory",
            )
        if (size := path.stat().st_size) > IMAGE_CAP_BYTES:
            raise _image_too_large(size)
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise _missing(path) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Permanent(f"{path} cannot be read: {reason}.", error="image_unreadable") from error


def _missing(path: Path) -> Permanent:
    advice = "Paths are relative to the manifest's folder."
    if "\\" in str(path):
        advice = "Write / between folders."
    return Permanent(f"There is no image {path}.", advice=advice, error="image_missing")


def _data(uri: str) -> bytes:
    head, comma, text = uri.partition(",")
    try:
        if not comma:
            raise ValueError("it has no comma")
        raw = unquote_to_bytes(text)
        if head.endswith(";base64"):
            return base64.b64decode(b"".join(raw.split()), validate=True)
        return raw
    except (ValueError, binascii.Error) as error:
        raise Permanent(
            f"The data: URI does not decode ({error}).",
            advice="Write data:image/png;base64,... or name a file.",
            error="image_data_uri",
        ) from error


def _image_too_large(size: int) -> Permanent:
    too_big = too_large("The image", size, IMAGE_CAP_BYTES)
    return Permanent(
        too_big.message, advice="Save it as JPEG, or smaller.", error="image_too_large"
    )
