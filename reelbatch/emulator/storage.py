"""fal's files: upload tokens, uploads in one piece or in parts, and the CDN (fal.md, section 8)."""

import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote

from reelbatch.emulator.clock import now
from reelbatch.emulator.reel import Clip, Reel
from reelbatch.emulator.submission import Submission

TOKEN_LIFE = timedelta(hours=1)
EXAMPLE = "/files/reelbatch/example.png"


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    path: str
    clip: Clip
    content_type: str
    submission: Submission | None = None


class Storage:
    def __init__(self, reel: Reel) -> None:
        self.reel = reel
        self.files: dict[str, StoredFile] = {}
        self.tokens: set[str] = set()

    def new_token(self) -> dict[str, str]:
        token = secrets.token_urlsafe(24)
        self.tokens.add(token)
        expires_at = (now() + TOKEN_LIFE).isoformat()
        return {"token": token, "token_type": "Bearer", "expires_at": expires_at}

    def knows(self, authorization: str | None) -> bool:
        return (authorization or "").removeprefix("Bearer ") in self.tokens

    def new_path(self, name: str | None) -> str:
        tidy = re.sub(r"[^\w.-]+", "_", name or "") or f"{secrets.token_urlsafe(12)}.bin"
        return f"/files/b/{secrets.token_hex(4)}/{quote(secrets.token_urlsafe(9))}_{tidy}"

    def keep(
        self,
        content: bytes,
        name: str | None,
        content_type: str,
        *,
        path: str | None = None,
        submission: Submission | None = None,
        wanted_bytes: int = 0,
    ) -> StoredFile:
        stored = StoredFile(
            path=path or self.new_path(name),
            clip=self.reel.append(content, wanted_bytes),
            content_type=content_type,
            submission=submission,
        )
        self.files[stored.path] = stored
        return stored

    def content(self, path: str) -> bytes | None:
        stored = self.files.get(path)
        return None if stored is None else self.reel.read(stored.clip)
