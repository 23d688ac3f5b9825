"""Why a run stops early. The first reason counts; what is in flight is still seen through."""

from __future__ import annotations

from typing import Literal

StopReason = Literal[
    "budget",
    "locked",
    "auth",
    "failing",
    "archive",
    "unreachable",
    "cancelled",
    "interrupted",
    "paused",
]

ADVICE: dict[StopReason, str] = {
    "budget": "Raise --budget (or --budget-per-day) and run again to make the rest.",
    "locked": "Top up your balance at fal.ai/dashboard/billing and run again, or ask fal's "
    "support if an administrator locked the account.",
    "auth": "Check FAL_KEY: fal refuses it now. Then run again.",
    "failing": "The first ten answers all failed alike: fix the manifest and run again, or say "
    "--keep-going.",
    "archive": "Make the archive writable and run again: what is made waits at fal for an hour.",
    "unreachable": "fal could not be reached for ten minutes. Run again when the network is back.",
    "cancelled": "Run again to make the rest.",
    "interrupted": "Run again to carry on.",
    "paused": "Say `reelbatch resume`, or run again, to carry on.",
}
