"""The program around the app: one port, one ready line, a clean end, no orphan."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from reelbatch.emulator import certificate
from reelbatch.emulator.app import Emulator
from reelbatch.emulator.faults.plan import Plan
from reelbatch.emulator.proxy import proxy
from reelbatch.emulator.settings import Settings

STDIN = 0


@dataclass(frozen=True, kw_only=True)
class Options:
    host: str
    port: int
    settings: Settings
    plan: Plan
    only_key: str | None = None
    tls: bool = False
    proxy: bool = False
    watch_stdin: bool = False


class Protocol(H11Protocol):
    """HTTP that lets a fault get at the connection itself."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}
        # asyncio forgets this on sockets it did not open itself: 40 ms an answer
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Server(uvicorn.Server):
    """Says when it is ready; leaves signals to us, so that the exit code is 0."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def serve(options: Options) -> None:
    """Runs until SIGTERM, SIGINT, or the end of stdin where that is watched."""
    asyncio.run(_serve(options))


async def _serve(options: Options) -> None:
    async with contextlib.AsyncExitStack() as until_the_end:
        listening = socket.create_server((options.host, options.port), backlog=2048)
        emulator = Emulator(options.settings, options.plan, options.only_key)
        until_the_end.push_async_callback(emulator.close)
        config = configured(emulator)
        line = ready_line(options, listening.getsockname()[1])
        if options.tls:
            folder = until_the_end.enter_context(TemporaryDirectory(prefix="reelbatch-ca-"))
            line["ca_file"] = use_certificate(config, Path(folder), options.host)
        if options.proxy:
            port = await until_the_end.enter_async_context(proxy(options.host, line["port"]))
            line["proxy_url"] = f"http://{options.host}:{port}"
        server = Server(config, lambda: announce(line))
        stop_when_told(server, options.watch_stdin)
        await server.serve([listening])


def stop_when_told(server: Server, watch_stdin: bool) -> None:
    def stop() -> None:
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # it counts what it cuts off
        server.should_exit = True

    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop)
    if watch_stdin:
        when_stdin_ends(lambda: loop.call_soon_threadsafe(stop))


def configured(emulator: Emulator) -> uvicorn.Config:
    return uvicorn.Config(
        emulator.app(),
        http=Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=0,
    )


def use_certificate(config: uvicorn.Config, folder: Path, host: str) -> str:
    """Returns the path of the CA that a client has to trust."""
    made = certificate.make(folder, host)
    config.ssl_certfile, config.ssl_keyfile = str(made.chain), str(made.key)
    return str(made.ca)


def ready_line(options: Options, port: int) -> dict[str, Any]:
    root = f"{'https' if options.tls else 'http'}://{options.host}:{port}"
    return {
        "queue_url": root,
        "rest_url": root,
        "cdn_url": root,
        "api_url": f"{root}/v1",
        "jwks_url": f"{root}/.well-known/jwks.json",
        "port": port,
        "pid": os.getpid(),
    }


def announce(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def when_stdin_ends(call: Callable[[], object]) -> None:
    """Our parent holds the other end; it closes even when the parent is killed."""

    def read() -> None:
        while os.read(STDIN, 4096):
            pass
        call()

    threading.Thread(target=read, daemon=True).start()
