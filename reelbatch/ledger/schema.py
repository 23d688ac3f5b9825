"""The ledger's tables: the durable record of everything that was asked, paid and kept.

Totals (money of an account or a batch) are updated in the transaction of their event;
what is in flight is counted, over an index that holds nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
    or_,
    text,
)

from reelbatch.jobs import State
from reelbatch.ledger.columns import Instant, Usd

metadata = MetaData()
IN_FLIGHT_SQL = text("state IN ('submitting', 'submitted')")
"""Literal, so that both databases prove the partial index from it."""

NOTHING = Decimal(0)


def _usd_total(name: str) -> Column[Decimal]:
    return Column(name, Usd, nullable=False, default=NOTHING)


ledgers = Table(
    "ledgers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("program", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("queue_url", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("window", Integer),
    Column("slots_seen", Integer),
    Column("slots_seen_at", Instant),
    Column("most_running", Integer),
    Column("most_running_at", Instant),
    Column("run_seconds", Float),
    Column("next_submit_at", Instant),
    Column("parked_until", Instant),
    Column("parked_since", Instant),
    Column("parked_seconds", Float),
    Column("parked_reason", Text),
    Column("parked_detail", Text),
    Column("probe_attempt_id", Text),
    Column("probe_at", Instant),
    Column("ambiguous_in_a_row", Integer, nullable=False, default=0),
    Column("day", Text),
    _usd_total("day_usd"),
    _usd_total("reserved_usd"),
    _usd_total("spent_usd"),
    Column("last_webhook_at", Instant),
)

batches = Table(
    "batches",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    Column("name", Text, nullable=False, unique=True),
    Column("place", Text, nullable=False),
    Column("named_by_hand", Boolean, nullable=False),
    Column("archive", Text, nullable=False),
    Column("budget_usd", Usd),
    Column("roll", Integer, nullable=False, default=0),
    Column("roll_keys", JSON, nullable=False, default=list),
    Column("mark", Text),
    Column("mark_at", Instant),
    Column("asked_at", Instant),
    Column("reconciled_until", Instant),
    Column("created_at", Instant, nullable=False),
    _usd_total("reserved_usd"),
    _usd_total("spent_usd"),
)

rows = Table(
    "rows",
    metadata,
    Column("batch_id", Text, ForeignKey("batches.id"), primary_key=True),
    Column("row_id", Text, primary_key=True),
    Column("file", Text, nullable=False),
    Column("line", Integer, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("output", Text),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("batch_id", Text, ForeignKey("batches.id"), nullable=False),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    Column("row_id", Text, nullable=False),
    Column("take", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("roll", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("endpoint_id", Text, nullable=False),
    Column("arguments", JSON, nullable=False),
    Column("arguments_digest", Text, nullable=False),
    Column("image_source", Text),
    Column("image_location", Text),
    Column("image_sha256", Text),
    Column("fingerprint", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("state_at", Instant, nullable=False),
    Column("withdrawn", Boolean, nullable=False, default=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("attempt_id", Text),
    Column("transient_failures", Integer, nullable=False, default=0),
    Column("start_timeouts", Integer, nullable=False, default=0),
    Column("not_before", Instant),
    Column("error_type", Text),
    Column("error_message", Text),
    Column("cost_usd", Usd),
    Column("cost_basis", Text),
    Column("output_url", Text),
    Column("output_bytes", BigInteger),
    Column("result", JSON),
    Column("completed_at", Instant),
    Column("reused_from", Text),
    Column("review", Text),
    Column("key", Text),
    Column("sha256", Text),
    Column("bytes", BigInteger),
    Column("media", JSON),
    Column("archived_at", Instant),
    UniqueConstraint("batch_id", "row_id", "take", "revision"),
    Index("jobs_of_batch", "batch_id", "state", "withdrawn"),
    Index(
        "jobs_in_flight",
        "account_id",
        "batch_id",
        sqlite_where=IN_FLIGHT_SQL,
        postgresql_where=IN_FLIGHT_SQL,
    ),
    Index("jobs_by_fingerprint", "fingerprint"),
)


def in_state(states: Iterable[State]) -> ColumnElement[bool]:
    """One by one: the list of an IN is written anew at each call (SQLAlchemy 2.0)."""
    return or_(false(), *(jobs.c.state == state for state in sorted(states)))


attempts = Table(
    "attempts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("job_id", Text, ForeignKey("jobs.id"), nullable=False, index=True),
    Column("n", Integer, nullable=False),
    Column("token", Text, nullable=False, unique=True),
    Column("body", JSON, nullable=False),
    Column("claimed_at", Instant, nullable=False),
    Column("deadline_at", Instant, nullable=False),
    Column("answered_at", Instant),
    Column("outcome", Text),
    Column("http_status", Integer),
    Column("request_id", Text, unique=True),
    Column("status_url", Text),
    Column("response_url", Text),
    Column("cancel_url", Text),
    Column("completed_at", Instant),
    Column("listed_at", Instant),
    Column("gone_since", Instant),
    Column("cancel_asked_at", Instant),
    Column("cancel_answer", Text),
    Column("inference_seconds", Float),
    Column("billable_units", Text),
    Column("error_type", Text),
    Column("error_message", Text),
    Column("reserved_usd", Usd, nullable=False),
    Column("cost_usd", Usd),
    Column("cost_basis", Text),
)

images = Table(
    "images",
    metadata,
    Column("account_id", Text, primary_key=True),
    Column("sha256", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("uploaded_at", Instant, nullable=False),
)

known_images = Table(
    "known_images",
    metadata,
    Column("location", Text, primary_key=True),
    Column("sha256", Text, nullable=False),
    Column("checked_at", Instant, nullable=False),
)

strays = Table(
    "strays",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("batch_id", Text, ForeignKey("batches.id"), nullable=False),
    Column("job_id", Text, ForeignKey("jobs.id"), nullable=False),
    Column("seen_at", Instant, nullable=False),
    Column("sent_at", Instant, nullable=False),
    Column("billed_usd", Usd),
    Index("strays_of_batch", "batch_id"),
)

unknown_calls = Table(
    "unknown_calls",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("times", Integer, nullable=False),
    Column("first_heard_at", Instant, nullable=False),
    Column("last_heard_at", Instant, nullable=False),
)

money_events = Table(
    "money_events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("batch_id", Text, nullable=False),
    Column("job_id", Text, nullable=False),
    Column("attempt_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("usd", Usd, nullable=False),
    Column("basis", Text),
    Index("money_of_batch", "batch_id", "at"),
)
