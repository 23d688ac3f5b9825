"""Images: every one read once, checked, hashed; and a sentence for each that will not do."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from reelbatch.config import IMAGE_CAP_BYTES, Settings
from reelbatch.errors import Permanent, Transient
from reelbatch.manifest import Image, Manifest, load_manifest
from reelbatch.manifest.images import PAUSES_SECONDS, Looking
from reelbatch.media.remote import Remote, remote_for
from tests.reelbatch.manifest.manifest_parts import (
    Desk,
    FakeWeb,
    codes,
    picture,
    sound,
    the_fault,
)

URL = "https://pictures.example/cat.png"


def one_image(manifest: Manifest) -> Image:
    (row,) = sound(manifest).rows
    assert row.image
    return row.image


def with_image(desk: Desk, reference: str) -> Manifest:
    return desk.load(f'prompt,image\na cat,"{reference}"\n')


def test_a_local_image_is_hashed_and_measured(desk: Desk) -> None:
    content = picture(640, 480, kind="JPEG")
    desk.write("more/cat.jpg", content)
    image = one_image(with_image(desk, "more/cat.jpg"))
    assert image == Image(
        source="more/cat.jpg",
        location=f"{desk.folder}/more/cat.jpg",
        sha256=hashlib.sha256(content).hexdigest(),
        content_type="image/jpeg",
        width=640,
        height=480,
    )
    assert not image.is_remote


def test_a_data_uri_is_read_and_its_source_is_short(desk: Desk) -> None:
    uri = "data:image/png;base64," + base64.b64encode(picture()).decode()
    image = one_image(with_image(desk, uri))
    assert image.location == uri
    assert image.source == f"data:image/png;base64 ({len(uri)} characters)"
    assert image.sha256 == hashlib.sha256(picture()).hexdigest()


def test_a_remote_image_is_fetched_and_hashed(desk: Desk) -> None:
    desk.web.pages[URL] = picture()
    image = one_image(with_image(desk, URL))
    assert (image.is_remote, image.width) == (True, 720)
    assert image.sha256 == hashlib.sha256(picture()).hexdigest()


def test_each_location_is_read_once(desk: Desk) -> None:
    desk.web.pages = {URL: picture(), f"{URL}?2": picture()}
    sound(desk.load("prompt,image\n" + f"a,{URL}\nb,{URL}?2\n" * 50))
    assert sorted(desk.web.asked) == [URL, f"{URL}?2"]


def test_a_known_image_is_not_fetched_again(desk: Desk) -> None:
    known = Image(source="x", location=URL, sha256="abc", content_type="image/png", width=9)
    for given, width in (("abc", None), (known, 9)):
        manifest = desk.load(f"prompt,image\na,{URL}\n", known_images={URL: given})
        image = manifest.rows[0].image
        assert image
        assert (image.sha256, image.source, image.width) == ("abc", URL, width)
    assert desk.web.asked == []


def test_no_fetch_takes_remote_images_on_trust_with_one_warning(desk: Desk) -> None:
    text = f"prompt,image\na,{URL}\nb,{URL}?2\nc,mug.png\n"
    manifest = desk.load(text, fetch=False)
    assert codes(manifest) == ["image-unread"]
    assert the_fault(manifest).severity == "warning"
    assert "not read: 2" in the_fault(manifest).message
    assert [bool(row.image and row.image.sha256) for row in manifest.rows] == [False, False, True]
    assert desk.web.asked == []


@pytest.mark.parametrize(
    ("reference", "code", "words"),
    [
        ("nope.png", "image-missing", "There is no image"),
        ("mug.png/nope.png", "image-missing", "There is no image"),
        ("images\\\\mug.png", "image-missing", "Write / between folders"),
        (".", "image-is-directory", "is a directory"),
        ("empty.png", "image-empty", "0 bytes"),
        ("text.png", "image-not-decodable", "no PNG, JPEG, WebP or GIF"),
        ("cut.png", "image-not-decodable", "cannot be decoded"),
        ("x" * 5000, "image-unreadable", "cannot be read"),
        ("http://pictures.example/cat.png", "image-not-https", "is not https"),
        ("HTTP://pictures.example/cat.png", "image-not-https", "is not https"),
        ("https://192.168.1.10/cat.png", "image-private-address", "private address"),
        ("https://127.0.0.1/cat.png", "image-private-address", "private address"),
        ("https://[::1]/cat.png", "image-private-address", "private address"),
        ("https://localhost/cat.png", "image-private-address", "private address"),
        ("https://me:hunter2@cats.example/cat.png", "image-with-credentials", "a user name or"),
        ("http://me:hunter2@cats.example/cat.png?sig=hunter2", "image-not-https", "is not https"),
        ("gs://bucket/cat.png", "image-scheme", "gs://"),
        ("data:image/png;base64,@@@", "image-data-uri", "does not decode"),
        ("data:image/png", "image-data-uri", "does not decode"),
        ("data:image/png;base64,AAAA", "image-not-decodable", "cannot be decoded"),
        (URL, "image-not-found", "does not exist"),
        ("s3://bucket", "image-missing", "names no object"),
    ],
)
def test_an_image_that_will_not_do_has_a_sentence_of_its_own(
    desk: Desk, reference: str, code: str, words: str
) -> None:
    desk.write("empty.png", b"")
    desk.write("text.png", b"I am a text")
    desk.write("cut.png", picture()[:-40])
    fault = the_fault(with_image(desk, reference))
    assert (fault.code, fault.line, fault.column) == (code, 2, "image")
    assert words in f"{fault.message} {fault.advice}"
    assert len(str(fault)) < 10_000


def test_no_image_means_text_to_video(desk: Desk) -> None:
    (row,) = sound(desk.load("prompt,image\na cat,\n")).rows
    assert (row.image, row.endpoint_id) == (None, "fal-ai/ovi")


def test_an_image_of_100_mb_is_refused_with_its_size_and_never_read(desk: Desk) -> None:
    huge = desk.folder / "huge.png"
    with huge.open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    fault = the_fault(with_image(desk, "huge.png"))
    assert fault.code == "image-too-large"
    assert "100 MB; 20 MB is the most" in fault.message


def test_one_bad_image_is_a_fault_in_every_row_that_names_it(desk: Desk) -> None:
    manifest = desk.load("prompt,image\na,nope.png\nb,mug.png\nc,nope.png\n")
    assert [fault.line for fault in manifest.faults] == [2, 4]
    assert [row.line for row in manifest.rows] == [3]


def test_a_flaking_host_is_asked_again(desk: Desk) -> None:
    web = FakeWeb(pages={URL: [Transient("Busy."), Transient("Busy.")]})
    pauses: list[float] = []
    looking = Looking(remote=Remote(lambda: web), known={}, pause=pauses.append)
    (seen,) = looking.all([Image(source=URL, location=URL, sha256=None)]).values()
    assert isinstance(seen, Permanent)
    assert (len(web.asked), pauses) == (3, list(PAUSES_SECONDS))


def test_a_dead_network_is_not_waited_for_image_by_image(desk: Desk) -> None:
    web = FakeWeb(pages={f"{URL}?{n}": [Transient("Gone.")] * 9 for n in range(300)})
    pauses: list[float] = []
    looking = Looking(remote=Remote(lambda: web), known={}, pause=pauses.append)
    images = [Image(source=url, location=url, sha256=None) for url in web.pages]
    assert all(isinstance(seen, Transient) for seen in looking.all(images).values())
    assert len(pauses) == 100


@pytest.fixture
def cdn() -> Iterator[str]:
    """A content server on this machine, as the emulator's is; it has one picture."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = picture(960, 640)
            self.send_response(200 if self.path == "/files/reelbatch/example.png" else 404)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_fals_media_hosts_are_those_of_the_emulator_on_loopback(desk: Desk, cdn: str) -> None:
    url = "https://v3.fal.media/files/reelbatch/example.png"
    place = str(desk.write("cats.csv", f"prompt,image\na cat,{url}\n"))
    image = one_image(load_manifest(place, settings=Settings(fal_cdn_url=cdn)))
    assert (image.location, image.width) == (url, 960)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket="studio")
        yield "studio"


def put(key: str, content: bytes) -> None:
    boto3.client("s3").put_object(Bucket="studio", Key=key, Body=content)


def test_an_s3_image_is_read_like_a_local_one(desk: Desk, bucket: str) -> None:
    put("cats/cat.png", picture())
    image = one_image(with_image(desk, f"s3://{bucket}/cats/cat.png"))
    assert (image.location, image.is_remote) == ("s3://studio/cats/cat.png", False)
    assert image.sha256 == hashlib.sha256(picture()).hexdigest()


def test_images_of_a_manifest_on_s3_are_relative_to_it(desk: Desk, bucket: str) -> None:
    put("spring/images/cat.png", picture())
    put("spring/cats.csv", b"prompt,image\na cat,images/cat.png\n")
    manifest = desk.load_place(f"s3://{bucket}/spring/cats.csv")
    assert one_image(manifest).location == "s3://studio/spring/images/cat.png"
    assert (manifest.name, manifest.place) == ("cats", "s3://studio/spring/cats.csv")


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("s3://studio/nope.png", "image-missing"),
        ("s3://nowhere/cat.png", "image-missing"),
        ("s3://studio/big.png", "image-too-large"),
    ],
)
def test_what_s3_does_not_have_is_a_fault(desk: Desk, bucket: str, place: str, code: str) -> None:
    put("big.png", bytes(IMAGE_CAP_BYTES + 1))
    assert codes(with_image(desk, place)) == [code]


def test_s3_without_credentials_says_what_to_set(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    fault = the_fault(with_image(desk, "s3://studio/cat.png"))
    assert fault.code == "image-forbidden"
    assert "AWS_ACCESS_KEY_ID" in fault.advice


@pytest.mark.parametrize("fetch", [True, False])
def test_no_fault_quotes_what_signs_a_link(desk: Desk, fetch: bool) -> None:
    image = "https://me:hunter2@127.0.0.1/cat.png?X-Amz-Signature=hunter2"
    place = str(desk.write("cats.csv", f"prompt,image\na cat,{image}\n"))
    manifest = load_manifest(place, settings=Settings(), fetch=fetch)
    assert "127.0.0.1/cat.png" in str(the_fault(manifest))
    assert "hunter2" not in str(manifest.faults)


class Lying(BaseHTTPRequestHandler):
    """An S3 that names no length, or sends less than it announced."""

    def do_GET(self) -> None:
        self.send_response(200)
        if "short" in self.path:
            self.send_header("Content-Length", "1000")
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(b"x" * 500 if "short" in self.path else bytes(3 * 1024 * 1024))

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def lying_s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Remote]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Lying) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        yield remote_for(Settings())
        server.shutdown()
        thread.join()


def test_an_s3_object_is_read_up_to_the_cap_whatever_it_announced(lying_s3: Remote) -> None:
    with pytest.raises(Permanent, match="2 MB is the most") as caught:
        lying_s3.read("s3://studio/endless.png", cap_bytes=2 * 1024 * 1024)
    assert caught.value.error == "too_large"


def test_an_s3_object_cut_short_is_transient(lying_s3: Remote) -> None:
    with pytest.raises(Transient, match=r"s3://studio/short\.png could not be read"):
        lying_s3.read("s3://studio/short.png", cap_bytes=2 * 1024 * 1024)
