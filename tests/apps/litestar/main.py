"""A library in Litestar: msgspec and DTOs, sessions, its OpenAPI pages, its own exception page."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any

from litestar import Litestar, MediaType, Request, Response, get, post
from litestar.datastructures import UploadFile
from litestar.dto import DataclassDTO, DTOConfig
from litestar.enums import RequestEncodingType
from litestar.middleware.session.client_side import CookieBackendConfig
from litestar.openapi import OpenAPIConfig
from litestar.params import Body, Parameter
from litestar.response import Redirect
from msgspec import Meta, Struct

startups = 0


@asynccontextmanager
async def lifespan(app: Litestar) -> AsyncIterator[None]:
    global startups
    startups += 1
    yield


class Loan(Struct):
    book: Annotated[str, Meta(min_length=2)]
    days: Annotated[int, Meta(gt=0, le=28)]
    until: date | None = None


@dataclass
class Reader:
    name: str
    password: str


class PublicReader(DataclassDTO[Reader]):
    config = DTOConfig(exclude={"password"})


class OverdueError(Exception):
    pass


def overdue(request: Request[Any, Any, Any], error: OverdueError) -> Response[str]:
    return Response(f"<h1>{error}</h1>", status_code=402, media_type=MediaType.HTML)


@get("/")
async def health() -> str:
    return "OK"


@get("/process")
async def process() -> dict[str, int]:
    return {"pid": os.getpid(), "startups": startups}


@post("/loans")
async def lend(data: Loan) -> Loan:
    return data


@post("/readers", return_dto=PublicReader)
async def register(data: Reader) -> Reader:
    return data


@get("/books/{number:int}")
async def book(
    number: int, lang: Annotated[list[str] | None, Parameter()] = None
) -> dict[str, Any]:
    if number == 13:
        raise OverdueError("pay first")
    if number == 14:
        raise ValueError("the shelf is empty")
    return {"book": number, "lang": lang}


@post("/scans")
async def scan(
    data: Annotated[UploadFile, Body(media_type=RequestEncodingType.MULTI_PART)],
) -> dict[str, Any]:
    content = await data.read()
    return {"name": data.filename, "sum": sum(content), "bytes": len(content)}


@post("/bag")
async def put_into_bag(request: Request[Any, Any, Any]) -> Redirect:
    bag = request.session.get("bag", [])
    request.set_session({"bag": [*bag, (await request.form())["book"]]})
    return Redirect(request.url_for("bag"), status_code=303)


@get("/bag", name="bag")
async def bag(request: Request[Any, Any, Any]) -> list[str]:
    found: list[str] = request.session.get("bag", [])
    return found


@get("/where")
async def where(request: Request[Any, Any, Any]) -> dict[str, str]:
    return {
        "url": str(request.url),
        "url_for": request.url_for("bag"),
        "route_reverse": request.app.route_reverse("bag"),
    }


app = Litestar(
    route_handlers=[health, process, lend, register, book, scan, put_into_bag, bag, where],
    lifespan=[lifespan],
    middleware=[CookieBackendConfig(secret=b"of this test and nothing else ok").middleware],
    exception_handlers={OverdueError: overdue},
    openapi_config=OpenAPIConfig(title="Library", version="1"),
)
