import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from ambidex.server.stop import NEXT, Stage, for_requests_s
from tests.server.serving import Served, in_flight, serving

LONG_DRAIN = {"AMBIDEX_ECS_DRAIN": "100", "AMBIDEX_ECS_STOP_TIMEOUT": "120"}
NO_DRAIN = {"AMBIDEX_ECS_DRAIN": "0", "AMBIDEX_ECS_STOP_TIMEOUT": "120"}
STOP_TIMEOUT_S = 4
SHORT_STOP = {"AMBIDEX_ECS_DRAIN": "0", "AMBIDEX_ECS_STOP_TIMEOUT": str(STOP_TIMEOUT_S)}


def lifespan_of(served: Served) -> list[str]:
    return [line for line in served.out if line.startswith("lifespan")]


def until_cut(chunks: Iterator[bytes]) -> Iterator[bytes]:
    with suppress(httpx.RemoteProtocolError):
        yield from chunks


WHOLE_LIFESPAN = ["lifespan startup", "lifespan shutdown", "lifespan end"]


def test_a_task_that_is_told_to_stop_does_so_when_the_drain_is_over() -> None:
    with serving(AMBIDEX_ECS_DRAIN="1") as served:
        assert httpx.get(served.url).status_code == 200
        served.signal(signal.SIGTERM)
        assert served.status() == 0
        assert lifespan_of(served) == WHOLE_LIFESPAN


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_drain(second: signal.Signals) -> None:
    with serving(**LONG_DRAIN) as served:
        assert served.port
        served.signal(signal.SIGTERM)
        served.line("SIGTERM: draining for 100 s")
        served.signal(second)
        assert served.status() == 0
        assert f"INFO: {second.name}: stopping" in served.err
        assert lifespan_of(served) == WHOLE_LIFESPAN


def test_sigint_stops_without_a_drain() -> None:
    with serving(**LONG_DRAIN) as served:
        assert served.port
        served.signal(signal.SIGINT)
        assert served.status() == 0
        assert not any("draining" in line for line in served.err)
        assert lifespan_of(served) == WHOLE_LIFESPAN


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
def test_a_request_under_way_finishes(first: signal.Signals, tmp_path: Path) -> None:
    release = tmp_path / "release"
    with serving(**NO_DRAIN) as served:
        request = f"{served.url}/hold?{release}"
        with in_flight(lambda: httpx.get(request, timeout=None)) as responses:
            served.line("holding")
            served.signal(first)
            served.line("Waiting for connections to close")
            release.touch()
        assert served.status() == 0
        assert lifespan_of(served) == WHOLE_LIFESPAN
    assert responses[0].text == "held"
    assert responses[0].headers["connection"] == "close"


def test_sigint_in_the_stop_drops_what_is_under_way_but_not_the_apps_shutdown() -> None:
    with serving(**NO_DRAIN) as served:
        request = f"{served.url}/hold?/there-is-no-such-file"

        def dropped() -> httpx.Response:
            try:
                return httpx.get(request, timeout=None)
            except httpx.RemoteProtocolError:
                return httpx.Response(502)

        with in_flight(dropped) as responses:
            served.line("holding")
            served.signal(signal.SIGTERM)
            served.line("Waiting for connections to close")
            served.signal(signal.SIGINT)
            assert served.status() == 0
        assert responses[0].status_code in {500, 502}
        assert lifespan_of(served) == WHOLE_LIFESPAN


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_apps_shutdown_does_not_end_it(
    second: signal.Signals, tmp_path: Path
) -> None:
    release = tmp_path / "release"
    with serving(**NO_DRAIN, PROBE_SHUTDOWN_WAITS_FOR=str(release)) as served:
        assert served.port
        served.signal(signal.SIGTERM)
        served.line("lifespan shutdown")
        served.signal(second)
        release.touch()
        assert served.status() == 0
        assert lifespan_of(served) == WHOLE_LIFESPAN


def test_an_endless_stream_does_not_outlast_the_stop_timeout() -> None:
    with serving(**SHORT_STOP) as served:
        with httpx.stream("GET", f"{served.url}/stream", timeout=None) as response:
            chunks = response.iter_raw()
            assert next(chunks) == b"data: tick\n\n"
            reader = Thread(target=lambda: list(until_cut(chunks)))
            reader.start()
            assert served.status_within(STOP_TIMEOUT_S) == 0
            reader.join()
        assert lifespan_of(served) == WHOLE_LIFESPAN


def test_a_websocket_is_closed_with_service_restart() -> None:
    with serving(**NO_DRAIN) as served:
        with connect(f"ws://127.0.0.1:{served.port}/") as websocket:
            websocket.recv()
            served.signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as closed:
                websocket.recv()
        assert served.status() == 0
        assert "websocket websocket.disconnect 1012" in served.out
        assert lifespan_of(served) == WHOLE_LIFESPAN
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012


def test_a_thread_that_never_ends_does_not_outlast_the_stop_timeout() -> None:
    with serving(**SHORT_STOP) as served:

        def cut_off() -> httpx.Response:
            return httpx.get(f"{served.url}/thread", timeout=None)

        with in_flight(cut_off) as responses:
            served.line("holding")
            assert served.status_within(STOP_TIMEOUT_S) == 0
        assert responses[0].status_code == 500
        assert lifespan_of(served) == WHOLE_LIFESPAN
        assert any("leaving before SIGKILL" in line for line in served.err)


def test_a_shutdown_that_never_ends_does_not_outlast_the_stop_timeout() -> None:
    with serving(**SHORT_STOP, PROBE_SHUTDOWN_WAITS_FOR="/there-is-no-such-file") as served:
        assert served.port
        assert served.status_within(STOP_TIMEOUT_S) == 0
        assert lifespan_of(served) == ["lifespan startup", "lifespan shutdown"]


@pytest.mark.parametrize(
    ("left_s", "requests_s"),
    [
        pytest.param(20.0, 15.0, id="defaults: 30 s, of which 10 are the drain"),
        pytest.param(110.0, 105.0, id="the most that Fargate gives"),
        pytest.param(10.0, 5.0, id="as much for the shutdown"),
        pytest.param(1.0, 0.5, id="a second"),
        pytest.param(0.0, 0.0, id="nothing"),
        pytest.param(-1.0, 0.0, id="less than nothing"),
    ],
)
def test_requests_leave_time_for_the_apps_shutdown(left_s: float, requests_s: float) -> None:
    assert for_requests_s(left_s) == requests_s


def test_the_stages_are_those_that_the_module_lists() -> None:
    import ambidex.server.stop as module

    assert module.__doc__ is not None
    rows = [line.split("|")[1:-1] for line in module.__doc__.splitlines() if line.startswith("|")]
    listed = {row[0].strip(): [cell.strip() for cell in row[2:4]] for row in rows[2:]}
    for stage in Stage:
        moves = [NEXT.get((stage, number)) for number in (signal.SIGTERM, signal.SIGINT)]
        assert listed[stage.value] == [move.value if move else "–" for move in moves]
