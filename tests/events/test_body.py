"""Bodies in JSON, the large ones above all: they take another way, and are the same."""

import json
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ambidex.events import base64
from ambidex.events.body import encode_result
from ambidex.events.event_json import dumps
from ambidex.events.large_text import LargeText

MIB = 1 << 20


@given(st.binary(min_size=1), st.integers(0, 3))
def test_large_bytes_are_the_same_base64_as_the_standard_librarys(part: bytes, more: int) -> None:
    data = (part * (64 * 1024))[: 64 * 1024 + more]
    text = b2a_base64(data, newline=False).decode()
    assert base64.encode(data) == text
    assert base64.decode(text) == data


@pytest.mark.parametrize(
    "end",
    [
        pytest.param("", id="whole"),
        pytest.param("QQ==", id="padded"),
        pytest.param("QR==", id="bits that count for nothing"),
        pytest.param("QQ==\n", id="a line break"),
        pytest.param("QUJD\r\nQUJD", id="line breaks within"),
        pytest.param("QQ==QQ==", id="padding within"),
        pytest.param("QQ", id="no padding"),
        pytest.param("Q", id="one character too many"),
        pytest.param("QQ=", id="padding cut off"),
        pytest.param("=", id="padding and nothing before it"),
        pytest.param("-_-_", id="the alphabet of URLs"),
        pytest.param("QQ==é", id="not ASCII"),
    ],
)
def test_large_base64_is_read_as_the_standard_library_reads_it(end: str) -> None:
    text = "QUJD" * (16 * 1024) + end

    def read(decode: Callable[[str], bytes]) -> bytes | str:
        try:
            return decode(text)
        except ValueError as error:
            return f"{type(error)}: {error}"

    assert read(base64.decode) == read(a2b_base64)


@pytest.mark.parametrize(
    ("part", "keeps_utf8"),
    [
        pytest.param("plain ASCII ", False, id="ASCII"),
        pytest.param('"quoted" in ASCII\n', False, id="ASCII with escapes"),
        pytest.param("Grüße ", True, id="latin"),
        pytest.param('Ein Satz mit "Anführung" \\ und Zeilenende\r\n\t', True, id="escapes"),
        pytest.param("日本語 and ASCII", True, id="two bytes a character"),
        pytest.param("🎈", True, id="four bytes a character"),
        pytest.param("\x7f\u2028\ud7ff\uffff", True, id="what JSON need not escape"),
        pytest.param("ü\x00" * 3 + "x" * 90, False, id="zero"),
        pytest.param("ü\x1f" + "x" * 30, False, id="another control character"),
        pytest.param("ü\b\f" + "x" * 30, False, id="rare ones with a short escape"),
    ],
)
def test_large_text_is_the_same_json_whichever_way_it_is_made(part: str, keeps_utf8: bool) -> None:
    expected = part * (MIB // len(part))
    text, is_base64 = encode_result(expected.encode())
    assert not is_base64
    assert isinstance(text, LargeText) is keeps_utf8
    assert text == expected
    assert json.loads(dumps({"body": text})) == {"body": expected}
    assert json.dumps(text) == json.dumps(expected)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_large_text_comes_back_from_its_json(part: str) -> None:
    body = part.encode() * (64 * 1024 // len(part.encode()) + 1)
    text, is_base64 = encode_result(body)
    read = json.loads(dumps({"body": text}))["body"]
    assert (a2b_base64(read) if is_base64 else read.encode()) == body


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.sampled_from([1, 4096]))
def test_a_body_is_text_if_its_json_is_no_longer_than_base64(
    plain: int, short: int, control: int, times: int
) -> None:
    body = (b"x" * plain + b"\n" * short + b"\x01" * control) * times
    text, is_base64 = encode_result(body)
    as_text = len(json.dumps(body.decode(), ensure_ascii=False)) - 2
    as_base64 = len(b2a_base64(body, newline=False))
    assert is_base64 is (as_text > as_base64)
    assert len(json.dumps(text)) - 2 == min(as_text, as_base64)
