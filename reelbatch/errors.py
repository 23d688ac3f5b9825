"""What can go wrong, in families: each says whether to try again and what to do next.

    ReelbatchError
    ├── Refused      the command cannot start; nothing was submitted (exit 2)
    ├── Transient    try again, maybe after `retry_after`
    └── Permanent    tell the user

An edge wraps what it catches once, with `from`; bugs stay themselves and crash.
"""

from __future__ import annotations


class ReelbatchError(Exception):
    """One sentence of what is wrong, and one of what to do."""

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(f"{message} {advice}".strip())
        self.message = message
        self.advice = advice


class Refused(ReelbatchError):
    """The command cannot start. Nothing was submitted."""


class Transient(ReelbatchError):
    """It may work later. `retry_after` is in seconds, where the other side named it."""

    def __init__(self, message: str, *, advice: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, advice=advice)
        self.retry_after = retry_after


class Permanent(ReelbatchError):
    """It will not work by trying again. `error` is the type users select by."""

    def __init__(self, message: str, *, advice: str = "", error: str = "error") -> None:
        super().__init__(message, advice=advice)
        self.error = error
