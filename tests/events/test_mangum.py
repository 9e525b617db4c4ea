"""Mangum on the function's side: somebody else reads our events and writes the results we read.

Where Mangum is known to be wrong the test leaves the case out: it decodes the HTTP API's path a
second time, takes ALB's whole X-Forwarded-For for the client, and knows nothing of VPC Lattice.
"""

import asyncio
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from mangum import Mangum

from ambidex.asgi.types import Receive, Scope, Send
from ambidex.http import Request, Response
from tests.events.cases import LATTICE, REST_API, SOURCES, Source, lower

BODY = b"caf\xc3\xa9 \x00\xff"


class Echo:
    """An ASGI app that keeps what it is given and answers with a fixed response."""

    def __init__(self) -> None:
        self.scope: Scope = {}
        self.body = b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.body = (await receive())["body"]
        headers = [
            (b"content-type", b"application/octet-stream"),
            (b"x-tag", b"a"),
            (b"set-cookie", b"a=1"),
            (b"set-cookie", b"b=2"),
        ]
        await send({"type": "http.response.start", "status": 418, "headers": headers})
        await send({"type": "http.response.body", "body": BODY})


@pytest.fixture(autouse=True)
def event_loop() -> Iterator[None]:
    """The loop that Mangum takes for its own."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()


def through_mangum(source: Source, request: Request) -> tuple[Echo, Response]:
    app = Echo()
    event = json.loads(json.dumps(source.to_event(source.sent(request))))
    context: Any = SimpleNamespace()
    result = Mangum(app, lifespan="off")(event, context)
    return app, source.to_response(json.loads(json.dumps(result)))


REQUEST = Request(
    method="POST",
    path="/files/r%C3%A9sum%C3%A9",
    query=b"a=1&q=x%20y",
    headers=(
        (b"host", b"api.example.com"),
        (b"x-forwarded-for", b"192.0.2.1"),
        (b"x-forwarded-port", b"8443"),
        (b"x-forwarded-proto", b"https"),
        (b"content-type", b"image/png"),
        (b"cookie", b"a=1; b=2"),
    ),
    body=BODY,
    client=("192.0.2.1", 0),
)


every_source = pytest.mark.parametrize(
    "source",
    [source for source in SOURCES if source.module != LATTICE and not source.is_text_only],
    ids=lambda source: source.id,
)


@every_source
def test_mangum_sees_in_our_events_what_was_sent(source: Source) -> None:
    app, _ = through_mangum(source, REQUEST)

    assert app.scope["method"] == "POST"
    # Mangum has the path that is in the event: the client's, but for a REST API's stage.
    in_front = source.mapping if source.mapping and source.is_clients_path else source.stage
    if source.module == REST_API and not source.mapping:
        in_front = ""
    assert app.scope["path"] == f"{in_front}/files/résumé"
    assert app.scope["query_string"] in (b"a=1&q=x%20y", b"a=1&q=x+y")
    assert app.scope["client"] == ("192.0.2.1", 0)
    assert app.scope["scheme"] == "https"
    assert sorted(map(tuple, app.scope["headers"])) == sorted(REQUEST.headers)
    assert app.body == BODY


@every_source
def test_we_see_in_mangums_results_what_its_app_answered(source: Source) -> None:
    _, response = through_mangum(source, REQUEST)

    assert (response.status, response.body) == (418, BODY)
    assert sorted(lower(response.headers)) == [
        (b"content-type", b"application/octet-stream"),
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"x-tag", b"a"),
    ]
