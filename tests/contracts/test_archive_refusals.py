"""Archives that cannot be used are found before anything is paid, each with its own sentence.

Keys and signatures on SeaweedFS, because moto accepts any; the missing bucket on moto, because
SeaweedFS makes it for whoever may.
"""

from __future__ import annotations

from typing import Any

import pytest

from reelbatch.archive.contract import Archive, as_refusal
from reelbatch.archive.open import open_archive
from reelbatch.errors import Permanent, Transient
from tests.parts.weed import Weed


@pytest.fixture
def server(weed: Weed, monkeypatch: pytest.MonkeyPatch) -> Weed:
    for name, value in weed.environment.items():
        monkeypatch.setenv(name, value)
    return weed


def _refusals(archive: Archive) -> list[str]:
    """What the probe says, and what the first put says."""
    said = []
    with pytest.raises((Permanent, Transient)) as probed:
        archive.probe()
    with pytest.raises((Permanent, Transient)) as written:
        archive.put("cats/manifests/1234-cats.csv", b"id,prompt", "text/csv")
    for caught in (probed, written):
        said.append(str(as_refusal(caught.value)))
    return said


def test_a_bucket_that_does_not_exist(
    server: Weed, moto_s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", moto_s3.endpoint_url)
    for said in _refusals(open_archive("s3://no-such-bucket/x")):
        assert said.startswith("The bucket s3://no-such-bucket does not exist. Create it")


def test_an_access_key_that_nobody_knows(server: Weed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "NOBODY")
    for said in _refusals(open_archive(f"s3://{server.new_bucket()}/x")):
        assert said.endswith("does not know the access key. Check AWS_ACCESS_KEY_ID.")
        assert "NOBODY" not in said


def test_a_secret_that_does_not_fit(server: Weed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    for said in _refusals(open_archive(f"s3://{server.new_bucket()}/x")):
        assert said.startswith("The secret key does not fit the access key")
        assert "wrong-secret" not in said


def test_an_endpoint_that_cannot_be_reached(server: Weed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    with pytest.raises(Transient) as caught:
        open_archive("s3://reels/x").probe()
    said = str(as_refusal(caught.value))
    assert said.startswith("http://127.0.0.1:1 cannot be reached")
    assert "AWS_ENDPOINT_URL_S3" in said
