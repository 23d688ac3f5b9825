"""Calls that are refused: told at once, and then only now and then."""

from __future__ import annotations

from reelbatch.service.refusals import SECONDS_BETWEEN, Refusals
from tests.parts.log import listening


def test_a_flood_is_told_in_a_line_now_and_then() -> None:
    now = 0.0
    refusals = Refusals(lambda: now)
    with listening() as heard:
        for _ in range(1000):
            refusals.note("its signature is malformed")
        now += SECONDS_BETWEEN
        refusals.note("it has no header 'x-fal-webhook-request-id'")
    assert [line["message"] for line in heard.lines] == [
        "a call was refused: its signature is malformed",
        "a call was refused: it has no header 'x-fal-webhook-request-id' "
        "(999 more were since the last such line)",
    ]
