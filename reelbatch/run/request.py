"""What a run is asked for: the flow's one parameter, and the same thing from the CLI.

The field texts are what people read in Prefect's form. No secret is among them: parameters
are stored and shown in clear.
"""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from reelbatch.config import InFlight


class GenerateRequest(BaseModel):
    """A manifest, and how to run it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    manifest: str | None = Field(
        default=None,
        title="Manifest",
        description="CSV, YAML, JSONL or Excel: a path the worker can read, s3:// or https://. "
        "Empty: carry on the batch named below.",
    )
    batch: str | None = Field(
        default=None,
        title="Batch name",
        description="Which batch this is. {date} becomes today's date (UTC). "
        "Empty: the manifest's own name.",
    )
    archive: str | None = Field(
        default=None, title="Archive", description="s3://bucket/prefix, or a directory."
    )
    where: list[str] = Field(
        default_factory=list, title="Only rows where", description="column=value, all must hold."
    )
    fresh: bool = Field(
        default=False,
        title="Make all anew",
        description="New seeds, new videos, new costs. What exists is kept.",
    )
    skip_invalid: bool = Field(
        default=False, title="Skip invalid rows", description="Submit the sound rows only."
    )
    strict: bool = Field(default=False, title="Strict", description="Treat warnings as errors.")
    no_fetch: bool = Field(
        default=False, title="Trust image URLs", description="Do not read remote images first."
    )
    keep_going: bool = Field(
        default=False,
        title="Keep going",
        description="Go on even if the first ten answers all fail alike.",
    )
    budget_usd: Annotated[Decimal, Field(gt=0)] | None = Field(
        default=None, title="Budget (USD)", description="For all runs of this batch together."
    )
    budget_per_day_usd: Annotated[Decimal, Field(gt=0)] | None = Field(
        default=None, title="Budget a day (USD)", description="For the whole account, by UTC day."
    )
    price_usd: Annotated[Decimal, Field(gt=0)] | None = Field(
        default=None, title="Price (USD)", description="Dollars a video; it beats fal's list."
    )
    max_in_flight: InFlight | None = Field(
        default=None, title="Requests in flight", description="auto, or a number."
    )
    submit_rate: Annotated[float, Field(gt=0)] | None = Field(
        default=None, title="Submissions a second", description="For the whole account."
    )
    collect: Literal["stream", "poll", "webhook"] | None = Field(
        default=None,
        title="Collect by",
        description="stream, poll, or webhook where `reelbatch serve` runs. Empty: as it is set.",
    )
    in_doubt: Literal["auto", "hold", "resubmit"] = Field(
        default="auto",
        title="Submissions in doubt",
        description="auto: settle by evidence; hold: never send again; resubmit: send again.",
    )
    workers: int = Field(
        default=1,
        ge=1,
        le=50,
        title="Workers",
        description="How many runs make the batch: this one, and the others that it starts. "
        "Together they keep to one budget and one number of requests. Needs a Postgres ledger.",
    )
    join: bool = Field(
        default=False,
        title="Join",
        description="Set by a run with several workers for those it starts: they enter nothing.",
    )

    def settings_flags(self) -> dict[str, Any]:
        """The part of the request that overrides settings, by setting name."""
        flags = {
            "archive": self.archive,
            "budget": self.budget_usd,
            "budget_per_day": self.budget_per_day_usd,
            "price": self.price_usd,
            "max_in_flight": self.max_in_flight,
            "submit_rate": self.submit_rate,
            "collect": self.collect,
        }
        return {name: value for name, value in flags.items() if value is not None}


class SweepRequest(BaseModel):
    """What a sweep takes for left behind."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    overdue_seconds: float = Field(
        default=600,
        ge=0,
        le=86_400,
        title="Left behind after (seconds)",
        description="What no run has moved for so long is looked at.",
    )

    @property
    def overdue(self) -> timedelta:
        return timedelta(seconds=self.overdue_seconds)


class InboxRequest(BaseModel):
    """Where manifests arrive, and how each of them is run."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    inbox: str = Field(
        min_length=1,
        title="Inbox",
        description="s3://bucket/prefix, or a folder the worker can read: each new .csv, .yaml, "
        ".jsonl or .xlsx directly in it becomes one batch.",
    )
    archive: str | None = Field(
        default=None, title="Archive", description="s3://bucket/prefix, or a directory."
    )
    max_rows: int = Field(
        default=100_000,
        ge=1,
        le=1_000_000,
        title="Most rows",
        description="A manifest with more is rejected.",
    )
    strict: bool = Field(default=False, title="Strict", description="Treat warnings as errors.")
    budget_usd: Annotated[Decimal, Field(gt=0)] | None = Field(
        default=None, title="Budget (USD)", description="For each manifest's batch."
    )
    budget_per_day_usd: Annotated[Decimal, Field(gt=0)] | None = Field(
        default=None, title="Budget a day (USD)", description="For the whole account, by UTC day."
    )
    price_usd: Annotated[Decimal, Field(gt=0)] | None = Field(
        default=None, title="Price (USD)", description="Dollars a video; it beats fal's list."
    )
    max_in_flight: InFlight | None = Field(
        default=None, title="Requests in flight", description="auto, or a number."
    )
    collect: Literal["stream", "poll", "webhook"] | None = Field(
        default=None,
        title="Collect by",
        description="stream, poll, or webhook where `reelbatch serve` runs. Empty: as it is set.",
    )

    def for_batch(self, batch: str | None, manifest: str | None) -> GenerateRequest:
        """What is asked for one manifest."""
        wishes = self.model_dump(exclude={"inbox", "max_rows"})
        return GenerateRequest(batch=batch, manifest=manifest, **wishes)
