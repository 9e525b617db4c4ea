import re

import httpx
import pytest

from tests.server.serving import in_flight, serving

LOOPBACK = {"AMBIDEX_ECS_TRUSTED_PROXIES": "127.0.0.0/8"}


def with_milliseconds(line: str) -> str:
    """The line, its duration replaced by `N`, which no test can know."""
    return re.sub(r" \d+\.\d ms ", " N ms ", line)


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        pytest.param("/", {}, "127.0.0.1 GET / 200 N ms -", id="plain"),
        pytest.param(
            "/origin?i=1&i=%20", {}, "127.0.0.1 GET /origin?i=1&i=%20 200 N ms -", id="query"
        ),
        pytest.param(
            "/%6Frigin", {}, "127.0.0.1 GET /%6Frigin 200 N ms -", id="the path as it came"
        ),
        pytest.param("/fails", {}, "127.0.0.1 GET /fails 500 N ms -", id="an app that raises"),
        pytest.param(
            "/",
            {"X-Amzn-Trace-Id": "Root=1-67891233-abcdef012345678912345678"},
            "127.0.0.1 GET / 200 N ms 1-67891233-abcdef012345678912345678",
            id="trace id",
        ),
        pytest.param(
            "/",
            {"X-Amzn-Trace-Id": "Self=1-1-a;Root=1-2-b;CalledFrom=app"},
            "127.0.0.1 GET / 200 N ms 1-2-b",
            id="trace id with other fields",
        ),
        pytest.param(
            "/", {"X-Amzn-Trace-Id": "junk"}, "127.0.0.1 GET / 200 N ms -", id="no trace id in it"
        ),
        pytest.param(
            "/", {"X-Forwarded-For": "203.0.113.9"}, "203.0.113.9 GET / 200 N ms -", id="forwarded"
        ),
        pytest.param(
            "/health",
            {"User-Agent": "ELB-HealthChecker/2.0"},
            "127.0.0.1 GET /health 200 N ms -",
            id="the health checker's name, elsewhere",
        ),
    ],
)
def test_a_request_is_one_line_on_standard_output(
    path: str, headers: dict[str, str], expected: str
) -> None:
    with serving(**LOOPBACK) as served:
        httpx.get(served.url + path, headers=headers)
        line = served.line(" ms ")
        assert with_milliseconds(line) == f"INFO: {expected}"
        assert line in served.out


def test_health_checks_are_not_logged() -> None:
    with serving(AMBIDEX_ECS_HEALTH_PATH="/health?deep=1") as served:
        checker = {"User-Agent": "ELB-HealthChecker/2.0"}
        assert httpx.get(f"{served.url}/health?deep=1", headers=checker).status_code == 200
        httpx.get(f"{served.url}/")
        assert "GET / 200" in served.line(" ms ")


def test_bytes_that_are_no_text_cannot_break_a_line() -> None:
    with serving() as served:
        httpx.get(f"{served.url}/", headers={b"X-Amzn-Trace-Id": b"Root=1-\x9bred\tx"})
        assert served.line(" ms ").endswith(" ms 1-\\x9bred\tx")


def test_a_response_that_the_client_does_not_wait_for_is_logged_too() -> None:
    with serving(AMBIDEX_ECS_DRAIN="0", AMBIDEX_ECS_STOP_TIMEOUT="3") as served:
        with httpx.stream("GET", f"{served.url}/stream") as response:
            next(response.iter_raw())
        assert served.status_within(30) == 0
        assert "GET /stream 200" in served.line(" ms ")


def test_there_is_one_line_whatever_becomes_of_the_response() -> None:
    with serving(AMBIDEX_ECS_DRAIN="0", AMBIDEX_ECS_STOP_TIMEOUT="3") as served:
        request = f"{served.url}/hold?/there-is-no-such-file"
        with in_flight(lambda: httpx.get(request, timeout=None)) as responses:
            served.line("holding")
            assert served.status_within(30) == 0
        assert responses[0].status_code == 500
        assert [with_milliseconds(line) for line in served.out if " ms " in line] == [
            "INFO: 127.0.0.1 GET /hold?/there-is-no-such-file 500 N ms -"
        ]
