"""The events path is closed, whatever a caller writes for it, and nothing else is."""

import asyncio
from typing import Any, cast
from urllib.parse import unquote

import pytest
from fastapi import FastAPI
from litestar import Litestar, get
from starlette.applications import Starlette
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request as StarletteRequest
from starlette.responses import Response as StarletteResponse
from starlette.routing import Mount, Route

from ambidex.asgi.events_path import closed, is_events_path, own_root_path, segments
from ambidex.asgi.scope import http_scope
from ambidex.asgi.types import App, Message, Receive, Scope, Send
from ambidex.http import Request

# Paths as a client writes them, the root path of scope and app, and whether it is the events path.
ATTEMPTS = [
    pytest.param("/events", "", "", True, id="as it is"),
    pytest.param("/events/", "", "", True, id="slash at its end"),
    pytest.param("/events///", "", "", True, id="slashes at its end"),
    pytest.param("//events", "", "", True, id="slashes at its start"),
    pytest.param("/%65vents", "", "", True, id="percent-encoded letter"),
    pytest.param("/%65%76%65%6e%74%73", "", "", True, id="percent-encoded altogether"),
    pytest.param("/%2Fevents", "", "", True, id="percent-encoded slash at its start"),
    pytest.param("/events%2F", "", "", True, id="percent-encoded slash at its end"),
    pytest.param("/events%0A", "", "", True, id="line end, which Starlette's routes ignore"),
    pytest.param("/events/%0A", "", "", True, id="slash and line end"),
    pytest.param("http://host/events", "", "", True, id="absolute form"),
    pytest.param("http://host//events/", "", "", True, id="absolute form with slashes"),
    pytest.param("http:/events", "", "", True, id="scheme and no host, which Quart cuts off"),
    pytest.param("http:events", "", "", True, id="scheme alone"),
    pytest.param("events;", "", "", True, id="no slash, and a parameter, which Quart cuts off"),
    pytest.param("events", "", "", True, id="no slash, which Litestar puts in front"),
    pytest.param("events/", "", "", True, id="slash at its end only"),
    pytest.param("x/prodevents", "/prod", "", True, id="no slash, and a root path further down"),
    pytest.param("/EVENTS", "", "", True, id="capital letters, small ones to BlackSheep"),
    pytest.param("/Prod/%45vents", "/prod", "", True, id="capital letters below a root path"),
    pytest.param("/prod/events", "/prod", "", True, id="below a root path"),
    pytest.param("/prod//events/", "/prod", "", True, id="below a root path with slashes"),
    pytest.param("/events", "/prod", "", True, id="beside a root path"),
    pytest.param(
        "/x/prod/events", "/prod", "", True, id="root path further down, as Litestar cuts"
    ),
    pytest.param(
        "/prodevents", "/prod", "", True, id="no segment's end, as Litestar and Django cut"
    ),
    pytest.param("/api/events", "", "/api", True, id="below the app's own root path"),
    pytest.param("/api/%65vents/", "", "/api", True, id="the same, encoded"),
    pytest.param("/events", "", "/api", True, id="beside the app's own root path"),
    pytest.param("/prod/api/events", "/prod", "/api", True, id="below both"),
    pytest.param("/api/prod/events", "/prod", "/api", True, id="below both, the other way round"),
    pytest.param("/caf%C3%A9/events", "/café", "", True, id="root path that is not ASCII"),
    pytest.param("/v1/events", "/V1", "", True, id="root path in capital letters"),
    pytest.param("/", "", "", False, id="root"),
    pytest.param("", "", "", False, id="empty"),
    pytest.param("*", "", "", False, id="asterisk form"),
    pytest.param("/event", "", "", False, id="shorter"),
    pytest.param("/eventsx", "", "", False, id="longer"),
    pytest.param("/events/1", "", "", False, id="below it"),
    pytest.param("/calendar/events", "", "", False, id="a route of the same last segment"),
    pytest.param("/api/events", "", "", False, id="below what is no root path"),
    pytest.param("/api/events", "/prod", "", False, id="below another root path"),
    pytest.param("event", "", "", False, id="no slash, and shorter"),
    pytest.param("/%2565vents", "", "", False, id="encoded twice, for it is decoded once"),
    pytest.param("/./events", "", "", False, id="dot segment, which no framework resolves"),
    pytest.param("/x/../events", "", "", False, id="two dots"),
    pytest.param("/events;a=1", "", "", False, id="path parameter"),
    pytest.param("/events%00", "", "", False, id="NUL"),
]


@pytest.mark.parametrize(("path", "root_path", "own", "is_closed"), ATTEMPTS)
def test_a_path_is_closed_however_it_is_written(
    path: str, root_path: str, own: str, is_closed: bool
) -> None:
    assert is_events_path(unquote(path), (root_path, own), segments("/events")) == is_closed


@pytest.mark.parametrize(
    ("path", "is_closed"),
    [
        ("/internal/events", True),
        ("/Internal//events/", True),
        ("/events", False),
        ("/internal", False),
        ("/internal/x/events", False),
    ],
)
def test_an_events_path_may_have_several_segments(path: str, is_closed: bool) -> None:
    assert is_events_path(path, (), segments("/internal/events")) == is_closed


def with_root_path(root_path: str) -> FastAPI:
    app = FastAPI()
    app.root_path = root_path  # the argument is deprecated, and does the same
    return app


def fastapi(root_path: str, called: list[str]) -> App:
    app = with_root_path(root_path)

    @app.api_route("/events", methods=["GET", "POST"])
    async def events() -> None:
        called.append("events")

    return app


def starlette(_: str, called: list[str]) -> App:
    async def events(request: StarletteRequest) -> StarletteResponse:
        called.append("events")
        return StarletteResponse()

    return Starlette(routes=[Route("/events", events)])


def litestar(_: str, called: list[str]) -> App:
    @get("/events")
    async def events() -> None:
        called.append("events")

    return cast("App", Litestar([events]))  # its own types of messages are narrower


def mounted(_: str, called: list[str]) -> App:
    return Starlette(routes=[Mount("/", starlette("", called))])


def wrapped(root_path: str, called: list[str]) -> App:
    return TrustedHostMiddleware(fastapi(root_path, called))


async def _ask(app: App, scope: Scope) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent


def ask(app: App, path: str = "/", root_path: str = "", **changes: Any) -> list[Message]:
    scope = http_scope(Request("GET", "/", headers=((b"host", b"x"),)), {})
    return asyncio.run(_ask(app, scope | {"path": path, "root_path": root_path} | changes))


@pytest.mark.parametrize("make", [fastapi, starlette, litestar, mounted, wrapped])
@pytest.mark.parametrize(("path", "root_path", "own", "is_closed"), ATTEMPTS)
def test_no_framework_finds_the_route_by_what_is_not_closed(
    path: str, root_path: str, own: str, is_closed: bool, make: Any
) -> None:
    called: list[str] = []
    app = closed(make(own, called), "/events", "")
    ask(app, unquote(path), root_path)
    assert called == []


@pytest.mark.parametrize(
    ("make", "path"),
    [
        *[(make, path) for make in (fastapi, starlette, mounted, wrapped)
          for path in ("/events", "/events\n")],
        *[(litestar, path) for path in ("/events", "//events/", "events")],
    ],
)  # fmt: skip
def test_each_framework_finds_it_where_it_is_not_closed(make: Any, path: str) -> None:
    called: list[str] = []
    ask(make("/api", called), path)
    assert called == ["events"]


async def unreachable(scope: Scope, receive: Receive, send: Send) -> None:
    raise AssertionError("the app was called")


def test_below_the_base_path_it_is_closed_too() -> None:
    app = closed(unreachable, "/ev%C3%A9nts", "/b%20p")
    assert ask(app, "/b p/evénts")[0]["status"] == 404


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_a_caller_from_outside_is_refused_without_the_app(kind: str) -> None:
    sent = ask(closed(unreachable, "/events", ""), "/events", type=kind)
    if kind == "websocket":
        assert sent == [{"type": "websocket.close", "code": 1000}]
    else:
        assert (sent[0]["status"], sent[1]["body"]) == (404, b"Not Found")


def test_the_404_is_starlettes() -> None:
    ours = ask(closed(starlette("", []), "/events", ""), "/events")
    theirs = ask(starlette("", []), "/nothing")
    assert ours[0]["status"] == theirs[0]["status"]
    assert sorted(ours[0]["headers"]) == sorted(theirs[0]["headers"])
    assert ours[1]["body"] == theirs[1]["body"]


def test_the_lifespan_and_all_else_reach_the_app() -> None:
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    inside = closed(app, "/events", "")
    asyncio.run(_ask(inside, {"type": "lifespan"}))
    ask(inside, "/other")
    ask(inside, "/other", type="websocket")
    assert seen == ["lifespan", "http", "websocket"]


def test_without_an_events_path_the_app_is_as_it_was() -> None:
    app = starlette("", [])
    assert closed(app, "", "/api") is app


class Wrapper:
    def __init__(self, app: object) -> None:
        self.app = app


class Circle:
    @property
    def app(self) -> object:
        return self


@pytest.mark.parametrize(
    ("app", "root_path"),
    [
        pytest.param(with_root_path("/api"), "/api", id="FastAPI"),
        pytest.param(FastAPI(), "", id="FastAPI without"),
        pytest.param(Wrapper(Wrapper(with_root_path("/api"))), "/api", id="middleware"),
        pytest.param(Circle(), "", id="an app that is its own"),
        pytest.param(print, "", id="a function"),
    ],
)
def test_an_apps_own_root_path_is_found(app: object, root_path: str) -> None:
    assert own_root_path(app) == root_path
