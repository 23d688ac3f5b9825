"""The ledger's first schema."""

import sqlalchemy as sa
from alembic import op

from reelbatch.ledger.columns import Instant, Usd

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("queue_url", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("window", sa.Integer(), nullable=True),
        sa.Column("slots_seen", sa.Integer(), nullable=True),
        sa.Column("slots_seen_at", Instant(timezone=True), nullable=True),
        sa.Column("most_running", sa.Integer(), nullable=True),
        sa.Column("most_running_at", Instant(timezone=True), nullable=True),
        sa.Column("run_seconds", sa.Float(), nullable=True),
        sa.Column("next_submit_at", Instant(timezone=True), nullable=True),
        sa.Column("parked_until", Instant(timezone=True), nullable=True),
        sa.Column("parked_since", Instant(timezone=True), nullable=True),
        sa.Column("parked_seconds", sa.Float(), nullable=True),
        sa.Column("parked_reason", sa.Text(), nullable=True),
        sa.Column("parked_detail", sa.Text(), nullable=True),
        sa.Column("probe_attempt_id", sa.Text(), nullable=True),
        sa.Column("probe_at", Instant(timezone=True), nullable=True),
        sa.Column("ambiguous_in_a_row", sa.Integer(), nullable=False),
        sa.Column("day", sa.Text(), nullable=True),
        sa.Column("day_usd", Usd(), nullable=False),
        sa.Column("reserved_usd", Usd(), nullable=False),
        sa.Column("spent_usd", Usd(), nullable=False),
        sa.Column("last_webhook_at", Instant(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "images",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("uploaded_at", Instant(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "sha256"),
    )
    op.create_table(
        "known_images",
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("checked_at", Instant(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("location"),
    )
    op.create_table(
        "ledgers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("program", sa.Text(), nullable=False),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "money_events",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("at", Instant(timezone=True), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("attempt_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("usd", Usd(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("money_of_batch", "money_events", ["batch_id", "at"], unique=False)
    op.create_table(
        "batches",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.Column("named_by_hand", sa.Boolean(), nullable=False),
        sa.Column("archive", sa.Text(), nullable=False),
        sa.Column("budget_usd", Usd(), nullable=True),
        sa.Column("roll", sa.Integer(), nullable=False),
        sa.Column("roll_keys", sa.JSON(), nullable=False),
        sa.Column("mark", sa.Text(), nullable=True),
        sa.Column("mark_at", Instant(timezone=True), nullable=True),
        sa.Column("asked_at", Instant(timezone=True), nullable=True),
        sa.Column("reconciled_until", Instant(timezone=True), nullable=True),
        sa.Column("created_at", Instant(timezone=True), nullable=False),
        sa.Column("reserved_usd", Usd(), nullable=False),
        sa.Column("spent_usd", Usd(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("row_id", sa.Text(), nullable=False),
        sa.Column("take", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("roll", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("endpoint_id", sa.Text(), nullable=False),
        sa.Column("arguments", sa.JSON(), nullable=False),
        sa.Column("arguments_digest", sa.Text(), nullable=False),
        sa.Column("image_source", sa.Text(), nullable=True),
        sa.Column("image_location", sa.Text(), nullable=True),
        sa.Column("image_sha256", sa.Text(), nullable=True),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("state_at", Instant(timezone=True), nullable=False),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("attempt_id", sa.Text(), nullable=True),
        sa.Column("transient_failures", sa.Integer(), nullable=False),
        sa.Column("start_timeouts", sa.Integer(), nullable=False),
        sa.Column("not_before", Instant(timezone=True), nullable=True),
        sa.Column("error_type", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("cost_usd", Usd(), nullable=True),
        sa.Column("cost_basis", sa.Text(), nullable=True),
        sa.Column("output_url", sa.Text(), nullable=True),
        sa.Column("output_bytes", sa.BigInteger(), nullable=True),
        sa.Column("result", sa.JSON(), nullable=True),
        sa.Column("completed_at", Instant(timezone=True), nullable=True),
        sa.Column("reused_from", sa.Text(), nullable=True),
        sa.Column("review", sa.Text(), nullable=True),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("bytes", sa.BigInteger(), nullable=True),
        sa.Column("media", sa.JSON(), nullable=True),
        sa.Column("archived_at", Instant(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
        ),
        sa.ForeignKeyConstraint(
            ["batch_id"],
            ["batches.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("batch_id", "row_id", "take", "revision"),
    )
    op.create_index("jobs_by_fingerprint", "jobs", ["fingerprint"], unique=False)
    op.create_index(
        "jobs_in_flight",
        "jobs",
        ["account_id", "batch_id"],
        unique=False,
        sqlite_where=sa.text("state IN ('submitting', 'submitted')"),
        postgresql_where=sa.text("state IN ('submitting', 'submitted')"),
    )
    op.create_index("jobs_of_batch", "jobs", ["batch_id", "state", "withdrawn"], unique=False)
    op.create_table(
        "rows",
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("row_id", sa.Text(), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("labels", sa.JSON(), nullable=False),
        sa.Column("output", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["batch_id"],
            ["batches.id"],
        ),
        sa.PrimaryKeyConstraint("batch_id", "row_id"),
    )
    op.create_table(
        "attempts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("claimed_at", Instant(timezone=True), nullable=False),
        sa.Column("deadline_at", Instant(timezone=True), nullable=False),
        sa.Column("answered_at", Instant(timezone=True), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("http_status", sa.Integer(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("status_url", sa.Text(), nullable=True),
        sa.Column("response_url", sa.Text(), nullable=True),
        sa.Column("cancel_url", sa.Text(), nullable=True),
        sa.Column("completed_at", Instant(timezone=True), nullable=True),
        sa.Column("listed_at", Instant(timezone=True), nullable=True),
        sa.Column("gone_since", Instant(timezone=True), nullable=True),
        sa.Column("cancel_asked_at", Instant(timezone=True), nullable=True),
        sa.Column("cancel_answer", sa.Text(), nullable=True),
        sa.Column("inference_seconds", sa.Float(), nullable=True),
        sa.Column("billable_units", sa.Text(), nullable=True),
        sa.Column("error_type", sa.Text(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("reserved_usd", Usd(), nullable=False),
        sa.Column("cost_usd", Usd(), nullable=True),
        sa.Column("cost_basis", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["jobs.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("request_id"),
        sa.UniqueConstraint("token"),
    )
    op.create_index(op.f("ix_attempts_job_id"), "attempts", ["job_id"], unique=False)
    op.create_table(
        "strays",
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("seen_at", Instant(timezone=True), nullable=False),
        sa.Column("sent_at", Instant(timezone=True), nullable=False),
        sa.Column("billed_usd", Usd(), nullable=True),
        sa.ForeignKeyConstraint(
            ["batch_id"],
            ["batches.id"],
        ),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["jobs.id"],
        ),
        sa.PrimaryKeyConstraint("request_id"),
    )
    op.create_index("strays_of_batch", "strays", ["batch_id"], unique=False)
    op.create_table(
        "unknown_calls",
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("first_heard_at", Instant(timezone=True), nullable=False),
        sa.Column("last_heard_at", Instant(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("request_id"),
    )
