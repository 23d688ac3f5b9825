"""The program: one line when it is ready, a clean end, and no orphan."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
from typing import Any

import httpx
import pytest

from reelbatch.emulator.settings import Settings

PROGRAM = [sys.executable, "-m", "reelbatch.emulator"]


def started(*options: str, **pipes: Any) -> subprocess.Popen[str]:
    return subprocess.Popen([*PROGRAM, *options], stdout=subprocess.PIPE, text=True, **pipes)


def first_line(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    line: dict[str, Any] = json.loads(process.stdout.readline())
    return line


def test_it_says_where_it_is_and_ends_silently_when_told() -> None:
    with started("--require-key", "only:this", stderr=subprocess.PIPE) as process:
        line = first_line(process)
        assert set(line) == {
            "queue_url",
            "rest_url",
            "cdn_url",
            "api_url",
            "jwks_url",
            "port",
            "pid",
        }
        assert line["pid"] == process.pid
        url = f"{line['queue_url']}/fal-ai/ovi"
        answers = [
            httpx.post(url, json={"prompt": "x"}, headers={"Authorization": f"Key {key}"})
            for key in ("another:key", "only:this")
        ]
        assert [each.status_code for each in answers] == [401, 200]
        process.send_signal(signal.SIGTERM)
        said, complaints = process.communicate(timeout=20)
        assert (process.returncode, said, complaints) == (0, "", "")


def test_ctrl_c_ends_it_in_the_middle_of_work() -> None:
    with started("--service-seconds", "60", stderr=subprocess.PIPE) as process:
        url = first_line(process)["queue_url"]
        headers = {"Authorization": "Key a:b"}
        submitted = httpx.post(f"{url}/fal-ai/ovi", json={"prompt": "x"}, headers=headers).json()
        with httpx.stream("GET", f"{submitted['status_url']}/stream", headers=headers) as stream:
            lines = stream.iter_lines()
            next(lines)
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(httpx.HTTPError):
                list(lines)
        assert process.communicate(timeout=20) == ("", "")
        assert process.returncode == 0


def test_it_ends_when_its_parent_was_killed() -> None:
    """The parent holds our stdin; the end of our stdout proves that we are gone."""
    parent_code = (
        "import subprocess, sys, time\n"
        f"subprocess.Popen({[*PROGRAM, '--watch-stdin']!r}, stdin=subprocess.PIPE)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent_code], stdout=subprocess.PIPE, text=True
    ) as parent:
        port = first_line(parent)["port"]
        parent.kill()
        assert parent.stdout is not None
        assert parent.stdout.read() == ""
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))


def test_its_help_needs_nothing_heavy() -> None:
    """`reelbatch --help` imports this command with all others."""
    code = (
        "import sys, reelbatch.emulator.command\n"
        "heavy = {'av', 'numpy', 'PIL', 'starlette', 'uvicorn', 'httpx', 'cryptography'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_it_lists_its_faults_with_their_parameters() -> None:
    said = subprocess.run(
        [*PROGRAM, "--list-faults"], capture_output=True, text=True, timeout=30, check=True
    )
    assert "nginx_error(status=502, accepted=False): nginx's HTML page" in said.stdout


def test_a_setting_is_one_of_ours() -> None:
    settings = Settings()
    settings.change(concurrency=3)
    assert settings.concurrency == 3
    with pytest.raises(ValueError, match="no setting 'speed'"):
        settings.change(speed=1)
