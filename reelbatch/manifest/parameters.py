"""A row's arguments, as its endpoint's input model accepts them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from reelbatch.errors import Permanent
from reelbatch.fal.endpoints import Endpoint
from reelbatch.manifest.faults import shown

TEXTS = ("negative_prompt", "audio_negative_prompt", "resolution")
WHOLE_NUMBERS = ("num_inference_steps",)

_SHORT = {"num_inference_steps": "steps"}


def misfits(endpoint: Endpoint, arguments: Mapping[str, Any]) -> Iterator[tuple[str, Permanent]]:
    """Every argument that the endpoint would refuse, with its column."""
    try:
        endpoint.input_model.model_validate(dict(arguments))
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            column = str(problem["loc"][0])
            yield column, _misfit(endpoint, column, dict(problem))


def _misfit(endpoint: Endpoint, column: str, problem: dict[str, Any]) -> Permanent:
    short = _SHORT.get(column, column)
    value = shown(str(problem["input"]))
    match problem["type"]:
        case "string_too_short" | "missing":
            return Permanent(
                "The row has no prompt.", advice="Say what the video shows.", error="prompt_empty"
            )
        case "greater_than_equal" | "less_than_equal":
            limit = problem["msg"].removeprefix("Input should be ")
            return Permanent(
                f"{column} {problem['input']} is out of range: it must be {limit}.",
                error=f"{short}_out_of_range",
            )
        case "literal_error":
            return Permanent(
                f"{column} {value} is unknown to {endpoint.id}.",
                advice=f"Choose {problem['ctx']['expected']}.",
                error=f"{short}_unknown",
            )
        case "extra_forbidden":
            return Permanent(
                f"{endpoint.id} takes no {column}; this row has {value}.",
                advice=_instead(endpoint, column),
                error=f"{short}_not_taken",
            )
        case _:
            return Permanent(f"{column} {value}: {problem['msg']}.", error=f"{short}_invalid")


def _instead(endpoint: Endpoint, column: str) -> str:
    if endpoint.takes_image and column == "resolution":
        return "Empty the cell: the video takes the shape of its image."
    return "Empty the cell."
