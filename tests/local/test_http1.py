import pytest

from ambidex.local.http1.messages import (
    ProtocolError,
    chunk,
    has_token,
    header_block,
    is_bodiless,
    last_chunk,
    reason_of,
    status_line,
)


def test_a_head_keeps_case_order_repeats_and_latin_1_bytes() -> None:
    headers = ((b"X-b", b"\xe9\xff"), (b"x-A", b""), (b"X-b", b"2"))
    assert header_block([b"HTTP/1.1 200 OK"], headers) == (
        b"HTTP/1.1 200 OK\r\nX-b: \xe9\xff\r\nx-A: \r\nX-b: 2\r\n\r\n"
    )


@pytest.mark.parametrize(
    "header",
    [
        pytest.param((b"A", b"1\r\nB: 2"), id="line break in a value"),
        pytest.param((b"A", b"1\nB: 2"), id="line feed in a value"),
        pytest.param((b"A", b"1\rB: 2"), id="carriage return in a value"),
        pytest.param((b"A\r\nB", b"1"), id="line break in a name"),
        pytest.param((b"A", b"1\0"), id="NUL in a value"),
    ],
)
def test_a_header_that_would_split_the_message_is_not_written(header: tuple[bytes, bytes]) -> None:
    with pytest.raises(ProtocolError, match="line break or a NUL"):
        header_block([b"HTTP/1.1 200 OK"], (header,))


@pytest.mark.parametrize(
    "name", [b"", b"a b", b" a", b"a ", b"x-a: 1, b", b"a:", b"a\t", b"a\x7f", b"\xe9", b"(a)"]
)
def test_a_header_whose_name_is_no_token_is_not_written(name: bytes) -> None:
    with pytest.raises(ProtocolError, match="name is no token") as error:
        header_block([b"HTTP/1.1 200 OK"], ((b"A", b"1"), (name, b"1")))

    assert repr(name) in str(error.value)


def test_a_header_name_may_have_every_character_of_a_token() -> None:
    name = b"!#$%&'*+-.^_`|~09AZaz"  # RFC 9110 5.6.2
    assert header_block([], ((name, b"1"),)) == name + b": 1\r\n\r\n"


def test_chunks_are_written_with_their_length_in_hexadecimal() -> None:
    assert chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"
    assert last_chunk() == b"0\r\n\r\n"
    assert last_chunk(((b"Sum", b"1"),)) == b"0\r\nSum: 1\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "status", "bodiless"),
    [
        pytest.param("GET", 200, False, id="200"),
        pytest.param("HEAD", 200, True, id="to HEAD"),
        pytest.param("GET", 101, True, id="interim"),
        pytest.param("GET", 204, True, id="204"),
        pytest.param("GET", 304, True, id="304"),
        pytest.param("GET", 205, False, id="205"),
    ],
)
def test_which_responses_have_no_body(method: str, status: int, bodiless: bool) -> None:
    assert is_bodiless(method, status) is bodiless


@pytest.mark.parametrize(
    ("status", "reason", "line"),
    [
        pytest.param(200, None, b"HTTP/1.1 200 OK", id="standard"),
        pytest.param(299, None, b"HTTP/1.1 299 ", id="unknown"),
        pytest.param(200, b"Fine", b"HTTP/1.1 200 Fine", id="given"),
        pytest.param(200, b"", b"HTTP/1.1 200 ", id="given empty"),
    ],
)
def test_status_line(status: int, reason: bytes | None, line: bytes) -> None:
    assert status_line(status, reason) == line


def test_reason_of_an_unknown_status_is_empty() -> None:
    assert reason_of(502) == b"Bad Gateway"
    assert reason_of(463) == b""


@pytest.mark.parametrize(
    ("value", "found"),
    [
        pytest.param(b"close", True, id="alone"),
        pytest.param(b"x , Close\t", True, id="in a list, any case"),
        pytest.param(b"closed", False, id="longer"),
        pytest.param(b"", False, id="empty"),
    ],
)
def test_tokens_of_a_header(value: bytes, found: bool) -> None:
    assert has_token(value, b"close") is found
