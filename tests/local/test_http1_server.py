import asyncio
import contextlib
import http.client
import logging
import socket
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
import uvloop

from ambidex.http import Headers
from ambidex.local.http1.exchange import DRAIN_BYTES, ServerExchange
from ambidex.local.http1.messages import BodyTooLarge, Disconnected, ProtocolError
from ambidex.local.http1.server import Handler, listen
from tests.local.http1_peers import (
    LIMITS,
    Cut,
    Run,
    body_of,
    bytewise,
    connected,
    echo,
    read_head,
    refuse,
    serving,
    statuses,
    talk,
    whole,
)

H = b"Host: a\r\n"
CLOSE = H + b"Connection: close\r\n"


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("cut", [whole, bytewise], ids=["whole", "byte by byte"])
def test_header_bytes_case_and_order_arrive_as_sent(run: Run, cut: Cut) -> None:
    async def main() -> bytes:
        async with serving(echo) as server:
            data = (
                b"POST /p%2F?a=1 HTTP/1.1\r\n" + CLOSE + b"x-B: \xe9\xff\r\nX-a: 1\r\nx-B: 2\r\n"
                b"Content-Length: 3\r\n\r\nabc"
            )
            return await talk(server.port, *cut(data))

    assert body_of(run(main())) == (
        b"POST /p%2F?a=1|Host=a|Connection=close|x-B=\xe9\xff|X-a=1|x-B=2|Content-Length=3|body=abc"
    )


def test_response_headers_keep_bytes_case_order_and_repeats() -> None:
    async def handler(exchange: ServerExchange) -> None:
        exchange.respond(
            201, ((b"x-B", b"\xe9"), (b"X-a", b"1"), (b"x-B", b"2")), b"ok", reason=b"Made"
        )

    async def main() -> bytes:
        async with serving(handler) as server:
            return await talk(server.port, b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n")

    assert asyncio.run(main()) == (
        b"HTTP/1.1 201 Made\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 2\r\n"
        b"Connection: close\r\nx-B: \xe9\r\nX-a: 1\r\nx-B: 2\r\n\r\nok"
    )


def test_a_given_date_and_content_length_are_kept_and_the_connection_is_ours() -> None:
    async def handler(exchange: ServerExchange) -> None:
        exchange.respond(
            200,
            (
                (b"date", b"then"),
                (b"content-length", b"2"),
                (b"Connection", b"X-a"),
                (b"Transfer-Encoding", b"chunked"),
            ),
            b"ok",
        )

    async def main() -> bytes:
        async with serving(handler) as server:
            return await talk(server.port, b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n")

    assert asyncio.run(main()) == (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\ndate: then\r\ncontent-length: 2\r\n\r\nok"
    )


BODILESS = [
    pytest.param(b"HEAD", 200, (), b"", b"", id="HEAD without a length"),
    pytest.param(b"HEAD", 200, (), b"hello", b"Content-Length: 5\r\n", id="HEAD with a body"),
    pytest.param(
        b"HEAD", 200, ((b"content-length", b"9"),), b"", b"content-length: 9\r\n", id="HEAD length"
    ),
    pytest.param(b"GET", 204, (), b"x", b"", id="204"),
    pytest.param(
        b"GET", 304, ((b"content-length", b"9"),), b"", b"content-length: 9\r\n", id="304"
    ),
]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(("method", "status", "headers", "body", "length"), BODILESS)
def test_where_http_has_no_body_none_is_sent(
    method: bytes, status: int, headers: Headers, body: bytes, length: bytes, streamed: bool
) -> None:
    async def handler(exchange: ServerExchange) -> None:
        if not streamed:
            exchange.respond(status, headers, body)
            return
        exchange.start(status, headers)
        await exchange.write(b"never seen")
        await exchange.end()

    async def main() -> bytes:
        async with serving(handler) as server:
            return await talk(
                server.port,
                method + b" / HTTP/1.1\r\n" + H + b"\r\n",
                method + b" / HTTP/1.1\r\n" + CLOSE + b"\r\n",
            )

    data = asyncio.run(main())
    assert statuses(data) == [status, status]
    assert data.endswith(b"\r\n\r\n")
    if not streamed:
        assert data.lower().count(b"content-length") == (2 if length else 0)
        assert length in data
    assert b"chunked" not in data


@pytest.mark.parametrize("cut", [whole, bytewise], ids=["whole", "byte by byte"])
def test_pipelined_requests_are_answered_in_order_even_if_the_first_is_slow(cut: Cut) -> None:
    order = []

    async def handler(exchange: ServerExchange) -> None:
        order.append(("begin", exchange.head.target))
        for _ in range(20):
            await asyncio.sleep(0)
        order.append(("end", exchange.head.target))
        exchange.respond(200, (), await exchange.read_body())

    def post(path: bytes, body: bytes, headers: bytes = H) -> bytes:
        length = b"Content-Length: %d\r\n\r\n" % len(body)
        return b"POST %b HTTP/1.1\r\n" % path + headers + length + body

    data = post(b"/1", b"one") + post(b"/2", b"two") + post(b"/3", b"three", CLOSE)

    async def main() -> bytes:
        async with serving(handler) as server:
            return await talk(server.port, *cut(data))

    responses = asyncio.run(main())
    assert statuses(responses) == [200, 200, 200]
    assert [responses.find(word) > 0 for word in (b"one", b"two", b"three")] == [True] * 3
    assert responses.find(b"one") < responses.find(b"two") < responses.find(b"three")
    assert order == [(what, b"/%d" % n) for n in (1, 2, 3) for what in ("begin", "end")]


def test_a_malformed_request_behind_good_ones_is_refused_in_its_turn() -> None:
    async def main() -> bytes:
        async with serving(echo) as server:
            return await talk(server.port, b"GET / HTTP/1.1\r\n" + H + b"\r\nBROKEN\r\n\r\n")

    data = asyncio.run(main())
    assert statuses(data) == [200, 400]
    assert data.endswith(b"X-Refused: yes\r\n\r\nrefused 400")


SMUGGLED = b"GET /smuggled HTTP/1.1\r\n" + H + b"\r\n"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param(b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", 400, id="both"),
        pytest.param(b"Content-Length: 0\r\nContent-Length: 40\r\n", 400, id="two lengths"),
        pytest.param(b"Transfer-Encoding: xchunked\r\n", 501, id="obscure encoding"),
        pytest.param(b"Transfer-Encoding: chunked, identity\r\n", 400, id="not last"),
        pytest.param(b"A: " + b"a" * 400 + b"\r\n", 431, id="large header"),
    ],
)
def test_nothing_behind_an_ambiguous_request_reaches_the_handler(
    headers: bytes, status: int
) -> None:
    seen = []

    async def handler(exchange: ServerExchange) -> None:
        seen.append(exchange.head.target)
        exchange.respond(200)

    async def main() -> bytes:
        async with serving(handler) as server:
            return await talk(
                server.port, b"POST / HTTP/1.1\r\n" + H + headers + b"\r\n" + SMUGGLED
            )

    assert statuses(asyncio.run(main())) == [status]
    assert seen == []


def test_http_1_0_closes_unless_it_asks_to_keep_the_connection() -> None:
    async def main() -> bytes:
        async with serving(echo) as server:
            return await talk(
                server.port,
                b"GET /1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
                b"GET /2 HTTP/1.0\r\n\r\n",
            )

    data = asyncio.run(main())
    assert statuses(data) == [200, 200]
    assert data.count(b"Connection: keep-alive\r\n") == data.count(b"Connection: close\r\n") == 1


@pytest.mark.parametrize(
    ("request_line", "framing", "end"),
    [
        pytest.param(
            b"GET / HTTP/1.1", b"Transfer-Encoding: chunked", b"0\r\nSum: 1\r\n\r\n", id="1.1"
        ),
        pytest.param(b"GET / HTTP/1.0", b"Connection: close", b"two", id="1.0"),
    ],
)
def test_a_streamed_response_arrives_piece_by_piece(
    request_line: bytes, framing: bytes, end: bytes
) -> None:
    async def main() -> tuple[bytes, bytes]:
        first_was_read = asyncio.Event()

        async def handler(exchange: ServerExchange) -> None:
            exchange.start(200, ((b"A", b"1"),))
            await exchange.write(b"one")
            await first_was_read.wait()
            await exchange.write(b"two")
            await exchange.end(((b"Sum", b"1"),))

        async with serving(handler) as server, connected(server.port) as (reader, writer):
            writer.write(request_line + b"\r\n" + CLOSE + b"\r\n")
            head = await read_head(reader)
            await reader.readuntil(b"one")
            first_was_read.set()
            return head, await reader.read()

    head, rest = asyncio.run(main())
    assert framing in head
    assert b"two" in rest
    assert rest.endswith(end)


def test_a_head_and_the_first_chunk_go_out_in_one_write() -> None:
    async def handler(exchange: ServerExchange) -> None:
        exchange.start(200)
        await exchange.write(b"one")
        await exchange.end()

    async def main() -> bytes:
        async with serving(handler) as server, connected(server.port) as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\n" + H + b"\r\n")
            return await reader.read(65536)

    assert asyncio.run(main()).endswith(b"\r\n\r\n3\r\none\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(b"abcd", "longer", id="too long"),
        pytest.param(b"a", "shorter", id="too short"),
    ],
)
def test_a_body_of_another_length_than_announced_breaks_the_connection(
    body: bytes, message: str
) -> None:
    async def handler(exchange: ServerExchange) -> None:
        exchange.start(200, ((b"Content-Length", b"3"),))
        if body[3:]:
            rest = exchange.write(body)
        else:
            await exchange.write(body)
            rest = exchange.end()
        with pytest.raises(ProtocolError, match=message):
            await rest

    async def main() -> bytes:
        async with serving(handler) as server, connected(server.port) as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\n" + H + b"\r\n")
            try:
                data = await reader.read()
            except ConnectionResetError:
                return b""
            return body_of(data)

    assert len(asyncio.run(main())) < 3


def test_request_chunks_are_read_while_the_client_sends() -> None:
    async def main() -> bytes:
        async def handler(exchange: ServerExchange) -> None:
            exchange.start(200)
            while data := await exchange.read_chunk():
                await exchange.write(b"<" + data + b">")
            await exchange.write(repr(exchange.trailers).encode())
            await exchange.end()

        async with serving(handler) as server, connected(server.port) as (reader, writer):
            writer.write(b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\n")
            await read_head(reader)
            for word in (b"one", b"two"):
                writer.write(b"3\r\n" + word + b"\r\n")
                assert word in await reader.readuntil(b">")
            writer.write(b"0\r\nSum: \xe9\r\n\r\n")
            return await reader.readuntil(b"0\r\n\r\n")

    assert b"((b'Sum', b'\\xe9'),)" in asyncio.run(main())


def test_100_continue_is_sent_when_the_handler_reads() -> None:
    async def main() -> bytes:
        may_read = asyncio.Event()

        async def handler(exchange: ServerExchange) -> None:
            await may_read.wait()
            await echo(exchange)

        async with serving(handler) as server, connected(server.port) as (reader, writer):
            head = (
                b"POST / HTTP/1.1\r\n"
                + CLOSE
                + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n"
            )
            writer.write(head)
            may_read.set()
            assert await read_head(reader) == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"abc")
            return await reader.read()

    assert body_of(asyncio.run(main())).endswith(b"body=abc")


def test_without_a_read_the_client_gets_no_100_and_the_connection_closes() -> None:
    async def handler(exchange: ServerExchange) -> None:
        exchange.respond(417)

    async def main() -> bytes:
        async with serving(handler) as server:
            return await talk(
                server.port,
                b"POST / HTTP/1.1\r\n" + H + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n",
            )

    data = asyncio.run(main())
    assert statuses(data) == [417]
    assert b"Connection: close" in data


def test_a_small_body_that_nobody_reads_does_not_disturb_the_next_request() -> None:
    async def handler(exchange: ServerExchange) -> None:
        exchange.respond(200, (), exchange.head.target)

    async def main() -> bytes:
        async with serving(handler) as server, connected(server.port) as (reader, writer):
            writer.write(b"POST /1 HTTP/1.1\r\n" + H + b"Content-Length: 10\r\n\r\n12345")
            assert b"keep-alive" in await read_head(reader)
            writer.write(b"67890GET /2 HTTP/1.1\r\n" + CLOSE + b"\r\n")
            return await reader.read()

    assert body_of(asyncio.run(main())) == b"/2"


@pytest.mark.parametrize(
    "framing",
    [
        pytest.param(b"Content-Length: %d\r\n\r\n" % (DRAIN_BYTES * 8), id="announced"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % (DRAIN_BYTES * 8), id="chunked"),
    ],
)
def test_a_client_still_sending_a_large_body_reads_the_response(framing: bytes) -> None:
    async def handler(exchange: ServerExchange) -> None:
        exchange.respond(413, (), b"too much")

    async def main() -> bytes:
        async with serving(handler) as server, connected(server.port) as (reader, writer):
            writer.write(b"POST / HTTP/1.1\r\n" + H + framing)
            await read_head(reader)
            writer.write(b"x" * (DRAIN_BYTES * 2))
            return await reader.read()

    assert asyncio.run(main()) == b"too much"


def test_read_body_takes_no_more_than_its_limit() -> None:
    errors = []

    async def handler(exchange: ServerExchange) -> None:
        try:
            await exchange.read_body(5)
        except BodyTooLarge as error:
            errors.append(str(error))
            raise
        exchange.respond(200)

    chunked = b"Transfer-Encoding: chunked\r\n\r\n6\r\n123456\r\n0\r\n\r\n"

    async def main() -> list[list[int]]:
        async with serving(handler) as server:
            return [
                statuses(await talk(server.port, b"POST / HTTP/1.1\r\n" + CLOSE + framing))
                for framing in (
                    b"Content-Length: 5\r\n\r\n12345",
                    b"Content-Length: 6\r\n\r\n123456",
                    chunked,
                )
            ]

    assert asyncio.run(main()) == [[200], [413], [413]]
    assert errors == ["The body is larger than 5 bytes"] * 2


def test_a_malformed_body_is_refused_when_the_handler_reads_it() -> None:
    async def main() -> bytes:
        async with serving(echo) as server:
            return await talk(
                server.port,
                b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcXX",
            )

    assert statuses(asyncio.run(main())) == [400]


async def _raise(exchange: ServerExchange) -> None:
    raise RuntimeError("a bug")


async def _nothing(exchange: ServerExchange) -> None:
    return


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        pytest.param(_raise, "GET /x failed in its handler", id="raises"),
        pytest.param(_nothing, "GET /x got no response from its handler", id="answers nothing"),
    ],
)
def test_a_handler_that_fails_is_500_and_one_log_record(
    handler: Handler, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> bytes:
        async with serving(handler) as server:
            return await talk(server.port, b"GET /x HTTP/1.1\r\n" + CLOSE + b"\r\n")

    data = asyncio.run(main())
    assert statuses(data) == [500]
    assert body_of(data) == b"refused 500"
    records = [r for r in caplog.records if r.levelno >= logging.ERROR]
    assert [(r.name, r.getMessage()) for r in records] == [("ambidex.local", message)]


def test_a_handler_that_fails_in_the_middle_breaks_the_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def handler(exchange: ServerExchange) -> None:
        exchange.start(200)
        await exchange.write(b"one")
        raise RuntimeError("a bug")

    async def main() -> bytes:
        async with serving(handler) as server, connected(server.port) as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\n" + H + b"\r\n")
            try:
                return await reader.read()
            except ConnectionResetError:
                return b""

    assert not asyncio.run(main()).endswith(b"0\r\n\r\n")


@pytest.mark.parametrize(
    ("action", "error"),
    [
        pytest.param(lambda x: x.respond(200), ProtocolError, id="respond twice"),
        pytest.param(lambda x: x.start(200), ProtocolError, id="start after respond"),
        pytest.param(lambda x: x.tunnel(), ProtocolError, id="tunnel without upgrade"),
    ],
)
def test_a_second_answer_is_an_error(
    action: Callable[[ServerExchange], object], error: type[Exception]
) -> None:
    raised = []

    async def handler(exchange: ServerExchange) -> None:
        exchange.respond(200)
        with pytest.raises(error) as caught:
            action(exchange)
        raised.append(caught.value)

    async def main() -> bytes:
        async with serving(handler) as server:
            return await talk(server.port, b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n")

    assert statuses(asyncio.run(main())) == [200]
    assert len(raised) == 1


@pytest.mark.parametrize("status", [0, 99, 100, 101, 199, 600, 1000])
@pytest.mark.parametrize("action", ["respond", "start"])
def test_a_status_that_is_not_final_is_our_own_error(action: str, status: int) -> None:
    raised = []

    async def handler(exchange: ServerExchange) -> None:
        with pytest.raises(ProtocolError, match=f"{status} is no status") as caught:
            getattr(exchange, action)(status)
        raised.append(caught.value)
        exchange.respond(200)

    async def main() -> bytes:
        async with serving(handler) as server:
            return await talk(server.port, b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n")

    assert statuses(asyncio.run(main())) == [200]
    assert len(raised) == 1


async def half_closed(port: int, data: bytes) -> bytes:
    """Send, close our side, and only then let the server begin to answer."""
    async with connected(port) as (reader, writer):
        writer.write(data)
        writer.write_eof()
        return await reader.read()


async def some_turns() -> None:
    """What waits in the kernel, an EOF too, comes in the next turn of the loop."""
    for _ in range(20):
        await asyncio.sleep(0)


async def answer_late(exchange: ServerExchange) -> None:
    await exchange.read_body()
    await some_turns()
    if exchange.head.target != b"/streamed":
        exchange.respond(200, (), exchange.head.target)
        return
    exchange.start(200)
    for piece in (b"one", b"two"):
        await exchange.write(piece)
        await asyncio.sleep(0)
    await exchange.end()


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize(
    ("data", "expected", "end"),
    [
        pytest.param(b"GET /a HTTP/1.1\r\n" + H + b"\r\n", [200], b"/a", id="one"),
        pytest.param(
            b"POST /a HTTP/1.1\r\n" + H + b"Content-Length: 2\r\n\r\nab", [200], b"/a", id="body"
        ),
        pytest.param(
            b"GET /streamed HTTP/1.1\r\n" + H + b"\r\n", [200], b"two\r\n0\r\n\r\n", id="streamed"
        ),
        pytest.param(
            b"".join(b"GET /%d HTTP/1.1\r\n" % number + H + b"\r\n" for number in range(3)),
            [200] * 3,
            b"/2",
            id="pipelined",
        ),
        pytest.param(
            b"GET /a HTTP/1.1\r\n"
            + H
            + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
            + b"".join(b"GET /%d HTTP/1.1\r\n" % number + H + b"\r\n" for number in range(3)),
            [200] * 4,
            b"/2",
            id="declined upgrade",
        ),
        pytest.param(
            b"GET /a HTTP/1.1\r\n" + H + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
            b"POST /b HTTP/1.1\r\n" + H + b"Content-Length: 3\r\n\r\na",
            [200],
            b"/a",
            id="cut body behind a declined upgrade",
        ),
        pytest.param(
            b"GET /a HTTP/1.1\r\n" + H + b"\r\nBROKEN\r\n\r\n", [200, 400], b"400", id="malformed"
        ),
        pytest.param(b"GET /a HTTP/1.1\r\n" + H + b"\r\nGET", [200], b"/a", id="cut head"),
    ],
)
def test_a_client_that_closes_only_its_own_side_gets_its_answers_and_the_end(
    run: Run, data: bytes, expected: list[int], end: bytes
) -> None:
    async def main() -> bytes:
        async with serving(answer_late) as server:
            responses = await half_closed(server.port, data)
            await some_turns()
            assert not server.connections  # it does not linger
            return responses

    responses = run(main())
    assert statuses(responses) == expected
    assert responses.endswith(end)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_tunnel_ends_where_the_client_has_closed_its_side_before(run: Run) -> None:
    async def handler(exchange: ServerExchange) -> None:
        await some_turns()
        tunnel = exchange.tunnel()
        while data := await tunnel.read():
            await tunnel.write(data.upper())
        tunnel.close()

    async def main() -> bytes:
        async with serving(handler) as server:
            return await half_closed(
                server.port,
                b"GET / HTTP/1.1\r\n" + H + b"Connection: Upgrade\r\nUpgrade: a\r\n\r\nearly",
            )

    assert run(main()) == b"HTTP/1.1 101 Switching Protocols\r\n\r\nEARLY"


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("watches_first", [True, False])
def test_a_client_that_closes_its_side_has_left_where_the_handler_watches(
    run: Run, watches_first: bool
) -> None:
    told = []

    async def handler(exchange: ServerExchange) -> None:
        if not watches_first:
            await some_turns()
            assert not exchange.is_disconnected
        await exchange.disconnected
        told.append(exchange.is_disconnected)

    async def main() -> bytes:
        async with serving(handler) as server:
            return await half_closed(server.port, b"GET / HTTP/1.1\r\n" + H + b"\r\n")

    assert run(main()) == b""
    assert told == [True]


async def write_on(exchange: ServerExchange) -> None:
    while True:
        await exchange.write(b"x")
        await asyncio.sleep(0)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_client_that_leaves_is_noticed_when_it_is_written_to(run: Run) -> None:
    async def main() -> None:
        began, ended = asyncio.Event(), asyncio.Event()

        async def handler(exchange: ServerExchange) -> None:
            began.set()
            exchange.start(200)
            with pytest.raises(Disconnected):
                await write_on(exchange)
            ended.set()

        async with serving(handler) as server:
            async with connected(server.port) as (_, writer):
                writer.write(b"GET / HTTP/1.1\r\n" + H + b"\r\n")
                await began.wait()
            await ended.wait()

    run(main())


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_client_that_leaves_is_noticed_and_leaves_nothing_behind(run: Run) -> None:
    async def main() -> list[bool]:
        told = []
        began = asyncio.Event()
        ended = asyncio.Event()

        async def handler(exchange: ServerExchange) -> None:
            began.set()
            await exchange.disconnected
            told.append(exchange.is_disconnected)
            exchange.respond(200)  # to nobody
            with pytest.raises(Disconnected):
                await exchange.write(b"x")
            ended.set()

        async with serving(handler) as server:
            async with connected(server.port) as (_, writer):
                writer.write(b"GET / HTTP/1.1\r\n" + H + b"\r\n")
                await began.wait()
            await ended.wait()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return told

    assert run(main()) == [True]


def test_reading_the_body_of_a_client_that_left_raises() -> None:
    async def main() -> Disconnected:
        error: asyncio.Future[Disconnected] = asyncio.get_running_loop().create_future()

        async def handler(exchange: ServerExchange) -> None:
            try:
                await exchange.read_body()
            except Disconnected as disconnected:
                error.set_result(disconnected)

        async with serving(handler) as server:
            async with connected(server.port) as (_, writer):
                writer.write(b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 3\r\n\r\na")
                await writer.drain()
            return await error

    assert "in the middle of a request" in str(asyncio.run(main()))


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_writer_waits_while_the_client_does_not_read(run: Run) -> None:
    async def main() -> tuple[int, int]:
        written = []
        blocked = asyncio.Event()
        total = 64 * 1024 * 1024

        async def handler(exchange: ServerExchange) -> None:
            exchange.start(200, ((b"Content-Length", b"%d" % total),))
            piece = b"x" * (1024 * 1024)
            for _ in range(64):
                asyncio.get_running_loop().call_later(0.2, blocked.set)
                await exchange.write(piece)
                written.append(1)
            await exchange.end()

        async with serving(handler) as server, connected(server.port) as (reader, writer):
            writer.write(b"GET / HTTP/1.1\r\n" + H + b"\r\n")
            await read_head(reader)
            await blocked.wait()
            waiting = len(written)
            await reader.readexactly(total)
            return waiting, len(written)

    waiting, written = run(main())
    assert waiting < written == 64


def test_a_sender_waits_while_the_handler_does_not_read() -> None:
    async def main() -> tuple[bool, bytes]:
        may_read = asyncio.Event()
        size = 32 * 1024 * 1024

        async def handler(exchange: ServerExchange) -> None:
            await may_read.wait()
            exchange.respond(200, (), b"%d" % len(await exchange.read_body()))

        async with serving(handler) as server:
            loop = asyncio.get_running_loop()
            with socket.create_connection(("127.0.0.1", server.port)) as client:
                client.setblocking(False)
                head = b"POST / HTTP/1.1\r\n" + CLOSE + b"Content-Length: %d\r\n\r\n" % size
                await loop.sock_sendall(client, head)
                sending = loop.create_task(loop.sock_sendall(client, b"x" * size))
                await asyncio.wait([sending], timeout=0.2)
                was_stuck = not sending.done()
                may_read.set()
                await sending
                data = b""
                while piece := await loop.sock_recv(client, 65536):
                    data += piece
                return was_stuck, body_of(data)

    assert asyncio.run(main()) == (True, b"%d" % (32 * 1024 * 1024))


def test_an_upgrade_hands_over_the_bytes_both_ways() -> None:
    async def main() -> tuple[bytes, bytes, bytes, bytes]:
        async def handler(exchange: ServerExchange) -> None:
            assert exchange.upgrade == b"chat"
            tunnel = exchange.tunnel(101, ((b"Connection", b"Upgrade"), (b"Upgrade", b"chat")))
            while data := await tunnel.read():
                await tunnel.write(data.upper())
            tunnel.close()

        async with serving(handler) as server, connected(server.port) as (reader, writer):
            writer.write(
                b"GET / HTTP/1.1\r\n" + H + b"Connection: Upgrade\r\nUpgrade: chat\r\n\r\nearly"
            )
            head = await read_head(reader)
            first = await reader.readexactly(5)
            writer.write(b"GET late")
            second = await reader.readexactly(8)
            writer.write_eof()
            return head, first, second, await reader.read()

    assert asyncio.run(main()) == (
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n",
        b"EARLY",
        b"GET LATE",
        b"",
    )


def test_a_declined_upgrade_is_an_ordinary_exchange() -> None:
    async def main() -> bytes:
        async with serving(echo) as server:
            return await talk(
                server.port,
                b"GET /1 HTTP/1.1\r\n" + H + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
                b"GET /2 HTTP/1.1\r\n" + H + b"\r\n",
                b"GET /3 HTTP/1.1\r\n" + CLOSE + b"\r\n",
            )

    data = asyncio.run(main())
    assert statuses(data) == [200, 200, 200]
    assert all(b"GET /%d|" % number in data for number in (1, 2, 3))


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_an_abort_in_the_moment_when_a_request_comes_ends(run: Run) -> None:
    async def main() -> None:
        async with serving(echo) as server, connected(server.port):
            await some_turns()
            (connection,) = server.connections
            connection.data_received(b"GET / HTTP/1.1\r\n" + H + b"\r\n")
            server.abort()  # its handler has not begun, and never will
            await server.closed()

    run(main())


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize(
    ("request_line", "headers", "rest"),
    [
        pytest.param(b"GET / HTTP/1.1", (), b"3\r\none\r\n", id="chunked"),
        pytest.param(b"GET / HTTP/1.1", ((b"Content-Length", b"4"),), b"one", id="length"),
    ],
)
def test_a_response_that_is_broken_off_has_all_that_was_written_and_no_end(
    run: Run, request_line: bytes, headers: Headers, rest: bytes
) -> None:
    async def handler(exchange: ServerExchange) -> None:
        exchange.start(200, headers)
        await exchange.write(b"one")
        exchange.break_off()

    async def main() -> bytes:
        async with serving(handler) as server, connected(server.port) as (reader, writer):
            writer.write(request_line + b"\r\n" + H + b"\r\n")
            data = await reader.read()
            assert not server.connections
            return body_of(data)

    assert run(main()) == rest


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_response_that_only_the_connection_ends_is_reset_where_it_is_broken_off(
    run: Run,
) -> None:
    async def handler(exchange: ServerExchange) -> None:
        exchange.start(200)
        await exchange.write(b"one")
        exchange.break_off()

    async def main() -> None:
        async with serving(handler) as server, connected(server.port) as (reader, writer):
            writer.write(b"GET / HTTP/1.0\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""

    run(main())


def test_an_idle_connection_is_closed_after_its_keep_alive_time() -> None:
    async def main() -> bytes:
        async with serving(echo, keep_alive_s=0.05) as server:
            return await talk(server.port, b"GET / HTTP/1.1\r\n" + H + b"\r\n")

    assert statuses(asyncio.run(main())) == [200]


def test_closing_ends_idle_connections_and_lets_requests_finish() -> None:
    async def main() -> bytes:
        began, may_end = asyncio.Event(), asyncio.Event()

        async def handler(exchange: ServerExchange) -> None:
            began.set()
            await may_end.wait()
            exchange.respond(200, (), b"done")

        async with (
            serving(handler) as server,
            connected(server.port) as (idle, _),
            connected(server.port) as (reader, writer),
        ):
            writer.write(b"GET / HTTP/1.1\r\n" + H + b"\r\n")
            await began.wait()
            server.close()
            assert await idle.read() == b""
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", server.port)
            may_end.set()
            data = await reader.read()
            await server.closed()
            return data

    data = asyncio.run(main())
    assert b"Connection: close" in data
    assert body_of(data) == b"done"


def test_a_port_that_is_taken_is_an_os_error() -> None:
    async def main() -> None:
        async with serving(echo) as server:
            with pytest.raises(OSError, match="in use"):
                await listen(
                    echo, "127.0.0.1", server.port, limits=LIMITS, refuse=refuse, keep_alive_s=None
                )

    asyncio.run(main())


def test_http_client_and_httpx_keep_their_connection() -> None:
    def with_http_client(port: int) -> list[tuple[int, bytes, int]]:
        client = http.client.HTTPConnection("127.0.0.1", port)
        answers = []
        for number in range(3):
            client.request("POST", f"/{number}", body=b"hello")
            response = client.getresponse()
            answers.append((response.status, response.read()[-10:], client.sock.getsockname()[1]))
        client.close()
        return answers

    async def main() -> int:
        async with serving(echo, limits=LIMITS._replace(head_bytes=4000)) as server:
            answers = await asyncio.to_thread(with_http_client, server.port)
            assert [a[:2] for a in answers] == [(200, b"body=hello")] * 3
            assert len({a[2] for a in answers}) == 1
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:

                async def body() -> AsyncIterator[bytes]:
                    yield b"one"
                    yield b"two"

                assert (await client.post("/", content=body())).content.endswith(b"body=onetwo")
                assert (await client.head("/")).status_code == 200
                assert (await client.get("/")).status_code == 200
                return len(server.connections)

    assert asyncio.run(main()) <= 2
