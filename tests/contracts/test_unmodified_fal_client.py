"""fal's own client, as it comes, against the emulator: the test that keeps the emulator honest.

fal_client takes no base URL. It is led here by what its users have, too: its environment
variables and a trusted CA (way A of fal.md, section 12), or an https proxy (way B), under which
it believes to talk to queue.fal.run, rest.fal.ai and v3.fal.media.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

OURS = ("FAL_", "SSL_CERT", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY")


@pytest.fixture(scope="module")
def emulated() -> Iterator[dict[str, Any]]:
    command = [sys.executable, "-m", "reelbatch.emulator", "--tls", "--proxy", "--watch-stdin"]
    with subprocess.Popen(
        [*command, "--service-seconds", "0.1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
        process.terminate()


@pytest.fixture(params=["by its environment variables", "through a proxy"])
def environment(request: pytest.FixtureRequest, emulated: dict[str, Any]) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.upper().startswith(OURS)}
    clean |= {"FAL_KEY": "test:secret", "SSL_CERT_FILE": emulated["ca_file"]}
    if request.param == "through a proxy":
        return clean | {"HTTPS_PROXY": emulated["proxy_url"]}
    host = f"127.0.0.1:{emulated['port']}"
    return clean | {"FAL_RUN_HOST": host, "FAL_QUEUE_RUN_HOST": host}


def said_by(script: str, environment: dict[str, str]) -> Any:
    """What a program of its own says last, as JSON."""
    program = subprocess.run(
        [sys.executable, "-c", "import json, fal_client, httpx\n" + script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert program.returncode == 0, program.stderr
    return json.loads(program.stdout.splitlines()[-1])


def test_it_submits_follows_and_fetches(environment: dict[str, str]) -> None:
    said = said_by(
        """
handle = fal_client.submit("fal-ai/ovi", arguments={"prompt": "a fox", "seed": 5})
seen = [type(event).__name__ for event in handle.iter_events(with_logs=True, interval=0.02)]
result = handle.get(interval=0.02)
video = httpx.get(result["video"]["url"], timeout=60)
print(json.dumps([seen[-1], result["seed"], len(video.content), result["video"]["file_size"]]))
""",
        environment,
    )
    last, seed, length, file_size = said
    assert (last, seed, length) == ("Completed", 5, file_size)


def test_it_waits_in_one_call(environment: dict[str, str]) -> None:
    said = said_by(
        """
result = fal_client.subscribe("fal-ai/ovi", arguments={"prompt": "a fox"}, with_logs=True)
print(json.dumps(sorted(result)))
""",
        environment,
    )
    assert said == ["seed", "video"]


def test_it_cancels_what_waits_behind_others(environment: dict[str, str]) -> None:
    said = said_by(
        """
behind = [fal_client.submit("fal-ai/ovi", arguments={"prompt": "a fox"}) for _ in range(8)][-1]
before = behind.status()
behind.cancel()
try:
    behind.get()
except fal_client.FalClientHTTPError as error:
    print(json.dumps([type(before).__name__, error.status_code, error.error_type]))
""",
        environment,
    )
    assert said == ["Queued", 499, "client_cancelled"]


def test_it_raises_a_models_refusal_from_the_result(environment: dict[str, str]) -> None:
    said = said_by(
        """
handle = fal_client.submit("fal-ai/ovi/image-to-video", arguments={"prompt": "no image"})
try:
    handle.get()
except fal_client.FalClientHTTPError as error:
    print(json.dumps([error.status_code, error.response.json()["detail"][0]["loc"]]))
""",
        environment,
    )
    assert said == [422, ["body", "image_url"]]


def test_it_sends_its_start_timeout_and_priority(
    environment: dict[str, str], emulated: dict[str, Any]
) -> None:
    request_id = said_by(
        """
handle = fal_client.submit(
    "fal-ai/ovi", arguments={"prompt": "a fox"}, start_timeout=30, priority="low"
)
print(json.dumps(handle.request_id))
""",
        environment,
    )
    assert inside(emulated, request_id)["start_timeout"] == 30


def test_it_sends_its_webhook_url_whole(
    environment: dict[str, str], emulated: dict[str, Any]
) -> None:
    url = "http://127.0.0.1:9/hook?job=1&token=a+b%2F"
    request_id = said_by(
        f"""
handle = fal_client.submit("fal-ai/ovi", arguments={{"prompt": "a fox"}}, webhook_url={url!r})
print(json.dumps(handle.request_id))
""",
        environment,
    )
    assert inside(emulated, request_id)["webhook"] == url


@pytest.mark.parametrize("environment", ["through a proxy"], indirect=True)
@pytest.mark.parametrize("megabytes", [1, 101], ids=["in one piece", "in parts"])
def test_it_uploads_an_image_that_the_model_can_read(
    environment: dict[str, str], megabytes: int
) -> None:
    """Zeros behind a PNG's end harm nobody; above 100 MB the client uploads in parts.

    The model reads 50 MB at most of other hosts, and anything of fal's own.
    """
    said = said_by(
        f"""
import io
from PIL import Image
sink = io.BytesIO()
Image.new("RGB", (640, 360), "teal").save(sink, "PNG")
content = sink.getvalue().ljust({megabytes} * 2**20, b"\\0")
url = fal_client.upload(content, "image/png", file_name="teal.png")
arguments = {{"prompt": "a fox", "image_url": url}}
result = fal_client.subscribe("fal-ai/ovi/image-to-video", arguments=arguments)
print(json.dumps([url, len(httpx.get(url, timeout=60).content), sorted(result)]))
""",
        environment,
    )
    url, length, result = said
    assert url.startswith("https://v3b.fal.media/files/b/")
    assert (length, result) == (megabytes * 2**20, ["seed", "video"])


def inside(emulated: dict[str, Any], request_id: str) -> dict[str, Any]:
    """What the emulator itself knows of a request."""
    url = f"{emulated['queue_url']}/_emulator/submissions"
    trusted = ssl.create_default_context(cafile=emulated["ca_file"])
    every = httpx.get(url, verify=trusted).json()["submissions"]
    found: dict[str, Any]
    (found,) = (each for each in every if each["request_id"] == request_id)
    return found
