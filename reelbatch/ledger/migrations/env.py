"""Alembic's entry point: runs on the connection that `migrate` hands it."""

from alembic import context

from reelbatch.ledger.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
context.run_migrations()
