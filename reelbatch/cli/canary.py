"""`doctor --canary`: the question before it is paid, and what it has told, as a table."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, TextIO

from reelbatch.cli.asking import confirm
from reelbatch.config import Settings
from reelbatch.run.canary.flight import find_lost, fly
from reelbatch.run.canary.record import VIDEO, Record, canary_folder


def send_canary(settings: Settings, out: TextIO, *, yes: bool) -> dict[str, Any]:
    """Ask, send, follow, tell. Raises Refused where nobody says yes."""
    record = Record.read(canary_folder())
    if is_paid_already(settings, record, out):
        print(f"Carrying on with the canary {record.request_id}: it is paid.", file=out)
    else:
        confirm("Make one real video at fal, for about $0.20?", yes=yes)
    asyncio.run(fly(settings, record, lambda text: print(text, file=out, flush=True)))
    for question, answer in answers_of(record):
        print(f"{question:<34} {answer}", file=out)
    print(f"All of it is in {record.path}; the video in {record.folder / VIDEO}.", file=out)
    return record.content


def is_paid_already(settings: Settings, record: Record, out: TextIO) -> bool:
    """Whether an earlier canary is still to be followed. One without an answer is looked for."""
    if record.is_paid_and_open(settings.fal_queue_url):
        return True
    if not record.is_in_doubt(settings.fal_queue_url):
        return False
    if asyncio.run(find_lost(settings, record)):
        return True
    print(
        f"The canary of {record.began_at:%Y-%m-%d %H:%M} UTC had no answer and may be paid; fal's "
        "list does not show it.",
        file=out,
    )
    return False


def answers_of(record: Record) -> Iterator[tuple[str, str]]:
    """What fal.md, section 17 does not know, a line each."""
    submit, listed, bill = record.about("submit"), record.about("list"), record.about("bill")
    yield "HTTP code of a submission", _said(submit, "http_status")
    yield "keys of its answer", _said(submit, "keys")
    yield "statuses", _steps(record.content.get("statuses"))
    yield "its stream", f"{_steps(record.about('stream').get('events'))}; {_end(record)}"
    yield "listed while still queued", _said(listed, "while_queued")
    yield "listed, seconds after its start", _said(listed, "seconds_after_start")
    yield "the list shows the input as sent", _said(listed, "input_as_sent")
    yield "and defaults for", _said(listed, "defaults_shown")
    yield from _of_the_result(record)
    yield "billed, seconds after its end", _said(bill, "seconds_after_end")
    yield "for dollars", _said(bill, "usd")
    yield "tags on the bill", _said(bill, "tags_reported")
    yield "webhook", _webhook(record)


def _of_the_result(record: Record) -> Iterator[tuple[str, str]]:
    result, media = record.about("result"), record.about("media")
    yield "HTTP code of its result", _said(result, "http_status")
    if "error" in result:
        yield "it failed with", _said(result, "error")
        return
    yield "headers of its result", _said(result, "headers")
    yield "keys of its video", _said(result, "video_keys")
    yield "the seed came back", _said(result, "seed_as_sent")
    yield "seconds, pictures a second", f"{_said(media, 'duration_seconds')}, {_said(media, 'fps')}"
    yield "width, height", f"{_said(media, 'width')}, {_said(media, 'height')}"
    yield "video codec", _said(media, "video_codec")
    yield "sound", _said(media, "audio")
    yield "bytes", _said(media, "bytes")


def _said(topic: Any, name: str) -> str:
    """The value as people read it, or why there is none."""
    if name not in topic:
        return f"not known: {topic['reason']}" if "reason" in topic else "not known"
    value = topic[name]
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key} {value}" for key, value in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "not known" if value is None else str(value)


def _steps(steps: Any) -> str:
    shown = [
        f"{one['status']}{f' ({code})' if (code := one.get('http_status')) else ''} at "
        f"{one['at_seconds']:g} s"
        for one in steps or []
    ]
    return ", ".join(shown) or "none seen"


def _end(record: Record) -> str:
    return str(
        record.about("stream").get("end") or record.about("stream").get("reason", "not known")
    )


def _webhook(record: Record) -> str:
    found = record.about("webhook")
    deliveries = found.get("deliveries") or []
    if not deliveries:
        return f"none came{': ' + found['reason'] if 'reason' in found else ''}"
    when = ", ".join(f"{one['seconds_after_end']:g} s" for one in deliveries)
    verified = all(one["verified"] for one in deliveries)
    anew = {True: "signed anew", False: "not signed anew", None: "once"}[found["signed_anew"]]
    return f"{when} after its end, {anew}, {'verified' if verified else 'NOT verified'}"
