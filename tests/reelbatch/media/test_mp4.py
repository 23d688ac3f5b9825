"""The box probe, on real MP4s made by PyAV: whole, cut, silent, black, and no MP4 at all."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reelbatch.errors import Permanent
from reelbatch.media.mp4 import Audio, check_video, probe

WIDTH, HEIGHT, FRAMES = 256, 128, 49


def _mp4(
    path: Path,
    *,
    sound: str = "noise",
    picture: str = "noise",
    size: tuple[int, int] = (WIDTH, HEIGHT),
    codec: str = "libx264",
    **flags: str,
) -> bytes:
    """Two seconds at 24 fps; `sound` is noise, silence or none, `picture` noise or black."""
    import av
    import numpy as np

    random = np.random.default_rng(7)
    with av.open(str(path), "w", format="mp4", options=flags) as container:
        pictures: Any = container.add_stream(codec, rate=24)
        pictures.width, pictures.height, pictures.pix_fmt = *size, "yuv420p"
        sounds: Any = None
        if sound != "none":
            sounds = container.add_stream("aac", rate=44_100, layout="stereo")
        for _ in range(FRAMES):
            shape = (*reversed(size), 3)
            pixels = random.integers(0, 255, shape) if picture == "noise" else np.zeros(shape)
            frame = av.VideoFrame.from_ndarray(pixels.astype("uint8"), format="rgb24")
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode())
        if sounds is not None:
            wave = random.uniform(-0.5, 0.5, (2, 2 * 44_100)) * (sound == "noise")
            heard = av.AudioFrame.from_ndarray(wave.astype("float32"), "fltp", "stereo")
            heard.sample_rate = 44_100
            container.mux(sounds.encode(heard))
            container.mux(sounds.encode())
    return path.read_bytes()


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return _mp4(tmp_path_factory.mktemp("video") / "x.mp4", movflags="+faststart")


@pytest.fixture(scope="module")
def slow_video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Its table of contents comes last."""
    return _mp4(tmp_path_factory.mktemp("video") / "x.mp4")


def _error(content: bytes, **expected: Any) -> Permanent:
    with pytest.raises(Permanent) as caught:
        check_video(content, **expected)
    return caught.value


def test_a_whole_video_is_measured(video: bytes) -> None:
    media = check_video(video, expected_bytes=len(video))
    assert (media.width, media.height, media.frames, media.fps) == (WIDTH, HEIGHT, FRAMES, 24.0)
    assert media.duration_seconds == pytest.approx(FRAMES / 24, abs=0.05)
    assert media.video_codec == "h264"
    assert media.audio == Audio(codec="aac", sample_rate=44_100, channels=2)
    assert media.faststart
    assert media.warnings == ()


def test_the_probe_agrees_with_ffmpeg(slow_video: bytes) -> None:
    import av

    media = probe(slow_video)
    with av.open(io.BytesIO(slow_video), "r") as container:
        pictures = container.streams.video[0]
        assert media.frames == pictures.frames
        assert media.fps == pytest.approx(float(pictures.average_rate or 0))
        assert media.duration_seconds == pytest.approx((container.duration or 0) / 1e6, abs=0.01)
    assert not media.faststart


def test_the_duration_may_be_written_in_64_bits(video: bytes) -> None:
    """Version 1 of mvhd: the same times in longer fields."""
    at = video.index(b"mvhd") + 4
    flags, made, changed, scale, duration = struct.unpack_from(">5I", video, at)
    longer = struct.pack(">IQQIQ", flags | 1 << 24, made, changed, scale, duration)
    grown = video[:at] + longer + video[at + 20 :]
    for kind in (b"moov", b"mvhd"):
        place = grown.index(kind) - 4
        (length,) = struct.unpack_from(">I", grown, place)
        grown = grown[:place] + struct.pack(">I", length + 12) + grown[place + 4 :]
    assert probe(grown) == probe(video)


@pytest.mark.parametrize("lost", [1, 1000, 0.1, 0.5])
@pytest.mark.parametrize("name", ["video", "slow_video"])
def test_a_cut_video_is_found(request: pytest.FixtureRequest, name: str, lost: float) -> None:
    content: bytes = request.getfixturevalue(name)
    missing = lost if isinstance(lost, int) else int(len(content) * lost)
    error = _error(content[:-missing])
    assert error.error == "truncated_video"
    assert "Download it again later" in error.advice


def test_samples_that_are_not_there_are_found(video: bytes) -> None:
    """A cut whose mdat was made to fit: the tables still ask for more bytes."""
    place = video.index(b"mdat") - 4
    short = video[: place + 1008]
    assert _error(short[:place] + struct.pack(">I", 1008) + short[place + 4 :]).error == (
        "truncated_video"
    )


def test_fewer_bytes_than_fal_announced_are_a_cut(video: bytes) -> None:
    error = _error(video, expected_bytes=len(video) + 1)
    assert error.error == "truncated_video"
    assert f"{len(video)} of {len(video) + 1} bytes" in error.message


def test_more_bytes_than_fal_announced_are_a_warning(video: bytes) -> None:
    """It is a whole video; fal's number may be wrong, and it is paid."""
    media = check_video(video, expected_bytes=len(video) - 1)
    assert "fal announced" in media.warnings[0]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"<!DOCTYPE html><html>not found</html>", "a page of text"),
        (b'{"detail": "not found"}', "a page of text"),
        (b"\x1aE\xdf\xa3 a webm", "does not begin like an MP4"),
        (bytes(1000), "does not begin like an MP4"),
    ],
)
def test_what_is_no_video_is_named(content: bytes, reason: str) -> None:
    error = _error(content)
    assert error.error == "not_a_video"
    assert reason in error.message


def test_a_video_without_sound_is_found(tmp_path: Path) -> None:
    content = _mp4(tmp_path / "x.mp4", sound="none")
    assert _error(content).error == "no_audio"
    assert check_video(content, expect_audio=False).audio is None


def test_silence_is_suspected_without_decoding(tmp_path: Path) -> None:
    media = check_video(_mp4(tmp_path / "x.mp4", sound="silence"))
    assert media.warnings == ("The sound is probably silent.",)


def test_a_black_first_picture_is_suspected_without_decoding(tmp_path: Path) -> None:
    media = check_video(_mp4(tmp_path / "x.mp4", picture="black", size=(640, 384)))
    assert "probably black" in media.warnings[0]


def test_a_video_in_fragments_is_not_thrown_away(tmp_path: Path) -> None:
    content = _mp4(tmp_path / "x.mp4", movflags="frag_keyframe+empty_moov")
    media = check_video(content)
    assert (media.width, media.height) == (WIDTH, HEIGHT)
    assert media.audio is not None
    assert "fragments" in media.warnings[0]


def test_another_codec_is_named(tmp_path: Path) -> None:
    assert probe(_mp4(tmp_path / "x.mp4", codec="mpeg4")).video_codec == "mpeg4"


@settings(max_examples=300, deadline=None)
@given(at=st.integers(0, 6000), damage=st.binary(min_size=1, max_size=12), cut=st.integers(0, 6000))
def test_damage_ends_in_a_sentence_and_never_in_a_crash(
    video: bytes, at: int, damage: bytes, cut: int
) -> None:
    broken = video[:at] + damage + video[at + len(damage) : len(video) - cut]
    assert _verdict(broken) in ("fine", "not_a_video", "truncated_video")


def _verdict(content: bytes) -> str:
    try:
        probe(content)
    except Permanent as error:
        return error.error
    return "fine"
