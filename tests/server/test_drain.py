import signal
import sys
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest

from tests.server.serving import Served, in_flight, running, serving

HEALTH_CHECKER = {"User-Agent": "ELB-HealthChecker/2.0"}


@pytest.fixture(name="draining", scope="module")
def _draining() -> Iterator[Served]:
    with serving(AMBIDEX_ECS_DRAIN="100", AMBIDEX_ECS_STOP_TIMEOUT="120") as served:
        assert httpx.get(served.url, headers=HEALTH_CHECKER).status_code == 200
        served.signal(signal.SIGTERM)
        served.line("SIGTERM: draining for 100 s")
        yield served


@pytest.mark.parametrize(
    ("path", "agent", "status"),
    [
        pytest.param("/", "ELB-HealthChecker/2.0", 503, id="health check"),
        pytest.param("/?x=1", "ELB-HealthChecker/2.0", 503, id="health check with a query"),
        pytest.param("/", "curl/8.0", 200, id="somebody else on the health path"),
        pytest.param("/", "Not ELB-HealthChecker/2.0", 200, id="somebody with a similar name"),
        pytest.param("/work", "ELB-HealthChecker/2.0", 200, id="health checker elsewhere"),
        pytest.param("/work", "curl/8.0", 200, id="request"),
    ],
)
def test_only_the_load_balancers_health_check_fails(
    draining: Served, path: str, agent: str, status: int
) -> None:
    response = httpx.get(draining.url + path, headers={"User-Agent": agent})
    assert response.status_code == status


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/", id="plain"),
        pytest.param("/kept", id="an app with a connection header of its own"),
        pytest.param("/fails", id="an app that raises"),
    ],
)
def test_every_response_closes_its_connection(draining: Served, path: str) -> None:
    response = httpx.get(draining.url + path)
    assert [value for key, value in response.headers.multi_items() if key == "connection"] == [
        "close"
    ]


def test_connections_that_were_open_before_are_served_and_closed() -> None:
    with serving(AMBIDEX_ECS_DRAIN="100", AMBIDEX_ECS_STOP_TIMEOUT="120") as served:
        connection = HTTPConnection("127.0.0.1", served.port)
        connection.request("GET", "/")
        before = connection.getresponse()
        before.read()
        served.signal(signal.SIGTERM)
        served.line("SIGTERM: draining")
        connection.request("GET", "/")
        after = connection.getresponse()
        after.read()
        connection.close()
    assert (before.status, before.getheader("connection")) == (200, None)
    assert (after.status, after.getheader("connection")) == (200, "close")


def test_the_response_to_a_request_from_before_closes_its_connection(tmp_path: Path) -> None:
    with serving(AMBIDEX_ECS_DRAIN="100", AMBIDEX_ECS_STOP_TIMEOUT="120") as served:
        release = tmp_path / "release"
        request = f"{served.url}/hold?{release}"
        with in_flight(lambda: httpx.get(request, timeout=None)) as responses:
            served.line("holding")
            served.signal(signal.SIGTERM)
            served.line("SIGTERM: draining")
            release.touch()
    assert responses[0].text == "held"
    assert responses[0].headers["connection"] == "close"


WITHOUT_EXTRAS = """
import os, sys
for name in ("httptools", "uvloop"):
    sys.modules[name] = None  # an import raises ModuleNotFoundError, as when it is not installed
from ambidex.server.main import serve
sys.exit(serve("probe:app", os.environ))
"""


def test_it_is_the_same_without_httptools_and_uvloop() -> None:
    command = (sys.executable, "-c", WITHOUT_EXTRAS)
    with running(command, AMBIDEX_ECS_DRAIN="100", AMBIDEX_ECS_STOP_TIMEOUT="120") as served:
        before = httpx.get(served.url)
        served.signal(signal.SIGTERM)
        served.line("SIGTERM: draining")
        after = httpx.get(served.url)
        health = httpx.get(served.url, headers=HEALTH_CHECKER)
        served.signal(signal.SIGTERM)
        assert served.status() == 0
    assert (before.status_code, before.headers.get("connection")) == (200, None)
    assert (after.status_code, after.headers.get("connection")) == (200, "close")
    assert health.status_code == 503
