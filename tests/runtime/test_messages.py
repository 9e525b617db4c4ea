"""The Runtime API's messages: what goes out, and what comes back in whatever pieces."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ambidex.runtime import messages
from ambidex.runtime.messages import Invocation, PeerError, Reply, whole_reply
from ambidex.runtime.reply_parser import ReplyParser

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
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 200, b"x", True,
            id="one length twice",
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


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(SIZED, id="content-length"),
        pytest.param(CHUNKED, id="chunked"),
        pytest.param(b"HTTP/1.1 204 No Content\r\n\r\n", id="204"),
    ],
)
def test_after_bytes_that_follow_an_answer_the_connection_is_not_used_again(answer: bytes) -> None:
    whole, followed = ReplyParser().feed(answer), ReplyParser().feed(answer + b"x")
    assert whole is not None
    assert whole_reply(answer + b"x") is None
    assert followed == whole._replace(is_reusable=False)


# An answer as a peer may write it, from its parts.
_NAMES = st.sampled_from([b"X-A", b"x-b", b"Connection", b"Lambda-Runtime-Aws-Request-Id"])
_VALUES = st.sampled_from([b"", b"close", b" keep-alive ", b"r-1", b"\xe9", b"a: b"])
_LINES = st.lists(st.tuples(_NAMES, _VALUES), max_size=4).map(
    lambda pairs: b"".join(b"%b:%b\r\n" % pair for pair in pairs)
)


@st.composite
def framed(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """The framing headers and the body of an answer; broken ones, too."""
    pieces = draw(st.lists(st.binary(min_size=1, max_size=40), max_size=4))
    body = b"".join(pieces)
    kind = draw(st.sampled_from(["sized", "chunked", "unsized", "no number"]))
    if kind == "sized":
        length = max(0, len(body) + draw(st.sampled_from([0, 0, 0, -1, 1])))
        return b"Content-Length: %d\r\n" % length, body
    if kind == "chunked":
        ends = st.sampled_from([b"", b" ", b";a=b", b';a="b"'])
        sizes = st.sampled_from([b"%x", b"%X", b"0%x", b"00%X", b"%x", b"%x", b"-%x", b"0x%x"])
        chunks = b"".join(
            b"%b%b\r\n%b\r\n" % (draw(sizes) % len(piece), draw(ends), piece) for piece in pieces
        )
        return b"Transfer-Encoding: Chunked\r\n", chunks + b"0\r\n" + draw(_LINES) + b"\r\n"
    return (b"Content-Length: 1 0\r\n" if kind == "no number" else b""), body


def outcome(pieces: Iterable[bytes]) -> tuple[Reply | None, str]:
    """What a connection makes of an answer that comes in these pieces, and then ends."""
    parser: ReplyParser | None = None
    try:
        for piece in pieces:
            reply = whole_reply(piece) if parser is None else None
            if reply is None:
                parser = parser or ReplyParser()
                reply = parser.feed(piece)
            if reply is not None:
                # Bytes after it may be in the same piece or in the next: either way they close the
                # connection, here or there.
                return reply._replace(is_reusable=False), ""
    except PeerError:
        return None, "no answer"
    return (parser.end() if parser else None), ""


@given(
    st.sampled_from([b"", b"HTTP/1.1 100 Go on\r\n\r\n", b"HTTP/1.1 103 x\r\nLink: a\r\n\r\n"]),
    st.sampled_from([b"HTTP/1.1 200 OK", b"HTTP/1.0 202 Accepted", b"HTTP/1.1 204", b"HTTP/2 200"]),
    _LINES,
    framed(),
    st.sampled_from([b"", b"", b"x", SIZED]),
    st.lists(st.integers(0, 400), max_size=8),
)
def test_an_answer_is_the_same_however_it_is_cut(
    before: bytes,
    status: bytes,
    lines: bytes,
    framing_and_body: tuple[bytes, bytes],
    after: bytes,
    cuts: list[int],
) -> None:
    framing, body = framing_and_body
    data = before + status + b"\r\n" + framing + lines + b"\r\n" + body + after
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    cut = [data[start:end] for start, end in pairwise(bounds) if end > start]
    whole = outcome([data])
    assert outcome(cut) == whole
    assert outcome(data[index : index + 1] for index in range(len(data))) == whole


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
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", id="a negative length"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n", id="a length in Python"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
            id="two lengths",
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", id="another coding"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\nx", id="a size in Python"
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X-A: 1\r\n" * 200_000, id="headers without end"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 2_000_000,
            id="a size without end",
        ),
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


def test_a_deadline_that_is_no_number_is_none() -> None:
    headers = {b"lambda-runtime-aws-request-id": b"r", b"lambda-runtime-deadline-ms": b"\xb2"}
    assert messages.parse_invocation(reply(headers)).deadline_ms == 0


def test_an_attempt_without_an_id_echoes_none() -> None:
    assert b"Invocation-Id" not in messages.result_request("h:1", Invocation("r", EVENT), b"{}")
