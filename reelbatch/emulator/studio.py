"""Real videos, each one different, for a few milliseconds: prompt and seed in the first second.

The long part, a slow pan over a painting or over the user's picture, is encoded once and kept;
only the first second is encoded for each video, and put in front.
"""

import asyncio
import io
import json
import random
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from PIL import Image

from reelbatch.emulator.encoding import SECOND_OF_FRAMES, Track, encode_tone, encode_video
from reelbatch.emulator.frames import (
    FRAMES,
    PALETTES,
    Planes,
    fitted,
    moving,
    painted,
    planes_of,
)
from reelbatch.emulator.mp4 import mp4
from reelbatch.emulator.pictures import Picture
from reelbatch.emulator.settings import Settings
from reelbatch.emulator.title import mark, title

TONES = (196.0, 220.0, 261.6, 293.7, 329.6, 392.0)
MOST_KEPT = 48
TINY_COMMENT = 400


@dataclass(frozen=True)
class Scene:
    prompt: str
    seed: int
    width: int
    height: int
    picture: Picture | None = None

    @property
    def look(self) -> tuple[int, float]:
        """Palette and tone: by the seed, the same each time."""
        luck = random.Random(self.seed)
        return luck.randrange(PALETTES), luck.choice(TONES)


@dataclass(frozen=True)
class Reusable:
    canvas: Planes
    video: Track


class Studio:
    def __init__(self, settings: Settings, threads: Executor) -> None:
        self.settings = settings
        self.threads = threads
        self._kept: OrderedDict[Any, Any] = OrderedDict()
        self._lock = threading.Lock()

    async def film(self, scene: Scene, name: str, *, silent: bool, mute: bool) -> bytes:
        """The video as a file; `silent` has a track with nothing on it, `mute` has no track."""
        make = self._tiny if self.settings.media == "tiny" else self._real
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.threads, make, scene, name, silent, mute)

    def _real(self, scene: Scene, name: str, silent: bool, mute: bool) -> bytes:
        palette, tone = scene.look
        width, height = scene.width, scene.height
        look = palette if scene.picture is None else scene.picture.sha256
        kept = self._keep(("video", look, width, height), lambda: reusable(scene, palette))
        words = title(scene.prompt, f"seed {scene.seed}   {width}x{height}", width, height)
        first = moving(kept.canvas, width, height, SECOND_OF_FRAMES, words)
        opening = encode_video(first, width, height)
        rest = kept.video.packets[SECOND_OF_FRAMES:]
        video = Track(kept.video.head, opening.packets + rest)
        audio = None if mute else self._tone(0.0 if silent else tone)
        return mp4(video, audio, width, height, comment(scene, name))

    def _tiny(self, scene: Scene, name: str, silent: bool, mute: bool) -> bytes:
        """One file a size; only the comment in it differs."""
        key = ("tiny", scene.width, scene.height, silent, mute)
        before, after = self._keep(key, lambda: self._tiny_template(scene, silent, mute))
        filled = comment(scene, name).encode()[:TINY_COMMENT].ljust(TINY_COMMENT)
        return b"".join((before, filled, after))

    def _tiny_template(self, scene: Scene, silent: bool, mute: bool) -> tuple[bytes, bytes]:
        width, height = scene.width, scene.height
        kept = reusable(Scene("", 0, width, height), palette=0)
        audio = None if mute else encode_tone(0.0 if silent else TONES[0])
        mark = "?" * TINY_COMMENT
        before, _, after = mp4(kept.video, audio, width, height, mark).partition(mark.encode())
        return before, after

    def _tone(self, hertz: float) -> Track:
        track: Track = self._keep(("tone", hertz), lambda: encode_tone(hertz))
        return track

    def _keep(self, key: Any, make: Callable[[], Any]) -> Any:
        with self._lock:
            if key not in self._kept:
                self._kept[key] = make()
            self._kept.move_to_end(key)
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
            return self._kept[key]


def reusable(scene: Scene, palette: int) -> Reusable:
    width, height = scene.width, scene.height
    if scene.picture is None:
        canvas = planes_of(painted(palette, width, height))
    else:
        canvas = planes_of(fitted(scene.picture.image, width, height))
    frames = moving(canvas, width, height, FRAMES, mark(width, height))
    return Reusable(canvas, encode_video(frames, width, height))


def comment(scene: Scene, name: str) -> str:
    """Never the same twice: it begins with the file's own name."""
    return json.dumps({"file": name, "seed": scene.seed, "prompt": scene.prompt})


def example_png() -> bytes:
    """The picture that a first manifest can name by its URL."""
    sink = io.BytesIO()
    image: Image.Image = painted(1, 896, 464)
    image.save(sink, "PNG")
    return sink.getvalue()
