"""Everything about the emulator that may be chosen at the start or changed while it runs."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

CHOICES = {"media": ("real", "tiny"), "cancelled_status": ("completed", "gone")}


@dataclass(kw_only=True)
class Settings:
    concurrency: int = 2
    """Account-wide limit on IN_PROGRESS; fal gives a new account 2."""
    others: int = 0
    """Slots that other people's work holds: one queue serves all users (fal.md, section 4)."""
    service_seconds: float = 1.0
    retry_backoff_seconds: float = 0.02
    """First wait before the server runs a failed request again; doubles up to 16 times."""
    result_seconds: float = 3600.0
    """How long a finished result can be fetched, and its webhook retried."""
    history_lag_seconds: float = 0.0
    webhook_retry_seconds: float = 1.0
    drop_private_webhooks: bool = False
    honour_cancel: bool = False
    """Whether a running request stops when cancelled; fal leaves that to the app."""
    cancelled_status: Literal["completed", "gone"] = "completed"
    """What a request cancelled in the queue shows: fal.md does not know, clients take both."""
    report_tags: bool = False
    balance_usd: float = 1_000_000.0
    media: Literal["real", "tiny"] = "real"
    media_bytes: int = 0
    """Pad each video to this size with a `free` box."""

    @property
    def slots_left(self) -> int:
        """What other people leave to the account."""
        return max(0, self.concurrency - self.others)

    def change(self, **wishes: Any) -> None:
        """Raises ValueError for a name or a type that is none of ours."""
        known = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in wishes.items():
            if name not in known:
                raise ValueError(f"no setting '{name}'; there are {', '.join(known)}")
            if value not in CHOICES.get(name, (value,)):
                raise ValueError(f"{name} is one of {', '.join(CHOICES[name])}")
            kind = type(known[name])
            setattr(self, name, float(value) if kind is float else kind(value))

    def shown(self) -> dict[str, Any]:
        return asdict(self)
