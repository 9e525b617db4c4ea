"""The Runtime API's messages: what goes out, and what comes back in whatever pieces."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ambidex.runtime import messages
from ambidex.runtime.messages import Invocation, PeerError, Reply, ReplyParser, whole_reply

EVENT = b'{"a": 1}'
SIZED = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 8\r\n\r\n" + EVENT
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n" + EVENT[:3] + b"\r\n5;x=y\r\n"
)
CHUNKED += EVENT[3:] + b"\r\n0\r\nTrailer: t\r\n\r\n"


@pytest.mark.parametrize(
    ("data", "status", "body", "is_reusable"),
    [
        pytest.param(SIZED, 200, EVENT, True, id="content-length"),
        pytest.param(CHUNKED, 200, EVENT, True, id="chunked with an extension and a trailer"),
        pytest.param(
            b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", 202, b"", True, id="no body"
        ),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True, id="204"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + SIZED, 200, EVENT, True, id="after a 100"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", 200, b"x", False,
            id="connection: close",
        ),
        pytest.param(
            b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, b"x", False, id="HTTP/1.0"
        ),
    ],
)  # fmt: skip
def test_an_answer_is_the_same_whole_and_byte_by_byte(
    data: bytes, status: int, body: bytes, is_reusable: bool
) -> None:
    whole = ReplyParser().feed(data)
    parser = ReplyParser()
    pieces = [parser.feed(data[index : index + 1]) for index in range(len(data))]
    assert whole is not None
    assert (whole.status, whole.body, whole.is_reusable) == (status, body, is_reusable)
    assert pieces[:-1] == [None] * (len(data) - 1)
    assert pieces[-1] == whole


@given(st.binary(max_size=300), st.lists(st.integers(0, 400), max_size=5))
def test_any_body_survives_any_cut(body: bytes, cuts: list[int]) -> None:
    data = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    parser = ReplyParser()
    reply, at = None, 0
    for cut in [*sorted(cuts), len(data)]:
        reply = parser.feed(data[at:cut]) or reply
        at = max(at, cut)
    assert reply is not None
    assert reply.body == body


STATUSES = st.sampled_from([100, 200, 202, 204, 304, 403, 413, 500, 999])
LINES = st.lists(
    st.sampled_from(
        [
            b"Content-Length: 3", b"content-length:3", b"Content-Length: 03", b"Content-Length: 4",
            b"Connection: close", b"Transfer-Encoding: chunked", b"no colon", b"A: b:c", b":",
        ]
    ),
    max_size=4,
)  # fmt: skip


@given(
    st.sampled_from([b"HTTP/1.1 ", b"HTTP/1.0 ", b"HTTP/1.1", b"HTTP/2 "]),
    STATUSES,
    LINES,
    st.binary(max_size=4) | st.just(b"abc"),
)
def test_an_answer_taken_whole_is_the_one_that_the_parser_gives(
    version: bytes, status: int, lines: list[bytes], body: bytes
) -> None:
    data = b"\r\n".join((b"%b%d OK" % (version, status), *lines, b"", body))
    reply = whole_reply(data)

    assert reply is None or reply == ReplyParser().feed(data)


def test_the_plain_answers_of_the_runtime_api_are_taken_whole() -> None:
    assert whole_reply(SIZED) == ReplyParser().feed(SIZED)
    assert whole_reply(SIZED[:-1]) is None


def test_an_answer_without_a_length_ends_with_the_connection() -> None:
    parser = ReplyParser()
    assert parser.feed(b"HTTP/1.1 200 OK\r\n\r\nab") is None
    assert parser.feed(b"c") is None
    reply = parser.end()
    assert reply is not None
    assert (reply.body, reply.is_reusable) == (b"abc", False)


def test_a_connection_that_ends_in_an_answer_gives_none() -> None:
    parser = ReplyParser()
    parser.feed(SIZED[:-1])
    assert parser.end() is None


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"SSH-2.0-OpenSSH\r\n\r\n", id="another protocol"),
        pytest.param(b"HTTP/1.1 two OK\r\n\r\n", id="no status"),
        pytest.param(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", id="no header"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", id="no length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy", id="more than the length"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nxyz", id="a long chunk"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n", id="no chunk size"
        ),
    ],
)
def test_what_is_no_answer_is_the_peers_fault(data: bytes) -> None:
    with pytest.raises(PeerError, match="the Runtime API"):
        ReplyParser().feed(data)


def reply(headers: dict[bytes, bytes], status: int = 200) -> Reply:
    return Reply(status, headers, EVENT, True)


def test_all_headers_of_an_invocation_are_read() -> None:
    invocation = messages.parse_invocation(
        reply(
            {
                b"lambda-runtime-aws-request-id": b"r",
                b"lambda-runtime-invocation-id": b"i",
                b"lambda-runtime-deadline-ms": b"1700000000000",
                b"lambda-runtime-invoked-function-arn": b"arn",
                b"lambda-runtime-trace-id": b"Root=1",
                b"lambda-runtime-client-context": b"{}",
                b"lambda-runtime-cognito-identity": b'{"a":1}',
                b"lambda-runtime-aws-tenant-id": b"t",
            }
        )
    )
    assert invocation == Invocation(
        "r", EVENT, "i", 1700000000000, "arn", "Root=1", "{}", '{"a":1}', "t"
    )


def test_every_header_but_the_request_id_may_be_missing_or_empty() -> None:
    absent = messages.parse_invocation(reply({b"lambda-runtime-aws-request-id": b"r"}))
    empty = messages.parse_invocation(
        reply(
            {
                b"lambda-runtime-aws-request-id": b"r",
                b"lambda-runtime-deadline-ms": b"",
                b"lambda-runtime-trace-id": b"",
            }
        )
    )
    assert absent == empty == Invocation("r", EVENT)


@pytest.mark.parametrize(
    ("headers", "status"), [({}, 200), ({b"lambda-runtime-aws-request-id": b"r"}, 500)]
)
def test_an_answer_that_is_no_invocation_is_an_error(
    headers: dict[bytes, bytes], status: int
) -> None:
    with pytest.raises(PeerError, match="invocation/next"):
        messages.parse_invocation(reply(headers, status))


def test_requests_are_as_the_runtime_api_documents_them() -> None:
    invocation = Invocation("r-1", EVENT, "attempt-1")
    assert messages.next_request("h:1") == (
        b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: h:1\r\n\r\n"
    )
    assert messages.result_request("h:1", invocation, b"{}") == (
        b"POST /2018-06-01/runtime/invocation/r-1/response HTTP/1.1\r\nHost: h:1\r\n"
        b"Lambda-Runtime-Invocation-Id: attempt-1\r\n"
        b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )
    assert messages.error_request("h:1", invocation, "Runtime.X", b"{}") == (
        b"POST /2018-06-01/runtime/invocation/r-1/error HTTP/1.1\r\nHost: h:1\r\n"
        b"Lambda-Runtime-Function-Error-Type: Runtime.X\r\n"
        b"Lambda-Runtime-Invocation-Id: attempt-1\r\n"
        b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )
    assert messages.init_error_request("h:1", "Runtime.X", b"{}") == (
        b"POST /2018-06-01/runtime/init/error HTTP/1.1\r\nHost: h:1\r\n"
        b"Lambda-Runtime-Function-Error-Type: Runtime.X\r\n"
        b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )


def test_an_attempt_without_an_id_echoes_none() -> None:
    assert b"Invocation-Id" not in messages.result_request("h:1", Invocation("r", EVENT), b"{}")
