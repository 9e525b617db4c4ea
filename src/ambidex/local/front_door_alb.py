"""An Application Load Balancer in front of the Lambda service, with multi-value headers.

Source: elasticloadbalancing/latest/application/lambda-functions.html,
elasticloadbalancing/latest/application/load-balancer-troubleshooting.html
"""

from json import dumps, loads

from ambidex.events import alb
from ambidex.events.fields import EventError
from ambidex.http import Request, header
from ambidex.local import front_door
from ambidex.local.front_door import Page, TargetError
from ambidex.local.http1.exchange import ServerExchange
from ambidex.local.http1.messages import BodyTooLarge
from ambidex.local.invocation import Outcome, ThrottledError
from ambidex.local.lambda_service import LambdaService
from ambidex.local.load_balancer import refuse
from ambidex.local.variables import ACCOUNT_ID

# Source: lambda-functions.html, "Limits": 1 MB each way.
BODY_BYTES = 1024 * 1024
RESULT_BYTES = 1024 * 1024


class AlbToLambda:
    """Answers HTTP requests as a load balancer with a Lambda target does.

    Args:
        service: the Lambda service.
    """

    def __init__(self, service: LambdaService) -> None:
        self.port = 0
        self._service = service
        region = service.function.region
        self._group = alb.TargetGroup(
            multi_value_headers=True,
            arn=f"arn:aws:elasticloadbalancing:{region}:{ACCOUNT_ID}:targetgroup/lambda/0000000000000000",
        )

    async def __call__(self, exchange: ServerExchange) -> None:
        """Answer one request."""

        def own(status: int, reason: str) -> None:
            front_door.answer(exchange, page(status, reason))

        if header(exchange.head.headers, b"upgrade") is not None:
            own(400, "a load balancer upgrades no connection to a function")
            return
        try:
            request = front_door.request(exchange, await exchange.read_body(BODY_BYTES), self.port)
        except BodyTooLarge as error:
            own(413, str(error))
            return
        except TargetError as error:
            own(400, error.message)
            return
        outcome = await self._invoke(request)
        if isinstance(outcome, Page):
            front_door.answer(exchange, outcome)
            return
        try:
            response = alb.to_response(loads(outcome.payload), self._group)
        except (ValueError, RecursionError, EventError) as error:
            own(502, front_door.MALFORMED % error)
            return
        front_door.respond(exchange, response, (), lambda reason: page(502, reason))

    async def _invoke(self, request: Request) -> Outcome | Page:
        event = dumps(alb.to_event(request, self._group), separators=(",", ":")).encode()
        invocation = self._service.invoke(event, trace_id=front_door.trace_id(request.headers))
        try:
            outcome = await invocation.outcome
        except ThrottledError as error:
            return page(502, front_door.THROTTLED % error)
        if outcome.is_error:
            return page(502, front_door.FAILED % outcome.error_type)
        if len(outcome.payload) > RESULT_BYTES:
            reason = f"the result is {len(outcome.payload)} bytes, and an ALB takes {RESULT_BYTES}"
            return page(502, reason)
        return outcome


def page(status: int, reason: str) -> Page:
    """The load balancer's own answer."""
    return Page(status, *refuse(status), reason)
