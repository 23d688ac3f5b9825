"""fal: the key, the account behind it, and what this key may read. Nothing is submitted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from reelbatch.config import Settings
from reelbatch.errors import Permanent, Transient
from reelbatch.fal.answers import KeyCheck
from reelbatch.fal.client import Fal
from reelbatch.fal.endpoints import ENDPOINTS, OVI_TEXT
from reelbatch.run.checkup.check import Found, bad, ok, skipped, warning
from reelbatch.run.prices import read_prices

LAST_HOUR = timedelta(hours=1)
FAR_OFF_SECONDS = 60.0
USELESS_SECONDS = 240.0
"""fal's webhooks are refused from 300 s on, and S3 refuses later still."""
KEYS = "Copy it again from fal.ai/dashboard/keys: it reads id:secret."


class FalLooks:
    """They share one look at the key: without a good one the others have nothing to say."""

    def __init__(self, settings: Settings, fal: Fal) -> None:
        self._settings = settings
        self._fal = fal
        self._asked: asyncio.Task[KeyCheck] | None = None

    async def key(self) -> Found:
        match await self._key():
            case KeyCheck.GOOD:
                return ok("fal knows the key.")
            case KeyCheck.MISSING:
                return bad("There is no fal key.", "Set FAL_KEY=id:secret.")
            case KeyCheck.BAD:
                return bad("fal does not accept this key (FAL_KEY).", KEYS)
            case KeyCheck.LOCKED:
                return bad("fal knows the key, and the account is locked.", "Top up the account.")
            case KeyCheck.UNREACHABLE:
                url = self._settings.fal_queue_url
                return bad(f"fal cannot be reached at {url}.", "Check the network and the proxy.")
            case KeyCheck.UNKNOWN:
                return warning(
                    "fal's answer says nothing of the key.", "Look again; fal may have trouble."
                )

    async def account(self) -> Found:
        """A lock shows where something is wanted: at uploads, and only then at submissions."""
        if useless := await self._useless_key():
            return useless
        await self._fal.check_account()
        return ok("fal takes uploads for it; it is not locked.")

    async def prices(self) -> Found:
        if useless := await self._useless_key():
            return useless
        try:
            prices = await read_prices(self._settings, self._fal)
            if "built in" not in prices.source.values():
                return ok(f"{prices.describe()}.")
            await self._fal.prices(list(ENDPOINTS))
            reason = "fal names no price"
        except (Transient, Permanent) as error:
            reason = error.message.rstrip(".")
        usd = self._settings.price or OVI_TEXT.price_usd
        return warning(
            f"A run would reckon with ${usd:.2f} a video: {reason}.",
            "If that is not what fal bills, say --price or set REELBATCH_PRICE.",
        )

    async def requests(self) -> Found:
        """Without this list a submission that has lost its answer can only be held."""
        return await self._readable(
            self._first_request,
            good="This key may read fal's list of requests, which settles doubts.",
            otherwise="A submission without an answer can then only be held: doubts need this "
            "list. Use a key that may read it (scope API).",
        )

    async def bill(self) -> Found:
        return await self._readable(
            self._first_bill_line,
            good="This key may read fal's bill.",
            otherwise="`reconcile` can then not compare the money; all else works. The bill "
            "wants a key with the scope ADMIN.",
        )

    async def clock(self) -> Found:
        if await self._key() in (KeyCheck.MISSING, KeyCheck.UNREACHABLE):
            return skipped("fal has not told its time.")
        offset = self._fal.clock_offset_seconds
        words = f"This machine's clock is {abs(offset):.0f} s {'behind' if offset > 0 else 'ahead'}"
        if abs(offset) < FAR_OFF_SECONDS:
            return ok("This machine's clock and fal's agree.")
        if abs(offset) < USELESS_SECONDS:
            return warning(f"{words} of fal's.", "Set it by NTP.")
        return bad(f"{words} of fal's: webhooks would be refused.", "Set it by NTP.")

    async def _key(self) -> KeyCheck:
        if self._asked is None:
            self._asked = asyncio.create_task(self._fal.check_key())
        return await asyncio.shield(self._asked)

    async def _useless_key(self) -> Found | None:
        if await self._key() in (KeyCheck.MISSING, KeyCheck.BAD):
            return skipped("It wants a good key first.")
        return None

    async def _readable(
        self, read: Callable[[datetime], Awaitable[None]], *, good: str, otherwise: str
    ) -> Found:
        if useless := await self._useless_key():
            return useless
        try:
            await read(datetime.now(UTC))
        except Transient as error:
            return warning(error.message, "Look again; fal may have trouble.")
        except Permanent as error:
            return warning(error.message, otherwise)
        return ok(good)

    async def _first_request(self, at: datetime) -> None:
        listed = self._fal.requests(OVI_TEXT.id, start=at - LAST_HOUR, end=at)
        await anext(aiter(listed), None)

    async def _first_bill_line(self, at: datetime) -> None:
        lines = self._fal.billing_events(start=at - LAST_HOUR, end=at, endpoint_id=OVI_TEXT.id)
        await anext(aiter(lines), None)
