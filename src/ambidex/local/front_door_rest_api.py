"""API Gateway's REST API in front of the Lambda service: a greedy proxy resource and its root.

The API is regional, and without a cache. Of a request's headers it drops some, of a result's too;
others of a result's it renames. With the response transfer mode STREAM it sends on what comes after
a prelude, and a Content-Length stays.

Source: apigateway/latest/developerguide/api-gateway-known-issues.html,
apigateway/latest/developerguide/supported-gateway-response-types.html,
apigateway/latest/developerguide/api-gateway-execution-service-limits-table.html,
apigateway/latest/developerguide/response-transfer-mode.html,
apigateway/latest/developerguide/response-transfer-mode-lambda.html. That
Content-Length is renamed and the texts of status 413 and 431 are not on these pages but have been
seen on AWS by others.
"""

import asyncio
import logging
from collections.abc import Mapping
from time import time
from typing import Any, NamedTuple

from ambidex.events import prelude, rest_api
from ambidex.http import Headers, Request, Response, header
from ambidex.local import front_door, streamed_response
from ambidex.local.api_address import API_ID, ApiAddress, below
from ambidex.local.bandwidth import Bandwidth, Bucket
from ambidex.local.front_door import Cause, Page, Refusal
from ambidex.local.http1.exchange import ServerExchange
from ambidex.local.http1.messages import Limits, reason_of
from ambidex.local.ids import api_request_id
from ambidex.local.ids import request_id as new_request_id
from ambidex.local.invocation import Invocation, Outcome
from ambidex.local.lambda_service import LambdaService
from ambidex.local.variables import ACCOUNT_ID

logger = logging.getLogger("ambidex.local")

# Source: api-gateway-execution-service-limits-table.html: the URL of a regional API, all headers
# with names and line ends, payload, time-out.
# The head has two line ends besides these: that of the request line, and the empty line.
_LINE_BYTES = _HEADERS_BYTES = 10_240
LIMITS = Limits(
    _LINE_BYTES,
    _HEADERS_BYTES,
    _LINE_BYTES + _HEADERS_BYTES + 4,
    line_status=414,
    head_status=431,
    headers_bytes=_HEADERS_BYTES,
)
BODY_BYTES = 10 * 1024 * 1024
TIMEOUT_S = 29.0
# Source: response-transfer-mode.html, of a regional API; that this is 10 MiB, and 2 MiB a second
# from then on, is as with Lambda: the page says MB. Streams are also over after 15 minutes, but no
# function may take longer.
IDLE_S = 300.0
BANDWIDTH = Bandwidth(10 * 1024 * 1024, 2 * 1024 * 1024)
# The stage where the settings name none: a REST API has no `$default`.
STAGE = "prod"

_DROPPED_IN = frozenset({b"content-md5", b"max-forwards", b"server", b"www-authenticate"})
_REMAPPED = frozenset(
    {
        b"authorization",
        b"connection",
        b"content-length",
        b"content-md5",
        b"date",
        b"max-forwards",
        b"server",
        b"user-agent",
        b"www-authenticate",
    }
)
_REMAPPED_OF_STREAMS = _REMAPPED - {b"content-length"}
_DROPPED_OUT = frozenset(
    {
        b"expect",
        b"host",
        b"proxy-authenticate",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"via",
    }
)


class _Own(NamedTuple):
    """An answer of the API's own, byte by byte."""

    status: int
    error_type: bytes = b"InternalServerErrorException"
    body: bytes = b'{"message": "Internal server error"}'
    content_type: bytes = b"application/json"


def _bad_request(status: int) -> _Own:
    return _Own(status, b"BadRequestException", b'{"message":"%b"}' % reason_of(status))


_TOO_LARGE = _Own(
    413,
    b"RequestTooLargeException",
    b"HTTP content length exceeded %d bytes." % BODY_BYTES,
    b"text/plain",
)
_OWN = {
    Cause.BAD_TARGET: _bad_request(400),
    Cause.NO_MAPPING: _Own(403, b"ForbiddenException", b'{"message":"Forbidden"}'),
    Cause.NO_STAGE: _Own(403, b"ForbiddenException", b'{"message":"Forbidden"}'),
    Cause.BODY_TOO_LARGE: _TOO_LARGE,
    Cause.EVENT_TOO_LARGE: _Own(
        413, b"RequestTooLargeException", b'{"message":"Request Too Long"}'
    ),
    Cause.THROTTLED: _Own(500),
    Cause.FAILED: _Own(502),
    Cause.MALFORMED: _Own(502),
    Cause.NO_PRELUDE: _Own(500),
    Cause.TIMED_OUT: _Own(504, body=b'{"message": "Endpoint request timed out"}'),
}
_REFUSED = {
    413: _TOO_LARGE,
    414: _Own(414, b"RequestTooLargeException", b'{"message":"Request URI too long"}'),
    431: _Own(
        431,
        b"RequestTooLargeException",
        b"HTTP header is larger than %d bytes." % _HEADERS_BYTES,
        b"text/plain",
    ),
    500: _Own(500),
}


class RestApi:
    """Answers HTTP requests as a REST API with the Lambda proxy integration does.

    Args:
        service: the Lambda service.
        address: where clients reach the API.
        binary_media_types: the API's.
        timeout_s: how long a function may take, or with STREAM be silent; None for ever, while
            somebody debugs.
        is_streaming: whether its response transfer mode is STREAM.
    """

    def __init__(
        self,
        service: LambdaService,
        address: ApiAddress,
        binary_media_types: tuple[str, ...],
        timeout_s: float | None,
        is_streaming: bool,
    ) -> None:
        self._service = service
        self._address = address
        self._binary_media_types = binary_media_types
        self._timeout_s = timeout_s
        self._is_streaming = is_streaming

    async def __call__(self, exchange: ServerExchange) -> None:
        """Answer one request."""
        door = rest_api.FrontDoor(
            request_id=new_request_id(),
            extended_request_id=api_request_id(),
            time_epoch_ms=int(time() * 1000),
            domain_name=self._address.domain_name,
            api_id=API_ID,
            account_id=ACCOUNT_ID,
            stage=self._address.stage,
            binary_media_types=self._binary_media_types,
            accept=(header(exchange.head.headers, b"accept") or b"").decode("latin-1"),
        )
        ids = _id_headers(door.request_id, door.extended_request_id)
        try:
            request = await front_door.request(exchange, BODY_BYTES)
            trace = (b"X-Amzn-Trace-Id", front_door.trace_id(request.headers).encode("latin-1"))
            added = (*ids, trace)
            outcome = await front_door.result(self._invoke(request, door), self._timeout_s)
            if self._is_streaming:
                await self._stream(exchange, outcome, added)
            else:
                front_door.respond(exchange, _response(request, outcome, door), added)
        except Refusal as refusal:
            front_door.answer(exchange, _page(_OWN[refusal.cause], ids), refusal.message)

    def _invoke(self, request: Request, door: rest_api.FrontDoor) -> Invocation:
        below(self._address, request.path)
        kept = tuple(pair for pair in request.headers if pair[0].lower() not in _DROPPED_IN)
        event = rest_api.to_event(request._replace(headers=kept), door)
        _tell_of_lost_bytes(request, event)
        return self._service.invoke(
            front_door.event_json(event),
            trace_id=front_door.trace_id(request.headers),
            takes_stream=self._is_streaming,
        )

    async def _stream(self, exchange: ServerExchange, outcome: Outcome, added: Headers) -> None:
        stream = streamed_response.stream_of(outcome)
        bucket = Bucket(BANDWIDTH, asyncio.get_running_loop().time)
        try:
            begun = await streamed_response.begin(
                stream, rest_api.from_prelude, prelude.LIMIT_BYTES, self._timeout_s
            )
            begun = begun._replace(headers=_remapped(begun.headers, _REMAPPED_OF_STREAMS))
            await streamed_response.send(exchange, begun, stream, added, self._timeout_s, bucket)
        finally:
            stream.leave()


def _response(request: Request, outcome: Outcome, door: rest_api.FrontDoor) -> Response:
    def to_response(found: object) -> Response:
        response = rest_api.to_response(found, door)
        _tell_of_base64(request, found, door)
        return response

    response = front_door.response(outcome, to_response)
    return response._replace(headers=_remapped(response.headers, _REMAPPED))


def refuse(status: int) -> tuple[Headers, bytes]:
    """The REST API's own answer to what is no request, or too large a one."""
    own = _REFUSED.get(status) or _bad_request(status)
    page = _page(own, _id_headers(new_request_id(), api_request_id()))
    return page.headers, page.body


def _tell_of_lost_bytes(request: Request, event: Mapping[str, Any]) -> None:
    """What happens to these bytes on AWS, too, is seen here before it is there."""
    if event["isBase64Encoded"] or not request.body:
        return
    try:
        request.body.decode()
    except UnicodeDecodeError:
        logger.warning(
            "%s %s: bytes of the request are lost, for binary-media-types has nothing for its "
            "Content-Type %r",
            request.method,
            request.path,
            (header(request.headers, b"content-type") or b"").decode("latin-1"),
        )


def _tell_of_base64(request: Request, result: object, door: rest_api.FrontDoor) -> None:
    is_base64 = isinstance(result, Mapping) and result.get("isBase64Encoded")
    if is_base64 and not rest_api.is_binary(door.accept.partition(",")[0], door.binary_media_types):
        logger.warning(
            "%s %s: the client gets base64, for binary-media-types has nothing for the first type "
            "of its Accept %r",
            request.method,
            request.path,
            door.accept,
        )


def _page(own: _Own, ids: Headers) -> Page:
    headers = (
        (b"Content-Type", own.content_type),
        (b"x-amzn-ErrorType", own.error_type),
        *ids,
    )
    return Page(own.status, headers, own.body)


def _id_headers(request_id: str, extended_request_id: str) -> Headers:
    return (
        (b"x-amzn-RequestId", request_id.encode()),
        (b"x-amz-apigw-id", extended_request_id.encode()),
    )


def _remapped(headers: Headers, names: frozenset[bytes]) -> Headers:
    return tuple(
        (b"x-amzn-Remapped-" + name if name.lower() in names else name, value)
        for name, value in headers
        if name.lower() not in _DROPPED_OUT
    )
