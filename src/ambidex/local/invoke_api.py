"""The Invoke API, as boto3 and the AWS CLI speak it, and what scripts ask for around it.

Source: lambda/latest/api/API_Invoke.html, API_InvokeWithResponseStream.html
"""

import asyncio
from base64 import b64decode, b64encode
from ipaddress import ip_address
from json import dumps, loads
from typing import Any
from urllib.parse import urlsplit

from ambidex.errors import shown
from ambidex.http import Headers, header
from ambidex.local import invoke_stream, restore
from ambidex.local.function_configuration import STATES, configuration
from ambidex.local.http1.exchange import ServerExchange
from ambidex.local.http1.messages import BodyTooLarge, reason_of
from ambidex.local.ids import request_id
from ambidex.local.invocation import Invocation, Outcome, ThrottledError
from ambidex.local.invoke_calls import (
    Call,
    CallError,
    Operation,
    invalid,
    parse,
    qualifier,
)
from ambidex.local.lambda_service import LambdaService

# Source: API_Invoke.html; lambda/latest/dg/gettingstarted-limits.html, "Invocation payload"
PAYLOAD_BYTES = 6 * 1024 * 1024
ASYNCHRONOUS_PAYLOAD_BYTES = 1024 * 1024
# In base64. Source: API_Invoke.html, ClientContext
CLIENT_CONTEXT_BYTES = 3583

_JSON = (b"Content-Type", b"application/json")

# Names of this machine, and those that containers have for it.
_HOSTS = ("localhost", "host.docker.internal", "host.containers.internal")


class InvokeApi:
    """Answers HTTP requests to the Invoke API.

    Args:
        service: the Lambda service.
    """

    def __init__(self, service: LambdaService) -> None:
        self._service = service

    async def __call__(self, exchange: ServerExchange) -> None:
        """Answer one request."""
        try:
            _check_host(_text(exchange, b"host"))
            _check_origin(_text(exchange, b"origin"))
            call = parse(exchange.head.method, exchange.head.target)
            if call.operation is Operation.INVOKE:
                await self._invoke(exchange, call, "Event RequestResponse DryRun")
            elif call.operation is Operation.INVOKE_STREAM:
                await self._invoke(exchange, call, "RequestResponse DryRun")
            else:
                _respond(exchange, 200, self._told(call))
        except CallError as error:
            body = {"Type": "User", "Message": error.message}
            _respond(exchange, error.status, body, (b"x-amzn-ErrorType", error.kind.encode()))

    def _told(self, call: Call) -> dict[str, Any]:
        function = self._service.function
        if call.operation is Operation.LIST:
            # All of its versions is one; AWS then tells them with their qualifier.
            version = function.version if call.parameters.get("FunctionVersion") == "ALL" else ""
            return {"Functions": [configuration(function, version)]}
        document = configuration(function, qualifier(call, function)) | STATES
        if call.operation is Operation.GET_CONFIGURATION:
            return document
        return {"Configuration": document, "Code": {}}  # it was started from no repository

    async def _invoke(self, exchange: ServerExchange, call: Call, kinds: str) -> None:
        qualifier(call, self._service.function)
        _check_tenant(_text(exchange, b"x-amz-tenant-id"))
        kind = _choice(exchange, b"x-amz-invocation-type", "invocationType", kinds)
        log_type = _choice(exchange, b"x-amz-log-type", "logType", "None Tail")
        event = await _event(
            exchange, ASYNCHRONOUS_PAYLOAD_BYTES if kind == "Event" else PAYLOAD_BYTES
        )
        client_context = _client_context(_text(exchange, b"x-amz-client-context"))
        trace_id = _text(exchange, b"x-amzn-trace-id")
        if kind == "DryRun":
            exchange.respond(204, ((b"x-amzn-RequestId", request_id().encode()),))
            return
        if kind == "Event":
            # Functions see a client context in synchronous invocations only.
            queued = self._service.enqueue(event, trace_id)
            exchange.respond(202, ((b"x-amzn-RequestId", queued.encode()),))
            return
        is_streaming = call.operation is Operation.INVOKE_STREAM
        invocation = self._service.invoke(
            event, request_id(), trace_id, client_context, takes_stream=is_streaming
        )
        send = invoke_stream.answer if is_streaming else _answer
        await send(
            exchange,
            invocation,
            await _outcome(invocation),
            _headers(invocation, self._service.function.version),
            log_type == "Tail",
        )


async def _outcome(invocation: Invocation) -> Outcome:
    try:
        outcome = await asyncio.shield(invocation.outcome)  # which is the service's to settle
    except ThrottledError:
        raise CallError(429, "TooManyRequestsException", "Rate Exceeded.") from None
    if outcome.error_type in restore.STATUSES:
        message = str(loads(outcome.payload)["errorMessage"])
        raise CallError(restore.STATUSES[outcome.error_type], outcome.error_type, message)
    return outcome


def _headers(invocation: Invocation, version: str) -> Headers:
    return (
        (b"x-amzn-RequestId", invocation.request_id.encode()),
        (b"X-Amz-Executed-Version", version.encode()),
    )


async def _answer(
    exchange: ServerExchange,
    invocation: Invocation,
    outcome: Outcome,
    headers: Headers,
    has_log: bool,
) -> None:
    added = [_JSON, *headers]
    if outcome.is_error:
        added.append((b"X-Amz-Function-Error", b"Unhandled"))
    if has_log:
        await invocation.finished
        added.append((b"X-Amz-Log-Result", b64encode(invocation.log_tail())))
    exchange.respond(200, tuple(added), outcome.payload)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is Python's own")


def _check_host(host: str) -> None:
    # A web page whose name leads to 127.0.0.1 could read the function's variables otherwise, which
    # may be secrets: browsers take the page and this API for one origin then (DNS rebinding).
    try:
        name = urlsplit(f"//{host}").hostname or ""
        if name not in _HOSTS and not name.endswith(".localhost"):
            ip_address(name)
    except ValueError:
        message = f"the host {shown(host)} is not this machine: ask for 127.0.0.1 or localhost"
        raise CallError(403, "AccessDeniedException", message) from None


def _check_origin(origin: str) -> None:
    # A web page cannot read what is answered, but a browser sends its POST without asking. No SDK
    # sends an Origin, nor could one in a browser: it would ask first, which is not offered here.
    if origin:
        message = f"the request is of a web page, {shown(origin)}: none may call this API"
        raise CallError(403, "AccessDeniedException", message)


def _check_tenant(tenant_id: str) -> None:
    # As on AWS, where a function has tenant isolation from the start or never. The words are ours.
    # Source: lambda/latest/dg/tenant-isolation-troubleshooting.html
    if tenant_id:
        message = (
            f"the tenant {shown(tenant_id)} is for a function with tenant isolation, which this "
            "one has not: leave it out"
        )
        raise CallError(400, "InvalidParameterValueException", message)


def refuse(status: int) -> tuple[Headers, bytes]:
    """The Invoke API's own answer to what is no request, or where it fails."""
    document = {
        "Type": "User" if status < 500 else "Service",
        "Message": reason_of(status).decode(),
    }
    return (_JSON,), dumps(document).encode()


async def _event(exchange: ServerExchange, limit_bytes: int) -> bytes:
    try:
        event = await exchange.read_body(limit_bytes) or b"{}"
        loads(event, parse_constant=_refuse_constant)
    except BodyTooLarge:
        raise CallError(
            413,
            "RequestTooLargeException",
            f"Request must be smaller than {limit_bytes} bytes for the InvokeFunction operation",
        ) from None
    except (ValueError, RecursionError) as error:
        message = f"Could not parse request body into json: {error}"
        raise CallError(400, "InvalidRequestContentException", message) from None
    return event


def _client_context(encoded: str) -> str:
    """The JSON of a client context, on one line, for it travels in a header."""
    if not encoded:
        return ""
    problem, value = "it is no object", None
    if len(encoded) > CLIENT_CONTEXT_BYTES:
        problem = f"it is {len(encoded)} bytes, and Lambda takes {CLIENT_CONTEXT_BYTES}"
    else:
        try:
            value = loads(b64decode(encoded))
        except (ValueError, RecursionError) as error:
            problem = str(error)
    if not isinstance(value, dict):
        message = f"Client context must be the base64 of a JSON object: {problem}"
        raise CallError(400, "InvalidRequestContentException", message)
    return dumps(value)


def _choice(exchange: ServerExchange, name: bytes, parameter: str, choices: str) -> str:
    value = _text(exchange, name)
    if value and value not in choices.split():
        raise invalid(parameter, value, f"enum value set: [{', '.join(choices.split())}]")
    return value


def _text(exchange: ServerExchange, name: bytes) -> str:
    return (header(exchange.head.headers, name) or b"").decode("latin-1")


def _respond(
    exchange: ServerExchange, status: int, document: dict[str, Any], *added: tuple[bytes, bytes]
) -> None:
    headers = (_JSON, (b"x-amzn-RequestId", request_id().encode()), *added)
    exchange.respond(status, headers, dumps(document).encode())
