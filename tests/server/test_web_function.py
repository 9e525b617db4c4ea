"""Where Lambda gives an endpoint to listen on, `serve` is an HTTP server there."""

import json
import os
import subprocess

import httpx
import pytest

from ambidex.local.free_port import free_port
from ambidex.server.web_function import at_endpoint
from ambidex.settings import SettingError, from_environ
from tests.server.serving import in_flight, serving

JSON = {"AWS_LAMBDA_LOG_FORMAT": "JSON"}


def endpoint() -> dict[str, str]:
    return {"AWS_LAMBDA_HTTP_ENDPOINT": f"127.0.0.1:{free_port(set())}"}


def curl(url: str, *options: str) -> str:
    command = ("curl", "--silent", "--show-error", "--max-time", "60", *options, url)
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    "others",
    [
        pytest.param({}, id="alone"),
        pytest.param(
            {"AMBIDEX_ECS_HOST": "203.0.113.1", "AMBIDEX_ECS_PORT": "1"}, id="the settings say else"
        ),
        pytest.param({"AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1"}, id="and a Runtime API"),
    ],
)
def test_the_server_listens_at_the_endpoint(others: dict[str, str]) -> None:
    where = endpoint()
    with serving(**where, **others) as served:
        assert served.url == f"http://{where['AWS_LAMBDA_HTTP_ENDPOINT']}"
        assert curl(served.url) == "ok"
        assert served.status_within(30) == 0


def test_requests_have_the_id_that_lambda_has_given_them() -> None:
    with serving(**endpoint(), **JSON) as served:
        curl(served.url, "--header", "Lambda-Web-Request-Id: r-1")
        curl(served.url, "--header", "X-Request-Id: r-2")
        assert served.status_within(30) == 0
        first, second = (
            json.loads(line)["requestId"] for line in served.out if line.startswith("{")
        )
        assert first == "r-1"
        assert second not in ("r-1", "r-2")


def test_elsewhere_that_header_is_a_clients_own() -> None:
    with serving(AMBIDEX_ECS_DRAIN="0", **JSON) as served:
        curl(served.url, "--header", "Lambda-Web-Request-Id: made-up")
        assert served.status_within(30) == 0
        assert "made-up" not in "".join(served.out)


def test_it_is_gone_within_the_second_that_lambda_gives() -> None:
    # Both would take half a minute on ECS.
    slow = {"AMBIDEX_ECS_DRAIN": "10", "AMBIDEX_ECS_STOP_TIMEOUT": "30"}
    settings = at_endpoint(from_environ(slow).ecs, "127.0.0.1:3000")
    assert (settings.drain, settings.stop_timeout) == (0, 1)
    with serving(**endpoint(), **slow) as served:
        request = f"{served.url}/hold?/there-is-no-such-file"
        with in_flight(lambda: httpx.get(request, timeout=None)) as responses:
            served.line("holding")
            assert served.status_within(30) == 0
        assert responses[0].status_code == 500
        assert "INFO: SIGTERM: draining for 0 s" in served.err
        assert "lifespan end" in served.out


@pytest.mark.parametrize(
    "value", ["3000", ":3000", "localhost", "localhost:", "localhost:x", "localhost:65536", "a:²"]
)
def test_what_is_no_endpoint_is_one_sentence(value: str) -> None:
    with pytest.raises(SettingError) as error:
        at_endpoint(from_environ({}).ecs, value)
    assert error.value.message == (
        f"AWS_LAMBDA_HTTP_ENDPOINT = {value!r} must be host:port, such as 0.0.0.0:3000"
    )


def test_so_it_is_at_the_start() -> None:
    with serving(AWS_LAMBDA_HTTP_ENDPOINT="3000") as served:
        assert served.status() == 3
        assert served.err[0].startswith("error: AWS_LAMBDA_HTTP_ENDPOINT = '3000' must be")


def test_an_endpoint_that_is_taken_is_told_by_its_own_name() -> None:
    with serving() as other, serving(AWS_LAMBDA_HTTP_ENDPOINT=f"127.0.0.1:{other.port}") as served:
        assert served.status() == 3
        assert served.err[-2].startswith(f"error: cannot listen on 127.0.0.1:{other.port}: ")
        assert served.err[-1] == "hint: AWS_LAMBDA_HTTP_ENDPOINT names it"


@pytest.mark.parametrize(
    ("value", "host", "port"),
    [("0.0.0.0:3000", "0.0.0.0", 3000), ("[::]:3000", "::", 3000), ("localhost:1", "localhost", 1)],
)
def test_an_endpoint_is_host_and_port(value: str, host: str, port: int) -> None:
    settings = at_endpoint(from_environ({}).ecs, value)
    assert (settings.host, settings.port) == (host, port)


def test_an_empty_endpoint_is_none() -> None:
    with serving(AWS_LAMBDA_HTTP_ENDPOINT="", AMBIDEX_ECS_DRAIN="0") as served:
        assert curl(served.url) == "ok"
        os.kill(served.pid, 15)
        assert served.status() == 0
