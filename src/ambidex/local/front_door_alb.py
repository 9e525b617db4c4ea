"""An Application Load Balancer in front of the Lambda service, with multi-value headers.

Source: elasticloadbalancing/latest/application/lambda-functions.html,
elasticloadbalancing/latest/application/load-balancer-troubleshooting.html
"""

from json import JSONDecodeError, dumps, loads

from ambidex.events import alb
from ambidex.events.fields import EventError
from ambidex.http import Request, header
from ambidex.local import front_door
from ambidex.local.front_door import Page, TargetError
from ambidex.local.http1 import BodyTooLarge
from ambidex.local.http1_exchange import ServerExchange
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
        if header(exchange.head.headers, b"upgrade") is not None:
            front_door.answer(exchange, page(400))
            return
        try:
            request = front_door.request(exchange, await exchange.read_body(BODY_BYTES), self.port)
        except BodyTooLarge:
            front_door.answer(exchange, page(413))
            return
        except TargetError:
            front_door.answer(exchange, page(400))
            return
        outcome = await self._invoke(request)
        if outcome is None or outcome.is_error or len(outcome.payload) > RESULT_BYTES:
            front_door.answer(exchange, page(502))
            return
        try:
            response = alb.to_response(loads(outcome.payload), self._group)
        except (JSONDecodeError, UnicodeDecodeError, EventError):
            front_door.answer(exchange, page(502))
            return
        front_door.respond(exchange, response, (), lambda: page(502))

    async def _invoke(self, request: Request) -> Outcome | None:
        event = dumps(alb.to_event(request, self._group), separators=(",", ":")).encode()
        invocation = self._service.invoke(event, trace_id=front_door.trace_id(request.headers))
        try:
            return await invocation.outcome
        except ThrottledError:
            return None


def page(status: int) -> Page:
    """The load balancer's own answer."""
    return Page(status, *refuse(status))
