import asyncio
import logging
import socket
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx
import pytest
import websockets

from ambidex.local import load_balancer
from ambidex.local.http1.exchange import ServerExchange
from ambidex.local.http1.server import Handler, Server
from ambidex.local.load_balancer import Forwarding, listen, refuse
from ambidex.local.target_group import HealthCheck, State, TargetGroup
from tests.local.http1_peers import (
    RawTarget,
    Reader,
    Writer,
    body_of,
    bytewise,
    connected,
    echo,
    raw_server,
    read_head,
    serving,
    statuses,
    talk,
)

H = b"Host: a.example:80\r\n"
CLOSE = H + b"Connection: close\r\n"
PAGE = (
    b"<html>\r\n<head><title>%b</title></head>\r\n<body>\r\n"
    b"<center><h1>%b</h1></center>\r\n</body>\r\n</html>\r\n"
)
LARGE = load_balancer.LIMITS
CHAT = websockets.Subprotocol("chat")
Answer = Callable[[bytes, Reader, Writer], Awaitable[None]]


@asynccontextmanager
async def balancing(
    *ports: int,
    idle_timeout_s: float | None = None,
    connect_timeout_s: float | None = 10.0,
    check: HealthCheck | None = None,
    count: int | None = None,
) -> AsyncIterator[tuple[Server, TargetGroup]]:
    """A load balancer in front of the ports, once they are healthy; nothing may be left behind."""
    group = TargetGroup(
        check or HealthCheck(initial_interval_s=0.01), connect_timeout_s=connect_timeout_s
    )
    forwarding = Forwarding(
        idle_timeout_s=idle_timeout_s,
        now_s=lambda: float(0x67891233),
        new_id=lambda: "abcdef012345678912345678",
    )
    server = await listen(group, "127.0.0.1", 0, forwarding)
    try:
        for port in ports:
            group.register("127.0.0.1", port)
        await group.healthy(len(ports) if count is None else count)
        yield server, group
    finally:
        server.abort()
        await server.closed()
        await group.close()


def healthy_then(conversation: Answer) -> RawTarget:
    """A raw target: 200 to health checks, the conversation for everything else."""

    async def converse(reader: Reader, writer: Writer) -> None:
        head = await read_head(reader)
        if b"ELB-HealthChecker" in head:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            await reader.read()
        else:
            await conversation(head, reader, writer)

    return converse


def named(name: bytes) -> Handler:
    async def handler(exchange: ServerExchange) -> None:
        exchange.respond(200, (), name)

    return handler


def test_a_request_reaches_the_target_with_its_bytes_and_what_an_alb_adds() -> None:
    async def main() -> tuple[int, bytes]:
        async with serving(echo, limits=LARGE) as target, balancing(target.port) as (server, _):
            data = (
                b"POST /p%2F?a=%C3 HTTP/1.1\r\n" + H + b"x-B: \xe9\xff\r\nX-a: 1\r\nx-B: 2\r\n"
                b"x-forwarded-for: 10.0.0.9\r\nKeep-Alive: 1\r\nConnection: close, X-Hop\r\n"
                b"X-Hop: 1\r\nContent-Length: 3\r\n\r\nabc"
            )
            whole = body_of(await talk(server.port, data))
            assert body_of(await talk(server.port, *bytewise(data))) == whole
            return server.port, whole

    port, body = asyncio.run(main())
    assert body == (
        b"POST /p%%2F?a=%%C3|Host=a.example:80|x-B=\xe9\xff|X-a=1|x-B=2|Content-Length=3"
        b"|X-Forwarded-For=10.0.0.9, 127.0.0.1|X-Forwarded-Proto=http|X-Forwarded-Port=%d"
        b"|X-Amzn-Trace-Id=Root=1-67891233-abcdef012345678912345678|body=abc" % port
    )


def test_a_response_reaches_the_client_with_its_bytes_reason_and_order() -> None:
    async def answer(head: bytes, reader: Reader, writer: Writer) -> None:
        writer.write(
            b"HTTP/1.1 299 Odd \xe9\r\nx-B: \xe9\xff\r\nX-a:\r\nSet-Cookie: a\r\nset-cookie: b\r\n"
            b"Keep-Alive: 3\r\nServer: mine\r\nDate: then\r\nContent-Length: 2\r\n\r\nok"
        )
        await reader.read()

    async def main() -> bytes:
        async with raw_server(healthy_then(answer)) as port, balancing(port) as (server, _):
            return await talk(server.port, b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n")

    assert asyncio.run(main()) == (
        b"HTTP/1.1 299 Odd \xe9\r\nConnection: close\r\nx-B: \xe9\xff\r\nX-a: \r\nSet-Cookie: a\r\n"
        b"set-cookie: b\r\nServer: mine\r\nDate: then\r\nContent-Length: 2\r\n\r\nok"
    )


@pytest.mark.parametrize(
    ("method", "response", "end"),
    [
        pytest.param(b"HEAD", b"200 OK\r\nContent-Length: 9\r\n\r\n", b"9\r\n\r\n", id="HEAD"),
        pytest.param(b"HEAD", b"200 OK\r\n\r\n", b"\r\n\r\n", id="HEAD without a length"),
        pytest.param(b"GET", b"204 No Content\r\n\r\n", b"\r\n\r\n", id="204"),
        pytest.param(b"GET", b"304 Not Modified\r\nETag: x\r\n\r\n", b"x\r\n\r\n", id="304"),
    ],
)
def test_responses_without_a_body_end_with_their_head(
    method: bytes, response: bytes, end: bytes
) -> None:
    async def answer(head: bytes, reader: Reader, writer: Writer) -> None:
        writer.write(b"HTTP/1.1 " + response)
        await read_head(reader)
        writer.write(b"HTTP/1.1 " + response)
        await reader.read()

    async def main() -> bytes:
        async with raw_server(healthy_then(answer)) as port, balancing(port) as (server, _):
            return await talk(
                server.port,
                method + b" / HTTP/1.1\r\n" + H + b"\r\n",
                method + b" / HTTP/1.1\r\n" + CLOSE + b"\r\n",
            )

    data = asyncio.run(main())
    assert statuses(data) == [int(response[:3])] * 2
    assert data.endswith(end)


def test_chunks_pass_through_both_ways_one_by_one_with_trailers() -> None:
    async def reply(exchange: ServerExchange) -> None:
        exchange.start(200, ((b"X-a", b"1"),))
        while data := await exchange.read_chunk():
            await exchange.write(data.upper())
        await exchange.end(exchange.trailers)

    async def main() -> None:
        async with (
            serving(reply, limits=LARGE) as target,
            balancing(target.port) as (server, _),
            connected(server.port) as (reader, writer),
        ):
            writer.write(b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\n")
            assert b"Transfer-Encoding: chunked" in await read_head(reader)
            for word in (b"one", b"two"):
                writer.write(b"3\r\n" + word + b"\r\n")
                assert await reader.readexactly(8) == b"3\r\n" + word.upper() + b"\r\n"
            writer.write(b"0\r\nSum: \xe9\r\n\r\n")
            assert await read_head(reader) == b"0\r\nSum: \xe9\r\n\r\n"

    asyncio.run(main())


def test_a_body_that_ends_with_the_connection_becomes_chunked() -> None:
    async def answer(head: bytes, reader: Reader, writer: Writer) -> None:
        writer.write(b"HTTP/1.0 200 OK\r\n\r\none")
        writer.write_eof()
        await reader.read()

    async def main() -> bytes:
        async with raw_server(healthy_then(answer)) as port, balancing(port) as (server, _):
            return await talk(server.port, b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n")

    data = asyncio.run(main())
    assert b"Transfer-Encoding: chunked" in data
    assert body_of(data) == b"3\r\none\r\n0\r\n\r\n"


def test_the_balancer_answers_100_continue_itself() -> None:
    async def main() -> bytes:
        async with (
            serving(echo, limits=LARGE) as target,
            balancing(target.port) as (server, _),
            connected(server.port) as (reader, writer),
        ):
            writer.write(b"POST / HTTP/1.1\r\n" + CLOSE)
            writer.write(b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
            assert await read_head(reader) == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"abc")
            return await reader.read()

    data = asyncio.run(main())
    assert data.endswith(b"body=abc")
    assert b"Expect" not in data


def test_a_target_keeps_one_connection_for_many_requests() -> None:
    peers = []

    async def handler(exchange: ServerExchange) -> None:
        if b"ELB" not in repr(exchange.head.headers).encode():
            peers.append(exchange.peer)
        exchange.respond(200)

    async def main() -> None:
        async with serving(handler, limits=LARGE) as target, balancing(target.port) as (server, _):
            url = f"http://127.0.0.1:{server.port}"
            for _ in range(3):
                async with httpx.AsyncClient(base_url=url) as client:
                    for _ in range(3):
                        assert (await client.get("/")).status_code == 200

    asyncio.run(main())
    assert len(peers) == 9
    assert len(set(peers)) == 1


def test_a_connection_that_the_target_closed_is_not_used_again() -> None:
    async def main() -> None:
        async with serving(echo, limits=LARGE) as target, balancing(target.port) as (server, group):
            url = f"http://127.0.0.1:{server.port}"
            async with httpx.AsyncClient(base_url=url) as client:
                assert (await client.get("/")).status_code == 200
                pool = group.targets[0].pool
                for connection in list(target.connections):
                    connection.abort()
                while pool._open:  # noqa: ASYNC110 – nobody but this test asks
                    await asyncio.sleep(0)
                assert (await client.get("/")).status_code == 200

    asyncio.run(main())


def test_requests_take_turns_over_the_healthy_targets() -> None:
    async def main() -> list[str]:
        async with (
            serving(named(b"1"), limits=LARGE) as one,
            serving(named(b"2"), limits=LARGE) as two,
            balancing(one.port, two.port) as (server, _),
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client,
        ):
            return [(await client.get("/")).text for _ in range(6)]

    answers = asyncio.run(main())
    assert answers in (["1", "2"] * 3, ["2", "1"] * 3)


def test_when_all_targets_are_unhealthy_the_balancer_fails_open() -> None:
    check = HealthCheck(interval_s=0.01, initial_interval_s=0.005)

    async def handler(exchange: ServerExchange) -> None:
        is_check = exchange.head.target == b"/"
        exchange.respond(500 if is_check else 200, (), b"alive")

    async def main() -> bytes:
        async with (
            serving(handler, limits=LARGE) as target,
            balancing(target.port, check=check, count=0) as (server, group),
        ):
            while group.targets[0].state is not State.UNHEALTHY:
                await group._changed.wait()
            return await talk(server.port, b"GET /x HTTP/1.1\r\n" + CLOSE + b"\r\n")

    assert body_of(asyncio.run(main())) == b"alive"


def test_an_alb_page() -> None:
    assert refuse(502) == (
        ((b"Server", b"awselb/2.0"), (b"Content-Type", b"text/html")),
        PAGE % (b"502 Bad Gateway", b"502 Bad Gateway"),
    )


def test_without_targets_it_answers_503_with_an_alb_page_and_keeps_the_connection() -> None:
    async def main() -> bytes:
        async with balancing() as (server, _):
            get = b"GET / HTTP/1.1\r\n"
            return await talk(server.port, get + H + b"\r\n" + get + CLOSE + b"\r\n")

    data = asyncio.run(main())
    assert statuses(data) == [503, 503]
    assert b"Server: awselb/2.0\r\nContent-Type: text/html\r\n\r\n" in data
    assert data.endswith(PAGE % ((b"503 Service Unavailable",) * 2))


XFF = b"X-Forwarded-For: " + b", ".join([b"10.0.0.1"] * 31) + b"\r\n"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        pytest.param(b"TRACE / HTTP/1.1\r\n" + CLOSE + b"\r\n", 405, id="TRACE"),
        pytest.param(b"GET / HTTP/1.1\r\n" + CLOSE + XFF + b"\r\n", 463, id="forwarded too often"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", 400, id="no Host"),
        pytest.param(
            b"GET /" + b"a" * 16384 + b" HTTP/1.1\r\n" + CLOSE + b"\r\n", 400, id="long line"
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\n" + CLOSE + b"A: " + b"a" * 16384 + b"\r\n\r\n",
            400,
            id="long header",
        ),
        pytest.param(
            b"GET / HTTP/1.1\r\n" + CLOSE + (b"A: " + b"a" * 8000 + b"\r\n") * 9 + b"\r\n",
            400,
            id="long head",
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
            id="ambiguous",
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
            400,
            id="malformed chunk",
        ),
    ],
)
def test_what_an_alb_does_not_forward(request_: bytes, status: int) -> None:
    seen = []

    async def handler(exchange: ServerExchange) -> None:
        if exchange.head.method != "GET" or exchange.head.target != b"/":
            seen.append(exchange.head.target)
        await echo(exchange)

    async def main() -> bytes:
        async with serving(handler, limits=LARGE) as target, balancing(target.port) as (server, _):
            return await talk(server.port, request_)

    data = asyncio.run(main())
    assert statuses(data) == [status]
    assert b"awselb/2.0" in data
    assert all(target == b"/" for target in seen)


async def _closes(head: bytes, reader: Reader, writer: Writer) -> None:
    return


async def _closes_in_head(head: bytes, reader: Reader, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-")
    await writer.drain()


async def _malformed(head: bytes, reader: Reader, writer: Writer) -> None:
    writer.write(b"SSH-2.0-OpenSSH\r\n")
    await reader.read()


async def _large_head(head: bytes, reader: Reader, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n" + b"A: 1\r\n" * 6000 + b"\r\n")
    await reader.read()


async def _unasked_101(head: bytes, reader: Reader, writer: Writer) -> None:
    writer.write(b"HTTP/1.1 101 X\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
    await reader.read()


@pytest.mark.parametrize(
    "conversation",
    [
        pytest.param(_closes, id="closes without a word"),
        pytest.param(_closes_in_head, id="closes in its head"),
        pytest.param(_malformed, id="malformed"),
        pytest.param(_large_head, id="32 K of headers"),
        pytest.param(_unasked_101, id="upgrade that nobody asked for"),
    ],
)
def test_a_target_that_does_not_answer_properly_is_502_and_is_asked_once(
    conversation: Answer,
) -> None:
    asked = []

    async def answer(head: bytes, reader: Reader, writer: Writer) -> None:
        asked.append(head)
        await conversation(head, reader, writer)

    async def main() -> bytes:
        async with raw_server(healthy_then(answer)) as port, balancing(port) as (server, _):
            return await talk(server.port, b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n")

    data = asyncio.run(main())
    assert statuses(data) == [502]
    assert body_of(data) == PAGE % ((b"502 Bad Gateway",) * 2)
    assert len(asked) == 1


def test_a_target_that_refuses_the_connection_is_502() -> None:
    async def main() -> bytes:
        async with raw_server(healthy_then(_closes)) as port:
            group_of_one = balancing(port)
            server, _ = await group_of_one.__aenter__()
        data = await talk(server.port, b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n")
        await group_of_one.__aexit__(None, None, None)
        return data

    assert statuses(asyncio.run(main())) == [502]


def test_a_target_killed_in_mid_request_is_502_and_the_next_request_goes_to_another() -> None:
    async def main() -> tuple[list[int], list[str]]:
        came = asyncio.Event()

        async def hang(head: bytes, reader: Reader, writer: Writer) -> None:
            came.set()
            await reader.read()

        async with (
            raw_server(healthy_then(hang)) as bad,
            serving(named(b"good"), limits=LARGE) as good,
            balancing(bad, good.port) as (server, group),
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client,
        ):
            gets = [asyncio.create_task(client.get("/")) for _ in range(2)]  # one for each
            await came.wait()
            victim = next(target for target in group.targets if target.port == bad)
            assert victim.in_flight == 1
            group.deregister(victim)
            victim.abort()
            answers = await asyncio.gather(*gets)
            await victim.drained()
            statuses = sorted(answer.status_code for answer in answers)
            return statuses, [(await client.get("/")).text for _ in range(3)]

    assert asyncio.run(main()) == ([200, 502], ["good"] * 3)


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", id="length"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", id="chunked"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n",
            id="malformed",
        ),
    ],
)
def test_a_target_that_breaks_off_in_its_response_breaks_the_clients_connection(
    response: bytes,
) -> None:
    async def answer(head: bytes, reader: Reader, writer: Writer) -> None:
        writer.write(response)
        await writer.drain()

    async def main() -> None:
        async with (
            raw_server(healthy_then(answer)) as port,
            balancing(port) as (server, _),
            httpx.AsyncClient() as client,
        ):
            with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
                await client.get(f"http://127.0.0.1:{server.port}/")

    asyncio.run(main())


async def _silent(head: bytes, reader: Reader, writer: Writer) -> None:
    await reader.read()


def test_a_silent_target_is_504_after_the_idle_time_out() -> None:
    async def main() -> bytes:
        async with (
            raw_server(healthy_then(_silent)) as port,
            balancing(port, idle_timeout_s=0.1) as (server, _),
        ):
            return await talk(server.port, b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n")

    assert statuses(asyncio.run(main())) == [504]


def test_a_silent_client_is_408_after_the_idle_time_out() -> None:
    async def main() -> bytes:
        async with (
            raw_server(healthy_then(_silent)) as port,
            balancing(port, idle_timeout_s=0.1) as (server, _),
        ):
            return await talk(
                server.port, b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 3\r\n\r\na"
            )

    assert statuses(asyncio.run(main())) == [408]


def test_a_connection_that_takes_too_long_is_504() -> None:
    async def main() -> bytes:
        async with (
            raw_server(healthy_then(_silent)) as port,
            balancing(port, connect_timeout_s=0) as (server, _),
        ):
            return await talk(server.port, b"GET / HTTP/1.1\r\n" + CLOSE + b"\r\n")

    assert statuses(asyncio.run(main())) == [504]


def test_a_client_that_leaves_ends_the_targets_request_and_is_460_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "ambidex.local")

    async def main() -> None:
        came, left = asyncio.Event(), asyncio.Event()

        async def hang(head: bytes, reader: Reader, writer: Writer) -> None:
            came.set()
            try:
                assert await reader.read() == b""
            finally:
                left.set()

        async with raw_server(healthy_then(hang)) as port, balancing(port) as (server, group):
            async with connected(server.port) as (_, writer):
                writer.write(b"GET / HTTP/1.1\r\n" + H + b"\r\n")
                await came.wait()
            await left.wait()
            await group.targets[0].drained()

    asyncio.run(main())
    assert any(record.getMessage().startswith("460 GET to ") for record in caplog.records)


def test_an_early_answer_to_an_upload_reaches_the_client() -> None:
    async def answer(head: bytes, reader: Reader, writer: Writer) -> None:
        writer.write(b"HTTP/1.1 413 Too Much\r\nContent-Length: 0\r\n\r\n")
        await reader.read()

    async def main() -> tuple[bytes, bytes]:
        async with (
            raw_server(healthy_then(answer)) as port,
            balancing(port) as (server, _),
            connected(server.port) as (reader, writer),
        ):
            writer.write(b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 9000000\r\n\r\n")
            head = await read_head(reader)
            writer.write(b"x" * 100_000)
            return head, await reader.read()

    head, rest = asyncio.run(main())
    assert head.startswith(b"HTTP/1.1 413 Too Much\r\n")
    assert b"Connection: close" in head
    assert rest == b""


def test_a_deregistered_target_finishes_what_it_has_begun() -> None:
    async def main() -> str:
        came, may_end = asyncio.Event(), asyncio.Event()

        async def handler(exchange: ServerExchange) -> None:
            if exchange.head.target == b"/slow":
                came.set()
                await may_end.wait()
            exchange.respond(200, (), b"done")

        async with (
            serving(handler, limits=LARGE) as target,
            balancing(target.port) as (server, group),
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client,
        ):
            slow = asyncio.create_task(client.get("/slow"))
            await came.wait()
            registered = group.targets[0]
            group.deregister(registered)
            assert (await client.get("/")).status_code == 503
            drained = asyncio.create_task(registered.drained())
            may_end.set()
            await drained
            return (await slow).text

    assert asyncio.run(main()) == "done"


APP = """
import asyncio
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import StreamingResponse

app = FastAPI()

@app.get("/")
def root(request: Request):
    return {"client": request.client.host, "host": request.headers["host"]}

@app.get("/stream")
def stream():
    async def numbers():
        for number in range(3):
            yield f"{number}\\n"
    return StreamingResponse(numbers())

@app.post("/size")
async def size(request: Request):
    total = 0
    async for chunk in request.stream():
        total += len(chunk)
    return total

@app.websocket("/ws")
async def ws(socket: WebSocket):
    await socket.accept(subprotocol="chat")
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        if message.get("text") == "bye":
            await socket.close(4001, "so long")
            return
        if message.get("text") is not None:
            await socket.send_text(message["text"].upper())
        else:
            await socket.send_bytes(message["bytes"][::-1])

@app.websocket("/refused")
async def refused(socket: WebSocket):
    await socket.close()
"""


@pytest.fixture(scope="module")
def uvicorn_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("uvicorn")
    (folder / "main.py").write_text(textwrap.dedent(APP))
    with uvicorn(folder) as port:
        yield port


@contextmanager
def uvicorn(folder: Path) -> Iterator[int]:
    # The socket listens before uvicorn starts: no port can be lost, no start need be waited for.
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [sys.executable, "-m", "uvicorn", "main:app", "--log-level", "error"]
        command += ["--fd", str(listener.fileno())]
        process = subprocess.Popen(command, cwd=folder, pass_fds=[listener.fileno()])
        try:
            yield listener.getsockname()[1]
        finally:
            process.kill()
            process.wait()


def test_uvicorn_behind_the_balancer(uvicorn_port: int) -> None:
    async def main() -> None:
        async with balancing(uvicorn_port) as (server, _):
            url = f"http://127.0.0.1:{server.port}"
            async with httpx.AsyncClient(base_url=url) as client:
                root = await client.get("/", headers={"Host": "a.example"})
                assert root.json()["host"] == "a.example"
                assert (await client.get("/stream")).text == "0\n1\n2\n"
                assert (await client.head("/")).status_code == 405
                large = b"x" * 10_000_000
                assert (await client.post("/size", content=large)).json() == len(large)

                async def pieces() -> AsyncIterator[bytes]:
                    for _ in range(100):
                        yield b"y" * 50_000

                assert (await client.post("/size", content=pieces())).json() == 5_000_000

    asyncio.run(main())


def test_websocket_messages_pass_both_ways(uvicorn_port: int) -> None:
    async def main() -> None:
        async with balancing(uvicorn_port) as (server, group):
            url = f"ws://127.0.0.1:{server.port}/ws"
            async with websockets.connect(url, subprotocols=[CHAT]) as ws:
                assert ws.subprotocol == "chat"
                await ws.send("hello")
                assert await ws.recv() == "HELLO"
                await ws.send(b"\x00\x01\xff" * 100_000)
                assert await ws.recv() == b"\xff\x01\x00" * 100_000
                assert group.targets[0].in_flight == 1
                await ws.send("bye")
                with pytest.raises(websockets.ConnectionClosedError):
                    await ws.recv()
                assert (ws.close_code, ws.close_reason) == (4001, "so long")
            await group.targets[0].drained()

    asyncio.run(main())


def test_a_refused_websocket_is_an_ordinary_response(uvicorn_port: int) -> None:
    async def main() -> int:
        async with balancing(uvicorn_port) as (server, _):
            with pytest.raises(websockets.InvalidStatus) as refused:
                await websockets.connect(f"ws://127.0.0.1:{server.port}/refused")
            return refused.value.response.status_code

    assert asyncio.run(main()) == 403


def test_a_silent_websocket_is_closed_after_the_idle_time_out(uvicorn_port: int) -> None:
    async def main() -> None:
        async with (
            balancing(uvicorn_port, idle_timeout_s=0.2) as (server, _),
            websockets.connect(f"ws://127.0.0.1:{server.port}/ws", subprotocols=[CHAT]) as ws,
        ):
            with pytest.raises(websockets.ConnectionClosed):
                await ws.recv()

    asyncio.run(main())
