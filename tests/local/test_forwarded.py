import pytest

from ambidex.http import Headers
from ambidex.local.forwarded import Hop, end_to_end, to_target, trace_id

HOP = Hop("203.0.113.7", "http", 8080, 0x67891233 + 0.9, "abcdef012345678912345678")
NEW = b"1-67891233-abcdef012345678912345678"


@pytest.mark.parametrize(
    ("headers", "kept"),
    [
        pytest.param(((b"Host", b"a"), (b"x-B", b"\xe9")), 2, id="nothing to remove"),
        pytest.param(((b"Connection", b"keep-alive"), (b"Keep-Alive", b"9")), 0, id="connection"),
        pytest.param(((b"TE", b"gzip"), (b"Trailer", b"A")), 0, id="te and trailer"),
        pytest.param(((b"TRANSFER-ENCODING", b"chunked"),), 0, id="any case"),
        pytest.param(((b"Upgrade", b"h2c"), (b"Proxy-Authorization", b"x")), 0, id="upgrade"),
        pytest.param(((b"x-A", b"1"), (b"Connection", b"close, X-a ")), 0, id="named"),
        pytest.param(
            ((b"Host", b"a"), (b"Content-Length", b"1"), (b"Connection", b"Host, content-length")),
            2,
            id="named but needed",
        ),
    ],
)
def test_hop_by_hop_headers_end_here(headers: Headers, kept: int) -> None:
    assert end_to_end(headers) == headers[:kept]


def test_the_rest_keeps_bytes_case_order_and_repeats() -> None:
    headers = ((b"x-B", b"\xe9"), (b"X-a", b""), (b"x-B", b"2"), (b"Host", b"a:1"))
    assert to_target(headers, HOP) == (
        *headers,
        (b"X-Forwarded-For", b"203.0.113.7"),
        (b"X-Forwarded-Proto", b"http"),
        (b"X-Forwarded-Port", b"8080"),
        (b"X-Amzn-Trace-Id", b"Root=" + NEW),
    )


@pytest.mark.parametrize(
    ("sent", "forwarded"),
    [
        pytest.param([], b"203.0.113.7", id="none"),
        pytest.param([b"10.0.0.1"], b"10.0.0.1, 203.0.113.7", id="one"),
        pytest.param([b"10.0.0.1, x"], b"10.0.0.1, x, 203.0.113.7", id="a list"),
        pytest.param([b"10.0.0.1", b"y"], b"10.0.0.1, y, 203.0.113.7", id="two lines"),
        pytest.param([b""], b"203.0.113.7", id="empty"),
    ],
)
def test_the_client_is_appended_to_x_forwarded_for(sent: list[bytes], forwarded: bytes) -> None:
    headers = tuple((b"x-forwarded-for", value) for value in sent)
    assert to_target(headers, HOP)[0] == (b"X-Forwarded-For", forwarded)


def test_what_the_client_says_of_scheme_and_port_is_replaced() -> None:
    headers = ((b"X-Forwarded-Proto", b"https"), (b"x-forwarded-port", b"1"))
    values = dict(to_target(headers, HOP))
    assert values[b"X-Forwarded-Proto"] == b"http"
    assert values[b"X-Forwarded-Port"] == b"8080"
    assert b"x-forwarded-port" not in values


def test_expect_is_not_forwarded() -> None:
    assert b"Expect" not in dict(to_target(((b"Expect", b"100-continue"),), HOP))


@pytest.mark.parametrize(
    ("received", "sent"),
    [
        pytest.param(None, b"Root=" + NEW, id="none"),
        pytest.param(b"", b"Root=" + NEW, id="empty"),
        pytest.param(b"Root=1-2-3", b"Self=" + NEW + b";Root=1-2-3", id="a Root"),
        pytest.param(
            b"Root=1-2-3;CalledFrom=app",
            b"Self=" + NEW + b";Root=1-2-3;CalledFrom=app",
            id="fields",
        ),
        pytest.param(
            b"Self=1-0-0; Root=1-2-3", b"Self=" + NEW + b";Root=1-2-3", id="a Self is replaced"
        ),
        pytest.param(b"CalledFrom=app", b"Root=" + NEW + b";CalledFrom=app", id="no Root"),
    ],
)
def test_a_trace_id_is_created_or_continued(received: bytes | None, sent: bytes) -> None:
    assert trace_id(received, HOP) == sent


def test_with_more_than_7_kb_of_headers_the_trace_id_is_rewritten() -> None:
    headers = ((b"X-Amzn-Trace-Id", b"Root=1-2-3"), (b"A", b"a" * 7200))
    assert dict(to_target(headers, HOP))[b"X-Amzn-Trace-Id"] == b"Root=" + NEW
