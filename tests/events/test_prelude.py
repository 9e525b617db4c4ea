"""Streamed results: what their preludes carry, and how they are told from the body."""

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ambidex.events import function_url, prelude, rest_api
from ambidex.events.event_json import dumps
from ambidex.events.fields import EventError
from ambidex.http import Response
from tests.events.cases import (
    RESPONSES,
    STREAMED,
    ResponseCase,
    Streamed,
    expected_response,
    lower,
)

every_source = pytest.mark.parametrize("source", STREAMED, ids=lambda source: source.id)
every_response = pytest.mark.parametrize("case", RESPONSES, ids=lambda case: case.id)


def encoded(document: Mapping[str, Any]) -> bytes:
    """A prelude as the runtime sends it."""
    return dumps(document) + prelude.DELIMITER


def parsed(pieces: Iterable[bytes], limit_bytes: int | None = None) -> tuple[object, bytes]:
    parser = prelude.Parser(limit_bytes)
    rest = iter(pieces)
    for piece in rest:
        found = parser.feed(piece)
        if found is not None:
            document, first = found
            return document, first + b"".join(rest)
    parser.end()
    raise AssertionError("the end of a stream without a prelude is an error")


def split(data: bytes, sizes: Iterable[int]) -> Iterable[bytes]:
    start = 0
    for size in sizes:
        yield data[start : start + size]
        start += size
    yield data[start:]


def through(source: Streamed, response: Response, sizes: Iterable[int] = ()) -> Response:
    stream = encoded(source.to_prelude(response)) + response.body
    document, body = parsed(split(stream, sizes))
    arrived = source.from_prelude(document)
    assert arrived.body == b""
    return arrived._replace(headers=lower(arrived.headers), body=body)


@every_source
@every_response
def test_a_streamed_response_arrives_as_the_table_says(
    source: Streamed, case: ResponseCase
) -> None:
    assert through(source, case.response) == expected_response(source, case)


@every_source
@given(data=st.data())
def test_any_response_that_a_stream_carries_arrives_as_it_was_in_whatever_pieces(
    source: Streamed, data: st.DataObject
) -> None:
    response = data.draw(source.responses)
    sizes = data.draw(st.lists(st.integers(0, 40), max_size=12))

    assert through(source, response, sizes) == response


@every_source
def test_every_status_arrives_in_a_prelude(source: Streamed) -> None:
    for status in range(100, 600):
        response = Response(status, ((b"content-type", b"text/plain"),), b"body")
        assert through(source, response) == response


@every_source
def test_a_body_is_nothing_to_a_prelude(source: Streamed) -> None:
    headers = ((b"content-type", b"text/plain"),)

    assert source.to_prelude(Response(200, headers, b"body")) == source.to_prelude(
        Response(200, headers)
    )


def test_the_prelude_of_a_function_url_has_its_cookies_apart() -> None:
    response = Response(201, ((b"X-Tag", b"a"), (b"Set-Cookie", b"a=1"), (b"set-cookie", b"b=2")))

    assert function_url.to_prelude(response) == {
        "statusCode": 201,
        "headers": {"x-tag": "a"},
        "cookies": ["a=1", "b=2"],
    }


def test_the_prelude_of_a_rest_api_has_every_value_of_a_header() -> None:
    response = Response(201, ((b"X-Tag", b"a"), (b"Set-Cookie", b"a=1"), (b"set-cookie", b"b=2")))

    assert rest_api.to_prelude(response) == {
        "statusCode": 201,
        "multiValueHeaders": {"x-tag": ["a"], "set-cookie": ["a=1", "b=2"]},
    }


def test_a_rest_api_takes_the_prelude_of_awss_page() -> None:
    document = {
        "headers": {"headerName": "headerValue"},
        "multiValueHeaders": {"headerName": ["headerValue", "headerValue2"]},
        "cookies": ["cookie1", "cookie2"],
        "statusCode": 201,
    }

    assert rest_api.from_prelude(document) == Response(
        201,
        (
            (b"Content-Type", b"application/json"),
            (b"headerName", b"headerValue"),
            (b"headerName", b"headerValue2"),
            (b"set-cookie", b"cookie1"),
            (b"set-cookie", b"cookie2"),
        ),
    )


def test_a_prelude_without_a_status_is_a_200() -> None:
    assert function_url.from_prelude({}) == Response(200)
    assert rest_api.from_prelude({}).status == 200


@pytest.mark.parametrize("source", STREAMED, ids=lambda source: source.id)
@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        pytest.param([], r"the prelude must be an object in the JSON, not \[\]", id="a list"),
        pytest.param("x", "the prelude must be an object in the JSON, not 'x'", id="text"),
        pytest.param({"statusCode": 99}, "statusCode must be a number", id="status too small"),
        pytest.param({"statusCode": None}, "statusCode must be a number", id="status null"),
        pytest.param({"headers": []}, "headers must be an object", id="headers no object"),
        pytest.param({"headers": {"a": []}}, "the header 'a' must be a string", id="header a list"),
        pytest.param({"cookies": "a=1"}, "'cookies' must be a list of strings", id="cookies text"),
    ],
)
def test_a_malformed_prelude_is_named(source: Streamed, document: object, sentence: str) -> None:
    with pytest.raises(EventError, match=sentence):
        source.from_prelude(document)


@pytest.mark.parametrize("key", ["body", "isBase64Encoded", "statusDescription"])
def test_a_prelude_for_a_rest_api_has_no_other_keys(key: str) -> None:
    with pytest.raises(EventError, match=f"must not have the key '{key}'"):
        rest_api.from_prelude({"statusCode": 200, key: ""})


@pytest.mark.parametrize(
    "body", [b"", bytes(1), bytes(8), bytes(20), b"a" + bytes(9), b"{}" + bytes(8)]
)
def test_nuls_of_the_body_are_the_bodys(body: bytes) -> None:
    stream = encoded({"statusCode": 200}) + body

    assert parsed([stream]) == ({"statusCode": 200}, body)
    assert parsed(stream[i : i + 1] for i in range(len(stream))) == ({"statusCode": 200}, body)


def test_the_first_bytes_of_the_body_come_with_the_prelude() -> None:
    parser = prelude.Parser()

    assert parser.feed(b'{"statusCode":200}' + bytes(7)) is None
    assert parser.feed(bytes(1) + b"body") == ({"statusCode": 200}, b"body")


@pytest.mark.parametrize("piece_bytes", [1, 7, 8, 100, 1 << 20])
@pytest.mark.parametrize(("padding", "is_within"), [(0, True), (1, False)])
def test_the_delimiter_ends_within_the_limit(
    piece_bytes: int, padding: int, is_within: bool
) -> None:
    document = b'{"a":"%b"}' % (b"x" * (16384 - 8 - 8 + padding))
    stream = document + bytes(8) + b"body" * 9000
    pieces = [stream[i : i + piece_bytes] for i in range(0, len(stream), piece_bytes)]

    if is_within:
        assert parsed(pieces, prelude.LIMIT_BYTES)[1] == b"body" * 9000
    else:
        with pytest.raises(EventError, match="not within the first 16384 bytes"):
            parsed(pieces, prelude.LIMIT_BYTES)


@pytest.mark.parametrize(
    ("stream", "sentence"),
    [
        pytest.param(b"", "ended after 0 bytes without a delimiter", id="nothing"),
        pytest.param(b"{}" + bytes(7), "ended after 9 bytes without a delimiter", id="7 NULs"),
        pytest.param(b"hello" + bytes(8), "the prelude is no JSON: b'hello'", id="no JSON"),
        pytest.param(bytes(8), "the prelude is no JSON: b''", id="no prelude"),
        pytest.param(b"\xff" + bytes(8), "the prelude is no JSON", id="no UTF-8"),
    ],
)
def test_what_is_no_streamed_response_is_said(stream: bytes, sentence: str) -> None:
    with pytest.raises(EventError, match=sentence):
        parsed([stream])
