import asyncio
from collections.abc import Callable

import pytest
import uvloop

from ambidex.http import Headers
from ambidex.local.http1.client import MOVES, RESPONSE_HEAD_BYTES, ClientConnection, Phase, Step
from ambidex.local.http1.exchange import ServerExchange
from ambidex.local.http1.messages import (
    BodyTooLarge,
    ConnectFailed,
    ConnectTimedOut,
    Disconnected,
    Malformed,
    ProtocolError,
    ResponseHead,
)
from ambidex.local.http1.pool import Pool, connect
from tests.local.http1_peers import (
    Cut,
    RawTarget,
    Reader,
    Run,
    Writer,
    bytewise,
    echo,
    raw_server,
    read_head,
    serving,
    whole,
)

Answer = tuple[ResponseHead, bytes, Headers, bool]  # head, body, trailers, reusable
HOST = ((b"Host", b"a"),)


def saying(*pieces: bytes, close: bool = True) -> RawTarget:
    """A server that reads a head, answers with the pieces, and closes or waits."""

    async def conversation(reader: Reader, writer: Writer) -> None:
        await read_head(reader)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        if close:
            writer.write_eof()
        await reader.read()

    return conversation


async def ask(port: int, method: str = "GET") -> Answer:
    connection = await connect("127.0.0.1", port, timeout_s=None)
    try:
        connection.send(method, b"/", HOST, b"")
        head = await connection.response()
        body = await connection.read_body()
        return head, body, connection.trailers, connection.is_reusable
    finally:
        connection.abort()


RESPONSES = [
    pytest.param("GET", b"200 OK\r\nContent-Length: 3\r\n\r\nabc", b"abc", True, id="length"),
    pytest.param(
        "GET",
        b"200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
        b"abc",
        True,
        id="chunked",
    ),
    pytest.param("GET", b"200 OK\r\n\r\nabc", b"abc", False, id="until the end"),
    pytest.param(
        "GET",
        b"200 OK\r\nConnection: x, Close\r\nContent-Length: 1\r\n\r\na",
        b"a",
        False,
        id="close",
    ),
    pytest.param("HEAD", b"200 OK\r\nContent-Length: 3\r\n\r\n", b"", True, id="HEAD"),
    pytest.param(
        "HEAD", b"200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"", True, id="HEAD chunked"
    ),
    pytest.param("HEAD", b"200 OK\r\n\r\n", b"", True, id="HEAD without a length"),
    pytest.param("HEAD", b"200 OK\r\nConnection: close\r\n\r\n", b"", False, id="HEAD close"),
    pytest.param(
        "HEAD", b"200 OK\r\nContent-Length: 3\r\n\r\nabc", b"", False, id="HEAD with a body"
    ),
    pytest.param("GET", b"204 No Content\r\n\r\n", b"", True, id="204"),
    pytest.param("GET", b"304 Not Modified\r\nContent-Length: 3\r\n\r\n", b"", True, id="304"),
    pytest.param(
        "GET",
        b"100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na",
        b"a",
        True,
        id="interim responses",
    ),
    pytest.param(
        "GET",
        b"200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\n",
        b"a",
        False,
        id="two answers",
    ),
]


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("cut", [whole, bytewise], ids=["whole", "byte by byte"])
@pytest.mark.parametrize(("method", "response", "body", "reusable"), RESPONSES)
def test_where_a_response_ends_and_whether_the_connection_is_kept(
    method: str, response: bytes, body: bytes, reusable: bool, cut: Cut, run: Run
) -> None:
    async def main() -> Answer:
        pieces = cut(b"HTTP/1.1 " + response)
        async with raw_server(saying(*pieces, close=not reusable)) as port:
            return await ask(port, method)

    head, got, _, kept = run(main())
    assert head.status in {200, 204, 304}
    assert got == body
    # What comes behind a response's end is seen only once it is there.
    assert kept is reusable or (cut is bytewise and kept)


def test_a_head_keeps_bytes_case_order_and_reason() -> None:
    response = (
        b"HTTP/1.1 299 Odd \xe9\r\nx-B: \xe9 \r\nX-a:\r\nx-B: 2\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\nSum: \xff\r\n\r\n"
    )

    async def main() -> Answer:
        async with raw_server(saying(*bytewise(response), close=False)) as port:
            return await ask(port)

    head, _, trailers, _ = asyncio.run(main())
    assert head.status == 299
    assert head.reason == b"Odd \xe9"
    assert head.headers[:3] == ((b"x-B", b"\xe9"), (b"X-a", b""), (b"x-B", b"2"))
    assert trailers == ((b"Sum", b"\xff"),)


BROKEN = [
    pytest.param(b"", Disconnected, id="closes without a word"),
    pytest.param(b"HTTP/1.1 200 OK\r\nContent-Le", Disconnected, id="closes in the head"),
    pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", Disconnected, id="in the body"),
    pytest.param(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab",
        Disconnected,
        id="in a chunk",
    ),
    pytest.param(b"SSH-2.0-OpenSSH\r\n", Malformed, id="another protocol"),
    pytest.param(b"HTTP/1.1 200 OK\r\nA B: 1\r\n\r\n", Malformed, id="malformed header"),
    pytest.param(
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        Malformed,
        id="two lengths",
    ),
    pytest.param(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", Malformed, id="bad chunk"
    ),
    pytest.param(
        b"HTTP/1.1 200 OK\r\n" + b"A: 1\r\n" * 6000 + b"\r\n", Malformed, id="too many headers"
    ),
    pytest.param(
        b"HTTP/1.1 200 OK\r\nA: " + b"a" * (RESPONSE_HEAD_BYTES * 3), Malformed, id="endless header"
    ),
    pytest.param(b"HTTP/1.1 600 Odd\r\nContent-Length: 0\r\n\r\n", Malformed, id="600"),
    pytest.param(b"HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n", Malformed, id="099"),
    pytest.param(b"HTTP/1.1 101 Changed\r\n\r\n", Malformed, id="101 to nothing"),
]


@pytest.mark.parametrize(("response", "error"), BROKEN)
def test_a_server_that_breaks_off_is_an_error_of_its_own(
    response: bytes, error: type[Exception]
) -> None:
    async def main() -> None:
        async with raw_server(saying(response)) as port:
            with pytest.raises(error):
                await ask(port)

    asyncio.run(main())


def test_a_request_body_is_streamed_with_trailers_and_the_response_comes_meanwhile() -> None:
    async def handler(exchange: ServerExchange) -> None:
        exchange.start(200)
        while data := await exchange.read_chunk():
            await exchange.write(data.upper())
        await exchange.end(exchange.trailers)

    async def main() -> None:
        async with serving(handler) as server:
            connection = await connect("127.0.0.1", server.port, timeout_s=1)
            connection.send("POST", b"/", HOST)
            assert (await connection.response()).status == 200
            for word in (b"one", b"two"):
                await connection.write(word)
                assert await connection.read_chunk() == word.upper()
            connection.end(((b"Sum", b"\xe9"),))
            assert await connection.read_chunk() == b""
            assert connection.trailers == ((b"Sum", b"\xe9"),)
            assert connection.is_reusable
            connection.send("POST", b"/2", HOST, b"three")
            await connection.response()
            assert await connection.read_body() == b"THREE"
            connection.close()

    asyncio.run(main())


def test_an_early_response_makes_the_connection_unusable() -> None:
    async def handler(exchange: ServerExchange) -> None:
        exchange.respond(413)

    async def main() -> None:
        async with serving(handler) as server:
            connection = await connect("127.0.0.1", server.port, timeout_s=1)
            connection.send("POST", b"/", (*HOST, (b"Content-Length", b"9")))
            await connection.write(b"x")
            assert (await connection.response()).status == 413
            assert await connection.read_body() == b""
            assert not connection.is_reusable
            connection.abort()

    asyncio.run(main())


def test_read_body_takes_no_more_than_its_limit() -> None:
    async def main() -> None:
        async with serving(echo) as server:
            connection = await connect("127.0.0.1", server.port, timeout_s=1)
            connection.send("GET", b"/", HOST, b"")
            await connection.response()
            with pytest.raises(BodyTooLarge):
                await connection.read_body(3)
            connection.abort()

    asyncio.run(main())


@pytest.mark.parametrize(
    "misuse",
    [
        pytest.param(lambda c: c.end(), id="end before send"),
        pytest.param(lambda c: c.tunnel(), id="tunnel without 101"),
        pytest.param(lambda c: c.received_body(), id="body before the response"),
        pytest.param(lambda c: (c.send("GET", b"/", HOST), c.send("GET", b"/", HOST)), id="twice"),
        pytest.param(lambda c: c.send("GET", b"/", ((b"A", b"1\n"),)), id="split header"),
        pytest.param(lambda c: c.send("GET", b"/ HTTP/1.1\r\nA: 1", HOST), id="split target"),
    ],
)
def test_misuse_is_our_own_error(misuse: Callable[[ClientConnection], object]) -> None:
    async def main() -> None:
        async with serving(echo) as server:
            connection = await connect("127.0.0.1", server.port, timeout_s=1)
            with pytest.raises(ProtocolError):
                misuse(connection)
            connection.abort()

    asyncio.run(main())


def test_a_refused_connection_and_a_late_one_are_told_apart() -> None:
    async def main() -> None:
        async with raw_server(saying()) as port:
            pass
        with pytest.raises(ConnectFailed, match="refused") as refused:
            await connect("127.0.0.1", port, timeout_s=1)
        assert not isinstance(refused.value, ConnectTimedOut)
        with pytest.raises(ConnectTimedOut):
            await connect("127.0.0.1", port, timeout_s=0)

    asyncio.run(main())


def test_every_state_can_be_lost_and_every_step_is_used() -> None:
    assert {phase for phase, step in MOVES if step is Step.LOST} == set(Phase)
    assert {step for _, step in MOVES} == set(Step)


def test_a_pool_reuses_what_is_left_in_order_and_forgets_what_the_server_closed() -> None:
    async def main() -> None:
        async with serving(echo) as server:
            pool = Pool("127.0.0.1", server.port, connect_timeout_s=1)

            async def request(connection: ClientConnection) -> None:
                connection.send("GET", b"/", HOST, b"")
                await connection.response()
                await connection.read_body()
                pool.put_back(connection)

            first = await pool.take()
            second = await pool.take()
            await request(first)
            await request(second)
            assert await pool.take() is second
            pool.put_back(second)
            for accepted in list(server.connections):
                accepted.abort()
            while pool._open:  # noqa: ASYNC110 – nobody but this test asks
                await asyncio.sleep(0)
            third = await pool.take()
            assert third not in {first, second}
            await request(third)
            assert len(server.connections) == 1
            pool.close()
            fourth = await pool.take()  # in use when the pool closes, closed when put back
            await request(fourth)
            assert not fourth.is_reusable
            pool.abort()

    asyncio.run(main())
