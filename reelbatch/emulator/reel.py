"""Where bytes are kept: one unlinked file, so that nothing is left behind however we end."""

import os
import tempfile
from dataclasses import dataclass

EMPTY_BOX = 8


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Bytes on the reel, and zeros behind them that are never stored."""

    offset: int
    length: int
    padding: int = 0

    @property
    def size(self) -> int:
        return self.length + self.padding


class Reel:
    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="reelbatch-emulator-")  # noqa: SIM115
        self._end = 0

    def append(self, content: bytes, wanted_bytes: int = 0) -> Clip:
        """Pads to `wanted_bytes` with an MP4 `free` box, which players skip."""
        padding = max(0, wanted_bytes - len(content))
        if 0 < padding < EMPTY_BOX:
            padding = EMPTY_BOX
        if padding:
            content += padding.to_bytes(4) + b"free"
            padding -= EMPTY_BOX
        offset, self._end = self._end, self._end + len(content)
        os.pwrite(self._file.fileno(), content, offset)
        return Clip(offset=offset, length=len(content), padding=padding)

    def read(self, clip: Clip) -> bytes:
        return os.pread(self._file.fileno(), clip.length, clip.offset) + bytes(clip.padding)

    def close(self) -> None:
        self._file.close()
