"""Real videos, each one different, for a few milliseconds: prompt and seed in the first second.

The long part, a slow pan over a painting or over the user's picture, is encoded once and kept;
only the first second is encoded for each video, and put in front.
"""

import asyncio
import json
import random
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.video.frame import PictureType

from reelbatch.emulator.encoding import FRAMES, SECOND_OF_FRAMES, Track, encode_tone, encode_video
from reelbatch.emulator.frames import (
    GREY,
    PALETTES,
    Overlay,
    Planes,
    cut,
    fitted,
    painted,
    panned,
    planes_of,
)
from reelbatch.emulator.mp4 import mp4
from reelbatch.emulator.pictures import Picture
from reelbatch.emulator.settings import Settings
from reelbatch.emulator.title import mark, title

TONES = (196.0, 220.0, 261.6, 293.7, 329.6, 392.0)
MOST_KEPT = 48
TINY_COMMENT = 400
USUAL_SIZE = (992, 512)


@dataclass(frozen=True)
class Scene:
    prompt: str
    seed: int
    width: int
    height: int
    picture: Picture | None = None

    @property
    def size(self) -> tuple[int, int]:
        return self.width, self.height

    @property
    def look(self) -> tuple[int, float]:
        """Palette and tone: by the seed, the same each time."""
        luck = random.Random(self.seed)
        return luck.randrange(PALETTES), luck.choice(TONES)


@dataclass(frozen=True)
class Reusable:
    canvas: Planes
    moving: tuple[bytes, ...]


class Studio:
    def __init__(self, settings: Settings, threads: Executor) -> None:
        self.settings = settings
        self.threads = threads
        self._kept: OrderedDict[Any, Any] = OrderedDict()
        self._lock = threading.RLock()  # a template keeps parts of its own
        if settings.media == "tiny":  # else the first request would wait for it
            self._tiny(Scene("", 0, *USUAL_SIZE), "", silent=False, mute=False)

    async def film(self, scene: Scene, name: str, *, silent: bool, mute: bool) -> bytes:
        """The video as a file; `silent` has a track with nothing on it, `mute` has no track."""
        make = self._tiny if self.settings.media == "tiny" else self._real
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.threads, make, scene, name, silent, mute)

    def _real(self, scene: Scene, name: str, silent: bool, mute: bool) -> bytes:
        palette, tone = scene.look
        look = palette if scene.picture is None else scene.picture.sha256
        kept = self._keep(("video", look, scene.size), lambda: reusable(scene, palette))
        words = title(
            scene.prompt, f"seed {scene.seed}   {scene.width}x{scene.height}", *scene.size
        )
        video = self._opened(kept, words, scene)
        audio = None if mute else self._tone(0.0 if silent else tone)
        return mp4(video, audio, *scene.size, comment(scene, name))

    def _opened(self, kept: Reusable, words: Overlay, scene: Scene) -> Track:
        still = encode_video([cut(kept.canvas, 0, 0, *scene.size, words)], *scene.size)
        repeats = self._keep(("repeats", scene.size), lambda: repeated(*scene.size))
        return Track(still.head, still.packets + repeats + kept.moving)

    def _tiny(self, scene: Scene, name: str, silent: bool, mute: bool) -> bytes:
        """One file a size; only the comment in it differs."""
        key = ("tiny", scene.width, scene.height, silent, mute)
        plain = Scene("", 0, scene.width, scene.height)
        before, after = self._keep(key, lambda: self._tiny_template(plain, silent, mute))
        filled = comment(scene, name).encode()[:TINY_COMMENT].ljust(TINY_COMMENT)
        return b"".join((before, filled, after))

    def _tiny_template(self, scene: Scene, silent: bool, mute: bool) -> tuple[bytes, bytes]:
        video = self._opened(reusable(scene, palette=0), mark(*scene.size), scene)
        audio = None if mute else encode_tone(0.0 if silent else TONES[0])
        place = "?" * TINY_COMMENT
        before, _, after = mp4(video, audio, *scene.size, place).partition(place.encode())
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
    return Reusable(canvas, pan(canvas, width, height))


def pan(canvas: Planes, width: int, height: int) -> tuple[bytes, ...]:
    """All but the first second. A frame is encoded before it, and thrown away: the opening
    picture of two neighbouring groups must not have the same number."""
    frames = list(panned(canvas, width, height, FRAMES - SECOND_OF_FRAMES, mark(width, height)))
    frames[0].pict_type = PictureType.I
    before = cut(canvas, 0, 0, width, height, mark(width, height))
    return encode_video([before, *frames], width, height).packets[1:]


def repeated(width: int, height: int) -> tuple[bytes, ...]:
    """The rest of a second in which nothing moves: 23 packets that say "as before".

    Made from a grey picture, they repeat whatever picture comes before them.
    """
    grey = np.full((height * 3 // 2, width), GREY, np.uint8)
    frames = [av.VideoFrame.from_ndarray(grey, format="yuv420p") for _ in range(SECOND_OF_FRAMES)]
    return encode_video(frames, width, height).packets[1:]


def comment(scene: Scene, name: str) -> str:
    """Never the same twice: it begins with the file's own name."""
    return json.dumps({"file": name, "seed": scene.seed, "prompt": scene.prompt})
