import json

import httpx
import pytest

from ambidex.server.config import uvicorn_config
from ambidex.settings import from_environ
from tests.server.probe import app
from tests.server.serving import Served, serving

ALB_IDLE_TIMEOUT_S = 60
LOOPBACK = {"AMBIDEX_ECS_TRUSTED_PROXIES": "127.0.0.0/8"}


def test_idle_connections_are_kept_longer_than_the_load_balancer_keeps_them() -> None:
    config = uvicorn_config(app, from_environ({}).ecs)
    assert ALB_IDLE_TIMEOUT_S + 5 <= config.timeout_keep_alive <= ALB_IDLE_TIMEOUT_S + 15


def test_the_environment_of_uvicorn_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    config = uvicorn_config(app, from_environ({"AMBIDEX_ECS_TRUSTED_PROXIES": ""}).ecs)
    assert (config.workers, config.forwarded_allow_ips) == (1, [])


def test_uvloop_and_httptools_are_used_where_they_are_installed() -> None:
    config = uvicorn_config(app, from_environ({}).ecs)
    config.load()
    loop_factory = config.get_loop_factory()
    assert loop_factory is not None
    assert loop_factory.__module__.startswith("uvloop")
    assert config.http_protocol_class.__name__ == "HttpToolsProtocol"


def origin(served: Served, **headers: str) -> tuple[str, str]:
    answer = httpx.get(f"{served.url}/origin", headers=headers).json()
    return answer["client"].split(",")[0].strip("('"), answer["scheme"]


def forwarded(addresses: str) -> dict[str, str]:
    return {"X-Forwarded-For": addresses, "X-Forwarded-Proto": "https"}


@pytest.mark.parametrize(
    ("variables", "addresses", "expected"),
    [
        pytest.param(LOOPBACK, "203.0.113.9", ("203.0.113.9", "https"), id="trusted"),
        pytest.param(LOOPBACK, "203.0.113.9:41234", ("203.0.113.9", "https"), id="client port"),
        pytest.param(LOOPBACK, "2001:db8::9", ("2001:db8::9", "https"), id="IPv6"),
        pytest.param(
            LOOPBACK, "1.2.3.4, 203.0.113.9", ("203.0.113.9", "https"), id="the client's own entry"
        ),
        pytest.param({}, "203.0.113.9", ("127.0.0.1", "http"), id="untrusted"),
        pytest.param(
            {"AMBIDEX_ECS_TRUSTED_PROXIES": ""}, "203.0.113.9", ("127.0.0.1", "http"), id="none"
        ),
        pytest.param(
            {"FORWARDED_ALLOW_IPS": "*"},
            "203.0.113.9",
            ("127.0.0.1", "http"),
            id="trusted by uvicorn's own variable only",
        ),
    ],
)
def test_only_trusted_proxies_say_who_the_client_is(
    variables: dict[str, str], addresses: str, expected: tuple[str, str]
) -> None:
    with serving(**variables) as served:
        assert origin(served, **forwarded(addresses)) == expected


def test_responses_have_a_date_and_no_server_header() -> None:
    with serving() as served:
        headers = httpx.get(served.url).headers
    assert "date" in headers
    assert "server" not in headers


def test_an_encoded_path_is_decoded_once() -> None:
    with serving() as served:
        answer = httpx.get(f"{served.url}/%6Frigin?a=%20").json()
    assert json.loads(json.dumps(answer))["path"] == "/origin"
    assert (answer["raw_path"], answer["query_string"]) == ("b'/%6Frigin'", "b'a=%20'")
