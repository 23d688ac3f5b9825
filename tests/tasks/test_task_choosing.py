"""Which failed takes a retry is for: `--where` means there what it means for a manifest."""

from __future__ import annotations

import pytest

from reelbatch.errors import Refused
from reelbatch.run.choosing import failed_takes
from tests.parts.emulator import Emulator
from tests.tasks.conftest import Studio

HEADER = "id,prompt,seed,takes,campaign"


@pytest.fixture
async def failed(studio: Studio, fal: Emulator) -> Studio:
    """Three takes that failed, of two rows; nothing was billed."""
    fal.break_("model_refusal", with_={"billed": 0})
    studio.write(HEADER, "mug,A mug = 1,7,1,spring", "leaf,A leaf,8,2,")
    await studio.make()
    fal.mend()
    studio.write(HEADER, "mug,A mug = 1,7,1,spring", "leaf,A leaf,8,2,", "sky,The sky,9,1,spring")
    await studio.make()
    return studio


@pytest.mark.parametrize(
    ("condition", "takes"),
    [
        ("error=content_policy_violation", ["mug-1", "leaf-1", "leaf-2"]),
        ("error=content*", ["mug-1", "leaf-1", "leaf-2"]),
        ("error=start_timeout", []),
        ("campaign=spring", ["mug-1"]),
        ("campaign=", ["leaf-1", "leaf-2"]),
        ("row_id=l*", ["leaf-1", "leaf-2"]),
        ("take=2", ["leaf-2"]),
        ("text_prompt=A mug = 1", ["mug-1"]),
        ("line=3", ["leaf-1", "leaf-2"]),
    ],
)
async def test_a_condition_chooses_among_what_failed(
    failed: Studio, condition: str, takes: list[str]
) -> None:
    assert chosen(failed, condition) == takes


async def test_what_is_no_condition_is_refused_as_in_a_run(failed: Studio) -> None:
    with pytest.raises(Refused, match="Did you mean 'campaign'"):
        chosen(failed, "campagin=spring")
    with pytest.raises(Refused, match="'campaign' is no condition"):
        chosen(failed, "campaign")


def chosen(studio: Studio, condition: str) -> list[str]:
    jobs = {job["id"]: f"{job['row_id']}-{job['take']}" for job in studio.jobs()}
    batch_id = studio.jobs()[0]["batch_id"]
    return [jobs[one] for one in failed_takes(studio.ledger, batch_id, [condition])]
