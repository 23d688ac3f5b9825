"""H.264 and AAC packets, without a file around them.

Pictures encoded with the same settings share their parameter sets, so that packets of two
encodings can be put together: a new first second in front of a video made long ago.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np

FPS = 24
SEI = 6
RATE = 44_100
FRAMES = 121
SECOND_OF_FRAMES = 24
AUDIO_SAMPLES = 217  # AAC frames of 1024: 5.04 s
X264 = {
    "preset": "ultrafast",
    "crf": "26",
    "x264-params": "keyint=24:min-keyint=24:scenecut=0:bframes=0:threads=1:sliced-threads=0",
}


@dataclass(frozen=True)
class Track:
    """Encoded packets with what a player must know to begin."""

    head: bytes
    packets: tuple[bytes, ...]


def encode_video(frames: Iterable[av.VideoFrame], width: int, height: int) -> Track:
    """A group of pictures every second; a frame marked as I begins one, too."""
    encoder = av.CodecContext.create("libx264", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, FPS), Fraction(FPS)
    encoder.options = X264
    encoder.flags |= av.codec.context.Flags.global_header
    packets: list[bytes] = []
    for number, frame in enumerate(frames):
        frame.pts, frame.time_base = number, Fraction(1, FPS)
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    packets += [bytes(packet) for packet in encoder.encode(None)]
    samples = tuple(length_prefixed(units(packet)) for packet in packets)
    return Track(avcc(units(encoder.extradata or b"")), samples)


def encode_tone(hertz: float) -> Track:
    """A soft fifth with a slow swell; silence at 0 Hz."""
    encoder = av.CodecContext.create("aac", "w")
    assert isinstance(encoder, av.AudioCodecContext)
    encoder.sample_rate, encoder.layout, encoder.format = RATE, "stereo", "fltp"
    encoder.bit_rate, encoder.time_base = 96_000, Fraction(1, RATE)
    encoder.flags |= av.codec.context.Flags.global_header
    wave = chord(hertz)
    packets: list[bytes] = []
    for start in range(0, wave.shape[1], 1024):
        frame = av.AudioFrame.from_ndarray(wave[:, start : start + 1024], "fltp", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    packets += [bytes(packet) for packet in encoder.encode(None)]
    return Track(encoder.extradata or b"", tuple(packets[:AUDIO_SAMPLES]))


def chord(hertz: float) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    at = np.arange(AUDIO_SAMPLES * 1024) / RATE
    swell = np.minimum(1, np.minimum(at, at[-1] - at) * 2) * (0.8 + 0.2 * np.sin(at * 2.5))
    low, high = np.sin(2 * np.pi * hertz * at), np.sin(2 * np.pi * hertz * 1.5 * at)
    mono = 0.16 * swell * (low + 0.5 * high)
    return np.stack([mono, mono]).astype(np.float32)


def units(annex_b: bytes) -> list[bytes]:
    """The NAL units between start codes; x264's own version note is left out."""
    found = re.split(b"\x00\x00\x00?\x01", annex_b)
    return [unit for unit in found if unit and unit[0] & 31 != SEI]


def length_prefixed(nal_units: list[bytes]) -> bytes:
    return b"".join(len(unit).to_bytes(4) + unit for unit in nal_units)


def avcc(parameter_sets: list[bytes]) -> bytes:
    """The decoder's configuration record, from one SPS and one PPS."""
    sps, pps = parameter_sets
    counted_sps = b"\xe1" + len(sps).to_bytes(2) + sps
    counted_pps = b"\x01" + len(pps).to_bytes(2) + pps
    return b"\x01" + sps[1:4] + b"\xff" + counted_sps + counted_pps
