"""Before a result counts as lost: every other place where fal may still show it.

It was paid, so it is looked for in the queue's answer and in fal's list of requests; it is
never generated anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from reelbatch.errors import Permanent
from reelbatch.fal.answers import GoodResult
from reelbatch.fal.endpoints import ENDPOINTS
from reelbatch.fal.outputs import good_result
from reelbatch.run.run import Run

COUNTS_AFTER = timedelta(minutes=15)
"""fal may forget a request or a file for a while; only then it counts as lost."""
AROUND = timedelta(hours=2)
"""fal does not say which of its times `start` and `end` filter on."""

Job = Mapping[str, Any]


async def found_again(run: Run, job: Job) -> GoodResult | None:
    """A good result whose video is at another place than the one that failed.

    Raises Transient where fal did not answer: then nothing is known.
    """
    for ask in (_from_the_queue, _from_the_list):
        try:
            found = await ask(run, job)
        except Permanent:
            continue
        if found is not None and found.output.url != job["output_url"]:
            return found
    return None


async def _from_the_queue(run: Run, job: Job) -> GoodResult | None:
    handle = run.fal.submission(job["endpoint_id"], job["request_id"])
    answer = await run.fal.result(handle, output=ENDPOINTS[job["endpoint_id"]].output)
    return answer if isinstance(answer, GoodResult) else None


async def _from_the_list(run: Run, job: Job) -> GoodResult | None:
    endpoint = ENDPOINTS[job["endpoint_id"]]
    sent_at = job["claimed_at"] + timedelta(seconds=run.fal.clock_offset_seconds)
    around = run.fal.requests(endpoint.id, start=sent_at - AROUND, end=sent_at + 2 * AROUND)
    async for listed in around:
        if listed.request_id == job["request_id"]:
            return good_result(listed.json_output, endpoint.output)
    return None
