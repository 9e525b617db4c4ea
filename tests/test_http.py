"""Requests and responses as values."""

import pytest

from ambidex.http import Headers, Request, Response, header, port_number

HEADERS: Headers = ((b"X-Tag", b"a"), (b"x-tag", b"b"), (b"x-empty", b""))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param(b"x-tag", b"a", id="the first of several, whatever its case"),
        pytest.param(b"x-empty", b"", id="an empty value is one"),
        pytest.param(b"x-none", None, id="missing"),
        pytest.param(b"x-ta", None, id="the beginning of a name is another name"),
    ],
)
def test_a_header_is_found_by_its_name_in_lower_case(name: bytes, value: bytes | None) -> None:
    assert header(HEADERS, name) == value


@pytest.mark.parametrize(
    ("digits", "port"),
    [
        ("8080", 8080),
        ("0", 0),
        ("65535", 65535),
        ("", None),
        ("-1", None),
        ("80 ", None),
        ("8_0", None),
        ("²", None),
        ("٣", None),
        ("123456", None),
        ("9" * 5000, None),
    ],
)
def test_a_port_is_at_most_five_decimal_digits(digits: str, port: int | None) -> None:
    assert port_number(digits) == port


def test_a_request_is_a_plain_https_get_but_for_what_it_is_given() -> None:
    assert Request("GET", "/") == Request(
        method="GET",
        path="/",
        query=b"",
        headers=(),
        body=b"",
        root_path="",
        scheme="https",
        http_version="1.1",
        client=None,
    )


def test_values_are_frozen() -> None:
    for value in (Request("GET", "/"), Response(200)):
        with pytest.raises(AttributeError):
            value.body = b"other"  # type: ignore[misc]  # what the test is about
