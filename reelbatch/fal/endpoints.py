"""fal's video models as values: id, input schema, price, where the output is.

Adding a model is one more entry. Ovi's schemas and price: fal.md, section 14.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

OviResolution = Literal[
    "512x992", "992x512", "960x512", "512x960", "720x720", "448x1120", "1120x448"
]


class _OviInput(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    prompt: Annotated[str, Field(min_length=1)]
    negative_prompt: str | None = None
    audio_negative_prompt: str | None = None
    num_inference_steps: Annotated[int, Field(ge=1, le=50)] | None = None
    seed: int | None = None


class OviTextInput(_OviInput):
    """Input of `fal-ai/ovi`."""

    resolution: OviResolution | None = None


class OviImageInput(_OviInput):
    """Input of `fal-ai/ovi/image-to-video`, without `image_url`: a job knows it by content."""


@dataclass(frozen=True, kw_only=True)
class Speech:
    """What the linter knows about spoken prompts."""

    clip_seconds: float
    words_per_second: float
    tags: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One model at fal."""

    id: str
    takes_image: bool
    input_model: type[BaseModel]
    price_usd: Decimal
    """Dollars a video, where fal's pricing call gives none."""
    price_unit: str
    output: tuple[str, ...]
    """Path of the video's file object in the result."""
    clip_seconds: float
    run_seconds: float
    """A guess at the run time, until the account has shown it (fal.md, section 14)."""
    speech: Speech


_OVI_SPEECH = Speech(
    clip_seconds=5.0,
    words_per_second=3.5,
    tags=(("<S>", "<E>"), ("<AUDCAP>", "<ENDAUDCAP>")),
)


def _ovi(endpoint_id: str, input_model: type[BaseModel], *, takes_image: bool) -> Endpoint:
    return Endpoint(
        id=endpoint_id,
        takes_image=takes_image,
        input_model=input_model,
        price_usd=Decimal("0.20"),
        price_unit="video",
        output=("video",),
        clip_seconds=5.0,
        run_seconds=60.0,
        speech=_OVI_SPEECH,
    )


OVI_TEXT = _ovi("fal-ai/ovi", OviTextInput, takes_image=False)
OVI_IMAGE = _ovi("fal-ai/ovi/image-to-video", OviImageInput, takes_image=True)

ENDPOINTS = {endpoint.id: endpoint for endpoint in (OVI_TEXT, OVI_IMAGE)}


def endpoint_for(*, has_image: bool) -> Endpoint:
    """A row with an image is image-to-video, one without is text-to-video."""
    return OVI_IMAGE if has_image else OVI_TEXT
