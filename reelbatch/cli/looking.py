"""What `plan` can learn without a promise: fal's prices and key, whether the archive answers."""

from __future__ import annotations

import asyncio

from reelbatch.archive.contract import as_refusal
from reelbatch.archive.open import open_archive
from reelbatch.config import Settings
from reelbatch.errors import Permanent, ReelbatchError, Transient
from reelbatch.fal.answers import KeyCheck
from reelbatch.fal.client import open_fal
from reelbatch.run.opening import check_key
from reelbatch.run.plan import Plan
from reelbatch.run.prices import Prices, read_prices

PATIENCE_SECONDS = 5.0


def look_around(settings: Settings) -> tuple[Prices, list[str]]:
    """Prices, and a line for each thing that could not be checked."""
    prices, notes = asyncio.run(_fal(settings))
    try:
        open_archive(settings.archive).probe()
    except ReelbatchError as error:
        notes.append(f"the archive: {error.message}")
    return prices, notes


def prices_if_all_is_well(plan: Plan) -> Prices:
    """Before anybody is asked to spend: the key is good and the archive answers.

    Raises Refused for either.
    """
    prices = asyncio.run(_prices_of_a_good_key(plan.settings))
    asked = plan.request.archive or plan.manifest.archive
    uri = plan.batch.archive if plan.batch and not asked else plan.settings.archive
    try:
        open_archive(uri).probe()
    except (Transient, Permanent) as error:
        raise as_refusal(error) from error
    return prices


async def _prices_of_a_good_key(settings: Settings) -> Prices:
    async with open_fal(settings) as fal:
        await check_key(fal, settings)
        return await read_prices(settings, fal)


async def _fal(settings: Settings) -> tuple[Prices, list[str]]:
    if settings.fal_key is None:
        return await read_prices(settings, None), ["the fal key: FAL_KEY is not set"]
    try:
        async with asyncio.timeout(PATIENCE_SECONDS), open_fal(settings) as fal:
            match await fal.check_key():
                case KeyCheck.GOOD:
                    notes = []
                case verdict:
                    notes = [f"the fal key: {verdict}"]
            return await read_prices(settings, fal), notes
    except TimeoutError:
        return await read_prices(settings, None), ["the fal key: fal did not answer"]
