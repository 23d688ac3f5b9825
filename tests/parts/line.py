"""A line to a server on this machine that can be cut and mended, as networks are."""

from __future__ import annotations

import asyncio

from reelbatch.cli.ports import free_port


class Line:
    """Listens on a port of its own and passes everything on; cut, nobody listens there."""

    def __init__(self, to_port: int) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._to_port = to_port
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()

    async def mend(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)

    async def cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for end in self._ends:
            end.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._to_port)
        self._ends |= {writer, there_writer}
        await asyncio.gather(_pass(reader, there_writer), _pass(there_reader, writer))
        self._ends -= {writer, there_writer}


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    except OSError:
        pass  # One of the two ends is gone, as in a network that was cut.
    finally:
        writer.close()
