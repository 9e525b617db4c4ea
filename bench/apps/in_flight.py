"""Waits 50 ms, as for a database, or computes for some milliseconds."""

import asyncio

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

app = FastAPI()


@app.get("/wait", response_class=PlainTextResponse)
async def wait() -> str:
    await asyncio.sleep(0.05)
    return "waited"


@app.get("/compute", response_class=PlainTextResponse)
async def compute() -> str:
    total = 0
    for number in range(100_000):
        total += number & 3
    return str(total)
