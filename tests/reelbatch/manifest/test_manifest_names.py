"""Names that become folders."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelbatch.errors import Refused
from reelbatch.manifest.names import batch_name, made_safe, unsafe_because

TODAY = date(2026, 11, 21)


def test_a_batch_name_may_hold_the_date() -> None:
    assert batch_name("cats-{date}", TODAY) == "cats-2026-11-21"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", " a", "{day}", "x" * 200, "a\nb"])
def test_a_batch_name_that_is_no_folder_is_refused(name: str) -> None:
    with pytest.raises(Refused):
        batch_name(name, TODAY)


@given(st.text(max_size=100))
def test_what_was_made_safe_is_safe(text: str) -> None:
    assert unsafe_because(made_safe(text)) in (None, "is longer than 150 bytes")
