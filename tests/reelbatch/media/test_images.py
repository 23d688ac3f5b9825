"""What counts as an image: only what decodes to its last byte, in a format fal takes."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from PIL import Image as Picture

from reelbatch.config import IMAGE_CAP_BYTES
from reelbatch.errors import Permanent
from reelbatch.media.images import ImageFacts, check_image, read_image
from reelbatch.media.remote import Remote, Web


def picture(width: int, height: int, kind: str, mode: str = "RGB") -> bytes:
    content = io.BytesIO()
    Picture.new(mode, (width, height)).save(content, kind)
    return content.getvalue()


def refusal(content: bytes) -> Permanent:
    with pytest.raises(Permanent) as refused:
        check_image(content)
    return refused.value


@pytest.fixture
def nowhere() -> Remote:
    """A world outside that nobody should ask."""

    def unreachable() -> Web:
        raise AssertionError("nobody should ask")

    return Remote(unreachable)


@pytest.mark.parametrize(
    ("kind", "content_type"),
    [
        ("PNG", "image/png"),
        ("JPEG", "image/jpeg"),
        ("WEBP", "image/webp"),
        ("GIF", "image/gif"),
    ],
)
def test_a_sound_image_says_what_it_is(kind: str, content_type: str) -> None:
    facts = check_image(picture(640, 480, kind))
    assert facts == ImageFacts(content_type=content_type, width=640, height=480)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1", "I;16"])
def test_every_kind_of_png_is_an_image(mode: str) -> None:
    assert check_image(picture(32, 32, "PNG", mode)).width == 32


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_an_image_cut_short_is_none(kind: str) -> None:
    noise = io.BytesIO()
    Picture.effect_noise((300, 300), 80).convert("RGB").save(noise, kind)
    content = noise.getvalue()
    assert refusal(content[: len(content) // 2]).error == "image_not_decodable"


@pytest.mark.parametrize("content", [b"hello", b"\x89PNG\r\n\x1a\n", b"<svg/>", b"\xff\xd8\xff"])
def test_bytes_that_are_no_image_are_refused(content: bytes) -> None:
    assert refusal(content).error == "image_not_decodable"


def test_an_image_of_0_bytes_is_refused() -> None:
    assert refusal(b"").error == "image_empty"


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "ICO"])
def test_formats_that_fal_may_not_take_are_named(kind: str) -> None:
    refused = refusal(picture(64, 64, kind))
    assert refused.error == "image_format"
    assert kind in refused.message


def test_a_phones_heic_gets_its_own_sentence() -> None:
    assert "HEIC" in refusal(b"\0\0\0\x18ftypheic" + b"\0" * 50).message


def test_an_image_over_the_cap_is_refused_with_its_size() -> None:
    refused = refusal(bytes(IMAGE_CAP_BYTES + 1024**2))
    assert refused.error == "image_too_large"
    assert "21 MB; 20 MB is the most" in refused.message


@pytest.mark.parametrize("side", [9_000, 12_000, 20_500])
def test_a_picture_that_unfolds_to_millions_of_pixels_is_refused(side: int) -> None:
    bomb = picture(side, 9_000, "PNG", "1")
    assert refusal(bomb).error == "image_too_many_pixels"


def test_a_local_image_is_read_as_it_is(tmp_path: Path, nowhere: Remote) -> None:
    (tmp_path / "a.png").write_bytes(b"content")
    assert read_image(str(tmp_path / "a.png"), remote=nowhere) == b"content"


@pytest.mark.parametrize(
    ("uri", "content"),
    [
        ("data:image/png;base64," + base64.b64encode(b"hi").decode(), b"hi"),
        ("data:image/png;base64,aG k=", b"hi"),
        ("data:,h%69", b"hi"),
        ("data:image/png;base64,aGk%3D", b"hi"),
    ],
)
def test_a_data_uri_is_decoded(uri: str, content: bytes, nowhere: Remote) -> None:
    assert read_image(uri, remote=nowhere) == content


@pytest.mark.parametrize(
    ("name", "error"), [("nope.png", "image_missing"), (".", "image_is_directory")]
)
def test_what_is_not_there_is_said(tmp_path: Path, nowhere: Remote, name: str, error: str) -> None:
    with pytest.raises(Permanent) as refused:
        read_image(str(tmp_path / name), remote=nowhere)
    assert refused.value.error == error
