"""A Lambda Function URL in front of the Lambda service: `AuthType: NONE`, both of its `InvokeMode`.

It waits for as long as the function may take. Signatures of `AuthType: AWS_IAM` are not checked.
With RESPONSE_STREAM a result is not read as JSON: without a prelude it is the body of a 200 as it
is, whether it is streamed or not.

Source: lambda/latest/dg/urls-invocation.html, lambda/latest/dg/urls-configuration.html,
lambda/latest/dg/gettingstarted-limits.html, lambda/latest/dg/configuration-response-streaming.html.
That bytes without a prelude are application/octet-stream has been seen by others
(middyjs/middy#1189); what becomes of a result that is not streamed is on no page. The status of a
function that fails or times out, the texts of the answers, and that Content-Length, Date and
WWW-Authenticate of a result get `x-amzn-Remapped-` in front are not on these pages but have been
seen on AWS by others.
"""

from time import time
from typing import NamedTuple

from ambidex.events import function_url, prelude
from ambidex.http import Headers, Request, Response
from ambidex.local import front_door, streamed_response
from ambidex.local.front_door import EVENT_BYTES, Cause, Page, Refusal
from ambidex.local.http1.exchange import ServerExchange
from ambidex.local.http1.messages import Limits, reason_of
from ambidex.local.ids import request_id as new_request_id
from ambidex.local.invocation import Invocation, Outcome
from ambidex.local.lambda_service import LambdaService

# Source: gettingstarted-limits.html, "Invocation payload": request line and header values together.
_HEAD_BYTES = 1024 * 1024
LIMITS = Limits(_HEAD_BYTES, _HEAD_BYTES, _HEAD_BYTES, line_status=414, head_status=431)

URL_ID = "local"

_REMAPPED = frozenset({b"content-length", b"date", b"www-authenticate"})


class _Own(NamedTuple):
    """An answer of the Function URL's own."""

    status: int
    error_type: bytes
    body: bytes


def _bad_request(status: int) -> _Own:
    return _Own(status, b"BadRequestException", b'{"Message":"%b"}' % reason_of(status))


_TOO_LARGE = _Own(
    413,
    b"RequestEntityTooLargeException",
    b'{"Message":"Request must be smaller than %d bytes for the InvokeFunction operation"}'
    % EVENT_BYTES,
)
_FAILED = _Own(502, b"", b"Internal Server Error")
_OWN = {
    Cause.BAD_TARGET: _bad_request(400),
    Cause.BODY_TOO_LARGE: _TOO_LARGE,
    Cause.EVENT_TOO_LARGE: _TOO_LARGE,
    Cause.THROTTLED: _Own(
        429,
        b"TooManyRequestsException",
        b'{"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded","Type":"User",'
        b'"message":"Rate Exceeded."}',
    ),
    Cause.FAILED: _FAILED,
    Cause.MALFORMED: _FAILED,
    Cause.NO_PRELUDE: _FAILED,
}


class FunctionUrl:
    """Answers HTTP requests as a Function URL does.

    Args:
        service: the Lambda service.
        is_streaming: whether its `InvokeMode` is RESPONSE_STREAM.
    """

    def __init__(self, service: LambdaService, is_streaming: bool) -> None:
        self._service = service
        self._is_streaming = is_streaming
        self._domain = f"{URL_ID}.lambda-url.{service.function.region}.on.aws"

    async def __call__(self, exchange: ServerExchange) -> None:
        """Answer one request."""
        request_id = new_request_id()
        try:
            request = await front_door.request(exchange, EVENT_BYTES)
            trace = (b"X-Amzn-Trace-Id", front_door.trace_id(request.headers).encode("latin-1"))
            outcome = await front_door.result(self._invoke(request, request_id))
            added = (_id_header(request_id), trace)
            if self._is_streaming:
                await _stream(exchange, outcome, added)
            else:
                response = front_door.response(outcome, function_url.to_response)
                front_door.respond(exchange, _remapped(response), added)
        except Refusal as refusal:
            page = _page(_OWN[refusal.cause], request_id)
            front_door.answer(exchange, page, refusal.message)

    def _invoke(self, request: Request, request_id: str) -> Invocation:
        door = function_url.FrontDoor(request_id, int(time() * 1000), self._domain)
        # The id in the event is that of the invocation.
        return self._service.invoke(
            front_door.event_json(function_url.to_event(request, door)),
            request_id=request_id,
            trace_id=front_door.trace_id(request.headers),
            takes_stream=self._is_streaming,
        )


async def _stream(exchange: ServerExchange, outcome: Outcome, added: Headers) -> None:
    stream = streamed_response.stream_of(outcome)
    try:
        if stream.content_type == prelude.CONTENT_TYPE:
            begun = await streamed_response.begin(stream, function_url.from_prelude)
        else:
            begun = await streamed_response.begin_raw(stream)
        await streamed_response.send(exchange, _remapped(begun), stream, added)
    finally:
        stream.leave()


def _remapped(response: Response) -> Response:
    return response._replace(
        headers=tuple(
            (b"x-amzn-Remapped-" + name if name.lower() in _REMAPPED else name, value)
            for name, value in response.headers
        )
    )


def refuse(status: int) -> tuple[Headers, bytes]:
    """The Function URL's own answer to what is no request, or too large a one."""
    page = _page(_bad_request(status), new_request_id())
    return page.headers, page.body


def _page(own: _Own, request_id: str) -> Page:
    headers = [(b"Content-Type", b"application/json"), _id_header(request_id)]
    if own.error_type:
        headers.append((b"x-amzn-ErrorType", own.error_type))
    return Page(own.status, tuple(headers), own.body)


def _id_header(request_id: str) -> tuple[bytes, bytes]:
    return (b"x-amzn-RequestId", request_id.encode())
