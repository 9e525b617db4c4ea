"""The path that takes Lambda's events is closed on ECS."""

import socket
from collections.abc import Iterator

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.server.serving import Served, serving


@pytest.fixture(name="served", scope="module")
def _served() -> Iterator[Served]:
    with serving(AMBIDEX_LAMBDA_EVENTS_PATH="/state") as served:
        assert httpx.get(served.url).status_code == 200
        yield served


def answer(served: Served, method: str, target: str) -> tuple[int, bytes]:
    """The status and body for a request line that no client would send."""
    with socket.create_connection(("127.0.0.1", served.port)) as connection:
        head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode())
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    head_bytes, _, body = received.partition(b"\r\n\r\n")
    return int(head_bytes.split()[1]), body


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS", "PUT"])
@pytest.mark.parametrize(
    "target",
    [
        "/state",
        "/state/",
        "//state",
        "/%73tate",
        "/STATE",
        "/state%2F",
        "/state%0A",
        "/state?a=1",
        "http://x/state",
        "http://x//state/?a",
    ],
)
def test_a_caller_from_outside_gets_a_404(served: Served, method: str, target: str) -> None:
    body = b"" if method == "HEAD" else b"Not Found"
    assert answer(served, method, target) == (404, body)


def test_below_the_base_path_it_is_closed_too() -> None:
    with serving(AMBIDEX_LAMBDA_EVENTS_PATH="/state", AMBIDEX_LAMBDA_BASE_PATH="/b%20p") as served:
        assert answer(served, "GET", "/b%20p/state") == (404, b"Not Found")
        assert answer(served, "GET", "/other/state") != (404, b"Not Found")


def test_a_websocket_is_refused(served: Served) -> None:
    with (
        pytest.raises(InvalidStatus) as error,
        connect(f"ws://127.0.0.1:{served.port}/state"),
    ):
        pass
    assert error.value.response.status_code == 403


def test_a_404_is_in_the_access_log_and_is_no_error() -> None:
    with serving(AMBIDEX_LAMBDA_EVENTS_PATH="/state") as served:
        httpx.get(f"{served.url}/state")
        served.line("GET /state 404")
        assert not [line for line in served.err if not line.startswith("INFO")]


def test_without_the_setting_it_is_a_path_like_any_other() -> None:
    with serving() as served:
        assert httpx.get(f"{served.url}/state").status_code == 200
