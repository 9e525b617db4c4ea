"""Events are the same Python values with orjson and without."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ambidex.events import event_json
from ambidex.events.event_json import MalformedJsonError

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**40), 10**40)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(VALUES)
def test_any_event_is_what_the_standard_library_makes_of_it(value: object) -> None:
    document = json.dumps(value).encode()
    assert repr(event_json.loads(document)) == repr(json.loads(document))


@pytest.mark.parametrize(
    "document",
    [
        pytest.param("123456789012345678901234567890", id="more than 64 bit"),
        pytest.param("18446744073709551615", id="unsigned 64 bit"),
        pytest.param("-9223372036854775809", id="below signed 64 bit"),
        pytest.param("0.1234567890123456789012", id="a long fraction"),
        pytest.param('"\\ud800"', id="a lone surrogate"),
        pytest.param("[NaN, Infinity, -Infinity]", id="what JSON does not have"),
        pytest.param('{"a": 1, "a": 2}', id="a key twice"),
        pytest.param("1e400", id="beyond floats"),
        pytest.param("[" * 500 + "]" * 500, id="nested deeply"),
    ],
)
def test_oddities_are_what_the_standard_library_makes_of_them(document: str) -> None:
    data = document.encode()
    assert repr(event_json.loads(data)) == repr(json.loads(data))


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{", id="cut off"),
        pytest.param(b"\xff", id="not UTF-8"),
        pytest.param(b"[" * 100_000, id="nested beyond the stack"),
        pytest.param(b"1" * 5000, id="more digits than Python takes"),
    ],
)
def test_what_is_no_json_is_one_error(document: bytes) -> None:
    with pytest.raises(MalformedJsonError, match=r"^not JSON: "):
        event_json.loads(document)


@given(VALUES.filter(lambda value: "inf" not in json.dumps(value).lower()))
def test_results_can_be_read_back(value: object) -> None:
    try:
        document = event_json.dumps(value)
    except TypeError:  # an integer that no result of ours has
        return
    assert json.loads(document) == value


@given(VALUES)
def test_what_the_standard_library_writes_is_json_but_for_infinity(value: object) -> None:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        is_finite = False
    else:
        is_finite = True
    assert event_json.is_json(json.dumps(value).encode()) == is_finite


@pytest.mark.parametrize(
    ("document", "is_json"),
    [
        pytest.param(b'"\\ud800"', True, id="a lone surrogate"),
        pytest.param(b"1" * 5000, True, id="more digits than Python takes"),
        pytest.param(b" [1] \n", True, id="spaces around it"),
        pytest.param(b"", False, id="nothing"),
        pytest.param(b"{", False, id="cut off"),
        pytest.param(b"[NaN]", False, id="NaN"),
        pytest.param(b"-Infinity", False, id="infinity"),
        pytest.param(b'"\xff"', False, id="not UTF-8"),
        pytest.param("[1]".encode("utf-16"), False, id="UTF-16"),
        pytest.param(b"\xef\xbb\xbf[1]", False, id="a byte order mark"),
        pytest.param(b"[" * 100_000, False, id="nested beyond the stack"),
    ],
)
def test_a_result_is_json_as_lambda_takes_it(document: bytes, is_json: bool) -> None:
    assert event_json.is_json(document) == is_json


LONG = "12345678901234567890"
LARGE = "x" * 20_000


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(f'{{"a": {LONG}, "body":"{LARGE}"}}', id="before the body"),
        pytest.param(f'{{"body":"{LARGE}","a":{LONG}}}', id="after it"),
        pytest.param(f'{{"body":"{LARGE}\\"","a":{LONG}}}', id="after one that ends with a quote"),
        pytest.param(f'{{"body":"\\"{LARGE}","a":{LONG}}}', id="after one that begins with one"),
        pytest.param(f'{{"body":"{LARGE}{LONG}"}}', id="within it"),
        pytest.param(f'{{"body": {LONG}, "b":"{LARGE}"}}', id="in its place"),
        pytest.param(f'{{"x":"\\"body\\":\\"","y":"{LARGE}","a":{LONG}}}', id="a body in a string"),
        pytest.param(f'{{"b\\"body":"{LARGE}","a":{LONG}}}', id="another key"),
        pytest.param(f'{{"n":{{"body":"{LARGE}"}},"body":"","a":{LONG}}}', id="two bodies"),
        pytest.param(f'{{"y":"{LARGE}","a":{LONG}}}', id="none"),
        pytest.param(f'{{"y":"{LARGE}","a":{LONG},"body":""}}', id="an empty one"),
    ],
)
def test_long_integers_are_exact_in_large_events_too(document: str) -> None:
    data = document.encode()

    assert repr(event_json.loads(data)) == repr(json.loads(data))


@given(
    st.dictionaries(
        st.sampled_from(["a", "body", '"body', "b"]),
        st.integers(-(10**21), 10**21) | st.text(alphabet='"\\a1:', max_size=30),
    )
)
def test_any_large_event_is_what_the_standard_library_makes_of_it(value: dict[str, object]) -> None:
    for document in (value | {"x": LARGE}, {"body": LARGE} | value, {"x": LARGE} | value):
        data = json.dumps(document, separators=(",", ":")).encode()

        assert repr(event_json.loads(data)) == repr(json.loads(data))
