"""The route of a request, by the frameworks themselves: its template, or nothing."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI
from litestar import Litestar
from litestar import Router as LitestarRouter
from litestar import get as litestar_get
from litestar.params import PathParameter
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from ambidex.asgi.types import App, Message, Receive, Scope, Send
from ambidex.log.route import route


def fastapi() -> FastAPI:
    items = APIRouter(prefix="/items")

    @items.get("/{item}")
    async def one(item: str) -> str:
        return item

    below = FastAPI()
    below.include_router(items)
    app = FastAPI()
    app.include_router(items, prefix="/v1")
    app.mount("/below", below)
    app.mount("/of/{tenant}", below)

    @app.get("/files/{path:path}")
    async def file(path: str) -> str:
        return path

    return app


async def found(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("found")


def starlette() -> Starlette:
    routes = [Route("/items/{item:int}", found)]
    below = Mount("/below", routes=[*routes, Mount("/again", routes=routes)])
    return Starlette(routes=[*routes, below, Mount("/of/{tenant}", routes=routes)])


def copied() -> App:
    app = starlette()

    async def copies(scope: Scope, receive: Receive, send: Send) -> None:
        await app(dict(scope), receive, send)

    return copies


def litestar() -> Any:
    @litestar_get("/items/{item:int}", sync_to_thread=False)
    def one(item: Annotated[int, PathParameter()]) -> str:
        return str(item)

    return Litestar([LitestarRouter("/v1", route_handlers=[one])])


async def plain(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def route_of(app: App, path: str, root_path: str) -> str:
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": root_path + path,
        "raw_path": (root_path + path).encode(),
        "query_string": b"",
        "root_path": root_path,
        "headers": [(b"host", b"localhost")],
        "client": None,
        "server": ("localhost", 80),
        "state": {},
    }
    seen: list[str] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            seen.append(route(scope))

    asyncio.run(app(scope, receive, send))  # type: ignore[arg-type]  # a coroutine
    return seen[0]


@pytest.mark.parametrize("root_path", ["", "/stage"])
@pytest.mark.parametrize(
    ("make", "path", "template"),
    [
        pytest.param(fastapi, "/v1/items/7", "/v1/items/{item}", id="fastapi, included"),
        pytest.param(fastapi, "/files/a/b", "/files/{path}", id="fastapi, a parameter named path"),
        pytest.param(fastapi, "/below/items/7", "/below/items/{item}", id="fastapi, mounted"),
        pytest.param(fastapi, "/of/me/items/7", "", id="fastapi, mounted at a parameter"),
        pytest.param(fastapi, "/none", "", id="fastapi, none"),
        pytest.param(fastapi, "/below/none", "", id="fastapi, none below"),
        pytest.param(starlette, "/items/7", "/items/{item}", id="starlette"),
        pytest.param(starlette, "/below/items/7", "/below/items/{item}", id="starlette, mounted"),
        pytest.param(
            starlette,
            "/below/again/items/7",
            "/below/again/items/{item}",
            id="starlette, mounted twice",
        ),
        pytest.param(starlette, "/below/none", "/below/{path}", id="starlette, none below"),
        pytest.param(starlette, "/of/me/items/7", "", id="starlette, mounted at a parameter"),
        pytest.param(starlette, "/of/me/none", "", id="starlette, none below a parameter"),
        pytest.param(starlette, "/none", "", id="starlette, none"),
        pytest.param(litestar, "/v1/items/7", "/v1/items/{item}", id="litestar"),
        pytest.param(litestar, "/none", "", id="litestar, none"),
        pytest.param(copied, "/items/7", "", id="behind a copy of the scope"),
        pytest.param(lambda: plain, "/items/7", "", id="without a framework"),
    ],
)
def test_the_route_is_the_template_and_never_the_path(
    make: Callable[[], App], path: str, template: str, root_path: str
) -> None:
    assert route_of(make(), path, root_path) == template
