"""The options that several commands share, with one help text each."""

from __future__ import annotations

from typing import Annotated

import typer

Manifest = Annotated[
    str, typer.Argument(help="CSV, YAML, JSONL or Excel: a path, s3:// or https://.")
]
BatchArgument = Annotated[str, typer.Argument(metavar="BATCH", help="The batch's name.")]
Archive = Annotated[
    str | None, typer.Option(help="s3://bucket/prefix, or a directory.", show_default="./archive")
]
MovedArchive = Annotated[
    str | None,
    typer.Option(
        "--archive", help="Where the batch's archive is now.", show_default="the batch's own"
    ),
]
LedgerUrl = Annotated[
    str | None,
    typer.Option(
        "--ledger", metavar="URL", help="SQLite or Postgres.", show_default="~/.reelbatch/ledger.db"
    ),
]
Budget = Annotated[
    str | None, typer.Option(metavar="USD", help="For all runs of this batch together.")
]
BudgetPerDay = Annotated[
    str | None, typer.Option(metavar="USD", help="For the whole account, by UTC day.")
]
MaxInFlight = Annotated[
    str | None,
    typer.Option(metavar="N|auto", help="Requests at fal at once.", show_default="auto"),
]
OrderedWindow = Annotated[
    str | None,
    typer.Option(
        "--max-in-flight",
        metavar="N|auto",
        help="Another window for the account: live runs obey it; auto leaves it to each run.",
    ),
]
SubmitRate = Annotated[
    float | None,
    typer.Option(metavar="PER_S", help="Submissions a second.", show_default="10"),
]
Collect = Annotated[
    str | None,
    typer.Option(
        metavar="stream|poll|webhook", help="How results are learned of.", show_default="stream"
    ),
]
Where = Annotated[
    list[str] | None,
    typer.Option(metavar="COLUMN=VALUE", help="Only these rows; repeat it to narrow."),
]
BatchName = Annotated[
    str | None,
    typer.Option("--batch", metavar="NAME", help="Which batch this is; may hold {date}."),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Make all of it anew, and pay anew.")]
Price = Annotated[str | None, typer.Option(metavar="USD", help="Dollars a video.")]
InDoubt = Annotated[
    str,
    typer.Option(
        metavar="auto|hold|resubmit",
        help="Submissions without an answer: settle by evidence, hold, or send again.",
    ),
]
InDoubtOfRetry = Annotated[
    str,
    typer.Option(
        "--in-doubt",
        metavar="auto|hold",
        help="Submissions without an answer: settle by evidence, or hold.",
    ),
]
SkipInvalid = Annotated[bool, typer.Option("--skip-invalid", help="Submit the sound rows only.")]
Strict = Annotated[bool, typer.Option("--strict", help="Treat warnings as errors.")]
NoFetch = Annotated[bool, typer.Option("--no-fetch", help="Trust remote images unread.")]
KeepGoing = Annotated[
    bool, typer.Option("--keep-going", help="Go on even if the first ten answers fail alike.")
]
Emulated = Annotated[
    bool, typer.Option("--emulated", help="Rehearse for nothing, on a local emulator of fal.")
]
Rehearsed = Annotated[bool, typer.Option("--emulated", help="Look at the rehearsals.")]
RehearsedBatch = Annotated[bool, typer.Option("--emulated", help="A batch of the rehearsals.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
