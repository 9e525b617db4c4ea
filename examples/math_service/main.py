"""Adds numbers: on AWS Lambda and on Amazon ECS, from one image."""

from fastapi import FastAPI, Query
from fastapi.responses import PlainTextResponse

from ambidex import Handler

app = FastAPI()


@app.get("/math/add", response_class=PlainTextResponse)
async def addition(i: list[int] = Query([])) -> str:  # noqa: B008 – FastAPI's way
    return str(sum(i))


@app.get("/")
async def health() -> dict[str, str]:
    return {"status": "OK"}


handler = Handler(app)
