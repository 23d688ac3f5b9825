"""The videos: real, playable, each one different, of the size that was asked."""

from __future__ import annotations

import base64
import hashlib
import io
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest
from PIL import Image

if TYPE_CHECKING:
    from tests.reelbatch.emulator.conftest import Emulated

I2V = "fal-ai/ovi/image-to-video"
EXAMPLE = "https://v3.fal.media/files/reelbatch/example.png"


def video_of(emulator: Emulated, result: dict[str, Any]) -> bytes:
    answer = emulator.http.get(result["video"]["url"])
    assert len(answer.content) == result["video"]["file_size"]
    return answer.content


def pictures(video: bytes) -> list[Image.Image]:
    """Every frame; the decoder raises on anything broken."""
    with av.open(io.BytesIO(video), "r") as container:
        stream = container.streams.video[0]
        stream.codec_context.options = {"err_detect": "explode"}
        return [
            Image.fromarray(frame.to_ndarray(format="rgb24")) for frame in container.decode(stream)
        ]


def sound_seconds(video: bytes) -> float:
    with av.open(io.BytesIO(video), "r") as container:
        samples = sum(frame.samples for frame in container.decode(audio=0))
        return samples / container.streams.audio[0].rate


@pytest.mark.parametrize("media", ["real", "tiny"])
def test_a_video_decodes_to_its_last_frame_with_sound(emulator: Emulated, media: str) -> None:
    emulator.set(media=media)
    video = video_of(emulator, emulator.make(resolution="512x992"))
    frames = pictures(video)
    assert (len(frames), frames[0].size) == (121, (512, 992))
    assert sound_seconds(video) == pytest.approx(121 / 24, abs=0.03)
    with av.open(io.BytesIO(video), "r") as container:
        picture, sound = container.streams.video[0], container.streams.audio[0]
        assert picture.codec_context.name == "h264"
        assert picture.average_rate == Fraction(24)
        assert sound.codec_context.name == "aac"


def test_something_moves_after_the_title(emulator: Emulated) -> None:
    frames = [
        np.asarray(frame, np.int16) for frame in pictures(video_of(emulator, emulator.make()))
    ]
    assert np.abs(frames[1] - frames[20]).max() == 0
    assert np.abs(frames[30] - frames[60]).mean() > 1


@pytest.mark.parametrize("media", ["real", "tiny"])
def test_no_two_videos_are_the_same_even_for_the_same_request(
    emulator: Emulated, media: str
) -> None:
    emulator.set(media=media)
    videos = [video_of(emulator, emulator.make("same")) for _ in range(3)]
    assert len({hashlib.sha256(video).hexdigest() for video in videos}) == 3


def test_prompt_and_seed_are_to_be_seen_in_the_first_second(emulator: Emulated) -> None:
    """Two prompts of one seed differ in the title and nowhere else."""
    fox, owl = (pictures(video_of(emulator, emulator.make(prompt))) for prompt in ("fox", "owl"))
    assert difference(fox[0], owl[0]) > 0
    assert difference(fox[60], owl[60]) == 0


def test_seeds_look_different(emulator: Emulated) -> None:
    looks = [pictures(video_of(emulator, emulator.make(seed=seed)))[60] for seed in (1, 2)]
    assert difference(*looks) > 5


def difference(one: Image.Image, other: Image.Image) -> float:
    return float(np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).mean())


@pytest.mark.parametrize(
    ("resolution", "size"), [("720x720", (704, 704)), ("1120x448", (1120, 448))]
)
def test_sizes_are_on_the_models_grid(
    emulator: Emulated, resolution: str, size: tuple[int, int]
) -> None:
    assert pictures(video_of(emulator, emulator.make(resolution=resolution)))[0].size == size


def png(width: int, height: int, colour: str) -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(sink, "PNG")
    return sink.getvalue()


def test_a_video_shows_its_image_in_the_images_shape(emulator: Emulated) -> None:
    red = "data:image/png;base64," + base64.b64encode(png(300, 600, "red")).decode()
    frames = pictures(video_of(emulator, emulator.make("x", I2V, image_url=red)))
    width, height = frames[0].size
    assert width % 32 == height % 32 == 0
    assert height / width == pytest.approx(2, rel=0.06)
    centre = np.asarray(frames[60])[height // 2, width // 2]
    assert np.allclose(centre, (255, 0, 0), atol=12)


def test_the_example_image_is_on_the_cdn_under_fals_name(emulator: Emulated) -> None:
    example = emulator.http.get("/files/reelbatch/example.png")
    assert example.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(example.content)).width > 512
    assert emulator.make("x", I2V, image_url=EXAMPLE)["video"]


@pytest.mark.parametrize(
    ("image_url", "kind"),
    [
        ("https://v3.fal.media/files/nothing.png", "file_download_error"),
        ("http://127.0.0.1:9/nobody.png", "file_download_error"),
        ("ftp://example.com/a.png", "file_download_error"),
        ("data:image/png;base64,AAAA", "image_load_error"),
    ],
)
def test_an_image_that_cannot_be_had_is_refused_by_the_model(
    emulator: Emulated, image_url: str, kind: str
) -> None:
    refused = emulator.result(emulator.submit(endpoint=I2V, image_url=image_url))
    (fault,) = refused.json()["detail"]
    assert (refused.status_code, fault["type"]) == (422, kind)
    assert fault["loc"] == ["body", "image_url"]


def test_a_video_can_be_padded_and_still_plays(emulator: Emulated) -> None:
    emulator.set(media_bytes=1_000_000)
    video = video_of(emulator, emulator.make())
    assert len(video) == 1_000_000
    assert len(pictures(video)) == 121


@pytest.mark.parametrize(
    ("asked", "start", "end"), [("bytes=0-99", 0, 100), ("bytes=-50", -50, None)]
)
def test_the_cdn_sends_ranges(emulator: Emulated, asked: str, start: int, end: int | None) -> None:
    url = emulator.make()["video"]["url"]
    whole, part = emulator.http.get(url), emulator.http.get(url, headers={"Range": asked})
    assert part.status_code == 206
    assert part.content == whole.content[start:end]
