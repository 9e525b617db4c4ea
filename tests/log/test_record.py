"""Log records as JSON: one valid line, whatever is in them, and the same one without orjson."""

import json
import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from ambidex.log import context, record_json
from ambidex.log.record import JsonFormatter

LINE = JsonFormatter()


class Colour(Enum):
    RED = "red"


class Size(StrEnum):
    SMALL = "small"


@dataclass
class Order:
    number: int


class Point(NamedTuple):
    x: int


class Textless:
    def __str__(self) -> str:
        raise RuntimeError("on purpose")


@pytest.fixture(params=["orjson", "standard library"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param != "orjson":
        monkeypatch.setattr(record_json, "_fast", None)
    return str(request.param)


@pytest.fixture(autouse=True)
def of_no_request() -> Iterator[None]:
    context.enter("")
    yield
    context.enter("")


def logged(log: Callable[[logging.Logger], None], name: str = "shop") -> dict[str, Any]:
    """The JSON of what is logged, read back by a parser that takes nothing else."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[assignment, method-assign]  # as `emit` is called
    logger = logging.Logger(name)
    logger.addHandler(handler)
    log(logger)
    line = LINE.format(records[0])
    assert "\n" not in line
    assert "\r" not in line
    document: dict[str, Any] = json.loads(line.encode(), parse_constant=pytest.fail)
    return document


def test_a_record_has_these_keys(library: str) -> None:
    context.enter("r-1", "Self=1-1-a;Root=1-67891233-abcdef012345678912345678;Sampled=1", "blue")
    document = logged(lambda logger: logger.info("order %d", 7))
    assert datetime.fromisoformat(document.pop("timestamp")).tzinfo is UTC
    assert document == {
        "level": "INFO",
        "message": "order 7",
        "logger": "shop",
        "requestId": "r-1",
        "traceId": "1-67891233-abcdef012345678912345678",
        "tenantId": "blue",
    }


def test_the_time_is_the_records_own_in_milliseconds() -> None:
    record = logging.makeLogRecord({"created": 1764109330.0379, "msecs": 37.9, "levelno": 20})
    assert json.loads(LINE.format(record))["timestamp"] == "2025-11-25T22:22:10.037Z"


def test_outside_of_a_request_there_is_nothing_of_one() -> None:
    assert set(logged(lambda logger: logger.info("up"))) == {
        "timestamp",
        "level",
        "message",
        "logger",
    }


@pytest.mark.parametrize(
    ("level", "name"),
    [
        (logging.DEBUG, "DEBUG"),
        (logging.INFO, "INFO"),
        (logging.WARNING, "WARNING"),
        (logging.ERROR, "ERROR"),
        (logging.CRITICAL, "CRITICAL"),
        pytest.param(25, "INFO", id="one of the app's own"),
        pytest.param(5, "TRACE", id="below DEBUG"),
        pytest.param(70, "CRITICAL", id="above CRITICAL"),
    ],
)
def test_a_level_has_a_name_that_lambdas_filter_knows(level: int, name: str) -> None:
    assert logged(lambda logger: logger.log(level, "x"))["level"] == name


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param("text", "text", id="text"),
        pytest.param("Grüße 🐍", "Grüße 🐍", id="text beyond ASCII"),
        pytest.param("\ud800 and \udcff", "\\ud800 and \\udcff", id="lone surrogates"),
        pytest.param("a\nb\r\u2028c\x00", "a\nb\r\u2028c\x00", id="line ends"),
        pytest.param(None, None, id="None"),
        pytest.param(True, True, id="a boolean"),
        pytest.param(10**30, 10**30, id="an integer beyond 64 bit"),
        pytest.param(1.5, 1.5, id="a float"),
        pytest.param(math.nan, None, id="NaN"),
        pytest.param([math.inf], [None], id="infinity"),
        pytest.param({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}, id="objects"),
        pytest.param((1, 2), [1, 2], id="a tuple"),
        pytest.param(Point(1), [1], id="a named tuple"),
        pytest.param(b"\xff", "b'\\xff'", id="bytes"),
        pytest.param({7}, "{7}", id="a set"),
        pytest.param(Decimal("1.10"), "1.10", id="a decimal"),
        pytest.param(datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02 00:00:00+00:00", id="a time"),
        pytest.param(UUID(int=1), "00000000-0000-0000-0000-000000000001", id="a UUID"),
        pytest.param(Colour.RED, "red", id="an enumeration"),
        pytest.param(Size.SMALL, "small", id="an enumeration of text"),
        pytest.param(Order(7), "Order(number=7)", id="a dataclass"),
        pytest.param(Textless(), "<Textless that has no text>", id="what has no text"),
    ],
)
def test_whatever_the_app_adds_is_kept(library: str, value: object, shown: object) -> None:
    assert logged(lambda logger: logger.info("x", extra={"value": value}))["value"] == shown


def test_keys_are_text(library: str) -> None:
    value = {1: "a", None: "b", False: "c", Point(1): "d", "\udcff": "e"}
    expected = {"1": "a", "null": "b", "false": "c", "Point(x=1)": "d", "\\udcff": "e"}
    assert logged(lambda logger: logger.info("x", extra={"value": value}))["value"] == expected


def test_what_holds_itself_is_cut(library: str) -> None:
    circle: list[object] = []
    circle.append(circle)
    assert "[[...]]" in str(logged(lambda logger: logger.info("x", extra={"value": circle})))


def test_what_the_app_adds_replaces_nothing() -> None:
    context.enter("r-1")
    added = {"level": "x", "requestId": "x", "logger": "x", "timestamp": "x", "order": 7}
    document = logged(lambda logger: logger.info("message", extra=added))
    assert "x" not in document.values()
    assert document["order"] == 7


def test_a_message_that_is_an_object_stays_one() -> None:
    assert logged(lambda logger: logger.info({"order": 7}))["message"] == {"order": 7}


def test_what_uvicorn_adds_for_terminals_is_left_out() -> None:
    added = {"color_message": "\x1b[1mup\x1b[0m"}
    assert "color_message" not in logged(lambda logger: logger.info("up", extra=added))


def fails() -> None:
    raise KeyError("no\nsuch order")


def test_an_exception_is_in_the_same_line() -> None:
    def log(logger: logging.Logger) -> None:
        try:
            fails()
        except KeyError:
            logger.exception("failed")

    document = logged(log)
    assert document["errorType"] == "KeyError"
    assert document["errorMessage"] == "'no\\nsuch order'"
    assert [line.split(", ")[2].split("\n")[0] for line in document["stackTrace"]] == [
        "in log",
        "in fails",
    ]
    assert document["location"].startswith(__file__)


def chained() -> None:
    try:
        fails()
    except KeyError as error:
        raise RuntimeError("outer") from error


def implicit() -> None:
    try:
        fails()
    except KeyError:
        raise RuntimeError("outer")  # noqa: B904 – that is the test


def grouped() -> None:
    raise ExceptionGroup("outer", [KeyError("no\nsuch order")])


@pytest.mark.parametrize("raises", [chained, implicit, grouped])
def test_nothing_that_is_behind_an_exception_is_lost(raises: Callable[[], None]) -> None:
    def log(logger: logging.Logger) -> None:
        try:
            raises()
        except Exception:
            logger.exception("failed")

    document = logged(log)
    assert "outer" in document["errorMessage"]
    assert "KeyError: 'no\\nsuch order'" in "".join(document["stackTrace"])


@pytest.mark.parametrize(
    "exc_info",
    [
        pytest.param(True, id="none there"),
        pytest.param(KeyError("never raised"), id="never raised"),
        pytest.param(Exception(Textless()), id="without a text"),
    ],
)
def test_an_exception_without_a_trace_or_a_text_is_a_line_too(exc_info: Any) -> None:
    document = logged(lambda logger: logger.error("x", exc_info=exc_info))
    assert document.get("stackTrace", []) == []
