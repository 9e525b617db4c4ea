"""The front doors of Lambda: what clients see, and what apps see, at each."""

import asyncio
import json
import re
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.project import Service, with_lambda_service

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
    elif path == "/length":
        await answer(send, headers=[(b"content-length", b"7")])
    elif path == "/size":
        await answer(send, body=str(len(body)).encode())
    elif path == "/cookies":
        cookies = [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2; Path=/")]
        await answer(send, headers=cookies + [(b"x-latin", b"caf\\xe9")])
    elif path.startswith("/size/"):
        await answer(send, body=b"x" * int(path[6:]))
    elif path.startswith("/status/"):
        await answer(send, status=int(path[8:]), body=b"x")
    elif path == "/":
        await answer(send)
    else:
        raise RuntimeError("no such path")
"""

DOORS = ("http_api", "http_api_v1", "rest_api", "function_url", "alb")

# A REST API decodes nothing that it is not told to.
BINARY = '[tool.ambidex.lambda]\nbinary-media-types = ["*/*"]'

INTERNAL = '{"message":"Internal Server Error"}'
REST_INTERNAL = '{"message": "Internal server error"}'
UNAVAILABLE = '{"message":"Service Unavailable"}'
BAD_GATEWAY = "<h1>502 Bad Gateway</h1>"

# What each front door answers, and a part of its page.
FAILED = {
    "http_api": (500, INTERNAL),
    "http_api_v1": (500, INTERNAL),
    "rest_api": (502, REST_INTERNAL),
    "function_url": (502, "Internal Server Error"),
    "alb": (502, BAD_GATEWAY),
}
THROTTLED = {
    "http_api": (503, UNAVAILABLE),
    "http_api_v1": (503, UNAVAILABLE),
    "rest_api": (500, REST_INTERNAL),
    "function_url": (429, '"message":"Rate Exceeded."'),
    "alb": (502, BAD_GATEWAY),
}
WAITED_LONG_ENOUGH = {
    "http_api": (503, UNAVAILABLE),
    "http_api_v1": (503, UNAVAILABLE),
    "rest_api": (504, '{"message": "Endpoint request timed out"}'),
}
NO_REQUEST = {
    "http_api": '{"message":"Bad Request"}',
    "http_api_v1": '{"message":"Bad Request"}',
    "rest_api": '{"message":"Bad Request"}',
    "function_url": '{"Message":"Bad Request"}',
    "alb": "<h1>400 Bad Request</h1>",
}


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
    reader, writer = await asyncio.open_connection(*address(url))
    writer.write(data)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


@pytest.mark.parametrize("door", DOORS)
def test_an_app_sees_the_request_and_what_the_door_adds(tmp_path: Path, door: str) -> None:
    async def test(service: Service) -> None:
        url = getattr(service, door)
        headers = {"X-Forwarded-For": "1.2.3.4", "X-Repeated": "a"}
        seen = (await send("GET", f"{url}/scope?a=1&a=2&b=%20", headers=headers)).json()
        root_path = urlsplit(url).path
        port = address(url)[1]
        assert root_path == ("/prod" if door == "rest_api" else "")
        assert (seen["path"], seen["root_path"]) == (f"{root_path}/scope", root_path)
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

    run(tmp_path, test, settings=BINARY)


@pytest.mark.parametrize("door", DOORS)
def test_a_chunked_request_arrives_whole_with_its_length(tmp_path: Path, door: str) -> None:
    async def test(service: Service) -> None:
        url = getattr(service, door)
        answer = await raw(
            url,
            b"POST %b/echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
            b"Connection: close\r\n\r\n"
            b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n" % urlsplit(url).path.encode(),
        )
        assert answer.endswith(b"\r\n\r\nabcde")

    run(tmp_path, test)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "framed",
    [
        pytest.param(b"Content-Length: 5\r\n\r\nabcde", id="with its length"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n", id="chunked"),
    ],
)
def test_the_length_of_a_body_reaches_the_app_once(
    tmp_path: Path, door: str, framed: bytes
) -> None:
    async def test(service: Service) -> None:
        url = getattr(service, door)
        line = f"POST {urlsplit(url).path}/scope HTTP/1.1\r\n".encode()
        answer = await raw(url, line + b"Host: h\r\nConnection: close\r\n" + framed)
        headers = json.loads(answer.partition(b"\r\n\r\n")[2])["headers"]
        lengths = [value for name, value in headers if name == "content-length"]
        assert lengths == ["5"]

    run(tmp_path, test)


@pytest.mark.parametrize("door", ["http_api", "function_url", "alb"])
@pytest.mark.parametrize(
    ("target", "raw_path", "query"),
    [
        pytest.param(b"http://h/scope?a=1", "/scope", "a=1", id="with a host"),
        pytest.param(b"/scope?a=1#b?c", "/scope", "a=1", id="with a fragment"),
        pytest.param(b"/scope#b?c", "/scope", "", id="with a fragment behind the path"),
    ],
)
def test_of_a_target_only_path_and_query_reach_the_app(
    tmp_path: Path, door: str, target: bytes, raw_path: str, query: str
) -> None:
    async def test(service: Service) -> None:
        head = b"GET %b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n" % target
        answer = await raw(getattr(service, door), head)
        seen = json.loads(answer.partition(b"\r\n\r\n")[2])
        assert (seen["raw_path"], seen["query"]) == (raw_path, query)

    run(tmp_path, test)


@pytest.mark.parametrize("door", DOORS)
def test_a_target_that_is_a_host_only_is_the_root(tmp_path: Path, door: str) -> None:
    async def test(service: Service) -> None:
        head = b"GET http://h HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        answer = await raw(getattr(service, door), head)
        # Behind a stage there is nothing at the root.
        assert answer.startswith(b"HTTP/1.1 %d " % (403 if door == "rest_api" else 200))

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


@pytest.mark.parametrize(
    ("door", "name"),
    [
        ("http_api", "content-length"),
        ("http_api_v1", "content-length"),
        ("rest_api", "x-amzn-remapped-content-length"),
        ("function_url", "x-amzn-remapped-content-length"),
        ("alb", "content-length"),
    ],
)
def test_the_length_that_a_head_would_have_reaches_the_client_by_the_doors_name(
    tmp_path: Path, door: str, name: str
) -> None:
    async def test(service: Service) -> None:
        answer = await send("HEAD", getattr(service, door) + "/length")
        lengths = {name: value for name, value in answer.headers.items() if "length" in name}
        assert lengths == {name: "7"}

    run(tmp_path, test)


# The ids in the answers

API_ID = r"[A-Za-z0-9+/]{15}="
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
TRACE = r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}"


@pytest.mark.parametrize(
    ("door", "present", "only_with_a_result"),
    [
        ("http_api", {"apigw-requestid": API_ID}, {}),
        ("http_api_v1", {"apigw-requestid": API_ID}, {}),
        (
            "rest_api",
            {"x-amzn-requestid": UUID, "x-amz-apigw-id": API_ID},
            {"x-amzn-trace-id": TRACE},
        ),
        ("function_url", {"x-amzn-requestid": UUID}, {"x-amzn-trace-id": TRACE}),
        ("alb", {}, {}),
    ],
)
def test_each_answer_has_the_ids_that_its_door_gives(
    tmp_path: Path, door: str, present: dict[str, str], only_with_a_result: dict[str, str]
) -> None:
    async def test(service: Service) -> None:
        url = getattr(service, door)
        result = await send("GET", url)
        own = await send("POST", url, content=b"x" * (11 * MIB))
        assert (result.status_code, own.status_code) == (200, 413)
        for name, pattern in present.items():
            assert re.fullmatch(pattern, result.headers[name])
            assert re.fullmatch(pattern, own.headers[name])
        for name, pattern in only_with_a_result.items():
            assert re.fullmatch(pattern, result.headers[name])
            assert name not in own.headers
        others = {"apigw-requestid", "x-amzn-requestid", "x-amz-apigw-id", "x-amzn-trace-id"}
        assert not (others - present.keys() - only_with_a_result.keys()) & result.headers.keys()

    run(tmp_path, test)


def test_the_request_id_of_a_function_url_is_that_of_the_invocation(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        answer = await send("GET", service.function_url)
        request_id = answer.headers["x-amzn-requestid"]
        assert request_id in await service.logged("START")

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("command", "redirects"),
    [
        pytest.param([], False, id="ambidex reads rawPath"),
        pytest.param(["python", "-m", "awslambdaric", "main.handler"], True,
                     id="Mangum reads requestContext.http.path, and redirects for ever"),
    ],
)  # fmt: skip
def test_a_slash_at_the_end_of_a_function_urls_path_is_where_aws_has_it(
    tmp_path: Path, command: list[str], redirects: bool
) -> None:
    app = """
    from fastapi import FastAPI
    from mangum import Mangum
    app = FastAPI()
    @app.get("/items/")
    async def items() -> str:
        return "items"
    handler = Mangum(app, lifespan="off")
    """

    async def test(service: Service) -> None:
        url = f"{service.function_url}/items/"
        answer = await send("GET", url)
        assert answer.status_code == (307 if redirects else 200)
        if redirects:
            assert answer.headers["location"] == url

    run(tmp_path, test, app, f"[tool.ambidex.lambda]\ncommand = {command}")


# Where the API is reached: stages, and custom domains


@pytest.mark.parametrize(
    ("door", "status", "body"),
    [
        ("http_api", 404, '{"message":"Not Found"}'),
        ("http_api_v1", 404, '{"message":"Not Found"}'),
        ("rest_api", 403, '{"message":"Forbidden"}'),
    ],
)
def test_a_named_stage_is_in_front_of_every_path(
    tmp_path: Path, door: str, status: int, body: str
) -> None:
    async def test(service: Service) -> None:
        url = getattr(service, door)
        assert url.endswith("/prod")
        seen = (await send("GET", f"{url}/scope")).json()
        assert (seen["path"], seen["root_path"]) == ("/prod/scope", "/prod")
        host = url.removesuffix("/prod")
        for path in ("/scope", "/production/scope", "/"):
            refused = await send("GET", host + path)
            assert (refused.status_code, refused.text) == (status, body)

    run(tmp_path, test, settings='[tool.ambidex.lambda]\nstage = "prod"')


DOMAIN_APP = """
import json
async def app(scope, receive, send):
    assert scope["type"] == "http"
    event = scope["aws.event"]
    seen = {"path": scope["path"], "root_path": scope["root_path"]}
    seen["in_event"] = event.get("rawPath") or event["path"]
    seen["in_context"] = event["requestContext"].get("path")
    seen["domain"] = event["requestContext"]["domainName"]
    seen["stage"] = event["requestContext"]["stage"]
    await answer(send, body=json.dumps(seen).encode())
"""


@pytest.mark.parametrize(
    ("door", "stage", "path_in_event", "path_in_context"),
    [
        pytest.param("http_api", "$default", "/items/1", None, id="HTTP API: no mapping"),
        pytest.param("http_api", "dev", "/dev/items/1", None, id="HTTP API: the stage"),
        pytest.param(
            "http_api_v1", "dev", "/shop/v1/items/1", "/shop/v1/items/1", id="payload 1.0"
        ),
        pytest.param("rest_api", "dev", "/shop/v1/items/1", "/shop/v1/items/1", id="REST API"),
    ],
)
def test_on_a_custom_domain_the_mapping_is_in_the_url_and_the_event_is_awss(
    tmp_path: Path, door: str, stage: str, path_in_event: str, path_in_context: str | None
) -> None:
    async def test(service: Service) -> None:
        url = getattr(service, door)
        assert urlsplit(url).path == "/shop/v1"
        seen = (await send("GET", f"{url}/items/1")).json()
        assert seen == {
            "path": "/shop/v1/items/1",
            "root_path": "/shop/v1",
            "in_event": path_in_event,
            "in_context": path_in_context,
            "domain": "api.example.com",
            "stage": stage,
        }

    settings = f"""
        [tool.ambidex.lambda]
        domain = "api.example.com"
        base-path = "/shop/v1"
        stage = "{stage}"
    """
    run(tmp_path, test, DOMAIN_APP, settings)


@pytest.mark.parametrize("door", ["http_api", "http_api_v1", "rest_api"])
@pytest.mark.parametrize("path", ["/", "/shopping", "/dev/shop", "/items"])
def test_on_a_custom_domain_a_path_below_no_mapping_is_forbidden(
    tmp_path: Path, door: str, path: str
) -> None:
    async def test(service: Service) -> None:
        refused = await send("GET", getattr(service, door).removesuffix("/shop") + path)
        assert (refused.status_code, refused.text) == (403, '{"message":"Forbidden"}')

    settings = """
        [tool.ambidex.lambda]
        domain = "api.example.com"
        base-path = "/shop"
        stage = "dev"
    """
    run(tmp_path, test, DOMAIN_APP, settings)


@pytest.mark.parametrize("door", ["http_api", "http_api_v1", "rest_api"])
@pytest.mark.parametrize("mapping", ["", "/shop"])
def test_on_a_custom_domain_redirects_and_docs_lead_below_the_mapping(
    tmp_path: Path, door: str, mapping: str
) -> None:
    app = """
    from fastapi import FastAPI
    app = FastAPI()
    @app.get("/items/")
    async def items() -> str:
        return "items"
    """

    async def test(service: Service) -> None:
        url = getattr(service, door)
        redirected = await send("GET", f"{url}/items", follow_redirects=True)
        assert (redirected.status_code, redirected.json()) == (200, "items")
        assert str(redirected.url) == f"{url}/items/"
        assert f"'{mapping}/openapi.json'" in (await send("GET", f"{url}/docs")).text
        schema = (await send("GET", f"{url}/openapi.json")).json()
        assert schema.get("servers", [{"url": ""}]) == [{"url": mapping}]

    settings = f"""
        [tool.ambidex.lambda]
        domain = "api.example.com"
        base-path = "{mapping}"
        stage = "dev"
    """
    run(tmp_path, test, app, settings)


# Binary bodies at a REST API

NOT_UTF_8 = b"\x89PNG\xff"
AS_BASE64 = b"iVBOR/8="


@pytest.mark.parametrize(
    ("types", "accept", "received"),
    [
        pytest.param([], "image/png", AS_BASE64, id="none is declared: base64 reaches the client"),
        pytest.param(["image/png"], "image/png", NOT_UTF_8, id="declared and asked for"),
        pytest.param(["image/*"], "image/png;q=0.9", NOT_UTF_8, id="a group, with a parameter"),
        pytest.param(["image/png"], "*/*", AS_BASE64, id="a client that takes anything: base64"),
        pytest.param(["image/png"], "text/html,image/png", AS_BASE64, id="only the first counts"),
        pytest.param(["text/html"], "text/html,image/png", NOT_UTF_8, id="and may be another"),
        pytest.param(["*/*"], "text/html", NOT_UTF_8, id="everything is declared"),
        pytest.param(["application/octet-stream"], "", AS_BASE64, id="the response's type counts"
                     " for nothing"),
    ],
)  # fmt: skip
def test_a_rest_api_decodes_a_response_by_the_first_type_that_the_client_accepts(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    types: list[str],
    accept: str,
    received: bytes,
) -> None:
    app = f"""
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await answer(send, body={NOT_UTF_8!r},
                     headers=[(b"content-type", b"application/octet-stream")])
    """

    async def test(service: Service) -> None:
        answer = await send("GET", service.rest_api, headers={"accept": accept})
        assert answer.content == received
        assert answer.headers["content-type"] == "application/octet-stream"
        told = "GET /prod: the client gets base64, for binary-media-types has nothing for the first"
        assert (told in caplog.text) == (received == AS_BASE64)

    run(tmp_path, test, app, f"[tool.ambidex.lambda]\nbinary-media-types = {types}")


@pytest.mark.parametrize(
    ("types", "content_type", "arrives"),
    [
        pytest.param([], "image/png", "�PNG�".encode(), id="none is declared: bytes are lost"),
        pytest.param(["image/*"], "image/png", NOT_UTF_8, id="declared"),
        pytest.param(["image/*"], "application/pdf", "�PNG�".encode(), id="another is"),
    ],
)
def test_a_rest_api_passes_on_a_body_by_its_content_type(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    types: list[str],
    content_type: str,
    arrives: bytes,
) -> None:
    app = """
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await answer(send, body=(await receive())["body"].hex().encode())
    """

    async def test(service: Service) -> None:
        headers = {"content-type": content_type}
        answer = await send("POST", service.rest_api, content=NOT_UTF_8, headers=headers)
        assert bytes.fromhex(answer.text) == arrives
        told = "POST /prod: bytes of the request are lost, for binary-media-types has nothing for"
        assert (told in caplog.text) == (arrives != NOT_UTF_8)

    run(tmp_path, test, app, f"[tool.ambidex.lambda]\nbinary-media-types = {types}")


# Headers that a front door renames, drops or adds

HEADERS_APP = """
import json
async def app(scope, receive, send):
    assert scope["type"] == "http"
    names = ["Authorization", "Connection", "Content-MD5", "Date", "Server", "User-Agent",
             "WWW-Authenticate", "Expect", "Host", "Proxy-Authenticate", "TE", "Trailer", "Via",
             "X-Own"]
    seen = [name.decode() for name, _ in scope["headers"]]
    await answer(send, body=json.dumps(seen).encode(),
                 headers=[(name.encode(), b"app") for name in names])
"""
RENAMED = {
    "http_api": set[str](),
    "http_api_v1": set[str](),
    "rest_api": {
        "authorization", "connection", "content-md5", "date", "server", "user-agent",
        "www-authenticate",
    },
    "function_url": {"date", "www-authenticate"},
    "alb": set[str](),
}  # fmt: skip


@pytest.mark.parametrize("door", DOORS)
def test_headers_of_a_response_are_renamed_as_the_door_does(tmp_path: Path, door: str) -> None:
    async def test(service: Service) -> None:
        answer = await send("GET", getattr(service, door))
        renamed = {
            name.removeprefix("x-amzn-remapped-")
            for name in answer.headers
            if name.startswith("x-amzn-remapped-")
        }
        assert renamed == RENAMED[door]
        assert answer.headers["x-own"] == "app"
        assert not {"te", "trailer", "proxy-authenticate"} & answer.headers.keys()
        if door == "rest_api":
            assert answer.headers["content-type"] == "application/json"
            assert not {"expect", "host", "via"} & answer.headers.keys()
            assert answer.headers["x-amzn-remapped-server"] == "app"
            assert answer.headers["date"] != "app"

    run(tmp_path, test, HEADERS_APP)


@pytest.mark.parametrize("door", ["rest_api", "function_url"])
def test_a_length_that_the_function_names_is_renamed_and_the_true_one_sent(
    tmp_path: Path, door: str
) -> None:
    app = """
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await answer(send, body=b"12345", headers=[(b"content-length", b"5")])
    """

    async def test(service: Service) -> None:
        answer = await send("GET", getattr(service, door))
        assert answer.headers["content-length"] == "5"
        assert answer.headers["x-amzn-remapped-content-length"] == "5"

    run(tmp_path, test, app)


def test_headers_of_a_request_that_a_rest_api_drops_do_not_arrive(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        dropped = ("Content-MD5", "Max-Forwards", "Server", "WWW-Authenticate", "TE", "Connection")
        headers = dict.fromkeys((*dropped, "X-Own"), "x")
        seen = (await send("GET", service.rest_api, headers=headers)).json()
        assert "x-own" in seen
        assert not {name.lower() for name in dropped} & set(seen)

    run(tmp_path, test, HEADERS_APP)


# Limits

MIB = 1024 * 1024
REST_TOO_LONG = "HTTP content length exceeded 10485760 bytes."
URL_TOO_LARGE = (
    '{"Message":"Request must be smaller than 6291456 bytes for the InvokeFunction operation"}'
)


@pytest.mark.parametrize(
    ("door", "request_bytes", "status", "body"),
    [
        pytest.param("http_api", 4 * MIB, 200, "", id="HTTP API, what Lambda takes as base64"),
        pytest.param("http_api", 5 * MIB, 413, '{"message":"Request Entity Too Large"}',
                     id="HTTP API, more than Lambda takes as base64"),
        pytest.param("http_api", 10 * MIB + 1, 413, '{"message":"Request Entity Too Large"}',
                     id="HTTP API, more than the door takes"),
        pytest.param("http_api_v1", 4 * MIB, 200, "", id="payload 1.0, what Lambda takes"),
        pytest.param("http_api_v1", 5 * MIB, 413, '{"message":"Request Entity Too Large"}',
                     id="payload 1.0, more than Lambda takes as base64"),
        pytest.param("rest_api", 5 * MIB, 200, "", id="REST API, what Lambda takes as text"),
        pytest.param("rest_api", 6 * MIB, 413, '{"message":"Request Too Long"}',
                     id="REST API, more than Lambda takes as text"),
        pytest.param("rest_api", 10 * MIB + 1, 413, REST_TOO_LONG,
                     id="REST API, more than the door takes"),
        pytest.param("function_url", 4 * MIB, 200, "", id="Function URL, what Lambda takes"),
        pytest.param("function_url", 5 * MIB, 413, URL_TOO_LARGE,
                     id="Function URL, more than Lambda takes as base64"),
        pytest.param("function_url", 6 * MIB + 1, 413, URL_TOO_LARGE,
                     id="Function URL, more than the door takes"),
        pytest.param("alb", 1 * MIB, 200, "", id="ALB, what the door takes"),
        pytest.param("alb", 1 * MIB + 1, 413, "<h1>413 ", id="ALB, more than the door takes"),
    ],
)  # fmt: skip
def test_a_request_larger_than_a_door_takes_is_refused(
    tmp_path: Path, door: str, request_bytes: int, status: int, body: str
) -> None:
    async def test(service: Service) -> None:
        url = getattr(service, door)
        answer = await send("POST", f"{url}/size", content=b"x" * request_bytes)
        assert answer.status_code == status
        assert (str(request_bytes) if status == 200 else body) in answer.text
        assert (await send("GET", url)).status_code == 200

    run(tmp_path, test)


def test_text_of_a_request_counts_as_it_is(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        content = "д" * (2 * MIB)  # in JSON's ASCII form it would be three times as long
        headers = {"content-type": "text/plain; charset=utf-8"}
        answer = await send(
            "POST", f"{service.http_api}/size", content=content.encode(), headers=headers
        )
        assert answer.text == str(4 * MIB)

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("door", "fits", "too_large"),
    [
        *((door, 6 * MIB - 1000, 6 * MIB + 200) for door in DOORS if door != "alb"),
        ("alb", 1 * MIB - 1000, 1 * MIB),
    ],
)
def test_a_response_larger_than_lambda_takes_is_a_clear_500(
    tmp_path: Path, door: str, fits: int, too_large: int
) -> None:
    async def test(service: Service) -> None:
        url = getattr(service, door)
        answer = await send("GET", f"{url}/size/{fits}")
        assert (answer.status_code, len(answer.content)) == (200, fits)
        refused = await send("GET", f"{url}/size/{too_large}")
        assert refused.status_code == 500
        assert "too large" in refused.text
        assert "serve this route from ECS" in await service.logged("the response makes a result")
        assert (await send("GET", f"{url}/scope")).status_code == 200

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("door", "body_bytes", "is_taken"),
    [
        *((door, 7_000_000, False) for door in DOORS),
        pytest.param("alb", 1_040_000, True, id="ALB, what the door takes"),
        pytest.param("alb", 1_050_000, False, id="ALB, more than the door takes"),
    ],
)
def test_a_result_of_another_runtime_that_is_too_large_is_the_doors_own_status(
    tmp_path: Path, door: str, body_bytes: int, is_taken: bool
) -> None:
    app = f"""
    def handler(event, context):
        return {{"statusCode": 200, "body": "x" * {body_bytes}}}
    """

    async def test(service: Service) -> None:
        answer = await send("GET", getattr(service, door))
        status, page = (200, "x") if is_taken else FAILED[door]
        assert (answer.status_code, page in answer.text) == (status, True)

    run(tmp_path, test, app, command=("python", "-m", "awslambdaric", "main.handler"))


LINE, HEADER = b"GET %b/%b HTTP/1.1\r\nHost: h", b"\r\nX%d: %b"


def head(path: str, line_bytes: int, *header_bytes: int) -> bytes:
    """A request whose line has a padding, and so have some headers."""
    lines = [LINE % (path.encode(), b"?" + b"x" * line_bytes)]
    lines += [HEADER % (number, b"x" * length) for number, length in enumerate(header_bytes)]
    return b"".join(lines) + b"\r\nConnection: close\r\n\r\n"


# With the rest of such a line and of such headers 10,240 bytes each.
REST_LINE_BYTES = 10_240 - len("GET /prod/? HTTP/1.1")
REST_HEADER_BYTES = 10_240 - len("Host: h\r\nX0: \r\nConnection: close\r\n")


@pytest.mark.parametrize(
    ("door", "line_bytes", "header_bytes", "status", "body"),
    [
        pytest.param("http_api", 0, [10_000], 200, b"", id="HTTP API, all fits"),
        pytest.param("http_api", 5_000, [5_000], 200, b"", id="HTTP API, together"),
        pytest.param("http_api", 10_300, [], 414, b'{"message":"Request URI Too Long"}',
                     id="HTTP API, request line"),
        pytest.param("http_api", 0, [10_300], 431,
                     b'{"message":"Request Header Fields Too Large"}', id="HTTP API, headers"),
        pytest.param("http_api_v1", 6_000, [6_000], 431,
                     b'{"message":"Request Header Fields Too Large"}', id="payload 1.0, together"),
        pytest.param("rest_api", REST_LINE_BYTES, [REST_HEADER_BYTES], 200, b"",
                     id="REST API, each just fits"),
        pytest.param("rest_api", REST_LINE_BYTES + 1, [], 414,
                     b'{"message":"Request URI too long"}', id="REST API, one byte of a line"),
        pytest.param("rest_api", 0, [REST_HEADER_BYTES + 1], 431,
                     b"HTTP header is larger than 10240 bytes.", id="REST API, one of a header"),
        pytest.param("rest_api", 10_300, [], 414, b'{"message":"Request URI too long"}',
                     id="REST API, request line"),
        pytest.param("rest_api", 0, [5_200, 5_200], 431,
                     b"HTTP header is larger than 10240 bytes.", id="REST API, headers"),
        pytest.param("function_url", 400_000, [500_000], 200, b"", id="Function URL, all fits"),
        pytest.param("function_url", 0, [600_000, 500_000], 431,
                     b'{"Message":"Request Header Fields Too Large"}', id="Function URL, headers"),
        pytest.param("alb", 16_000, [16_000, 16_000], 200, b"", id="ALB, each line fits"),
        pytest.param("alb", 16_400, [], 400, b"<h1>400 Bad Request</h1>", id="ALB, request line"),
        pytest.param("alb", 0, [16_400], 400, b"<h1>400 Bad Request</h1>", id="ALB, one header"),
        pytest.param("alb", 0, [16_000] * 5, 400, b"<h1>400 Bad Request</h1>", id="ALB, headers"),
    ],
)  # fmt: skip
def test_a_head_that_is_larger_than_a_door_takes_is_refused(
    tmp_path: Path, door: str, line_bytes: int, header_bytes: list[int], status: int, body: bytes
) -> None:
    async def test(service: Service) -> None:
        url = getattr(service, door)
        answer = await raw(url, head(urlsplit(url).path, line_bytes, *header_bytes))
        assert answer.startswith(b"HTTP/1.1 %d " % status)
        assert body in answer

    run(tmp_path, test)


# What goes wrong behind the door

RESULTS = {
    "a status that is none": '{"statusCode": "many"}',
    "headers that are none": '{"statusCode": 200, "headers": 7, "multiValueHeaders": 7}',
    "a body that is no string": '{"statusCode": 200, "body": {}}',
    "no base64": '{"statusCode": 200, "body": "a", "isBase64Encoded": true}',
    "no JSON": "{malformed",
    "a line end in a header": '{"statusCode": 200, "headers": {"a": "\\r"}, '
    '"multiValueHeaders": {"a": ["\\r"]}}',
}


@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
@pytest.mark.parametrize("door", DOORS)
def test_a_malformed_result_is_the_doors_own_status(tmp_path: Path, door: str, result: str) -> None:
    async def test(service: Service) -> None:
        answer = await send("GET", getattr(service, door))
        assert (answer.status_code, FAILED[door][1] in answer.text) == (FAILED[door][0], True)

    run(tmp_path, test, "app = 1", BINARY, command=runtime(tmp_path, result))


@pytest.mark.parametrize(
    ("door", "status", "body"),
    [
        ("http_api", 200, '{"a":1}'),
        ("function_url", 200, '{"a":1}'),
        ("http_api_v1", *FAILED["http_api_v1"]),
        ("rest_api", *FAILED["rest_api"]),
        ("alb", *FAILED["alb"]),
    ],
)
def test_a_result_without_a_status_is_the_body_of_a_200_with_payload_2_0(
    tmp_path: Path, door: str, status: int, body: str
) -> None:
    async def test(service: Service) -> None:
        answer = await send("GET", getattr(service, door))
        assert (answer.status_code, body in answer.text) == (status, True)
        if status == 200:
            assert answer.headers["content-type"] == "application/json"

    run(tmp_path, test, "app = 1", command=runtime(tmp_path, '{"a": 1}'))


def runtime(folder: Path, result: str) -> tuple[str, ...]:
    """A runtime of a few lines, for no app of ours can make such results."""
    (folder / "runtime.py").write_text(
        "import os, urllib.request as u\n"
        "base = f'http://{os.environ[\"AWS_LAMBDA_RUNTIME_API\"]}/2018-06-01/runtime/invocation/'\n"
        "while True:\n"
        "    request_id = u.urlopen(base + 'next').headers['Lambda-Runtime-Aws-Request-Id']\n"
        f"    u.urlopen(u.Request(base + request_id + '/response', data={result.encode()!r}))\n"
    )
    return ("python", "runtime.py")


@pytest.mark.parametrize("door", DOORS)
def test_a_function_that_fails_is_the_doors_own_status(tmp_path: Path, door: str) -> None:
    async def test(service: Service) -> None:
        answer = await send("GET", getattr(service, door))
        assert (answer.status_code, FAILED[door][1] in answer.text) == (FAILED[door][0], True)
        if door == "rest_api":
            assert answer.headers["x-amzn-errortype"] == "InternalServerErrorException"

    app = "def handler(event, context):\n    raise ValueError('no')\n"
    run(tmp_path, test, app, command=("python", "-m", "awslambdaric", "main.handler"))


@pytest.mark.parametrize("door", DOORS)
def test_a_function_that_never_answers_is_the_doors_own_status_and_is_replaced(
    tmp_path: Path, door: str
) -> None:
    app = """
    import time
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        if scope["path"].endswith("/hang"):
            time.sleep(600)
        await answer(send)
    """

    async def test(service: Service) -> None:
        url = getattr(service, door)
        answer = await send("GET", f"{url}/hang")
        assert (answer.status_code, FAILED[door][1] in answer.text) == (FAILED[door][0], True)
        assert (await send("GET", url)).status_code == 200

    settings = "[tool.ambidex.lambda]\ndeadline-margin = 0"
    run(tmp_path, test, app, settings, timeout_s=1)


@pytest.mark.parametrize("door", WAITED_LONG_ENOUGH)
def test_an_api_that_has_waited_long_enough_gives_up_and_the_function_goes_on(
    tmp_path: Path, door: str
) -> None:
    app = """
    import asyncio
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await asyncio.sleep(1)
        print("went on")
        await answer(send)
    """

    async def test(service: Service) -> None:
        answer = await send("GET", getattr(service, door))
        assert (answer.status_code, answer.text) == WAITED_LONG_ENOUGH[door]
        await service.logged("went on")
        assert "Status" not in await service.logged("REPORT")

    run(tmp_path, test, app, front_door_s=0.3)


@pytest.mark.parametrize("door", DOORS)
def test_a_throttled_function_is_the_doors_own_status(tmp_path: Path, door: str) -> None:
    app = """
    import asyncio
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await asyncio.sleep(60)
    """

    async def test(service: Service) -> None:
        service.service.invoke(json.dumps(HEALTH_CHECK).encode())
        answer = await send("GET", getattr(service, door))
        status, body = THROTTLED[door]
        assert (answer.status_code, body in answer.text) == (status, True)

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


@pytest.mark.parametrize(
    ("method", "addresses", "status"),
    [
        pytest.param("TRACE", 1, 405, id="TRACE"),
        pytest.param("GET", 30, 200, id="30 addresses"),
        pytest.param("GET", 31, 463, id="31 addresses"),
    ],
)
def test_a_load_balancer_refuses_for_a_function_what_it_refuses_for_a_task(
    tmp_path: Path, method: str, addresses: int, status: int
) -> None:
    async def test(service: Service) -> None:
        forwarded_for = ", ".join(["192.0.2.1"] * addresses)
        answer = await send(method, service.alb, headers={"X-Forwarded-For": forwarded_for})
        assert answer.status_code == status

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
def test_a_request_that_is_none_is_a_400_in_the_doors_own_form_and_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, door: str, line: bytes
) -> None:
    caplog.set_level("INFO", "ambidex.local")

    async def test(service: Service) -> None:
        data = line + b"\r\nHost: h\r\nConnection: close\r\n\r\n"
        answer = await raw(getattr(service, door), data)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert NO_REQUEST[door].encode() in answer

    run(tmp_path, test)
    assert any(message.startswith("400") for message in caplog.messages)


@pytest.mark.parametrize(
    ("door", "body"),
    [
        ("http_api", b'{"message":"Not Implemented"}'),
        ("rest_api", b'{"message":"Not Implemented"}'),
        ("function_url", b'{"Message":"Not Implemented"}'),
        ("alb", b"<h1>501 Not Implemented</h1>"),
    ],
)
def test_a_transfer_encoding_that_nobody_knows_is_a_501(
    tmp_path: Path, door: str, body: bytes
) -> None:
    async def test(service: Service) -> None:
        data = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n"
        answer = await raw(getattr(service, door), data)
        assert answer.startswith(b"HTTP/1.1 501 ")
        assert body in answer

    run(tmp_path, test)


@pytest.mark.parametrize("door", DOORS)
def test_a_client_that_leaves_does_not_stop_the_function(tmp_path: Path, door: str) -> None:
    app = """
    import asyncio
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await asyncio.sleep(0.3)
        print("went on")
        await answer(send)
    """

    async def test(service: Service) -> None:
        url = getattr(service, door)
        with socket.create_connection(address(url)) as client:
            client.sendall(b"GET %b/ HTTP/1.1\r\nHost: h\r\n\r\n" % urlsplit(url).path.encode())
            await service.logged("START")
        await service.logged("went on")
        assert "Status" not in await service.logged("REPORT")

    run(tmp_path, test, app)
