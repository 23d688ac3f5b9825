"""What a video costs: as the user said, else as fal says, else as is built in."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from reelbatch.config import read_settings
from reelbatch.errors import Permanent, Refused, Transient
from reelbatch.fal.answers import Price
from reelbatch.fal.client import open_fal
from reelbatch.fal.endpoints import ENDPOINTS
from reelbatch.run.prices import Prices, read_prices
from tests.parts.emulator import Emulator

OVI = "fal-ai/ovi"


class PriceList:
    """fal's pricing call, as far as prices ask it."""

    def __init__(self, unit: str = "video", *, error: Exception | None = None) -> None:
        self._price = Price(usd=Decimal("0.35"), unit=unit)
        self._error = error
        self.asked = 0

    async def prices(self, endpoint_ids: list[str]) -> dict[str, Price]:
        self.asked += 1
        if self._error:
            raise self._error
        return dict.fromkeys(endpoint_ids, self._price)


async def prices(listed: PriceList | None = None, **settings: Any) -> Prices:
    fal: Any = listed
    return await read_prices(read_settings(**settings), fal)


async def test_the_users_word_counts_first_and_fal_is_not_asked() -> None:
    listed = PriceList()
    said = await prices(listed, price="0.25")
    assert (said.of(OVI), said.source[OVI]) == (Decimal("0.25"), "given")
    assert listed.asked == 0
    assert said.describe() == "$0.25 a video (as you said)"


async def test_fals_own_price_list_comes_next() -> None:
    said = await prices(PriceList())
    assert (said.of(OVI), said.source[OVI]) == (Decimal("0.35"), "fal")
    assert said.describe() == "$0.35 a video (fal's price list)"


@pytest.mark.parametrize("listed", [None, PriceList(error=Transient("502"))])
async def test_where_fal_does_not_say_the_built_in_price_counts(listed: PriceList | None) -> None:
    said = await prices(listed)
    assert said.usd == {name: endpoint.price_usd for name, endpoint in ENDPOINTS.items()}
    assert set(said.source.values()) == {"built in"}


async def test_a_key_that_may_not_see_prices_is_no_obstacle() -> None:
    said = await prices(PriceList(error=Permanent("403")))
    assert said.source[OVI] == "built in"


@pytest.mark.parametrize("unit", ["video", "videos", "Video", "unit", "request", "generation"])
async def test_one_unit_is_one_video_under_several_names(unit: str) -> None:
    assert (await prices(PriceList(unit))).source[OVI] == "fal"


@pytest.mark.parametrize("unit", ["second", "seconds", "megapixel", "compute second"])
async def test_another_unit_is_refused_unless_the_user_says_what_a_video_costs(unit: str) -> None:
    with pytest.raises(Refused, match="--price"):
        await prices(PriceList(unit))
    assert (await prices(PriceList(unit), price="0.40")).of(OVI) == Decimal("0.40")


async def test_a_mixed_batch_is_reckoned_by_the_highest_price() -> None:
    said = Prices(
        usd={"a": Decimal("0.20"), "b": Decimal("0.30")}, source={"a": "fal", "b": "built in"}
    )
    assert said.highest == Decimal("0.30")
    assert said.describe() == "$0.20 a video (fal's price list), $0.30 a video (built in)"


async def test_the_emulator_and_our_entries_agree(emulator: Emulator) -> None:
    settings = read_settings(**emulator.settings)
    async with open_fal(settings) as fal:
        said = await read_prices(settings, fal)
    assert said.usd == {name: endpoint.price_usd for name, endpoint in ENDPOINTS.items()}
    assert set(said.source.values()) == {"fal"}
