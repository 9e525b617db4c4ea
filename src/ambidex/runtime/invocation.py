"""One event through the app, however it came: by the Runtime API or to a handler."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from ambidex.asgi.exchange import Exchange
from ambidex.asgi.scope import http_scope
from ambidex.asgi.types import App
from ambidex.events.detect import NotHttpError, Source, detect
from ambidex.events.event_json import dumps, loads
from ambidex.http import Request, Response
from ambidex.log.controls import logs_requests

if TYPE_CHECKING:
    from ambidex.asgi.stream import Stream
    from ambidex.settings import LambdaSettings

logger = logging.getLogger("ambidex")

# A result of at most this many bytes needs no look at its size, whatever JSON makes of it.
_SMALL_BODY_BYTES = 64 * 1024


class Function(NamedTuple):
    """What answers events: an app that is started, and what the settings say of it."""

    app: App
    outside: App  # the same app, with nothing at its events path
    state: dict[str, Any]  # what the lifespan left
    base_path: str  # percent-encoded; see the event sources
    events_path: str  # percent-encoded; empty: an event that is no HTTP request is an error
    failing_statuses: frozenset[int]
    authorization_source: bytes  # in lower case; empty: Authorization is what it is
    has_streams: bool  # whether responses are streamed to the sources that take streams


class Answer(NamedTuple):
    """A response, and what it answers."""

    source: Source | None  # none: the event is no HTTP request
    request: Request
    response: Response


def function(app: App, state: dict[str, Any], settings: "LambdaSettings") -> Function:
    """The function that an app is with these settings."""
    outside = app
    if settings.events_path:
        # Here and below: what is for events that are no HTTP requests is imported for these only.
        from ambidex.asgi.events_path import closed

        outside = closed(app, settings.events_path, settings.base_path)
    if logs_requests():
        from ambidex.log.access import AccessLog

        # Cancelled is what is too late, for which a gateway time-out is answered. What is gathered
        # leaves as a whole, what is streamed with the first piece of its body.
        settled_by = "http.response.body" if settings.response == "stream" else ""
        app, outside = AccessLog(app, 504, settled_by), AccessLog(outside, 504, settled_by)
    return Function(
        app,
        outside,
        state,
        settings.base_path,
        settings.events_path,
        settings.failing_statuses,
        settings.authorization_source.lower().encode(),
        settings.response == "stream",
    )


async def invoke(
    function: Function,
    event: object,
    document: bytes | None,
    context: object,
    on_answer: Callable[[Answer], None],
    open_stream: "Callable[[Answer], Stream | None] | None" = None,
) -> None:
    """Run the app for one event, to its end, which may be after its response.

    Args:
        function: the app and its settings.
        event: the event as Python values.
        document: the event's JSON, where it is at hand.
        context: the Lambda context; both reach the app under Mangum's names in the scope.
        on_answer: called once, as soon as the response is complete; not for a stream.
        open_stream: called with status and headers of a response that is to be streamed.

    Raises:
        EventError: the event is malformed, or is no HTTP request and there is no events path;
            nothing has run.
    """
    source = _source(event, function.events_path)
    if source is None:
        from ambidex.runtime import event_request

        app = function.app
        document = event_request.dumped(event) if document is None else document
        request = event_request.to_request(document, function.events_path)
    else:
        app = function.outside
        request = source.to_request(event, function.base_path)  # type: ignore[arg-type]  # detect has checked
        if function.authorization_source:
            from ambidex.runtime.request_headers import with_authorization

            request = with_authorization(request, function.authorization_source)
    if fields := _w3c(context):
        from ambidex.runtime.request_headers import with_w3c

        request = with_w3c(request, fields)
    scope = http_scope(request, function.state)
    scope["aws.event"] = event
    scope["aws.context"] = context
    opens = None
    if open_stream is not None and function.has_streams:
        opens = _opener(function, source, request, open_stream)
    exchange = Exchange(
        request.body,
        request.method == "HEAD",
        lambda response: on_answer(Answer(source, request, response)),
        opens,
    )
    await exchange.run(app, scope)


def _w3c(context: object) -> dict[str, str]:
    w3c = getattr(context, "w3c", None)  # awslambdaric has it since 4.2
    return w3c() if w3c is not None else {}


def _opener(
    function: Function,
    source: Source | None,
    request: Request,
    open_stream: "Callable[[Answer], Stream | None]",
) -> "Callable[[Response], Stream | None]":
    def opens(response: Response) -> "Stream | None":
        answer = Answer(source, request, response)
        return open_stream(answer) if is_streamed(function, answer) else None

    return opens


def is_streamed(function: Function, answer: Answer) -> bool:
    """Whether a response, which may be all there, is posted in streaming mode."""
    if not function.has_streams or answer.source is None or answer.source.to_prelude is None:
        return False
    return answer.response.status not in function.failing_statuses


def _source(event: object, events_path: str) -> Source | None:
    try:
        return detect(event)
    except NotHttpError as error:
        if events_path:
            return None
        raise NotHttpError(
            f"{error.message}; set `events-path` in [tool.ambidex.lambda] to have such events "
            f"POSTed to the app"
        ) from None


def result(function: Function, answer: Answer) -> Any:  # noqa: ANN401 – any JSON
    """The result for a response; a 500 that says so for one that its source does not take.

    Raises:
        InvocationError: the response fails the invocation.
    """
    source, response = answer.source, answer.response
    if source is None or response.status in function.failing_statuses:
        return loads(_json_or_error(function, answer))
    value = source.to_result(response)
    if len(response.body) <= _SMALL_BODY_BYTES and len(response.headers) < 100:
        return value
    result_bytes = len(dumps(value))
    return _too_large(source, result_bytes) if result_bytes > source.result_bytes else value


def result_json(function: Function, answer: Answer) -> bytes:
    """The result for a response as JSON; see `result`.

    Raises:
        InvocationError: the response fails the invocation.
    """
    source, response = answer.source, answer.response
    if source is None or response.status in function.failing_statuses:
        return _json_or_error(function, answer)
    document = dumps(source.to_result(response))
    if len(document) <= source.result_bytes:
        return document
    return dumps(_too_large(source, len(document)))


def _json_or_error(function: Function, answer: Answer) -> bytes:
    from ambidex.runtime import event_request

    if answer.response.status in function.failing_statuses:
        raise event_request.error_status(answer.request, answer.response)
    return event_request.to_result(answer.request, answer.response)


def _too_large(source: Source, result_bytes: int) -> dict[str, Any]:
    logger.error(
        "the response makes a result of %d bytes, %d are allowed: %s",
        result_bytes,
        source.result_bytes,
        source.too_large,
    )
    text = f"The response is too large for this way through Lambda ({result_bytes} bytes)"
    headers = ((b"content-type", b"text/plain; charset=utf-8"),)
    return source.to_result(Response(500, headers, text.encode()))
