"""The Invoke API, as boto3 and the AWS CLI speak it: `RequestResponse`, with the log's tail.

Source: lambda/latest/api/API_Invoke.html
"""

from base64 import b64decode, b64encode
from json import dumps, loads
from urllib.parse import unquote

from ambidex.http import Headers, header
from ambidex.local.http1.exchange import ServerExchange
from ambidex.local.http1.messages import BodyTooLarge
from ambidex.local.ids import request_id
from ambidex.local.invocation import ThrottledError
from ambidex.local.lambda_service import LambdaService

_FUNCTIONS = "/2015-03-31/functions/"
_INVOCATIONS = "/invocations"

# Source: lambda/latest/dg/gettingstarted-limits.html, "Invocation payload"
PAYLOAD_BYTES = 6 * 1024 * 1024


class InvokeApi:
    """Answers HTTP requests to the Invoke API.

    Args:
        service: the Lambda service.
    """

    def __init__(self, service: LambdaService) -> None:
        self._service = service

    async def __call__(self, exchange: ServerExchange) -> None:
        """Answer one request."""
        path = unquote(exchange.head.target.decode("latin-1").partition("?")[0])
        name = path.removeprefix(_FUNCTIONS).removesuffix(_INVOCATIONS)
        is_invoke = path == f"{_FUNCTIONS}{name}{_INVOCATIONS}" and exchange.head.method == "POST"
        if not is_invoke:
            _fail(
                exchange, 404, "UnknownOperationException", f"{path} is no call of the Invoke API"
            )
            return
        function = self._service.function
        if name.removesuffix(":$LATEST") not in (function.name, function.arn):
            message = f"Function not found: {name}; the one there is is {function.name}"
            _fail(exchange, 404, "ResourceNotFoundException", message)
            return
        kind = _text(exchange, b"x-amz-invocation-type") or "RequestResponse"
        if kind != "RequestResponse":
            message = f"InvocationType {kind} is not offered here, RequestResponse is"
            _fail(exchange, 400, "InvalidParameterValueException", message)
            return
        await self._invoke(exchange)

    async def _invoke(self, exchange: ServerExchange) -> None:
        try:
            event = await exchange.read_body(PAYLOAD_BYTES) or b"{}"
            loads(event)
        except BodyTooLarge:
            message = f"Request must be smaller than {PAYLOAD_BYTES} bytes for the Invoke API"
            _fail(exchange, 413, "RequestTooLargeException", message)
            return
        except (ValueError, RecursionError) as error:
            message = f"Could not parse request body into json: {error}"
            _fail(exchange, 400, "InvalidRequestContentException", message)
            return
        try:
            client_context = _client_context(_text(exchange, b"x-amz-client-context"))
        except (ValueError, RecursionError) as error:
            message = f"Client context must be the base64 of a JSON object: {error}"
            _fail(exchange, 400, "InvalidRequestContentException", message)
            return
        trace_id = _text(exchange, b"x-amzn-trace-id")
        invocation = self._service.invoke(event, request_id(), trace_id, client_context)
        try:
            outcome = await invocation.outcome
        except ThrottledError:
            _fail(exchange, 429, "TooManyRequestsException", "Rate Exceeded.")
            return
        headers = [
            (b"Content-Type", b"application/json"),
            (b"x-amzn-RequestId", invocation.request_id.encode()),
            (b"X-Amz-Executed-Version", b"$LATEST"),
        ]
        if outcome.is_error:
            headers.append((b"X-Amz-Function-Error", b"Unhandled"))
        if _text(exchange, b"x-amz-log-type") == "Tail":
            await invocation.finished
            headers.append((b"X-Amz-Log-Result", b64encode(invocation.log_tail())))
        exchange.respond(200, tuple(headers), outcome.payload)


def refuse(status: int) -> tuple[Headers, bytes]:
    """The Invoke API's own answer to what is no request."""
    body = dumps({"Type": "User", "Message": f"HTTP {status}"}).encode()
    return ((b"Content-Type", b"application/json"),), body


def _client_context(encoded: str) -> str:
    """The JSON of a client context, on one line, for it travels in a header."""
    if not encoded:
        return ""
    value = loads(b64decode(encoded))
    if not isinstance(value, dict):
        raise ValueError("it is no object")  # noqa: TRY004 – a value of the wrong kind, from outside
    return dumps(value)


def _text(exchange: ServerExchange, name: bytes) -> str:
    return (header(exchange.head.headers, name) or b"").decode("latin-1")


def _fail(exchange: ServerExchange, status: int, kind: str, message: str) -> None:
    headers = (
        (b"Content-Type", b"application/json"),
        (b"x-amzn-ErrorType", kind.encode()),
        (b"x-amzn-RequestId", request_id().encode()),
    )
    exchange.respond(status, headers, dumps({"Type": "User", "Message": message}).encode())
