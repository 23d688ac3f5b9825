"""Which keys an archive takes: relative, plain, and good for S3 and file systems alike."""

from __future__ import annotations

import re
import unicodedata

from reelbatch.errors import Permanent

KEY_BYTES = 900
"""S3 allows 1,024 with the archive's own prefix."""
SEGMENT_BYTES = 255
"""What file systems allow for one name."""


def checked(key: str) -> str:
    """The key itself. Raises Permanent `archive_refused` where it could leave the archive."""
    if reason := _fault(key):
        raise Permanent(
            f"{key!r} cannot be a key in the archive: {reason}.",
            advice="Change the row's `output`, or the batch's name.",
            error="archive_refused",
        )
    return key


def plain(text: str, *, longest: int = 100) -> str:
    """A text from outside as one segment of a key; what could mislead becomes a dash."""
    spelled = unicodedata.normalize("NFC", text)
    return re.sub(r"[^\w.-]+", "-", spelled).strip("-.")[-longest:]


def _fault(key: str) -> str | None:
    segments = key.split("/")
    if not key:
        return "it is empty"
    if key.startswith("/"):
        return "it begins with a slash"
    if any(segment in ("", ".", "..") for segment in segments):
        return "each part between slashes must be a name"
    if "\\" in key or any(unicodedata.category(letter) in ("Cc", "Cs") for letter in key):
        return "it holds a backslash or a control character"
    if len(key.encode()) > KEY_BYTES or any(len(s.encode()) > SEGMENT_BYTES for s in segments):
        return "it is too long"
    return None
