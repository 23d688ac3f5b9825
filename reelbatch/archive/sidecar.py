"""The JSON beside each video: what was asked, paid and received. Its keys are a contract.

It is enough to rebuild a lost ledger, so nothing in it depends on one. Web addresses lose
their queries, which hold the secrets of presigned links.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    PlainSerializer,
    ValidationError,
)

from reelbatch import __version__
from reelbatch.errors import Permanent
from reelbatch.jobs import Arguments
from reelbatch.money import as_text
from reelbatch.urls import without_query

SCHEMA_VERSION: Literal[1] = 1
AI_GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC's word for media made by a model (storage_media.md, section 6)."""

Dollars = Annotated[Decimal, PlainSerializer(as_text, return_type=str)]
Url = Annotated[str, AfterValidator(without_query)]


class _Part(BaseModel):
    """Unknown keys of a later release are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Image(_Part):
    """`source` as the manifest has it."""

    source: Url
    sha256: str


class Input(_Part):
    endpoint: str
    arguments: Arguments
    image: Image | None = None


class Provider(_Part):
    """Who made it. `endpoint` is the one that ran; `request_id` is None for a copy."""

    name: str = "fal"
    account: str
    queue_url: Url
    request_id: str | None
    endpoint: str


class Attempt(_Part):
    n: int
    submitted_at: AwareDatetime | None
    outcome: str
    error: str | None = None
    request_id: str | None = None


class Timing(_Part):
    submitted_at: AwareDatetime | None
    completed_at: AwareDatetime | None
    archived_at: AwareDatetime
    inference_seconds: float | None = None


class Cost(_Part):
    usd: Dollars
    basis: str


class Output(_Part):
    uri: str
    sha256: str
    bytes: int
    content_type: str = "video/mp4"


class AudioFacts(_Part):
    codec: str
    sample_rate: int
    channels: int


class MediaFacts(_Part):
    """What the probe saw; `MediaFacts.model_validate` takes its `Media` as a dictionary too."""

    duration_seconds: float
    fps: float
    frames: int
    width: int
    height: int
    video_codec: str
    audio: AudioFacts | None


class AiDisclosure(_Part):
    digital_source_type: str = AI_GENERATED


class Generator(_Part):
    name: str = "reelbatch"
    version: str = __version__


class Sidecar(_Part):
    """One archived video. `line` is the row's in its manifest, `labels` its other columns."""

    schema_version: Literal[1] = SCHEMA_VERSION
    batch: str
    row_id: str
    line: int | None
    take: int
    revision: int
    job_id: str
    fingerprint: str
    labels: dict[str, Any]
    input: Input
    provider: Provider
    attempts: tuple[Attempt, ...]
    timing: Timing
    cost: Cost
    output: Output
    media: MediaFacts
    ai_disclosure: AiDisclosure = AiDisclosure()
    generator: Generator = Generator()

    def render(self) -> bytes:
        """The file's bytes: JSON for people too, times with a zone, money as strings."""
        return self.model_dump_json(indent=2).encode() + b"\n"

    @classmethod
    def parse(cls, content: bytes) -> Sidecar:
        """Raises Permanent `sidecar_unreadable`."""
        try:
            return cls.model_validate_json(content)
        except ValidationError as error:
            raise Permanent(_why_unreadable(error), error="sidecar_unreadable") from error


def sidecar_key(video_key: str) -> str:
    """The video's name with `.json`; whole where it has no `.mp4` that could give way."""
    stem = video_key[:-4] if video_key.lower().endswith(".mp4") else video_key
    if stem.count("/") == 1 and stem.endswith("/batch"):
        # `{batch}/batch.json` is the batch's own file.
        stem = video_key
    return f"{stem}.json"


def _why_unreadable(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in fault["loc"])
    if where == "schema_version":
        return "The sidecar was written by a newer release of Reelbatch."
    return f"The sidecar cannot be read: {where or 'the file'}: {fault['msg']}."
