"""A CONNECT proxy that leads every https name to us: an unmodified client then needs no URL.

With `HTTPS_PROXY` and `SSL_CERT_FILE` set, queue.fal.run, rest.fal.ai and v3.fal.media are all
served here under their own names (fal.md, section 12, way B).
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
REFUSED = b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n"


@asynccontextmanager
async def proxy(host: str, to_port: int) -> AsyncIterator[int]:
    """Runs the proxy; gives its port."""

    async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await tunnel(reader, writer, host, to_port)
        writer.close()

    server = await asyncio.start_server(lead, host, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def tunnel(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str, to_port: int
) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"CONNECT "):
        writer.write(REFUSED)
        return
    far_reader, far_writer = await asyncio.open_connection(host, to_port)
    writer.write(ESTABLISHED)
    try:
        await asyncio.gather(pipe(reader, far_writer), pipe(far_reader, writer))
    finally:
        far_writer.close()


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while content := await reader.read(2**16):
        writer.write(content)
        await writer.drain()
    writer.close()
