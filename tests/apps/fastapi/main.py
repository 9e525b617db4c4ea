"""An order desk in FastAPI: uploads, downloads, cookies, redirects, background work, a socket."""

import hashlib
import logging
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from fastapi import (
    BackgroundTasks,
    Cookie,
    Depends,
    FastAPI,
    Form,
    HTTPException,
    Request,
    Response,
    UploadFile,
    WebSocket,
)
from fastapi.middleware.cors import CORSMiddleware
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import FileResponse, RedirectResponse, StreamingResponse
from pydantic import BaseModel, Field

# As https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html has it.
logger = logging.getLogger()
logger.setLevel("INFO")

CATALOGUE = bytes(range(256)) * 40
startups = 0
audit: list[str] = []


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Path]]:
    global startups
    startups += 1
    with tempfile.TemporaryDirectory() as folder:
        catalogue = Path(folder) / "catalogue.bin"
        catalogue.write_bytes(CATALOGUE)
        yield {"catalogue": catalogue}


app = FastAPI(title="Order desk", lifespan=lifespan)
app.add_middleware(GZipMiddleware, minimum_size=500)
app.add_middleware(
    CORSMiddleware,
    allow_origins=["https://shop.example"],
    allow_methods=["GET", "PUT"],
    allow_credentials=True,
)


class Order(BaseModel):
    article: str
    pieces: int = Field(gt=0)


def ledger() -> Iterator[list[str]]:
    audit.append("opened")
    yield audit
    audit.append("closed")


@app.get("/")
async def health() -> dict[str, str]:
    return {"status": "OK"}


@app.get("/process")
async def process() -> dict[str, int]:
    return {"pid": os.getpid(), "startups": startups}


@app.get("/audit")
async def read_audit() -> list[str]:
    return audit


@app.get("/items/")
async def items(request: Request) -> dict[str, str]:
    return {"self": str(request.url), "first": str(request.url_for("item", number=1))}


@app.get("/items/{number}")
async def item(number: int) -> dict[str, int]:
    if number > 9:
        raise HTTPException(404, f"there is no item {number}", {"X-Items": "9"})
    return {"item": number}


@app.post("/uploads")
async def upload(
    files: list[UploadFile], note: Annotated[str, Form()]
) -> dict[str, str | list[tuple[str | None, str | None, str]]]:
    described = [
        (file.filename, file.content_type, hashlib.sha256(await file.read()).hexdigest())
        for file in files
    ]
    return {"note": note, "files": described}


@app.api_route("/catalogue", methods=["GET", "HEAD"])
async def catalogue(request: Request) -> FileResponse:
    return FileResponse(request.state.catalogue, filename="catálogo.bin")


@app.post("/login")
async def login(response: Response) -> None:
    response.set_cookie("session", "s3cret=", httponly=True, samesite="lax")
    response.set_cookie("theme", "dark", max_age=3600)
    response.set_cookie("language", "pt")


@app.post("/logout")
async def logout(response: Response) -> None:
    response.delete_cookie("session")
    response.delete_cookie("theme")


@app.get("/me")
async def me(
    session: Annotated[str, Cookie()],
    theme: Annotated[str, Cookie()],
    language: Annotated[str, Cookie()],
) -> list[str]:
    return [session, theme, language]


@app.post("/orders")
async def order(order: Order, book: Annotated[list[str], Depends(ledger)]) -> Order:
    book.append(order.article)
    logger.info("ordered: %s", order.article)
    logger.warning("booked: %s", order.article)
    return order


@app.post("/relative-orders")
async def relative_redirect() -> RedirectResponse:
    return RedirectResponse("orders", 307)


@app.post("/absolute-orders")
async def absolute_redirect(request: Request) -> RedirectResponse:
    return RedirectResponse(request.url_for("order"), 307)


def write_report(folder: Path) -> None:
    (folder / "started").write_text("at work")
    audit.append((folder / "go").read_text())


@app.post("/reports")
async def report(folder: Annotated[Path, Form()], tasks: BackgroundTasks) -> str:
    tasks.add_task(write_report, folder)
    return "under way"


@app.get("/stream")
async def stream() -> StreamingResponse:
    async def lines() -> AsyncIterator[bytes]:
        for number in range(20):
            yield b"%d:%s\n" % (number, bytes(range(128, 256)))

    return StreamingResponse(lines(), media_type="application/octet-stream")


@app.get("/words")
async def words() -> str:
    return "word " * 1000


@app.websocket("/chat")
async def chat(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text(f"you said {await socket.receive_text()}")
    await socket.close()


@app.get("/fail")
async def fail() -> None:
    raise ValueError("out of stock")
