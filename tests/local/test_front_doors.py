"""The front doors of Lambda: what clients see, and what apps see, at each."""

import asyncio
import json
import re
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.project import Service, both, project, with_lambda_service

APP = """
import json
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("no lifespan")
    path = scope["path"].removeprefix("/prod")
    body = (await receive())["body"]
    if path == "/scope":
        seen = {k: scope[k] for k in ("path", "root_path", "scheme", "method", "client", "server")}
        seen["raw_path"] = scope["raw_path"].decode()
        seen["query"] = scope["query_string"].decode()
        seen["headers"] = [[n.decode("latin-1"), v.decode("latin-1")] for n, v in scope["headers"]]
        await answer(send, body=json.dumps(seen).encode())
    elif path == "/echo":
        await answer(send, body=body, headers=[(b"content-type", b"application/octet-stream")])
    elif path == "/cookies":
        cookies = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2; Path=/")]
        await answer(send, headers=cookies + [(b"x-latin", b"caf\\xe9")])
    elif path == "/bad-header":
        await answer(send, headers=[(b"x", b"a\\r\\nb: c")])
    elif path.startswith("/size/"):
        await answer(send, body=b"x" * int(path[6:]))
    elif path.startswith("/status/"):
        await answer(send, status=int(path[8:]), body=b"x")
    elif path == "/":
        await answer(send)
    else:
        raise RuntimeError("no such path")
"""

DOORS = ("http_api", "alb")


def run(
    folder: Path,
    test: Callable[[Service], Awaitable[None]],
    app: str = APP,
    settings: str = "",
    **options: Any,
) -> None:
    with_lambda_service(folder, test, app, settings, **options)


async def send(method: str, url: str, **arguments: Any) -> httpx.Response:
    async with httpx.AsyncClient(timeout=60) as client:
        return await client.request(method, url, **arguments)


async def raw(url: str, data: bytes) -> bytes:
    """Send bytes, and what comes back until the connection closes."""
    host, _, port = url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(data)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize("door", DOORS)
def test_an_app_sees_the_request_and_what_the_door_adds(tmp_path: Path, door: str) -> None:
    async def test(service: Service) -> None:
        url = getattr(service, door)
        headers = {"X-Forwarded-For": "1.2.3.4", "X-Repeated": "a"}
        seen = (await send("GET", f"{url}/scope?a=1&a=2&b=%20", headers=headers)).json()
        port = int(url.rpartition(":")[2])
        assert seen["path"] == "/scope"
        assert seen["query"] == "a=1&a=2&b=%20"
        assert seen["scheme"] == "http"
        assert seen["client"] == ["127.0.0.1", 0]
        assert seen["server"] == ["127.0.0.1", port]
        fields = dict(seen["headers"])
        assert fields["x-forwarded-for"] == "1.2.3.4, 127.0.0.1"
        assert fields["x-forwarded-proto"] == "http"
        assert fields["x-forwarded-port"] == str(port)
        assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}", fields["x-amzn-trace-id"])
        assert all(name == name.lower() for name in fields)

    run(tmp_path, test)


@pytest.mark.parametrize("door", DOORS)
def test_every_byte_of_a_body_survives_both_ways(tmp_path: Path, door: str) -> None:
    async def test(service: Service) -> None:
        body = bytes(range(256)) * 40
        for headers in ({}, {"content-type": "text/plain"}, {"content-encoding": "gzip"}):
            answer = await send(
                "POST", getattr(service, door) + "/echo", content=body, headers=headers
            )
            assert answer.content == body

    run(tmp_path, test)


@pytest.mark.parametrize("door", DOORS)
def test_a_chunked_request_arrives_whole_with_its_length(tmp_path: Path, door: str) -> None:
    async def test(service: Service) -> None:
        answer = await raw(
            getattr(service, door),
            b"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n"
            b"\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
        )
        assert answer.endswith(b"\r\n\r\nabcde")

    run(tmp_path, test)


@pytest.mark.parametrize("door", DOORS)
def test_cookies_and_latin_1_header_values_reach_the_client(tmp_path: Path, door: str) -> None:
    async def test(service: Service) -> None:
        answer = await send("GET", getattr(service, door) + "/cookies")
        assert answer.headers.get_list("set-cookie") == ["a=1", "b=2; Path=/"]
        assert (b"x-latin", b"caf\xe9") in answer.headers.raw

    run(tmp_path, test)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_has_none(tmp_path: Path, door: str, status: int) -> None:
    async def test(service: Service) -> None:
        answer = await send("GET", f"{getattr(service, door)}/status/{status}")
        assert (answer.status_code, answer.content) == (status, b"")

    run(tmp_path, test)


@pytest.mark.parametrize("door", DOORS)
def test_head_has_no_body(tmp_path: Path, door: str) -> None:
    async def test(service: Service) -> None:
        answer = await send("HEAD", getattr(service, door) + "/size/10")
        assert (answer.status_code, answer.content) == (200, b"")

    run(tmp_path, test)


def test_an_http_api_has_its_request_id_in_each_answer_and_in_the_event(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        answer = await send("GET", service.http_api + "/scope")
        assert re.fullmatch(r"[A-Za-z0-9+/]{15}=", answer.headers["apigw-requestid"])

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("path", "status"),
    [("/prod/scope", 200), ("/scope", 404), ("/production/scope", 404)],
)
def test_a_named_stage_is_in_front_of_every_path(tmp_path: Path, path: str, status: int) -> None:
    async def test(service: Service) -> None:
        answer = await send("GET", service.http_api + path)
        assert answer.status_code == status
        if status == 200:
            assert (answer.json()["path"], answer.json()["root_path"]) == ("/prod/scope", "/prod")
        else:
            assert answer.json() == {"message": "Not Found"}

    run(tmp_path, test, settings='[tool.ambidex.lambda]\nstage = "prod"')


MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("door", "request_bytes", "status"),
    [
        pytest.param("http_api", 4 * MIB, 200, id="HTTP API, what Lambda takes as base64"),
        pytest.param("http_api", 5 * MIB, 413, id="HTTP API, more than Lambda takes as base64"),
        pytest.param("http_api", 10 * MIB + 1, 413, id="HTTP API, more than the door takes"),
        pytest.param("alb", 1 * MIB, 200, id="ALB, what the door takes"),
        pytest.param("alb", 1 * MIB + 1, 413, id="ALB, more than the door takes"),
    ],
)
def test_a_request_larger_than_a_door_takes_is_refused(
    tmp_path: Path, door: str, request_bytes: int, status: int
) -> None:
    app = """
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await answer(send, body=str(len((await receive())["body"])).encode())
    """

    async def test(service: Service) -> None:
        answer = await send("POST", getattr(service, door), content=b"x" * request_bytes)
        assert answer.status_code == status
        if status == 200:
            assert answer.text == str(request_bytes)
        assert (await send("GET", getattr(service, door))).status_code == 200

    run(tmp_path, test, app)


@pytest.mark.parametrize(
    ("door", "response_bytes", "status"),
    [
        pytest.param("http_api", 6 * MIB - 1000, 200, id="HTTP API, what Lambda takes"),
        pytest.param("http_api", 6 * MIB + 200, 500, id="HTTP API, more than Lambda takes"),
        pytest.param("alb", 1 * MIB - 1000, 200, id="ALB, what the door takes"),
        pytest.param("alb", 1 * MIB, 500, id="ALB, more than the door takes"),
    ],
)
def test_a_response_larger_than_lambda_takes_is_a_clear_500(
    tmp_path: Path, door: str, response_bytes: int, status: int
) -> None:
    async def test(service: Service) -> None:
        answer = await send("GET", f"{getattr(service, door)}/size/{response_bytes}")
        assert answer.status_code == status
        if status == 500:
            assert "too large" in answer.text
            assert "serve this route from ECS" in await service.logged(
                "the response makes a result"
            )
        assert (await send("GET", getattr(service, door) + "/scope")).status_code == 200

    run(tmp_path, test)


@pytest.mark.parametrize(
    "result",
    [
        pytest.param('{"statusCode": "many"}', id="a status that is none"),
        pytest.param(
            '{"statusCode": 200, "headers": 7, "multiValueHeaders": 7}', id="headers that are none"
        ),
        pytest.param('{"statusCode": 200, "body": {}}', id="a body that is no string"),
        pytest.param('{"statusCode": 200, "body": "a", "isBase64Encoded": true}', id="no base64"),
        pytest.param("{malformed", id="no JSON"),
        pytest.param(
            '{"statusCode": 200, "headers": {"a": "\\r"}, "multiValueHeaders": {"a": ["\\r"]}}',
            id="a line end in a header",
        ),
    ],
)
@pytest.mark.parametrize(("door", "status"), [("http_api", 500), ("alb", 502)])
def test_a_malformed_result_is_the_doors_own_status(
    tmp_path: Path, door: str, status: int, result: str
) -> None:
    # A runtime of a few lines, for no app of ours can make these.
    (tmp_path / "runtime.py").write_text(
        "import os, urllib.request as u\n"
        "base = f'http://{os.environ[\"AWS_LAMBDA_RUNTIME_API\"]}/2018-06-01/runtime/invocation/'\n"
        "while True:\n"
        "    request_id = u.urlopen(base + 'next').headers['Lambda-Runtime-Aws-Request-Id']\n"
        f"    u.urlopen(u.Request(base + request_id + '/response', data={result.encode()!r}))\n"
    )

    async def test(service: Service) -> None:
        answer = await send("GET", getattr(service, door))
        assert answer.status_code == status
        if door == "http_api":
            assert answer.json() == {"message": "Internal Server Error"}
        else:
            assert "502 Bad Gateway" in answer.text

    run(tmp_path, test, "app = 1", command=("python", "runtime.py"))


def test_a_result_without_a_status_is_the_body_of_a_200_at_an_http_api(tmp_path: Path) -> None:
    app = "def handler(event, context):\n    return {'a': 1}\n"

    async def test(service: Service) -> None:
        answer = await send("GET", service.http_api)
        assert (answer.status_code, answer.json()) == (200, {"a": 1})
        assert answer.headers["content-type"] == "application/json"

    run(tmp_path, test, app, command=("python", "-m", "awslambdaric", "main.handler"))


@pytest.mark.parametrize(("door", "status"), [("http_api", 500), ("alb", 502)])
def test_a_function_that_fails_is_the_doors_own_status(
    tmp_path: Path, door: str, status: int
) -> None:
    async def test(service: Service) -> None:
        assert (await send("GET", getattr(service, door))).status_code == status

    app = "def handler(event, context):\n    raise ValueError('no')\n"
    run(tmp_path, test, app, command=("python", "-m", "awslambdaric", "main.handler"))


@pytest.mark.parametrize(("door", "status"), [("http_api", 500), ("alb", 502)])
def test_a_function_that_never_answers_is_the_doors_own_status_and_is_replaced(
    tmp_path: Path, door: str, status: int
) -> None:
    app = """
    import time
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        if scope["path"] == "/hang":
            time.sleep(600)
        await answer(send)
    """

    async def test(service: Service) -> None:
        url = getattr(service, door)
        assert (await send("GET", f"{url}/hang")).status_code == status
        assert (await send("GET", url)).status_code == 200

    run(tmp_path, test, app, timeout_s=1)


def test_a_load_balancer_answers_a_throttled_function_with_502(tmp_path: Path) -> None:
    app = """
    import asyncio
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await asyncio.sleep(60)
    """

    async def test(service: Service) -> None:
        service.service.invoke(json.dumps(HEALTH_CHECK).encode())
        assert (await send("GET", service.alb)).status_code == 502

    run(tmp_path, test, app, concurrency=1)


HEALTH_CHECK = {
    "requestContext": {"elb": {"targetGroupArn": "arn"}},
    "httpMethod": "GET",
    "path": "/scope",
    "queryStringParameters": {},
    "headers": {"user-agent": "ELB-HealthChecker/2.0"},
    "body": "",
    "isBase64Encoded": False,
}


def test_a_load_balancers_health_check_without_a_host_is_answered(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        outcome = await service.service.invoke(json.dumps(HEALTH_CHECK).encode()).outcome
        result = json.loads(outcome.payload)
        assert result["statusCode"] == 200
        assert json.loads(result["body"])["server"] is None

    run(tmp_path, test)


def test_a_load_balancer_refuses_an_upgrade_to_a_function(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        answer = await send(
            "GET", service.alb, headers={"Upgrade": "websocket", "Connection": "Upgrade"}
        )
        assert answer.status_code == 400

    run(tmp_path, test)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"GET /caf\xe9 HTTP/1.1", id="not ASCII"),
        pytest.param(b"OPTIONS * HTTP/1.1", id="no path"),
        pytest.param(b"NONSENSE", id="no request line"),
    ],
)
def test_a_request_that_is_none_is_a_400(tmp_path: Path, door: str, line: bytes) -> None:
    async def test(service: Service) -> None:
        data = line + b"\r\nHost: h\r\nConnection: close\r\n\r\n"
        assert (await raw(getattr(service, door), data)).startswith(b"HTTP/1.1 400 ")

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        pytest.param(b"GET /%b HTTP/1.1\r\nHost: h" % (b"x" * 10_300), 414, id="request line"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: h\r\nX: %b" % (b"x" * 10_300), 431, id="headers"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: h\r\nX: %b" % (b"x" * 10_000), 200, id="all fits"),
    ],
)
def test_an_http_api_takes_10_240_bytes_of_a_head(tmp_path: Path, head: bytes, status: int) -> None:
    async def main() -> bytes:
        async with both(tmp_path, project(tmp_path, APP)) as running:
            return await raw(running.lambda_url, head + b"\r\nConnection: close\r\n\r\n")

    assert asyncio.run(main()).startswith(b"HTTP/1.1 %d " % status)


def test_a_transfer_encoding_that_nobody_knows_is_a_501(tmp_path: Path) -> None:
    async def main() -> bytes:
        settings = project(tmp_path, APP)
        async with both(tmp_path, settings) as running:
            data = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n"
            return await raw(running.lambda_url, data)

    answer = asyncio.run(main())
    assert answer.startswith(b"HTTP/1.1 501 ")
    assert answer.endswith(b'{"message":"Not Implemented"}')


def test_a_client_that_leaves_does_not_stop_the_function(tmp_path: Path) -> None:
    app = """
    import asyncio
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await asyncio.sleep(0.3)
        print("went on")
        await answer(send)
    """

    async def test(service: Service) -> None:
        host, _, port = service.http_api.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            await service.logged("START")
        await service.logged("went on")
        assert "Status" not in await service.logged("REPORT")

    run(tmp_path, test, app)
