"""What the runtime does when the Runtime API misbehaves; docs/reliability.md is the table in words.

Each row ends with an error, for that is how the loop ends: in rows that are survived it is the 500
with which the script says goodbye.
"""

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
import uvloop

from ambidex.asgi.types import Receive, Scope, Send
from ambidex.runtime import loop
from ambidex.runtime.blocking_connection import BlockingConnection
from ambidex.runtime.connection import Connection
from ambidex.runtime.invocation import function
from ambidex.runtime.messages import PeerError
from ambidex.settings import from_environ
from tests.project import project
from tests.runtime.misbehaving_peer import (
    Peer,
    Step,
    end_of_sending,
    flood,
    half_request,
    read_to_the_end,
    request,
    reset,
    send,
    send_bytewise,
    slow_request,
)

BODY_BYTES = 5_000_000

NEXT = "invocation/next"
RESULT = "r-1/response"
ERROR = "r-1/error"


def event(path: str) -> bytes:
    context = {"stage": "$default", "http": {"method": "GET"}}
    return json.dumps(
        {
            "version": "2.0",
            "rawPath": path,
            "rawQueryString": "",
            "headers": {},
            "requestContext": context,
            "isBase64Encoded": False,
        }
    ).encode()


def answer(status: bytes, body: bytes, *headers: bytes, version: bytes = b"HTTP/1.1") -> bytes:
    lines = (b"%b %b" % (version, status), b"Content-Length: %d" % len(body), *headers)
    return b"\r\n".join((*lines, b"", body))


ID = b"Lambda-Runtime-Aws-Request-Id: r-1"
EVENT = event("/")
SMALL = answer(b"200 OK", EVENT, ID)
LARGE = answer(b"200 OK", event("/large"), ID)
MALFORMED = answer(b"200 OK", b"{not json", ID)
ACCEPTED = answer(b"202 Accepted", b'{"status":"OK"}')


def refused(status: bytes, kind: bytes = b"Told") -> bytes:
    return answer(status, b'{"errorType":"%b"}' % kind)


FORBIDDEN = refused(b"403 Forbidden", b"InvalidStateTransition")
NOT_ITS_ID = refused(b"400 Bad Request", b"InvalidRequestID")
TOO_LARGE = refused(b"413 Request Entity Too Large", b"RequestEntityTooLarge")
BAD_STATE = refused(b"500 Internal Server Error")


def headless(*lines: bytes) -> bytes:
    return b"\r\n".join((b"HTTP/1.1 200 OK", ID, *lines, b""))


CHUNKED = headless(b"Transfer-Encoding: chunked") + b"\r\n" + (
    b"1\r\n" + EVENT[:1] + b"\r\n00A;a=b;c\r\n" + EVENT[1:11] + b"\r\n"
    + b"%X ; x\r\n" % (len(EVENT) - 11) + EVENT[11:] + b"\r\n"
    + b"000\r\nTrailer: x\r\nAnother: y\r\n\r\n"
)  # fmt: skip
UNSIZED = headless() + b"\r\n" + EVENT
FLOOD = b"".join(b"X-%d: %b\r\n" % (number, b"x" * 1000) for number in range(2000))

# The beginnings and the end of conversations, as steps on one connection.
GIVEN: tuple[Step, ...] = (request, send(SMALL))
GIVEN_LARGE: tuple[Step, ...] = (request, send(LARGE))
GIVEN_MALFORMED: tuple[Step, ...] = (request, send(MALFORMED))
TAKEN: tuple[Step, ...] = (request, send(ACCEPTED))
GOODBYE: tuple[Step, ...] = (request, send(BAD_STATE))

SAID_GOODBYE = "answered invocation/next with status 500"
IN_ITS_ANSWER = "closed the connection in its answer"
UNANSWERED = "closed the connection unanswered"
BROKE = "the connection to the Runtime API broke when the result of r-1 was sent; .* is an answer"
NOT_JSON = "Runtime.UnmarshalError: the event is not JSON"

SURVIVED = [NEXT, RESULT, NEXT]
REPEATED = [NEXT, RESULT, RESULT, NEXT]


class Case(NamedTuple):
    """What happens, and what the runtime does then."""

    script: Sequence[Sequence[Step]]  # a row for each connection
    paths: list[str]  # of the requests that arrived whole
    end: str = SAID_GOODBYE  # the error with which the loop ends
    log: Sequence[str] = ()  # of warnings and errors


# The connection ends.
CONNECTION = {
    "between answer and next request": Case([[*GIVEN, *TAKEN], GOODBYE], SURVIVED),
    "between them, by a reset": Case([[*GIVEN, *TAKEN, reset], GOODBYE], SURVIVED),
    "between event and result": Case([GIVEN, [*TAKEN, *GOODBYE]], SURVIVED),
    "while it waits for an event": Case(
        [[request], [*GIVEN, *TAKEN, *GOODBYE]], [NEXT, NEXT, RESULT, NEXT]
    ),
    "while it waits for an event, by a reset": Case(
        [[request, reset], [*GIVEN, *TAKEN, *GOODBYE]], [NEXT, NEXT, RESULT, NEXT]
    ),
    "while it waits for an event, twice": Case([[request], [request]], [NEXT, NEXT], UNANSWERED),
    "while it waits, and nobody listens any more": Case(
        [[request]], [NEXT], "no Runtime API answers at"
    ),
    "within the head of an event": Case(
        [[request, send(SMALL[:40])]], [NEXT], IN_ITS_ANSWER
    ),
    "within an event": Case([[request, send(SMALL[:-5])]], [NEXT], IN_ITS_ANSWER),
    "within an event, by a reset": Case(
        [[request, send(SMALL[:-5]), reset]], [NEXT], "closed the connection"
    ),
    "within a chunked event": Case([[request, send(CHUNKED[:-40])]], [NEXT], IN_ITS_ANSWER),
    "before a large result is sent": Case(
        [[*GIVEN_LARGE, half_request, reset], [*TAKEN, *GOODBYE]], SURVIVED
    ),
    "before a large result is sent, and its start was taken for one": Case(
        [[*GIVEN_LARGE, half_request, reset], [request, send(FORBIDDEN), *GOODBYE]],
        SURVIVED, log=[BROKE],
    ),
    "before a large result is sent, by half": Case(
        [[*GIVEN_LARGE, half_request, end_of_sending], [*TAKEN, *GOODBYE]], SURVIVED
    ),
    "after a result, before its answer": Case(
        [[*GIVEN, request], [*TAKEN, *GOODBYE]], REPEATED
    ),
    "after a result, which had arrived": Case(
        [[*GIVEN, request], [request, send(FORBIDDEN), *GOODBYE]], REPEATED, log=[BROKE]
    ),
    "after a result, which had arrived, on Managed Instances": Case(
        [[*GIVEN, request, reset], [request, send(NOT_ITS_ID), *GOODBYE]], REPEATED, log=[BROKE]
    ),
    "after a result, which is too large": Case(
        [[*GIVEN, request], [request, send(TOO_LARGE), *GOODBYE]],
        REPEATED, log=[r"refused the result of r-1 \(413\)"],
    ),
    "after a result, twice": Case([[*GIVEN, request], [request]], REPEATED[:3], UNANSWERED),
    "after an error, before its answer": Case(
        [[*GIVEN_MALFORMED, request], [request, send(FORBIDDEN), *GOODBYE]],
        [NEXT, ERROR, ERROR, NEXT], log=[NOT_JSON, BROKE],
    ),
    "within the answer to a result": Case(
        [[*GIVEN, request, send(ACCEPTED[:20])], [request, send(FORBIDDEN), *GOODBYE]],
        REPEATED, log=[BROKE],
    ),
    "within the answer to a result, twice": Case(
        [[*GIVEN, request, send(ACCEPTED[:20])], [request, send(ACCEPTED[:20])]],
        REPEATED[:3], IN_ITS_ANSWER,
    ),
}  # fmt: skip

# The answer to a result, or to an error, is none of success.
STATUSES = {
    **{
        f"{status.decode()} to {what}": Case(
            [[*given, request, send(refused(status)), *GOODBYE]],
            [NEXT, path, NEXT],
            log=[*log, f"refused the result of r-1 \\({status[:3].decode()}\\): .*Told"],
        )
        for status in (b"400 Bad Request", b"403 Forbidden", b"410 Gone",
                       b"413 Request Entity Too Large", b"418 I'm a teapot")
        for what, given, path, log in (
            ("a result", GIVEN, RESULT, []), ("an error", GIVEN_MALFORMED, ERROR, [NOT_JSON])
        )
    },
    **{
        f"{status.decode()} to a result": Case(
            [[*GIVEN, request, send(refused(status))]], [NEXT, RESULT], "is in a bad state"
        )
        for status in (b"500 Internal Server Error", b"502 Bad Gateway")
    },
    "500 to an error": Case(
        [[*GIVEN_MALFORMED, request, send(BAD_STATE)]],
        [NEXT, ERROR], "is in a bad state", [NOT_JSON],
    ),
    "200 to a result": Case(
        [[*GIVEN, request, send(answer(b"200 OK", b"")), *GOODBYE]], SURVIVED
    ),
    "204 to a result": Case(
        [[*GIVEN, request, send(b"HTTP/1.1 204 No Content\r\n\r\n"), *GOODBYE]], SURVIVED
    ),
    "413 before it has read a large result": Case(
        [[*GIVEN_LARGE, half_request, send(TOO_LARGE), end_of_sending], GOODBYE],
        [NEXT, NEXT], log=[r"refused the result of r-1 \(413\)"],
    ),
    "202 before it has read a large result": Case(
        [[*GIVEN_LARGE, half_request, send(ACCEPTED), end_of_sending], GOODBYE], [NEXT, NEXT]
    ),
    "403 to next": Case([[request, send(FORBIDDEN)]], [NEXT], "with status 403"),
    "404 to next": Case([[request, send(refused(b"404 Not Found"))]], [NEXT], "with status 404"),
    "500 to next": Case([[request, send(BAD_STATE)]], [NEXT], SAID_GOODBYE),
    "an event without a request id": Case(
        [[request, send(answer(b"200 OK", EVENT))]], [NEXT], "with status 200 and request id ''"
    ),
}  # fmt: skip

# The answer is no HTTP, or HTTP that one rarely sees.
SYNTAX = {
    "one byte at a time": Case(
        [[request, send_bytewise(SMALL), request, send_bytewise(ACCEPTED), *GOODBYE]], SURVIVED
    ),
    "chunks of odd sizes, with extensions and trailers": Case(
        [[request, send(CHUNKED), *TAKEN, *GOODBYE]], SURVIVED
    ),
    "odd chunks, one byte at a time": Case(
        [[request, send_bytewise(CHUNKED), *TAKEN, *GOODBYE]], SURVIVED
    ),
    "answers before the answer": Case(
        [[
            request, send(b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n", SMALL),
            request, send(b"HTTP/1.1 100 Continue\r\n\r\n" * 3, ACCEPTED), *GOODBYE,
        ]],
        SURVIVED,
    ),
    "HTTP/1.0": Case(
        [
            [request, send(answer(b"200 OK", EVENT, ID, version=b"HTTP/1.0"))],
            [request, send(answer(b"202 Accepted", b"", version=b"HTTP/1.0"))],
            GOODBYE,
        ],
        SURVIVED,
    ),
    "Connection: close": Case(
        [
            [request, send(answer(b"200 OK", EVENT, ID, b"Connection: Keep-Alive, Close"))],
            [request, send(answer(b"202 Accepted", b"", b"Connection: close")), end_of_sending],
            GOODBYE,
        ],
        SURVIVED,
    ),
    "no Content-Length": Case([[request, send(UNSIZED)], [*TAKEN, *GOODBYE]], SURVIVED),
    "no Content-Length, and a reset": Case(
        [[request, send(UNSIZED), reset]], [NEXT], "closed the connection"
    ),
    "bytes after an event": Case(
        [[request, send(SMALL + b"HTTP/1.1 200"), read_to_the_end], [*TAKEN, *GOODBYE]], SURVIVED
    ),
    "bytes after a chunked event": Case(
        [[request, send(CHUNKED + b"\r\n"), read_to_the_end], [*TAKEN, *GOODBYE]], SURVIVED
    ),
    "a 408 after an answer": Case(
        [[*GIVEN, request, send(ACCEPTED + refused(b"408 Request Timeout"))], GOODBYE], SURVIVED
    ),
    "a Content-Length that is too small": Case(
        [
            [request, send(headless(b"Content-Length: 9") + b"\r\n" + EVENT), read_to_the_end],
            [*TAKEN, *GOODBYE],
        ],
        [NEXT, ERROR, NEXT], log=[NOT_JSON],
    ),
    "a Content-Length that is too large": Case(
        [[request, send(headless(b"Content-Length: 9999") + b"\r\n" + EVENT)]],
        [NEXT], IN_ITS_ANSWER,
    ),
    "a Content-Length that is no number": Case(
        [[request, send(headless(b"Content-Length: +8") + b"\r\n" + EVENT), read_to_the_end]],
        [NEXT], r"sent b'\+8' for a length",
    ),
    "two Content-Lengths": Case(
        [[
            request,
            send(headless(b"Content-Length: 1", b"Content-Length: 2") + b"\r\n" + EVENT),
            read_to_the_end,
        ]],
        [NEXT], "several lengths",
    ),
    "a coding besides chunked": Case(
        [[request, send(headless(b"Transfer-Encoding: gzip") + b"\r\n"), read_to_the_end]],
        [NEXT], "transfer coding b'gzip'",
    ),
    "a flood of headers": Case(
        [[request, send(headless()), flood(FLOOD)]], [NEXT], "bytes of headers"
    ),
    "many headers": Case(
        [[
            request, send(headless(b"Content-Length: %d" % len(EVENT))
            + FLOOD[: FLOOD.index(b"X-900")] + b"\r\n" + EVENT), *TAKEN, *GOODBYE,
        ]],
        SURVIVED,
    ),
    "another protocol": Case(
        [[request, send(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), read_to_the_end]],
        [NEXT], r"did not answer in HTTP/1\.1",
    ),
    "a deadline that is no number": Case(
        [[
            request, send(answer(b"200 OK", EVENT, ID, b"Lambda-Runtime-Deadline-Ms: \xb2")),
            *TAKEN, *GOODBYE,
        ]],
        SURVIVED,
    ),
    "slow to read a large result": Case(
        [[*GIVEN_LARGE, slow_request, send(ACCEPTED), *GOODBYE]], SURVIVED
    ),
}  # fmt: skip


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    size = BODY_BYTES if scope["path"] == "/large" else 2
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x" * size})


def run(
    case: Case,
    connect: type[Connection] | type[BlockingConnection],
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
) -> tuple[Peer, PeerError]:
    """The loop against the peer of a case, to its end."""

    async def main(address: str) -> PeerError:
        connection = connect(address)
        answering = function(app, {}, from_environ({}).aws_lambda)
        with pytest.raises(PeerError) as raised:
            await loop.run(connection, answering, {})
        connection.close()
        return raised.value

    with Peer(case.script).running() as peer, asyncio.Runner(loop_factory=loop_factory) as runner:
        return peer, runner.run(main(peer.address))


@pytest.mark.parametrize(
    ("connect", "loop_factory"),
    [pytest.param(Connection, uvloop.new_event_loop, id="uvloop"),
     pytest.param(Connection, asyncio.new_event_loop, id="asyncio"),
     pytest.param(BlockingConnection, asyncio.new_event_loop, id="blocking")],
)  # fmt: skip
@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=f"{table} - {name}")
     for table, cases in (("ends", CONNECTION), ("status", STATUSES), ("syntax", SYNTAX))
     for name, case in cases.items()],
)  # fmt: skip
def test_what_the_runtime_api_does_wrong_is_survived_or_reported(
    case: Case,
    connect: type[Connection] | type[BlockingConnection],
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
    caplog: pytest.LogCaptureFixture,
) -> None:
    peer, error = run(case, connect, loop_factory)
    assert peer.paths == case.paths
    assert re.search(case.end, error.message)
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == len(case.log), messages
    for pattern, message in zip(case.log, messages, strict=True):
        assert re.search(pattern, message)
    for path, body in peer.calls:
        if path.endswith("/response"):
            assert len(json.loads(body)["body"]) in (2, BODY_BYTES)


@pytest.mark.parametrize(
    "name",
    ["within an event", "while it waits for an event, twice", "after a result, twice"],
)
def test_a_process_that_cannot_go_on_ends_with_status_1_and_one_line(
    name: str, tmp_path: Path
) -> None:
    case = CONNECTION[name]
    project(
        tmp_path,
        """
        async def app(scope, receive, send):
            if scope["type"] == "http":
                await answer(send, body=b"ok")
        """,
    )
    with Peer(case.script).running() as peer:
        command = [str(Path(sys.executable).parent / "ambidex"), "serve", "main:app"]
        environ = {"AWS_LAMBDA_RUNTIME_API": peer.address}
        ended = subprocess.run(
            command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
        )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("[ERROR]\t")
    assert re.search(case.end, line)
    assert peer.paths == case.paths
