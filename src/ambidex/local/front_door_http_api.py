"""API Gateway's HTTP API in front of the Lambda service: a `$default` route, payload 2.0.

Source: apigateway/latest/developerguide/http-api-develop-integrations-lambda.html,
apigateway/latest/developerguide/http-api-quotas.html
"""

import asyncio
from http import HTTPStatus
from json import dumps, loads
from time import time

from ambidex.events import http_api
from ambidex.events.fields import EventError, starts_with_segments
from ambidex.http import Headers, Request
from ambidex.local import front_door
from ambidex.local.front_door import Page, TargetError
from ambidex.local.http1.exchange import ServerExchange
from ambidex.local.http1.messages import BodyTooLarge, Limits
from ambidex.local.ids import api_request_id
from ambidex.local.invocation import Outcome, ThrottledError
from ambidex.local.lambda_service import LambdaService
from ambidex.local.variables import ACCOUNT_ID

# Source: http-api-quotas.html: request line and header values together, payload, time-out.
LIMITS = Limits(10_240, 10_240, 10_240, line_status=414, head_status=431)
BODY_BYTES = 10 * 1024 * 1024
TIMEOUT_S = 30.0
# Source: lambda/latest/dg/gettingstarted-limits.html, "Invocation payload"
EVENT_BYTES = 6 * 1024 * 1024
API_ID = "local"

# Where AWS's words are not those of the standard library.
_MESSAGES = {
    413: "Request Entity Too Large",
    414: "Request URI Too Long",
}


class HttpApi:
    """Answers HTTP requests as an HTTP API does.

    Args:
        service: the Lambda service.
        stage: the stage's name; `$default` has no place in the path.
        timeout_s: how long a function may take; None for ever, while somebody debugs.
    """

    def __init__(
        self, service: LambdaService, stage: str, timeout_s: float | None = TIMEOUT_S
    ) -> None:
        self.port = 0
        self._service = service
        self._stage = stage
        self._stage_path = "" if stage == http_api.DEFAULT_STAGE else f"/{stage}"
        self._timeout_s = timeout_s
        self._domain = f"{API_ID}.execute-api.{service.function.region}.amazonaws.com"

    async def __call__(self, exchange: ServerExchange) -> None:
        """Answer one request."""
        request_id = api_request_id()

        def own(status: int, reason: str) -> None:
            front_door.answer(exchange, page(status, request_id, reason))

        try:
            request = front_door.request(exchange, await exchange.read_body(BODY_BYTES), self.port)
        except BodyTooLarge as error:
            own(413, str(error))
            return
        except TargetError as error:
            own(400, error.message)
            return
        if not starts_with_segments(request.path, self._stage_path):
            own(404, f"the path is not below the stage {self._stage}")
            return
        outcome = await self._invoke(request, request_id)
        if isinstance(outcome, Page):
            front_door.answer(exchange, outcome)
            return
        try:
            response = http_api.to_response(loads(outcome.payload))
        except (ValueError, RecursionError, EventError) as error:
            own(500, front_door.MALFORMED % error)
            return
        added = ((b"Apigw-Requestid", request_id.encode()),)
        front_door.respond(exchange, response, added, lambda reason: page(500, request_id, reason))

    async def _invoke(self, request: Request, request_id: str) -> Outcome | Page:
        door = http_api.FrontDoor(
            request_id=request_id,
            time_epoch_ms=int(time() * 1000),
            domain_name=self._domain,
            api_id=API_ID,
            account_id=ACCOUNT_ID,
            stage=self._stage,
        )
        event = dumps(http_api.to_event(request, door), separators=(",", ":")).encode()
        if len(event) > EVENT_BYTES:
            reason = f"the event is {len(event)} bytes, and Lambda takes {EVENT_BYTES}"
            return page(413, request_id, reason)
        invocation = self._service.invoke(event, trace_id=front_door.trace_id(request.headers))
        # The function goes on after the front door has given up, as it does on AWS.
        done, _ = await asyncio.wait({invocation.outcome}, timeout=self._timeout_s)
        if not done:
            return page(503, request_id, f"no result after {self._timeout_s:g} seconds")
        try:
            outcome = invocation.outcome.result()
        except ThrottledError as error:
            return page(503, request_id, front_door.THROTTLED % error)
        if outcome.is_error:
            return page(500, request_id, front_door.FAILED % outcome.error_type)
        return outcome


def page(status: int, request_id: str, reason: str) -> Page:
    """The HTTP API's own answer."""
    headers = (
        (b"Content-Type", b"application/json"),
        (b"Apigw-Requestid", request_id.encode()),
    )
    message = _MESSAGES.get(status) or HTTPStatus(status).phrase
    body = dumps({"message": message}, separators=(",", ":"))
    return Page(status, headers, body.encode(), reason)


def refuse(status: int) -> tuple[Headers, bytes]:
    """The HTTP API's own answer to what is no request, or too large a one."""
    refused = page(status, api_request_id(), "")
    return refused.headers, refused.body
