"""`reelbatch show`: one row's whole story."""

from __future__ import annotations

from typing import Annotated

import typer

from reelbatch.cli import options as o


def show(
    batch: o.BatchArgument,
    row: Annotated[str, typer.Argument(metavar="ROW", help="The row's id.")],
    ledger: o.LedgerUrl = None,
    emulated: o.Rehearsed = False,
    json: o.AsJson = False,
) -> None:
    """Tell one row's whole story: its takes, every attempt, what fal said, what it cost."""
    from reelbatch.cli.finding import batch_named, ledger_to_read
    from reelbatch.cli.saying import print_json
    from reelbatch.cli.stories import say_story, stories_of
    from reelbatch.errors import Refused

    opened = ledger_to_read(ledger, emulated=emulated)
    found = batch_named(opened, batch)
    stories = stories_of(opened, found, row)
    if not stories:
        raise Refused(f"Batch {batch!r} has no row {row!r}.", advice="See its index.csv.")
    if json:
        print_json({"batch": batch, "row_id": row, "takes": stories})
        return
    for story in stories:
        say_story(story)
