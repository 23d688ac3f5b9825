"""The sidecar's keys are a contract, and enough to rebuild a lost ledger."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from reelbatch import __version__
from reelbatch.archive.sidecar import (
    Attempt,
    AudioFacts,
    Cost,
    Image,
    Input,
    MediaFacts,
    Output,
    Provider,
    Sidecar,
    Timing,
    sidecar_key,
)
from reelbatch.errors import Permanent

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)

EXPECTED = {
    "schema_version": 1,
    "batch": "cats",
    "row_id": "row-1",
    "line": 2,
    "take": 1,
    "revision": 1,
    "job_id": "0f3a",
    "fingerprint": "1:abcd",
    "labels": {"campaign": "Frühling"},
    "input": {
        "endpoint": "fal-ai/ovi/image-to-video",
        "arguments": {"prompt": "A cat <S>miaow<E>", "seed": 7},
        "image": {"source": "https://images.example/cat.png", "sha256": "ab" * 32},
    },
    "provider": {
        "name": "fal",
        "account": "https://queue.fal.run#default",
        "queue_url": "https://queue.fal.run",
        "request_id": "764cabcf",
        "endpoint": "fal-ai/ovi/image-to-video",
    },
    "attempts": [
        {
            "n": 1,
            "submitted_at": "2026-11-21T12:00:00Z",
            "outcome": "accepted",
            "error": None,
            "request_id": "764cabcf",
        }
    ],
    "timing": {
        "submitted_at": "2026-11-21T12:00:00Z",
        "completed_at": "2026-11-21T13:01:00+01:00",
        "archived_at": "2026-11-21T12:01:02Z",
        "inference_seconds": 51.5,
    },
    "cost": {"usd": "0.20", "basis": "priced"},
    "output": {
        "uri": "s3://reels/spring/cats/row-1/take-1.mp4",
        "sha256": "cd" * 32,
        "bytes": 750_000,
        "content_type": "video/mp4",
    },
    "media": {
        "duration_seconds": 5.04,
        "fps": 24.0,
        "frames": 121,
        "width": 992,
        "height": 512,
        "video_codec": "h264",
        "audio": {"codec": "aac", "sample_rate": 44_100, "channels": 2},
    },
    "ai_disclosure": {
        "digital_source_type": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    },
    "generator": {"name": "reelbatch", "version": __version__},
}


@pytest.fixture
def sidecar() -> Sidecar:
    endpoint = "fal-ai/ovi/image-to-video"
    source = "https://images.example/cat.png?X-Amz-Signature=secret"
    return Sidecar(
        batch="cats",
        row_id="row-1",
        line=2,
        take=1,
        revision=1,
        job_id="0f3a",
        fingerprint="1:abcd",
        labels={"campaign": "Frühling"},
        input=Input(
            endpoint=endpoint,
            arguments={"prompt": "A cat <S>miaow<E>", "seed": 7},
            image=Image(source=source, sha256="ab" * 32),
        ),
        provider=Provider(
            account="https://queue.fal.run#default",
            queue_url="https://queue.fal.run",
            request_id="764cabcf",
            endpoint=endpoint,
        ),
        attempts=(Attempt(n=1, submitted_at=NOON, outcome="accepted", request_id="764cabcf"),),
        timing=Timing(
            submitted_at=NOON,
            completed_at=(NOON + timedelta(minutes=1)).astimezone(timezone(timedelta(hours=1))),
            archived_at=NOON + timedelta(seconds=62),
            inference_seconds=51.5,
        ),
        cost=Cost(usd=Decimal("0.2"), basis="priced"),
        output=Output(
            uri="s3://reels/spring/cats/row-1/take-1.mp4", sha256="cd" * 32, bytes=750_000
        ),
        media=MediaFacts(
            duration_seconds=5.04,
            fps=24.0,
            frames=121,
            width=992,
            height=512,
            video_codec="h264",
            audio=AudioFacts(codec="aac", sample_rate=44_100, channels=2),
        ),
    )


def test_the_keys_and_their_order_are_a_contract(sidecar: Sidecar) -> None:
    assert json.dumps(json.loads(sidecar.render())) == json.dumps(EXPECTED)


def test_a_person_can_read_it(sidecar: Sidecar) -> None:
    text = sidecar.render().decode()
    assert "Frühling" in text
    assert text.count("\n") > 40


def test_reading_it_back_gives_all_of_it(sidecar: Sidecar) -> None:
    assert Sidecar.parse(sidecar.render()) == sidecar.model_copy(
        update={"input": Sidecar.parse(sidecar.render()).input}
    )
    assert Sidecar.parse(sidecar.render()).render() == sidecar.render()


def test_the_secret_of_a_presigned_link_is_not_kept(sidecar: Sidecar) -> None:
    assert b"secret" not in sidecar.render()


def test_an_image_written_into_the_manifest_is_not_kept_twice() -> None:
    image = Image(source="data:image/png;base64,iVBORw0KGgo=", sha256="ab")
    assert image.source == "data:image/png;base64"


def test_what_the_probe_saw_can_be_handed_over_as_a_dictionary() -> None:
    """With more in it than the sidecar keeps."""
    from dataclasses import asdict

    from reelbatch.media.mp4 import Audio, Media

    audio = Audio(codec="aac", sample_rate=44_100, channels=2)
    media = Media(
        duration_seconds=5.04,
        fps=24.0,
        frames=121,
        width=992,
        height=512,
        video_codec="h264",
        audio=audio,
        faststart=True,
    )
    assert MediaFacts.model_validate(asdict(media)).model_dump() == EXPECTED["media"]


def test_keys_of_a_later_release_are_passed_over(sidecar: Sidecar) -> None:
    content = json.dumps({**EXPECTED, "mood": "gay"}).encode()
    assert Sidecar.parse(content).render() == sidecar.render()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"schema_version": 2}, "written by a newer release"),
        ({"take": "one"}, "cannot be read: take:"),
        ({"timing": {**EXPECTED["timing"], "archived_at": "2026-11-21T12:00:00"}}, "archived_at"),  # type: ignore[dict-item]
    ],
)
def test_an_unreadable_sidecar_says_why(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Permanent, match=sentence) as caught:
        Sidecar.parse(json.dumps({**EXPECTED, **change}).encode())
    assert caught.value.error == "sidecar_unreadable"


def test_what_is_no_json_says_so() -> None:
    with pytest.raises(Permanent, match="cannot be read: the file"):
        Sidecar.parse(b"<html>")


@pytest.mark.parametrize(
    ("video", "sidecar"),
    [
        ("cats/row-1/take-1.mp4", "cats/row-1/take-1.json"),
        ("cats/row-1/take-1.r2.mp4", "cats/row-1/take-1.r2.json"),
        ("cats/TAKE.MP4", "cats/TAKE.json"),
        ("cats/shot.v1", "cats/shot.v1.json"),
        ("cats/batch.mp4", "cats/batch.mp4.json"),
        ("cats/row-1/batch.mp4", "cats/row-1/batch.json"),
    ],
)
def test_a_sidecar_has_its_videos_name(video: str, sidecar: str) -> None:
    """But for the one name that belongs to the batch itself."""
    assert sidecar_key(video) == sidecar
