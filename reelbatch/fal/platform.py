"""fal's Platform API: its pages, read whole, and its refusals (fal.md, section 9)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, TypeVar
from urllib.parse import urlencode

from pydantic import AfterValidator, BaseModel, ValidationError

from reelbatch.errors import Permanent, Transient
from reelbatch.fal.error_types import Family
from reelbatch.fal.failures import PermanentFailure
from reelbatch.fal.reply import Reply
from reelbatch.fal.wire import Wire

PAGE_CAP_BYTES = 32 * 1024 * 1024
"""A hundred requests with their payloads."""
PAGES_CAP = 2000
TRY_AGAIN = {Family.TRANSIENT, Family.THROTTLED, Family.FLAKE}

Params = Mapping[str, str | int | Sequence[str]]
Answer = TypeVar("Answer", bound=BaseModel)


def _with_zone(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


Moment = Annotated[datetime, AfterValidator(_with_zone)]
"""A time from fal; one without a zone is UTC."""


class Page(BaseModel):
    """What every listing has besides its entries."""

    next_cursor: str | None = None
    has_more: bool | None = None


SomePage = TypeVar("SomePage", bound=Page)


async def read(wire: Wire, path: str, params: Params, shape: type[Answer]) -> Answer:
    """One answer. Raises Transient, or Permanent: `not_allowed` for a key without the scope."""
    url = f"{wire.api_url}{path}?{urlencode(params, doseq=True)}"
    reply = await wire.call("GET", url, cap=PAGE_CAP_BYTES)
    if not reply.ok:
        raise _refusal(reply)
    try:
        return shape.model_validate_json(reply.body)
    except ValidationError as error:
        reason = f"{error.error_count()} entries are not as documented"
        raise Transient(f"fal's answer to {path} cannot be read: {reason}.") from None


async def read_pages(
    wire: Wire, path: str, params: Params, shape: type[SomePage]
) -> AsyncIterator[SomePage]:
    """All pages or an error: a list cut short in silence would prove an absence that is none."""
    cursors: set[str] = set()
    for _ in range(PAGES_CAP):
        page = await read(wire, path, params, shape)
        yield page
        cursor = _next(page)
        if cursor is None:
            return
        if cursor in cursors:
            raise Transient("fal's list turns in a circle.")
        cursors.add(cursor)
        params = {**params, "cursor": cursor}
    raise Permanent(
        f"fal's list has more than {PAGES_CAP} pages.",
        advice="Ask for a shorter time.",
        error="too_many_pages",
    )


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _next(page: Page) -> str | None:
    more = bool(page.next_cursor) if page.has_more is None else page.has_more
    if more and not page.next_cursor:
        raise Transient("fal's list says there is more and not where.")
    return page.next_cursor if more else None


def _refusal(reply: Reply) -> Exception:
    failure = reply.failure()
    if reply.broken or reply.status < 400 or failure.family in TRY_AGAIN:
        return reply.transient("an answer")
    error = "not_allowed" if reply.status == 403 else failure.error_type
    return PermanentFailure(f"fal refused: {failure.message}", failure, error=error)
