"""Who a row is: its id, or what it asks for."""

from __future__ import annotations

import pytest

from reelbatch.jobs import row_hash
from tests.reelbatch.manifest.manifest_parts import Desk, codes, sound, the_fault


def ids(desk: Desk, text: str) -> list[str]:
    return [row.row_id for row in sound(desk.load(text)).rows]


def test_a_row_keeps_the_id_it_was_given(desk: Desk) -> None:
    assert ids(desk, "id,prompt\n00012,a cat\nMug (red) é,a mug\n") == ["00012", "Mug (red) é"]


def test_a_row_without_an_id_is_known_by_its_request(desk: Desk) -> None:
    assert ids(desk, "prompt\na cat\n") == [row_hash({"prompt": "a cat"}, None)]


def test_labels_takes_and_output_do_not_change_who_a_row_is(desk: Desk) -> None:
    plain = ids(desk, "prompt\na cat\n")
    assert ids(desk, "prompt,mood,takes,output\na cat,calm,2,{take}\n") == plain


def test_image_and_seed_make_another_row(desk: Desk) -> None:
    text = "prompt,image,seed\na cat,,\na cat,mug.png,\na cat,,1\na cat,,2\n"
    assert len(set(ids(desk, text))) == 4


def test_the_kth_identical_row_gets_a_number(desk: Desk) -> None:
    first, second, third = ids(desk, "prompt\na cat\na cat\na cat\n")
    assert (second, third) == (f"{first}-2", f"{first}-3")


def test_moving_rows_changes_no_id(desk: Desk) -> None:
    forth = ids(desk, "prompt,seed\na cat,1\na dog,2\na cat,3\n")
    back = ids(desk, "prompt,seed\na cat,3\na dog,2\na cat,1\n")
    assert forth == back[::-1]


def test_a_duplicate_id_names_both_lines(desk: Desk) -> None:
    fault = the_fault(desk.load("id,prompt\nmug,a cat\nlamp,a dog\nmug,a bird\n"))
    assert (fault.code, fault.line) == ("id-twice", 4)
    assert fault.message == "The id 'mug' of line 4 is also that of line 2."


def test_two_spellings_of_one_letter_are_one_id(desk: Desk) -> None:
    assert codes(desk.load("id,prompt\ncaf\u00e9,a\ncafe\u0301,b\n")) == ["id-twice"]


def test_an_invented_id_never_meets_a_written_one(desk: Desk) -> None:
    (invented,) = ids(desk, "prompt\na cat\n")
    assert len(set(ids(desk, f"id,prompt\n{invented},a dog\n,a cat\n"))) == 2


@pytest.mark.parametrize("bad", ["a/b", "..", ".hidden", "a\\b", "a:b", "x" * 200, "a{b}", "a?b"])
def test_an_id_that_is_unsafe_in_a_path_is_refused_with_advice(desk: Desk, bad: str) -> None:
    fault = the_fault(desk.load(f"id,prompt\n{bad},a cat\n"))
    assert (fault.code, fault.column) == ("id-unsafe", "id")
    assert "letters, digits" in fault.advice
