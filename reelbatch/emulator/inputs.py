"""What Ovi takes: validated when it runs, never at submit (fal.md, sections 3.2 and 14)."""

import random
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from reelbatch.emulator.errors import invalid
from reelbatch.emulator.wire import Answer

Resolution = Literal["512x992", "992x512", "960x512", "512x960", "720x720", "448x1120", "1120x448"]
GRID = 32
AREA = 720 * 720


class TextToVideo(BaseModel):
    """Unknown fields are ignored here, and kept in the request's history."""

    prompt: str
    resolution: Resolution = "992x512"
    num_inference_steps: int = Field(default=30, ge=1, le=50)
    negative_prompt: str = "jitter, bad hands, blur, distortion"
    audio_negative_prompt: str = "robotic, muffled, echo, distorted"
    seed: int = Field(default_factory=lambda: random.getrandbits(31))


class ImageToVideo(BaseModel):
    prompt: str
    image_url: str
    num_inference_steps: int = Field(default=30, ge=1, le=50)
    negative_prompt: str = "jitter, bad hands, blur, distortion"
    audio_negative_prompt: str = "robotic, muffled, echo, distorted"
    seed: int = Field(default_factory=lambda: random.getrandbits(31))


ENDPOINTS: dict[str, type[TextToVideo] | type[ImageToVideo]] = {
    "fal-ai/ovi": TextToVideo,
    "fal-ai/ovi/image-to-video": ImageToVideo,
}
APPS = {"/".join(endpoint.split("/")[:2]) for endpoint in ENDPOINTS}


class Refused(Exception):
    """The model's own answer to an input it cannot use."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.body)
        self.answer = answer


def read(endpoint: str, body: Any) -> TextToVideo | ImageToVideo:
    """Raises Refused: 404 for an unknown subpath, 422 in pydantic's shape for a bad body."""
    model = ENDPOINTS.get(endpoint)
    if model is None:
        subpath = "/" + "/".join(endpoint.split("/")[2:])
        headers = {"x-fal-billable-units": "0"}
        raise Refused(
            Answer(status=404, body={"detail": f"Path {subpath} not found"}, headers=headers)
        )
    try:
        return model.model_validate(body)
    except ValidationError as error:
        faults: list[dict[str, Any]] = [dict(fault) for fault in error.errors(include_context=True)]
        for fault in faults:
            fault["loc"] = ["body", *fault["loc"]]
        raise Refused(invalid(faults)) from error


def as_read(endpoint: str, body: dict[str, Any]) -> dict[str, Any]:
    """The body with the server's defaults filled in, as a request list might show it."""
    try:
        return {**read(endpoint, body).model_dump(), **body}
    except Refused:
        return body


def grid_size(width: int, height: int) -> tuple[int, int]:
    """The size of a video asked as, or made from an image of, `width` by `height`.

    Upstream keeps the aspect and goes to the grid of 32 near 720*720 (fal.md, section 14).
    """
    scale = (AREA / (width * height)) ** 0.5
    return on_grid(width * scale), on_grid(height * scale)


def on_grid(length: float) -> int:
    return min(2048, max(GRID * 4, round(length / GRID) * GRID))


def asked_size(resolution: str) -> tuple[int, int]:
    """The size snapped down to the grid: 720x720 becomes 704x704."""
    width, height = (int(side) // GRID * GRID for side in resolution.split("x"))
    return width, height
