"""The same service as people have it today: Mangum on AWS Lambda, uvicorn on Amazon ECS."""

from fastapi import FastAPI, Query
from fastapi.responses import PlainTextResponse
from mangum import Mangum

app = FastAPI()


@app.get("/math/add", response_class=PlainTextResponse)
async def addition(i: list[int] = Query([])) -> str:  # noqa: B008 – FastAPI's way
    return str(sum(i))


@app.get("/")
async def health() -> dict[str, str]:
    return {"status": "OK"}


handler = Mangum(app)
