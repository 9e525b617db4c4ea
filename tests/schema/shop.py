"""A shop that says what it was asked, in every place in which FastAPI looks for values."""

import hashlib
from datetime import date
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

from fastapi import Cookie, FastAPI, File, Form, Header, HTTPException, Query, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse
from pydantic import BaseModel, Field

app = FastAPI(title="Shop")


class Size(Enum):
    """Sizes."""

    SMALL = "small"
    LARGE = "large & wide"


class Line(BaseModel):
    """A line of an order."""

    article: str
    count: int = Field(ge=1, le=10**6)
    note: str | None = None


class Order(BaseModel):
    """An order."""

    customer: str
    lines: list[Line] = Field(max_length=5)
    by: date | None = None
    tags: dict[str, str] = {}


@app.get("/")
async def health() -> dict[str, str]:
    return {"status": "OK"}


@app.get("/articles")
async def articles(
    tag: Annotated[list[str], Query()] = [],  # noqa: B006 – FastAPI copies it
    size: Size | None = None,
    at_least: float | None = None,
    is_new: bool = False,
) -> dict[str, Any]:
    return {"tag": tag, "size": size, "at_least": at_least, "is_new": is_new}


@app.get("/articles/{article}")
async def article(article: str) -> dict[str, str]:
    return {"article": article}


@app.put("/articles/{number}/price/{price}")
async def price(number: int, price: float) -> dict[str, float]:
    return {"number": number, "price": price}


@app.delete("/articles/{number}", status_code=204)
async def sold_out(number: int) -> None:
    return None


@app.post("/orders", status_code=201)
async def order(order: Order, response: Response) -> Order:
    response.headers["x-lines"] = str(len(order.lines))
    return order


@app.patch("/orders/{key}")
async def change(key: UUID, changes: dict[str, str | int | None]) -> dict[str, Any]:
    if not changes:
        raise HTTPException(409, "nothing changes", {"x-reason": "empty"})
    return {"key": key, "changes": changes}


@app.post("/complaints", response_class=PlainTextResponse)
async def complaint(name: Annotated[str, Form()], text: Annotated[str, Form()] = "") -> str:
    return f"{name}: {text}"


@app.post("/pictures")
async def picture(pictures: Annotated[list[bytes], File()]) -> list[str]:
    return [hashlib.sha256(each).hexdigest() for each in pictures]


@app.post("/raw")
async def raw(request: Request) -> Response:
    body = await request.body()
    return Response(body, media_type=request.headers.get("content-type", "text/plain"))


@app.get("/basket")
async def basket(
    response: Response,
    session: Annotated[str | None, Cookie()] = None,
    x_language: Annotated[str | None, Header()] = None,
) -> dict[str, str | None]:
    response.set_cookie("session", "new")
    response.set_cookie("seen", "1", max_age=60)
    return {"session": session, "language": x_language}


@app.get("/old/{path:path}")
async def old(path: str) -> RedirectResponse:
    return RedirectResponse(f"new/{path}", 308)
