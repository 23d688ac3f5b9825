"""All checks at once, in the order in which a person wants to read them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

from reelbatch.config import Settings
from reelbatch.fal.client import open_fal
from reelbatch.run.checkup import keeping, webhooks
from reelbatch.run.checkup.at_fal import FalLooks
from reelbatch.run.checkup.check import Check, Look, looked
from reelbatch.run.checkup.prefect_api import PrefectLooks


async def check_up(settings: Settings, environment: Mapping[str, str]) -> list[Check]:
    """Every check; `environment` is where Prefect's own settings are. Raises Refused."""
    async with open_fal(settings) as fal:
        at_fal = FalLooks(settings, fal)
        prefect = PrefectLooks(settings=settings, environment=environment)
        looks: dict[str, Look] = {
            "key": at_fal.key,
            "account": at_fal.account,
            "prices": at_fal.prices,
            "requests": at_fal.requests,
            "bill": at_fal.bill,
            "clock": at_fal.clock,
            "archive": partial(keeping.archive, settings),
            "ledger": partial(keeping.ledger, settings),
            "disk": partial(keeping.disk, settings),
            "webhook": partial(webhooks.address, settings),
            "signatures": partial(webhooks.signatures, settings),
            "prefect": prefect.server,
            "worker": prefect.worker,
        }
        return await asyncio.gather(*(looked(name, look) for name, look in looks.items()))
