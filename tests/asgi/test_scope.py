"""The scope of a request, and what FastAPI makes of it behind a stage or a base path."""

import asyncio
import json
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi import Request as FastAPIRequest

from ambidex.asgi.exchange import Exchange
from ambidex.asgi.scope import http_scope, server
from ambidex.asgi.types import App
from ambidex.events import alb, http_api
from ambidex.http import Headers, Request, Response, header


def test_the_scope_of_a_request_key_by_key() -> None:
    request = Request(
        method="POST",
        path="/prod/caf%C3%A9/a%2Fb",
        query=b"q=a%20b",
        headers=((b"host", b"api.example.com"), (b"x-tag", b"a"), (b"x-tag", b"b")),
        root_path="/prod",
        scheme="https",
        http_version="2",
        client=("192.0.2.1", 4711),
    )

    assert http_scope(request, {"pool": 1}) == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "2",
        "method": "POST",
        "scheme": "https",
        "path": "/prod/café/a/b",
        "raw_path": b"/prod/caf%C3%A9/a%2Fb",
        "query_string": b"q=a%20b",
        "root_path": "/prod",
        "headers": [(b"host", b"api.example.com"), (b"x-tag", b"a"), (b"x-tag", b"b")],
        "client": ("192.0.2.1", 4711),
        "server": ("api.example.com", 443),
        "state": {"pool": 1},
    }


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        pytest.param("/a%2Fb", "/a/b", id="slash"),
        pytest.param("/a%2525b", "/a%25b", id="encoded twice, decoded once"),
        pytest.param("/a+b%20c", "/a+b c", id="plus is no space"),
        pytest.param("/caf%c3%a9", "/café", id="UTF-8"),
        pytest.param("/a%FFb", "/a\ufffdb", id="not UTF-8"),
        pytest.param("/100%", "/100%", id="percent sign alone"),
        pytest.param("/a%00b", "/a\x00b", id="NUL"),
    ],
)
def test_a_path_is_decoded_once_and_kept_raw(sent: str, path: str) -> None:
    scope = http_scope(Request("GET", sent), {})

    assert (scope["path"], scope["raw_path"]) == (path, sent.encode())


def test_a_root_path_is_decoded_like_the_path() -> None:
    scope = http_scope(Request("GET", "/caf%C3%A9/x", root_path="/caf%C3%A9"), {})

    assert (scope["root_path"], scope["path"]) == ("/café", "/café/x")


@pytest.mark.parametrize(
    ("body", "sent", "seen"),
    [
        pytest.param(b"abc", (), [b"3"], id="left out"),
        pytest.param(b"abc", ((b"content-length", b"3"),), [b"3"], id="there"),
        pytest.param(b"", (), [], id="no body"),
    ],
)
def test_a_body_has_its_length_in_a_header(body: bytes, sent: Headers, seen: list[bytes]) -> None:
    headers = http_scope(Request("POST", "/", headers=sent, body=body), {})["headers"]

    assert [value for name, value in headers if name == b"content-length"] == seen


def test_each_request_gets_a_shallow_copy_of_the_state() -> None:
    state: dict[str, Any] = {"pool": []}
    scope = http_scope(Request("GET", "/"), state)
    scope["state"]["own"] = 1

    assert state == {"pool": []}
    assert scope["state"]["pool"] is state["pool"]


@pytest.mark.parametrize(
    ("host", "forwarded_port", "scheme", "expected"),
    [
        pytest.param(b"example.com", b"", "https", ("example.com", 443), id="https"),
        pytest.param(b"example.com", b"", "http", ("example.com", 80), id="http"),
        pytest.param(b"example.com:8080", b"", "http", ("example.com", 8080), id="port"),
        pytest.param(b"example.com", b"8443", "https", ("example.com", 8443), id="forwarded port"),
        pytest.param(b"example.com:1", b"2", "https", ("example.com", 1), id="both ports"),
        pytest.param(b"192.0.2.1:8080", b"", "http", ("192.0.2.1", 8080), id="IPv4"),
        pytest.param(b"[2001:db8::1]", b"", "https", ("2001:db8::1", 443), id="IPv6"),
        pytest.param(b"[2001:db8::1]:8080", b"", "https", ("2001:db8::1", 8080), id="IPv6, port"),
        pytest.param(b"[::1]", b"8443", "https", ("::1", 8443), id="IPv6, forwarded port"),
        pytest.param(b"example.com:", b"", "https", ("example.com", 443), id="empty port"),
        pytest.param(b"example.com:http", b"", "https", ("example.com", 443), id="port a word"),
        pytest.param(b"example.com:\xb2", b"", "https", ("example.com", 443), id="superscript"),
        pytest.param(
            b"example.com:" + b"9" * 5000, b"", "https", ("example.com", 443), id="absurd port"
        ),
        pytest.param(
            b"example.com", b"9" * 5000, "https", ("example.com", 443), id="absurd forwarded port"
        ),
        pytest.param(b"example.com", b"none", "https", ("example.com", 443), id="no number"),
        pytest.param(b"", b"443", "https", None, id="no host: an ALB's health check"),
        pytest.param(b":8080", b"", "https", None, id="only a port"),
    ],
)
def test_the_server_is_what_the_client_asked_for(
    host: bytes, forwarded_port: bytes, scheme: str, expected: tuple[str, int] | None
) -> None:
    pairs = ((b"host", host), (b"x-forwarded-port", forwarded_port))
    headers = dict(pair for pair in pairs if pair[1])

    assert server(scheme, headers) == expected


API_HOST = b"a1b2c3.execute-api.eu-west-1.amazonaws.com"


class FrontDoor:
    """A client, a front door and the function behind it, with nothing but our codecs between."""

    def __init__(self, app: App, *, stage: str = "", host: bytes = API_HOST, base_path: str = ""):
        self.app = app
        self.stage = stage
        self.host = host
        self.base_path = base_path

    def get(self, path: str, query: bytes = b"") -> Response:
        """The response to a URL's path; the stage is in front of it in the event."""
        request = Request("GET", path, query, ((b"host", self.host),), client=("192.0.2.1", 0))
        return answered(self.app, http_api.to_request(self.event(request), self.base_path))

    def event(self, request: Request) -> dict[str, Any]:
        door = http_api.FrontDoor(
            "id", 0, self.host.decode(), "a1b2c3", "123456789012", self.stage or "$default"
        )
        event: dict[str, Any] = json.loads(json.dumps(http_api.to_event(request, door)))
        return event


def answered(app: App, request: Request) -> Response:
    responses: list[Response] = []
    exchange = Exchange(request.body, request.method == "HEAD", responses.append)
    asyncio.run(exchange.run(app, http_scope(request, {})))
    return responses[0]


@pytest.fixture
def app() -> FastAPI:
    app = FastAPI()

    @app.get("/")
    def root() -> str:
        return "root"

    @app.get("/items/")
    def items(request: FastAPIRequest) -> dict[str, str]:
        return {"url": str(request.url), "item": str(request.url_for("item", name="x"))}

    @app.get("/items/{name:path}")
    def item(name: str) -> str:
        return name

    return app


def test_a_path_is_decoded_once_by_the_http_api_and_never_again(app: FastAPI) -> None:
    assert json.loads(FrontDoor(app).get("/items/a%2525b").body) == "a%25b"


def test_a_path_is_decoded_once_for_a_load_balancer(app: FastAPI) -> None:
    event = alb.to_event(Request("GET", "/items/a%2525b"), alb.MULTI_VALUE)

    assert json.loads(answered(app, alb.to_request(event)).body) == "a%25b"


def test_a_redirect_to_the_path_with_a_slash_keeps_the_stage(app: FastAPI) -> None:
    response = FrontDoor(app, stage="prod").get("/prod/items", b"q=1")

    assert response.status == 307
    assert header(response.headers, b"location") == b"https://%b/prod/items/?q=1" % API_HOST


def test_following_that_redirect_leads_to_the_route(app: FastAPI) -> None:
    door = FrontDoor(app, stage="prod")
    response = door.get("/prod/items/")

    assert response.status == 200
    assert json.loads(response.body) == {
        "url": f"https://{API_HOST.decode()}/prod/items/",
        "item": f"https://{API_HOST.decode()}/prod/items/x",
    }


def test_the_docs_page_behind_a_stage_asks_for_the_schema_behind_it(app: FastAPI) -> None:
    response = FrontDoor(app, stage="prod").get("/prod/docs")

    assert response.status == 200
    assert b"url: '/prod/openapi.json'" in response.body


def test_the_schema_behind_a_stage_names_the_stage_as_the_server(app: FastAPI) -> None:
    response = FrontDoor(app, stage="prod").get("/prod/openapi.json")

    assert response.status == 200
    assert json.loads(response.body)["servers"] == [{"url": "/prod"}]


def test_without_a_stage_the_schema_names_no_server(app: FastAPI) -> None:
    assert "servers" not in json.loads(FrontDoor(app).get("/openapi.json").body)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param("/prod/", 200, id="the stage with a slash is the root"),
        pytest.param("/prod/items/x", 200, id="below the stage"),
        pytest.param("/prod/prod/items/x", 404, id="only one stage is the stage"),
        pytest.param("/prod/itemsx", 404, id="no such route"),
    ],
)
def test_routes_are_below_the_stage(app: FastAPI, path: str, status: int) -> None:
    assert FrontDoor(app, stage="prod").get(path).status == status


def test_the_stage_alone_leads_to_the_root(app: FastAPI) -> None:
    response = FrontDoor(app, stage="prod").get("/prod")

    assert response.status == 307
    assert header(response.headers, b"location") == b"https://%b/prod/" % API_HOST


@pytest.mark.parametrize(
    ("raw_path", "location", "schema"),
    [
        pytest.param("/prod/items", b"https://api.example.com/v1/items/", "/v1", id="stage"),
        pytest.param("/items", b"https://api.example.com/v1/items/", "/v1", id="no stage"),
    ],
)
def test_on_a_custom_domain_urls_have_the_api_mapping_and_no_stage(
    app: FastAPI, raw_path: str, location: bytes, schema: str
) -> None:
    door = FrontDoor(app, stage="prod", host=b"api.example.com", base_path="/v1")

    assert header(door.get(raw_path).headers, b"location") == location
    assert json.loads(door.get("/prod/openapi.json").body)["servers"] == [{"url": schema}]


def test_behind_a_load_balancer_the_base_path_is_cut_off_and_in_the_urls(app: FastAPI) -> None:
    headers: Headers = ((b"host", b"alb.example.com"), (b"x-forwarded-proto", b"https"))
    event = alb.to_event(Request("GET", "/api/items", headers=headers), alb.MULTI_VALUE)
    response = answered(app, alb.to_request(event, "/api"))

    assert header(response.headers, b"location") == b"https://alb.example.com/api/items/"


def test_a_router_whose_prefix_is_the_stages_name_still_works() -> None:
    app = FastAPI()
    router = APIRouter(prefix="/prod")

    @router.get("/x")
    def x() -> str:
        return "x"

    app.include_router(router)

    assert FrontDoor(app, stage="prod").get("/prod/prod/x").status == 200
    assert FrontDoor(app, stage="prod").get("/prod/x").status == 404
