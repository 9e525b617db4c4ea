"""An Application Load Balancer in front of the Lambda service, with multi-value headers.

Source: elasticloadbalancing/latest/application/lambda-functions.html,
elasticloadbalancing/latest/application/load-balancer-troubleshooting.html
"""

from ambidex.events import alb
from ambidex.http import Response, header
from ambidex.local import front_door, load_balancer
from ambidex.local.front_door import Cause, Page, Refusal
from ambidex.local.http1.exchange import ServerExchange
from ambidex.local.lambda_service import LambdaService
from ambidex.local.variables import ACCOUNT_ID

# Source: lambda-functions.html, "Limits": 1 MB each way.
BODY_BYTES = 1024 * 1024
RESULT_BYTES = 1024 * 1024

_STATUSES = {
    Cause.BAD_TARGET: 400,
    Cause.UPGRADE: 400,
    Cause.BODY_TOO_LARGE: 413,
    Cause.EVENT_TOO_LARGE: 502,
    Cause.THROTTLED: 502,
    Cause.FAILED: 502,
    Cause.MALFORMED: 502,
    Cause.RESULT_TOO_LARGE: 502,
}


class AlbToLambda:
    """Answers HTTP requests as a load balancer with a Lambda target does.

    Args:
        service: the Lambda service.
    """

    def __init__(self, service: LambdaService) -> None:
        self._service = service
        region = service.function.region
        self._group = alb.TargetGroup(
            multi_value_headers=True,
            arn=f"arn:aws:elasticloadbalancing:{region}:{ACCOUNT_ID}:targetgroup/lambda/0000000000000000",
        )

    async def __call__(self, exchange: ServerExchange) -> None:
        """Answer one request."""
        if status := load_balancer.objection(exchange):
            page = Page(status, *load_balancer.refuse(status))
            front_door.answer(exchange, page, load_balancer.OBJECTION)
            return
        try:
            front_door.respond(exchange, await self._response(exchange))
        except Refusal as refusal:
            status = _STATUSES[refusal.cause]
            page = Page(status, *load_balancer.refuse(status))
            front_door.answer(exchange, page, refusal.message)

    async def _response(self, exchange: ServerExchange) -> Response:
        if header(exchange.head.headers, b"upgrade") is not None:
            reason = "a load balancer upgrades no connection to a function"
            raise Refusal(Cause.UPGRADE, reason)
        request = await front_door.request(exchange, BODY_BYTES)
        event = front_door.event_json(alb.to_event(request, self._group))
        invocation = self._service.invoke(event, trace_id=front_door.trace_id(request.headers))
        outcome = await front_door.result(invocation)
        size = len(outcome.payload)
        if size > RESULT_BYTES:
            reason = f"the result is {size} bytes, and an ALB takes {RESULT_BYTES}"
            raise Refusal(Cause.RESULT_TOO_LARGE, reason)
        return front_door.response(outcome, lambda result: alb.to_response(result, self._group))
