"""The app's own time: called in this process, with a scope that is ready.

A line on stdin is how many calls to make; the answer is a line with their median in nanoseconds.
"""

import sys
from statistics import median
from time import perf_counter_ns
from typing import Any

import uvloop
from main import app  # type: ignore[import-not-found]  # the project's

SCOPE = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.3"},
    "http_version": "1.1",
    "method": "GET",
    "scheme": "https",
    "path": "/math/add",
    "raw_path": b"/math/add",
    "query_string": b"i=5&i=10",
    "root_path": "",
    "headers": [(b"host", b"abcde12345.execute-api.eu-west-1.amazonaws.com"), (b"accept", b"*/*")],
    "client": ("203.0.113.7", 0),
    "server": ("abcde12345.execute-api.eu-west-1.amazonaws.com", 443),
}
REQUEST = {"type": "http.request", "body": b"", "more_body": False}


async def receive() -> dict[str, Any]:
    return REQUEST


async def call(count: int) -> float:
    messages: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    times = []
    for _ in range(count):
        messages.clear()
        scope = {**SCOPE, "state": {}}
        began = perf_counter_ns()
        await app(scope, receive, send)
        times.append(perf_counter_ns() - began)
        if messages[0]["status"] != 200 or messages[1]["body"] != b"15":
            sys.exit(f"the app alone answers {messages}")
    return median(times)


event_loop = uvloop.new_event_loop()
for line in sys.stdin:
    print(event_loop.run_until_complete(call(int(line))), flush=True)
