"""A Lambda Function URL in front of the Lambda service: `AuthType: NONE`, `InvokeMode: BUFFERED`.

It waits for as long as the function may take. Signatures of `AuthType: AWS_IAM` are not checked.

Source: lambda/latest/dg/urls-invocation.html, lambda/latest/dg/urls-configuration.html,
lambda/latest/dg/gettingstarted-limits.html. The status of a function that fails or times out, the
texts of the answers, and that Content-Length, Date and WWW-Authenticate of a result get
`x-amzn-Remapped-` in front are not on these pages but have been seen on AWS by others.
"""

from time import time
from typing import NamedTuple

from ambidex.events import function_url
from ambidex.http import Headers, Request, Response
from ambidex.local import front_door
from ambidex.local.front_door import EVENT_BYTES, Cause, Page, Refusal
from ambidex.local.http1.exchange import ServerExchange
from ambidex.local.http1.messages import Limits, reason_of
from ambidex.local.ids import request_id as new_request_id
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
}


class FunctionUrl:
    """Answers HTTP requests as a Function URL does.

    Args:
        service: the Lambda service.
    """

    def __init__(self, service: LambdaService) -> None:
        self._service = service
        self._domain = f"{URL_ID}.lambda-url.{service.function.region}.on.aws"

    async def __call__(self, exchange: ServerExchange) -> None:
        """Answer one request."""
        request_id = new_request_id()
        try:
            request = await front_door.request(exchange, EVENT_BYTES)
            response = await self._response(request, request_id)
            trace = (b"X-Amzn-Trace-Id", front_door.trace_id(request.headers).encode("latin-1"))
            front_door.respond(exchange, response, (_id_header(request_id), trace))
        except Refusal as refusal:
            page = _page(_OWN[refusal.cause], request_id)
            front_door.answer(exchange, page, refusal.message)

    async def _response(self, request: Request, request_id: str) -> Response:
        door = function_url.FrontDoor(request_id, int(time() * 1000), self._domain)
        event = front_door.event_json(function_url.to_event(request, door))
        trace_id = front_door.trace_id(request.headers)
        # The id in the event is that of the invocation.
        invocation = self._service.invoke(event, request_id=request_id, trace_id=trace_id)
        result = await front_door.result(invocation)
        response = front_door.response(result, function_url.to_response)
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
