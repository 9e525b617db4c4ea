"""A guest book in Starlette: a session in a signed cookie, and static files."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

startups = 0


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    global startups
    startups += 1
    yield


async def health(request: Request) -> Response:
    return PlainTextResponse("OK")


async def process(request: Request) -> Response:
    return JSONResponse({"pid": os.getpid(), "startups": startups})


async def visit(request: Request) -> Response:
    request.session["visits"] = request.session.get("visits", 0) + 1
    return JSONResponse(
        {"visits": request.session["visits"], "flash": request.session.pop("flash", None)}
    )


async def sign(request: Request) -> Response:
    form = await request.form()
    request.session["flash"] = f"thank you, {form['name']}"
    return RedirectResponse(request.url_for("visit"), 303)


async def logout(request: Request) -> Response:
    request.session.clear()
    return RedirectResponse("/visit", 303)


app = Starlette(
    lifespan=lifespan,
    middleware=[Middleware(SessionMiddleware, secret_key="of this test only")],
    routes=[
        Route("/", health),
        Route("/process", process),
        Route("/visit", visit),
        Route("/sign", sign, methods=["POST"]),
        Route("/logout", logout, methods=["POST"]),
        Mount("/static", StaticFiles(directory=Path(__file__).parent / "static", html=True)),
    ],
)
