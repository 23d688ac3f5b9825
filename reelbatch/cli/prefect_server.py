"""A Prefect server for the lifetime of one run, where the user has none.

Start it before anything imports Prefect: that reads its environment once. The server needs
four seconds, so plan meanwhile, and wait only before the flow is called. The money path does
not need it: if it dies, rows go on, it is started again, and `stop` never waits for long.

Server settings, timings and the order of ending: prefect.md, "Server settings" and "Local run".
"""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from http.client import HTTPException
from typing import Any

from reelbatch.cli.children import Child, start_watched
from reelbatch.cli.ports import free_port
from reelbatch.cli.prefect_home import PrefectHome, home_path, take_home
from reelbatch.logs import ROOT

READY_SECONDS = 120.0
DRAIN_SECONDS = 5.0
RESTARTS = 3
UNREACHABLE = (OSError, HTTPException)

SERVER_SETTINGS = {
    # The default of 1 costs three times the CPU and loses task runs of a burst.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_READ_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "200",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    "PREFECT__SERVER_EPHEMERAL": "1",
}

CLIENT_SETTINGS = {
    # The terminal is ours; what Prefect has to say is in its UI.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    "DO_NOT_TRACK": "1",
}

HEARTBEAT_SECONDS = "30"
"""A server that outlives a run takes it for dead without them (flows/automations.yaml)."""

# Loggers outside Prefect's own tree: its logging level does not reach them.
EXTRA_LOGGERS = "PREFECT_LOGGING_EXTRA_LOGGERS"
TALKATIVE = ("EventsWorker", "APILogWorker")


class LocalPrefect:
    """Prefect for this process: a server of our own, or none where the user runs one."""

    def __init__(self, api_url: str, server: OwnServer | None = None) -> None:
        self.api_url = api_url
        self.server = server

    @classmethod
    def start(
        cls,
        *,
        say: Callable[[str], object],
        environment: MutableMapping[str, str] = os.environ,
    ) -> LocalPrefect:
        """Start it in the background and point Prefect, once imported, at it."""
        for name, value in CLIENT_SETTINGS.items():
            environment.setdefault(name, value)
        _show_our_log(environment)
        for worker in TALKATIVE:
            logging.getLogger(worker).setLevel(logging.ERROR)
        if url := environment.get("PREFECT_API_URL"):
            environment["PREFECT_FLOWS_HEARTBEAT_FREQUENCY"] = HEARTBEAT_SECONDS
            return cls(url)
        home = take_home(home_path(environment))
        if home.is_new:
            say("preparing Prefect, once")
        server = OwnServer(home, dict(environment))
        environment["PREFECT_API_URL"] = server.api_url
        environment.setdefault("PREFECT_LOGGING_LEVEL", "ERROR")
        _reach_without_proxy(environment)
        return cls(server.api_url, server)

    def wait_ready(self) -> None:
        """Until our own server answers. Raises Refused, with its last words."""
        if self.server:
            self.server.wait_ready()

    def stop(self) -> None:
        """Let it record what has ended, then end it. From synchronous code; never raises."""
        if self.server:
            self.server.stop()


class OwnServer:
    """The server program. Once ready it is started again should it die.

    Without that, Prefect's client would hold up the end of the run for minutes.
    """

    def __init__(self, home: PrefectHome, environment: Mapping[str, str]) -> None:
        self.home = home
        self.port = free_port()
        self.api_url = f"http://127.0.0.1:{self.port}/api"
        self._environment = environment
        self._since = datetime.now(UTC)
        self._ending = threading.Event()
        self.child = self._start()

    def wait_ready(self) -> None:
        self.child.wait_ready(lambda: answers(self.api_url), timeout_seconds=READY_SECONDS)
        self.home.put_aside()
        threading.Thread(target=self._start_again, daemon=True).start()

    def stop(self) -> None:
        if answers(self.api_url):
            _send_the_rest()
            self._wait_until_recorded()
        self._ending.set()
        self.child.stop()
        self.home.leave()

    def _start(self) -> Child:
        """It stands in its home: a user's files must not shadow its imports."""
        command = [sys.executable, "-P", "-m", "uvicorn", "--factory"]
        command += ["prefect.server.api.server:create_app", "--host=127.0.0.1"]
        command += [f"--port={self.port}", "--log-level=error", "--lifespan=on"]
        return start_watched(
            command,
            name="The Prefect server",
            environment={
                **self._environment,
                **SERVER_SETTINGS,
                "PREFECT_HOME": str(self.home.path),
            },
            folder=self.home.path,
            keep_open=[] if self.home.lock is None else [self.home.lock],
        )

    def _start_again(self) -> None:
        for _ in range(RESTARTS):
            self.child.process.wait()
            if self._ending.is_set():
                return
            self.child.stop()
            self.child = self._start()

    def _wait_until_recorded(self) -> None:
        """Task runs are recorded in batches; SIGTERM saves at most one of them."""
        deadline = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < deadline and unfinished_task_runs(self.api_url, self._since):
            time.sleep(0.1)


def answers(api_url: str) -> bool:
    try:
        return bool(_ask(f"{api_url}/health"))
    except UNREACHABLE:
        return False


def unfinished_task_runs(api_url: str, since: datetime) -> int:
    """How many task runs it believes to be running; 0 where it does not answer.

    Those of a run that was killed keep that state for ever: hence `since`.
    """
    wanted = {
        "state": {"type": {"any_": ["RUNNING", "PENDING", "SCHEDULED"]}},
        "expected_start_time": {"after_": since.isoformat()},
    }
    try:
        return int(_ask(f"{api_url}/task_runs/count", {"task_runs": wanted}))
    except UNREACHABLE:
        return 0


def _ask(url: str, body: dict[str, Any] | None = None) -> Any:
    """One call to our own server, past any proxy."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=2) as answer:
        return json.load(answer)


def _send_the_rest() -> None:
    """Prefect sends task runs' states and log lines from threads of its own."""
    if "prefect" not in sys.modules:
        return
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    EventsWorker.drain_all(timeout=DRAIN_SECONDS)
    APILogWorker.drain_all(timeout=DRAIN_SECONDS)


def _show_our_log(environment: MutableMapping[str, str]) -> None:
    """Prefect's pages show it beside those loggers that the user has named."""
    named = environment.get(EXTRA_LOGGERS, "").split(",")
    if ROOT not in named:
        environment[EXTRA_LOGGERS] = ",".join(filter(None, [*named, ROOT]))


def _reach_without_proxy(environment: MutableMapping[str, str]) -> None:
    hosts = [environment[name] for name in ("NO_PROXY", "no_proxy") if environment.get(name)]
    environment["NO_PROXY"] = environment["no_proxy"] = ",".join([*hosts, "127.0.0.1"])
