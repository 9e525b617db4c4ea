"""Raw peers for the tests of the local HTTP/1.1: real sockets, and bytes that nobody tidies up."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from ambidex.http import Headers
from ambidex.local.http1.exchange import ServerExchange
from ambidex.local.http1.messages import Limits
from ambidex.local.http1.server import Handler, Server, listen

LIMITS = Limits(200, 300, 1000, line_status=414, head_status=431)


def refuse(status: int) -> tuple[Headers, bytes]:
    return ((b"X-Refused", b"yes"),), b"refused %d" % status


@asynccontextmanager
async def serving(
    handler: Handler, keep_alive_s: float | None = None, limits: Limits = LIMITS
) -> AsyncIterator[Server]:
    """A server; at the end its connections and their tasks must be gone."""
    server = await listen(
        handler,
        "127.0.0.1",
        0,
        limits=limits,
        refuse=refuse,
        keep_alive_s=keep_alive_s,
        now_s=lambda: 0.0,
    )
    try:
        yield server
    finally:
        server.abort()
        await server.closed()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


Cut = Callable[[bytes], list[bytes]]
Run = Callable[[Coroutine[Any, Any, Any]], Any]
Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter
RawTarget = Callable[[Reader, Writer], Awaitable[None]]


@asynccontextmanager
async def raw_server(conversation: RawTarget) -> AsyncIterator[int]:
    """A server that says exactly what the test says; yields its port."""
    tasks: set[asyncio.Task[None]] = set()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await conversation(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the other side may go at any time
        finally:
            writer.transport.abort()
            tasks.discard(task)

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def talk(port: int, *pieces: bytes) -> bytes:
    """Send the pieces one by one, and read until the server closes."""
    async with connected(port) as (reader, writer):
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        return await reader.read()


def whole(data: bytes) -> list[bytes]:
    return [data]


def bytewise(data: bytes) -> list[bytes]:
    return [data[index : index + 1] for index in range(len(data))]


async def read_head(reader: asyncio.StreamReader) -> bytes:
    return await reader.readuntil(b"\r\n\r\n")


async def echo(exchange: ServerExchange) -> None:
    """Answer with the request: line, headers, body, trailers."""
    body = await exchange.read_body()
    lines = [b"%b %b" % (exchange.head.method.encode(), exchange.head.target)]
    lines += [name + b"=" + value for name, value in exchange.head.headers]
    lines += [b"body=" + body]
    lines += [b"trailer " + name + b"=" + value for name, value in exchange.trailers]
    exchange.respond(200, (), b"|".join(lines))


def body_of(response: bytes) -> bytes:
    return response.partition(b"\r\n\r\n")[2]


def statuses(responses: bytes) -> list[int]:
    parts = responses.split(b"HTTP/1.1 ")[1:]
    return [int(part[:3]) for part in parts]
