"""One HTTP event through the app, however it came: by the Runtime API or to a handler."""

import logging
from collections.abc import Callable
from typing import Any

from ambidex.asgi.exchange import Exchange
from ambidex.asgi.scope import http_scope
from ambidex.asgi.types import App
from ambidex.events.detect import Source, detect
from ambidex.http import Response
from ambidex.runtime.event_json import dumps

logger = logging.getLogger("ambidex")

# A result of at most this many bytes needs no look at its size, whatever JSON makes of it.
_SMALL_BODY_BYTES = 64 * 1024


async def invoke(
    app: App,
    event: object,
    context: object,
    state: dict[str, Any],
    base_path: str,
    on_response: Callable[[Source, Response], None],
) -> None:
    """Run the app for one event, to its end, which may be after its response.

    Args:
        app: the ASGI app.
        event: the event as Python values.
        context: the Lambda context; both reach the app under Mangum's names in the scope.
        state: what the lifespan left.
        base_path: percent-encoded; see the event sources.
        on_response: called once, as soon as the response is complete.

    Raises:
        EventError: the event is no HTTP request; nothing has run.
    """
    source = detect(event)
    request = source.to_request(event, base_path)  # type: ignore[arg-type]  # detect has checked
    scope = http_scope(request, state)
    scope["aws.event"] = event
    scope["aws.context"] = context
    exchange = Exchange(
        request.body, request.method == "HEAD", lambda response: on_response(source, response)
    )
    await exchange.run(app, scope)


def result(source: Source, response: Response) -> dict[str, Any]:
    """The result for a response; a 500 that says so for one that its source does not take."""
    value = source.to_result(response)
    if len(response.body) <= _SMALL_BODY_BYTES and len(response.headers) < 100:
        return value
    return _too_large(source, len(dumps(value))) or value


def result_json(source: Source, response: Response) -> bytes:
    """The result for a response as JSON; a 500 for one that its source does not take."""
    document = dumps(source.to_result(response))
    too_large = _too_large(source, len(document))
    return dumps(too_large) if too_large else document


def _too_large(source: Source, result_bytes: int) -> dict[str, Any] | None:
    if result_bytes <= source.result_bytes:
        return None
    logger.error(
        "the response makes a result of %d bytes, %d are allowed: %s",
        result_bytes,
        source.result_bytes,
        source.too_large,
    )
    text = f"The response is too large for this way through Lambda ({result_bytes} bytes)"
    headers = ((b"content-type", b"text/plain; charset=utf-8"),)
    return source.to_result(Response(500, headers, text.encode()))
