from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ambidex.http import Headers
from ambidex.local.http1.messages import Limits
from ambidex.local.http1.requests import Received, Refused, RequestParser
from tests.local.http1_peers import LIMITS, bytewise


class Recorder:
    def __init__(self) -> None:
        self.began: list[Received] = []
        self.requests: list[tuple[Received, bytes, Headers]] = []
        self.body = b""

    def request_began(self, received: Received) -> None:
        self.began.append(received)

    def body_came(self, data: bytes) -> None:
        self.body += data

    def request_ended(self, trailers: Headers) -> None:
        self.requests.append((self.began[-1], self.body, trailers))
        self.body = b""


def parse(
    *pieces: bytes, limits: Limits = LIMITS
) -> tuple[list[tuple[Received, bytes, Headers]], bytes | None]:
    recorder = Recorder()
    parser = RequestParser(limits, recorder)
    behind = None
    for piece in pieces:
        behind = parser.feed(piece)
    return recorder.requests, behind


H = b"Host: a\r\n"

REFUSED = [
    pytest.param(b"GET / HTTP/1.1\r\n\r\n", 400, id="no Host"),
    pytest.param(b"GET / HTTP/1.1\r\n" + H + H + b"\r\n", 400, id="two Hosts"),
    pytest.param(
        b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
        id="length and chunked",
    ),
    pytest.param(
        b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n",
        400,
        id="chunked and length",
    ),
    pytest.param(
        b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        400,
        id="two lengths",
    ),
    pytest.param(b"POST / HTTP/1.1\r\n" + H + b"Content-Length: 1, 1\r\n\r\n", 400, id="list"),
    pytest.param(b"POST / HTTP/1.1\r\n" + H + b"Content-Length: +1\r\n\r\n", 400, id="signed"),
    pytest.param(b"POST / HTTP/1.1\r\n" + H + b"Content-Length : 1\r\n\r\n", 400, id="space"),
    pytest.param(
        b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501, id="gzip"
    ),
    pytest.param(
        b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: identity\r\n\r\n", 501, id="identity"
    ),
    pytest.param(
        b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n",
        400,
        id="two transfer encodings",
    ),
    pytest.param(
        b"POST / HTTP/1.0\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\n", 400, id="chunked in 1.0"
    ),
    pytest.param(b"GET / HTTP/1.1\r\n" + H + b"A: 1\r\n 2\r\n\r\n", 400, id="folded header"),
    pytest.param(b"GET / HTTP/1.1\n" + b"Host: a\n\n", 400, id="bare line feeds"),
    pytest.param(b"GET / HTTP/1.1\r\n" + H + b"A: 1\0\r\n\r\n", 400, id="NUL"),
    pytest.param(b"GET / HTTP/2.0\r\n" + H + b"\r\n", 505, id="version 2"),
    pytest.param(b"GET / HTTP/0.9\r\n" + H + b"\r\n", 505, id="version 0.9"),
    pytest.param(b"CONNECT a:1 HTTP/1.1\r\n" + H + b"\r\n", 400, id="CONNECT"),
    pytest.param(b"\x16\x03\x01\x02\x00", 400, id="TLS"),
    pytest.param(b"GET /" + b"a" * 200 + b" HTTP/1.1\r\n" + H + b"\r\n", 414, id="long line"),
    pytest.param(b"GET /" + b"a" * 5000, 414, id="line without end"),
    pytest.param(
        b"GET / HTTP/1.1\r\n" + H + b"A: " + b"a" * 300 + b"\r\n\r\n", 431, id="long header"
    ),
    pytest.param(b"GET / HTTP/1.1\r\n" + H + b"A: 1\r\n" * 200 + b"\r\n", 431, id="long head"),
    pytest.param(
        b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\nz\r\n", 400, id="bad chunk"
    ),
    pytest.param(
        b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"A: 1\r\n" * 200,
        431,
        id="long trailers",
    ),
]


@pytest.mark.parametrize(("data", "status"), REFUSED)
def test_what_could_be_understood_in_two_ways_is_refused(data: bytes, status: int) -> None:
    with pytest.raises(Refused) as whole:
        parse(data)
    assert whole.value.status == status
    with pytest.raises(Refused) as pieces:
        parse(*bytewise(data))
    assert pieces.value.status == status


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"GET / HTTP/1.1\r\n" + H + b"A: " + b"a", id="a header"),
        pytest.param(
            b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\n0\r\nA: ",
            id="a trailer",
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\n" + H + b"Transfer-Encoding: chunked\r\n\r\n1;x",
            id="a chunk extension",
        ),
        pytest.param(b"\r\n", id="empty lines"),
    ],
)
def test_what_never_ends_is_refused_when_it_exceeds_the_head(data: bytes) -> None:
    with pytest.raises(Refused):
        parse(data, *[b"\r\n" if data == b"\r\n" else b"a"] * 2000)


def test_limits_are_counted_to_the_byte() -> None:
    line = b"GET /" + b"a" * 100 + b" HTTP/1.1"
    header = b"A: " + b"b" * 50
    head = line + b"\r\n" + H + header + b"\r\n\r\n"
    exact = Limits(len(line), len(header), len(head), headers_bytes=len(H + header) + 2)
    assert len(parse(head, limits=exact)[0]) == 1
    for limits, status in [
        (exact._replace(request_line_bytes=len(line) - 1), 414),
        (exact._replace(header_line_bytes=len(header) - 1), 431),
        (exact._replace(head_bytes=len(head) - 1), 431),
        (exact._replace(headers_bytes=len(H + header) + 1), 431),
    ]:
        with pytest.raises(Refused) as refused:
            parse(head, limits=limits)
        assert refused.value.status == status


CHUNKED = (
    b"POST /p?q=%C3 HTTP/1.1\r\n" + H + b"x-A: \xe9\xff \r\nX-a:\r\n"
    b"Transfer-Encoding: Chunked\r\nTrailer: Sum\r\n\r\n"
    b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nSum: \xe9\r\nsum: 2\r\n\r\n"
)


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([CHUNKED], id="whole"),
        pytest.param(bytewise(CHUNKED), id="byte by byte"),
        pytest.param([b"\r\n" + CHUNKED, b""], id="after an empty line"),
    ],
)
def test_bytes_case_order_and_trailers_arrive_as_they_were_sent(pieces: list[bytes]) -> None:
    requests, _ = parse(*pieces)
    [(received, body, trailers)] = requests
    assert received.head.method == "POST"
    assert received.head.target == b"/p?q=%C3"
    assert received.head.headers[:3] == ((b"Host", b"a"), (b"x-A", b"\xe9\xff"), (b"X-a", b""))
    assert received.is_chunked
    assert body == b"abcde"
    assert trailers == ((b"Sum", b"\xe9"), (b"sum", b"2"))


@given(cuts=st.lists(st.integers(0, 2 * len(CHUNKED)), max_size=8))
def test_any_cut_of_two_pipelined_requests_gives_the_same_two(cuts: list[int]) -> None:
    data = CHUNKED * 2
    edges = [0, *sorted(cuts), len(data)]
    requests, _ = parse(*[data[a:b] for a, b in pairwise(edges)])
    assert requests == parse(CHUNKED)[0] * 2


UPGRADE = H + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"


def test_after_an_upgrade_request_the_rest_is_handed_back_unparsed() -> None:
    requests, behind = parse(b"GET / HTTP/1.1\r\n" + UPGRADE + b"\r\n\x00\xff")
    assert requests[0][0].upgrade == b"websocket"
    assert behind == b"\x00\xff"


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        pytest.param(b"Content-Length: 3\r\n", b"abc", id="length"),
        pytest.param(b"Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n0\r\n\r\n", id="chunked"),
    ],
)
def test_an_upgrade_request_with_a_body_is_an_ordinary_request(framing: bytes, body: bytes) -> None:
    data = b"POST / HTTP/1.1\r\n" + UPGRADE + framing + b"\r\n" + body
    data += b"GET /2 HTTP/1.1\r\n" + H + b"\r\n"
    for pieces in [data], bytewise(data):
        requests, behind = parse(*pieces)
        assert behind is None
        assert [(r.head.target, r.upgrade, got) for r, got, _ in requests] == [
            (b"/", None, b"abc"),
            (b"/2", None, b""),
        ]


def test_bytes_behind_a_request_that_asks_to_close_are_ignored() -> None:
    data = b"GET / HTTP/1.1\r\n" + H + b"Connection: close\r\n\r\nGET /2 HTTP/1.1\r\n"
    requests, _ = parse(data)
    assert len(requests) == 1
