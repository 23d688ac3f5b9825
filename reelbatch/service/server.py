"""The program around the app: one port, a line when it is ready, a clean end on SIGTERM."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from typing import TextIO

import uvicorn

from reelbatch.config import Settings
from reelbatch.errors import Refused
from reelbatch.ledger import Ledger
from reelbatch.service.app import make_app

DRAIN_SECONDS = 20
"""fal waits 15 s for the first answer to a call."""


class Server(uvicorn.Server):
    """Says where it listens as soon as it does."""

    def __init__(self, config: uvicorn.Config, ready: str, out: TextIO) -> None:
        super().__init__(config)
        self._ready, self._out = ready, out

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            print(self._ready, file=self._out, flush=True)


def serve_webhooks(settings: Settings, ledger: Ledger, *, as_json: bool) -> None:
    """Runs until SIGTERM or Ctrl-C. Raises Refused where the port cannot be had."""
    listening = _listen(settings.webhook_host, settings.webhook_port)
    host, port = listening.getsockname()[:2]
    config = uvicorn.Config(
        make_app(settings, ledger),
        ws="none",
        log_config=None,
        # A path holds the token.
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    _end_quietly()
    Server(config, _ready(settings, host, port, as_json), sys.stdout).run(sockets=[listening])


def _end_quietly() -> None:
    """uvicorn raises the signal once more when it has ended: then it has done its work."""
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: None)


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=1024)
    except OSError as error:
        raise Refused(
            f"Nothing can listen on {host}:{port}: {error.strerror}.",
            advice="Give another --host or --port, or end the program that has it.",
        ) from error


def _ready(settings: Settings, host: str, port: int, as_json: bool) -> str:
    url = f"http://{host}:{port}"
    if as_json:
        return json.dumps({"url": url, "port": port, "pid": os.getpid()})
    return (
        f"Listening on {url}. fal is to reach it as "
        f"{settings.webhook_url or 'REELBATCH_WEBHOOK_URL (not set)'}; Ctrl-C ends it."
    )
