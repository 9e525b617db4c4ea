"""API Gateway's HTTP API in front of the Lambda service: a `$default` route, payload 2.0 or 1.0.

Source: apigateway/latest/developerguide/http-api-develop-integrations-lambda.html,
apigateway/latest/developerguide/http-api-quotas.html
"""

from collections.abc import Callable
from http import HTTPStatus
from json import dumps
from time import time
from typing import Any, NamedTuple

from ambidex.events import http_api, http_api_v1
from ambidex.http import Headers, Request, Response
from ambidex.local import front_door
from ambidex.local.api_address import API_ID, ApiAddress, below
from ambidex.local.front_door import Cause, Page, Refusal
from ambidex.local.http1.exchange import ServerExchange
from ambidex.local.http1.messages import Limits
from ambidex.local.ids import api_request_id
from ambidex.local.lambda_service import LambdaService
from ambidex.local.variables import ACCOUNT_ID

# Source: http-api-quotas.html: request line and header values together, payload, time-out.
LIMITS = Limits(10_240, 10_240, 10_240, line_status=414, head_status=431)
BODY_BYTES = 10 * 1024 * 1024
TIMEOUT_S = 30.0

_STATUSES = {
    Cause.BAD_TARGET: 400,
    Cause.NO_MAPPING: 403,
    Cause.NO_STAGE: 404,
    Cause.BODY_TOO_LARGE: 413,
    Cause.EVENT_TOO_LARGE: 413,
    Cause.FAILED: 500,
    Cause.MALFORMED: 500,
    Cause.THROTTLED: 503,
    Cause.TIMED_OUT: 503,
}
# Where AWS's words are not those of the standard library.
_MESSAGES = {
    413: "Request Entity Too Large",
    414: "Request URI Too Long",
}


class Payload(NamedTuple):
    """A payload format of the integration."""

    to_event: Callable[[Request, ApiAddress, str], dict[str, Any]]  # with the request's id
    to_response: Callable[[object], Response]


class HttpApi:
    """Answers HTTP requests as an HTTP API does.

    Args:
        service: the Lambda service.
        address: where clients reach the API.
        payload: the integration's payload format.
        timeout_s: how long a function may take; None for ever, while somebody debugs.
    """

    def __init__(
        self,
        service: LambdaService,
        address: ApiAddress,
        payload: Payload,
        timeout_s: float | None,
    ) -> None:
        self._service = service
        self._address = address
        self._payload = payload
        self._timeout_s = timeout_s

    async def __call__(self, exchange: ServerExchange) -> None:
        """Answer one request."""
        request_id = api_request_id()
        try:
            response = await self._response(exchange, request_id)
            front_door.respond(exchange, response, (_id_header(request_id),))
        except Refusal as refusal:
            page = _page(_STATUSES[refusal.cause], request_id)
            front_door.answer(exchange, page, refusal.message)

    async def _response(self, exchange: ServerExchange, request_id: str) -> Response:
        request = await front_door.request(exchange, BODY_BYTES)
        event = self._payload.to_event(request, self._address, request_id)
        invocation = self._service.invoke(
            front_door.event_json(event), trace_id=front_door.trace_id(request.headers)
        )
        result = await front_door.result(invocation, self._timeout_s)
        return front_door.response(result, self._payload.to_response)


def _event_2_0(request: Request, address: ApiAddress, request_id: str) -> dict[str, Any]:
    path = below(address, request.path)
    if address.is_custom:
        # The mapping's key is in no event, the stage in each.
        in_event = "" if address.stage == http_api.DEFAULT_STAGE else f"/{address.stage}"
        request = request._replace(path=in_event + path)
    door = http_api.FrontDoor(
        request_id=request_id,
        time_epoch_ms=int(time() * 1000),
        domain_name=address.domain_name,
        api_id=API_ID,
        account_id=ACCOUNT_ID,
        stage=address.stage,
    )
    return http_api.to_event(request, door)


def _event_1_0(request: Request, address: ApiAddress, request_id: str) -> dict[str, Any]:
    below(address, request.path)
    door = http_api_v1.FrontDoor(
        request_id=request_id,
        extended_request_id=request_id,
        time_epoch_ms=int(time() * 1000),
        domain_name=address.domain_name,
        api_id=API_ID,
        account_id=ACCOUNT_ID,
        stage=address.stage,
    )
    return http_api_v1.to_event(request, door)


PAYLOAD_2_0 = Payload(_event_2_0, http_api.to_response)
PAYLOAD_1_0 = Payload(_event_1_0, http_api_v1.to_response)


def refuse(status: int) -> tuple[Headers, bytes]:
    """The HTTP API's own answer to what is no request, or too large a one."""
    page = _page(status, api_request_id())
    return page.headers, page.body


def _page(status: int, request_id: str) -> Page:
    message = _MESSAGES.get(status) or HTTPStatus(status).phrase
    body = dumps({"message": message}, separators=(",", ":")).encode()
    headers = ((b"Content-Type", b"application/json"), _id_header(request_id))
    return Page(status, headers, body)


def _id_header(request_id: str) -> tuple[bytes, bytes]:
    return (b"Apigw-Requestid", request_id.encode())
