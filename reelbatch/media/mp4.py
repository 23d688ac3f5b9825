"""Look at an MP4's boxes: how long, how large, with sound, and whether all of it is there.

Pure Python, about 0.05 ms a video, 2,000 times less than ffprobe (storage_media.md, section 3).
It sees a cut, a missing track or an error page; flipped bits inside the pictures only a hash sees.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from reelbatch.errors import Permanent
from reelbatch.media.mp4_boxes import BrokenBox, CutBox, Movie, Track, read_movie

SILENT_BYTES = 20
"""A median AAC frame: 6 bytes is silence, 33 a tone at -66 dB, 338 a loud one."""
BLACK_BITS_PER_PIXEL = 0.05
"""The first picture: black had 0.014 bits a pixel, normal ones 2.8 and more."""

CODECS = {
    "avc1": "h264",
    "avc3": "h264",
    "hvc1": "hevc",
    "hev1": "hevc",
    "vp09": "vp9",
    "av01": "av1",
    "mp4v": "mpeg4",
    "mp4a": "aac",
    "Opus": "opus",
    "ac-3": "ac3",
}
AGAIN = "Download it again later: it is paid, and fal keeps it for about an hour."


@dataclass(frozen=True, kw_only=True)
class Audio:
    """The sound track; `sample_rate` in hertz."""

    codec: str
    sample_rate: int
    channels: int


@dataclass(frozen=True, kw_only=True)
class Media:
    """What a video is. `faststart`: plays before it is loaded; `warnings`: sentences."""

    duration_seconds: float
    fps: float
    frames: int
    width: int
    height: int
    video_codec: str
    audio: Audio | None
    faststart: bool
    warnings: tuple[str, ...] = ()


def check_video(
    content: bytes, *, expect_audio: bool = True, expected_bytes: int | None = None
) -> Media:
    """The video, if it is one and whole; `expected_bytes` is fal's `file_size`.

    Raises Permanent `not_a_video`, `truncated_video` or `no_audio`: download it again.
    """
    if expected_bytes is not None and len(content) < expected_bytes:
        raise _truncated(f"{len(content)} of {expected_bytes} bytes arrived")
    media = probe(content)
    if expect_audio and media.audio is None:
        raise Permanent("The video has no sound track.", advice=AGAIN, error="no_audio")
    if expected_bytes is not None and len(content) > expected_bytes:
        longer = f"It has {len(content)} bytes, where fal announced {expected_bytes}."
        media = replace(media, warnings=(*media.warnings, longer))
    return media


def probe(content: bytes) -> Media:
    """Read the boxes. Raises Permanent `not_a_video` or `truncated_video`."""
    if content[4:8] != b"ftyp":
        raise _not_a_video(_what_it_is(content))
    try:
        movie = read_movie(content)
    except CutBox as error:
        raise _truncated(str(error)) from error
    except BrokenBox as error:
        raise _not_a_video(f"its boxes cannot be read ({error})") from error
    pictures = next((track for track in movie.tracks if track.kind == "vide"), None)
    sound = next((track for track in movie.tracks if track.kind == "soun"), None)
    if pictures is None or not (pictures.sizes.samples or movie.fragmented):
        raise _not_a_video("it has no pictures")
    frames = pictures.sizes.samples
    return Media(
        duration_seconds=round(max(movie.seconds, pictures.seconds), 6),
        fps=round(frames / pictures.seconds, 3) if pictures.seconds else 0.0,
        frames=frames,
        width=pictures.width,
        height=pictures.height,
        video_codec=CODECS.get(pictures.codec, pictures.codec),
        audio=_audio(sound, movie),
        faststart=movie.faststart,
        warnings=_suspicions(pictures, sound, movie),
    )


def _audio(track: Track | None, movie: Movie) -> Audio | None:
    if track is None or not (track.sizes.samples or movie.fragmented):
        return None
    return Audio(
        codec=CODECS.get(track.codec, track.codec),
        sample_rate=track.sample_rate,
        channels=track.channels,
    )


def _suspicions(pictures: Track, sound: Track | None, movie: Movie) -> tuple[str, ...]:
    """What sample sizes give away for nothing; only decoding would prove it."""
    if movie.fragmented:
        return ("It comes in fragments, so its pictures were not counted.",)
    found = []
    if sound is not None and 0 < sound.sizes.median < SILENT_BYTES and sound.codec == "mp4a":
        found.append("The sound is probably silent.")
    pixels = pictures.width * pictures.height
    if pictures.sizes.first * 8 < BLACK_BITS_PER_PIXEL * pixels:
        found.append("The first picture is probably black or of one colour.")
    return tuple(found)


def _what_it_is(content: bytes) -> str:
    if not content:
        return "it is empty"
    if content.lstrip()[:1] in (b"<", b"{"):
        return "it is a page of text"
    return "it does not begin like an MP4"


def _not_a_video(reason: str) -> Permanent:
    return Permanent(f"What arrived is no video: {reason}.", advice=AGAIN, error="not_a_video")


def _truncated(reason: str) -> Permanent:
    return Permanent(f"The video is cut short: {reason}.", advice=AGAIN, error="truncated_video")
