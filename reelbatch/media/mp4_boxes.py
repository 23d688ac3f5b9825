"""The boxes of an MP4 (ISO 14496-12), as far as a probe needs them.

Bytes come from strangers: every length is checked before it is believed.
"""

from __future__ import annotations

import statistics
import struct
from collections.abc import Iterator
from dataclasses import dataclass

Boxes = dict[bytes, list[memoryview]]


class BrokenBox(Exception):
    """This is not how MP4 boxes look."""


class CutBox(Exception):
    """The boxes are sound, but bytes are missing at the end."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How many samples (pictures, audio frames) a track has, and their bytes."""

    samples: int
    total: int
    first: int
    median: float


@dataclass(frozen=True, kw_only=True)
class Track:
    """One track; `kind` is vide, soun or another handler, `codec` its four letters."""

    kind: str
    codec: str
    seconds: float
    sizes: Sizes
    width: int = 0
    height: int = 0
    sample_rate: int = 0
    channels: int = 0


@dataclass(frozen=True, kw_only=True)
class Movie:
    tracks: tuple[Track, ...]
    seconds: float
    faststart: bool
    fragmented: bool


def read_movie(content: bytes) -> Movie:
    """Raises BrokenBox, or CutBox where the file ends too early."""
    view = memoryview(content)
    try:
        order = list(_boxes(view, may_be_cut=True))
        return _movie(order)
    except (struct.error, IndexError, KeyError, ZeroDivisionError) as error:
        raise BrokenBox(f"{type(error).__name__}: {error}") from error


def _movie(order: list[tuple[bytes, memoryview]]) -> Movie:
    kinds = [kind for kind, _ in order]
    if b"moov" not in kinds:
        raise CutBox("its table of contents is missing")
    moov = _by_kind(order[kinds.index(b"moov")][1])
    tracks = tuple(_track(trak) for trak in moov.get(b"trak", []))
    media_bytes = sum(len(body) for kind, body in order if kind == b"mdat")
    wanted = sum(track.sizes.total for track in tracks)
    if wanted > media_bytes:
        raise CutBox(f"its pictures and sounds need {wanted} bytes, {media_bytes} are there")
    first_media = kinds.index(b"mdat") if b"mdat" in kinds else len(kinds)
    return Movie(
        tracks=tracks,
        seconds=_seconds(moov[b"mvhd"][0]),
        faststart=kinds.index(b"moov") < first_media,
        fragmented=b"moof" in kinds,
    )


def _boxes(view: memoryview, *, may_be_cut: bool = False) -> Iterator[tuple[bytes, memoryview]]:
    """Kind and body of each box. A length of 1 is written out in 64 bits, 0 is up to the end."""
    at = 0
    while at + 8 <= len(view):
        length, kind = struct.unpack_from(">I4s", view, at)
        head = 8
        if length == 1:
            (length,), head = struct.unpack_from(">Q", view, at + 8), 16
        end = len(view) if length == 0 else at + length
        if end < at + head:
            raise BrokenBox("a box is shorter than its head")
        if end > len(view):
            name = kind.decode("latin-1")
            raise (CutBox if may_be_cut else BrokenBox)(f"{end - len(view)} bytes of {name} miss")
        yield kind, view[at + head : end]
        at = end


def _by_kind(view: memoryview) -> Boxes:
    found: Boxes = {}
    for kind, body in _boxes(view):
        found.setdefault(kind, []).append(body)
    return found


def _seconds(header: memoryview) -> float:
    """Duration of an mvhd or mdhd, whose times have 32 or, in version 1, 64 bits."""
    pattern, at = (">IQ", 20) if header[0] == 1 else (">II", 12)
    scale, duration = struct.unpack_from(pattern, header, at)
    unknown = duration in (0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF)
    return 0.0 if unknown else float(duration / scale)


def _track(trak: memoryview) -> Track:
    mdia = _by_kind(_by_kind(trak)[b"mdia"][0])
    table = _by_kind(_by_kind(mdia[b"minf"][0])[b"stbl"][0])
    kind = bytes(mdia[b"hdlr"][0][8:12]).decode("latin-1")
    entry = next(iter(_boxes(table[b"stsd"][0][8:])), (b"", memoryview(b"")))
    width, height = struct.unpack_from(">HH", entry[1], 24) if kind == "vide" else (0, 0)
    channels, sample_rate = _sound(entry[1]) if kind == "soun" else (0, 0)
    return Track(
        kind=kind,
        codec=entry[0].decode("latin-1").strip(),
        seconds=_seconds(mdia[b"mdhd"][0]),
        sizes=_sizes(table),
        width=width,
        height=height,
        sample_rate=sample_rate,
        channels=channels,
    )


def _sound(entry: memoryview) -> tuple[int, int]:
    """Channels and hertz (16.16 fixed point) of an audio sample entry."""
    channels, rate = struct.unpack_from(">H6xI", entry, 16)
    return channels, rate >> 16


def _sizes(table: Boxes) -> Sizes:
    """What stsz says: one size for all samples, or one for each."""
    stsz = table[b"stsz"][0]
    same, count = struct.unpack_from(">II", stsz, 4)
    if same or not count:
        return Sizes(samples=count, total=same * count, first=same, median=float(same))
    each = struct.unpack_from(f">{count}I", stsz, 12)
    return Sizes(samples=count, total=sum(each), first=each[0], median=statistics.median(each))
