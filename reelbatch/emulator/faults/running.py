"""Faults of a run, and of what it brings: each run of a request may meet one."""

import asyncio

from reelbatch.emulator.errors import MODEL_ERRORS, REQUEST_ERRORS, model_error, request_error
from reelbatch.emulator.faults.moments import Output, Run
from reelbatch.emulator.faults.registry import fault
from reelbatch.emulator.wire import Answer


@fault(at="run", choices={"type": REQUEST_ERRORS})
async def runner_error(
    run: Run, *, type: str = "runner_disconnected", after: float = 0.2
) -> Answer:
    """The machine fails, after a share of the run time; 503 and 504 run again, ten times in all."""
    await asyncio.sleep(run.seconds * after)
    return request_error(type)


@fault(at="run", choices={"type": MODEL_ERRORS})
async def model_refusal(
    run: Run,
    *,
    type: str = "content_policy_violation",
    message: str = "The content could not be processed because it was flagged.",
    field: str = "prompt",
    status: int | None = None,
    after: float = 0.5,
    billed: bool | None = None,
) -> Answer:
    """The model answers an error of its own; `billed` sets or leaves out x-fal-billable-units."""
    await asyncio.sleep(run.seconds * after)
    error = model_error(type, message, loc=("body", field), status=status)
    if billed is None:
        return error
    headers = {**error.headers, "x-fal-billable-units": "1" if billed else "0"}
    return Answer(status=error.status, body=error.body, headers=headers)


@fault(at="output")
def missing_video(output: Output) -> None:
    """200 without `video`."""
    output.missing = True


@fault(at="output")
def silent_video(output: Output) -> None:
    """The sound track holds silence."""
    output.silent = True


@fault(at="output")
def mute_video(output: Output) -> None:
    """There is no sound track."""
    output.mute = True


@fault(at="output")
def media_on_another_host(output: Output, *, url: str = "https://media.example/x.mp4") -> None:
    """The result names a video at this address."""
    output.url = url


@fault(at="output")
def wrong_file_size(output: Output, *, by: int = 1) -> None:
    """`file_size` differs from what the CDN sends."""
    output.size_error = by
