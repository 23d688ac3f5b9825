"""Storage: a token, then the bytes; in one piece, in parts, or to a place named before."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest

if TYPE_CHECKING:
    from tests.reelbatch.emulator.conftest import Emulated


def token(emulator: Emulated) -> dict[str, Any]:
    answer = emulator.http.post(
        "/storage/auth/token", params={"storage_type": "fal-cdn-v3"}, json={}
    )
    assert answer.status_code == 200, answer.text
    given: dict[str, Any] = answer.json()
    return given


def bearer(emulator: Emulated) -> dict[str, str]:
    given = token(emulator)
    return {"Authorization": f"{given['token_type']} {given['token']}"}


def upload(emulator: Emulated, content: bytes) -> httpx.Response:
    headers = {**bearer(emulator), "Content-Type": "image/png", "X-Fal-File-Name": "a b.png"}
    return emulator.http.post("/files/upload", content=content, headers=headers)


def test_a_token_says_when_it_ends_and_where_to_upload(emulator: Emulated) -> None:
    given = token(emulator)
    assert datetime.fromisoformat(given["expires_at"]).tzinfo is not None
    assert given["base_url"] == emulator.urls["cdn_url"]


def test_an_upload_comes_back_as_it_was(emulator: Emulated) -> None:
    url = upload(emulator, b"hello").json()["access_url"]
    back = httpx.get(url)
    assert (back.content, back.headers["content-type"]) == (b"hello", "image/png")
    assert url.endswith("a_b.png")


def test_an_upload_wants_a_token_and_not_the_key(emulator: Emulated) -> None:
    assert emulator.http.post("/files/upload", content=b"hello").status_code == 401


def test_parts_are_put_together_by_number_whatever_the_order_named(emulator: Emulated) -> None:
    headers = bearer(emulator)
    begun = emulator.http.post("/files/upload/multipart", headers=headers).json()
    place = f"{begun['access_url']}/multipart/{begun['uploadId']}"
    etags = {
        number: emulator.http.put(f"{place}/{number}", content=part).headers["etag"]
        for number, part in ((2, b"world"), (1, b"hello "))
    }
    named = [{"partNumber": number, "etag": etags[number]} for number in (2, 1)]
    emulator.http.post(f"{place}/complete", json={"parts": named}).raise_for_status()
    assert httpx.get(begun["access_url"]).content == b"hello world"


def test_a_place_can_be_named_before_the_bytes_come(emulator: Emulated) -> None:
    wish = {"file_name": "c.bin", "content_type": "text/plain"}
    places = emulator.http.post("/storage/upload/initiate", json=wish).json()
    httpx.put(places["upload_url"], content=b"later", headers={"Content-Type": "text/plain"})
    assert httpx.get(places["file_url"]).text == "later"


def test_a_locked_account_gets_no_token(emulator: Emulated) -> None:
    emulator.http.post("/_emulator/lock", json={"reason": "TOP_UP."})
    refused = emulator.http.post("/storage/auth/token", json={})
    assert (refused.status_code, refused.json()) == (
        403,
        {"detail": "User is locked. Reason: TOP_UP."},
    )


@pytest.mark.parametrize(("fault", "seen"), [("token_error", 500), ("token_locked", 403)])
def test_a_token_can_be_refused(emulator: Emulated, fault: str, seen: int) -> None:
    emulator.break_(fault)
    assert emulator.http.post("/storage/auth/token", json={}).status_code == seen


def test_an_upload_can_fail(emulator: Emulated) -> None:
    emulator.break_("upload_error", times=1)
    assert upload(emulator, b"hello").status_code == 500
    assert upload(emulator, b"hello").status_code == 200


def test_an_upload_can_lead_nowhere(emulator: Emulated) -> None:
    emulator.break_("upload_lost")
    url = upload(emulator, b"hello").json()["access_url"]
    assert httpx.get(url).status_code == 404


def test_an_upload_can_hang(emulator: Emulated) -> None:
    emulator.break_("upload_hanging")
    place, token = f"{emulator.urls['cdn_url']}/files/upload", bearer(emulator)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(place, content=b"hello", headers=token, timeout=0.5)
