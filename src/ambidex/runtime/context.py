"""The context of an invocation, with the names that AWS's Python runtime gives them.

Source: lambda/latest/dg/python-context.html
"""

from collections.abc import Mapping
from time import time
from types import SimpleNamespace
from typing import Any

from ambidex.events.event_json import MalformedJsonError, loads
from ambidex.runtime.messages import Invocation

_W3C = ("traceparent", "tracestate", "baggage")
_VARIABLES = {
    "function_name": "AWS_LAMBDA_FUNCTION_NAME",
    "function_version": "AWS_LAMBDA_FUNCTION_VERSION",
    "memory_limit_in_mb": "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "log_group_name": "AWS_LAMBDA_LOG_GROUP_NAME",
    "log_stream_name": "AWS_LAMBDA_LOG_STREAM_NAME",
}


def variables(environ: Mapping[str, str]) -> dict[str, str | None]:
    """What Lambda's own variables say of the function, by the names of a context's attributes.

    They stay the same for the life of an environment, and reading them takes microseconds.
    """
    return {name: environ.get(variable) for name, variable in _VARIABLES.items()}


class LambdaContext:
    """What `scope["aws.context"]` holds.

    Args:
        invocation: the invocation.
        variables: what is the same for all invocations.
    """

    function_name: str | None
    function_version: str | None
    memory_limit_in_mb: str | None
    log_group_name: str | None
    log_stream_name: str | None

    def __init__(self, invocation: Invocation, variables: Mapping[str, str | None]) -> None:
        self.__dict__.update(variables)
        self.aws_request_id = invocation.request_id
        self.invoked_function_arn = invocation.function_arn
        self.tenant_id = invocation.tenant_id or None
        self._invocation = invocation

    def w3c(self) -> dict[str, str]:
        """The W3C trace context that came along: `traceparent`, `tracestate` and `baggage`.

        It travels in the client context, where the app does not find it.
        Source: awslambdaric 4.2.2, which has the method under the same name.
        """
        if not self._invocation.client_context:
            return {}
        fields = (_object(self._invocation.client_context) or {}).get("w3c")
        if not isinstance(fields, dict):
            return {}
        return {name: fields[name] for name in _W3C if isinstance(fields.get(name), str)}

    @property
    def client_context(self) -> SimpleNamespace | None:
        """What an SDK sent along: `client`, `custom` and `env`; None without it."""
        fields = _object(self._invocation.client_context)
        if fields is None:
            return None
        client = fields.get("client")
        return SimpleNamespace(
            custom=fields.get("custom"),
            env=fields.get("env"),
            client=SimpleNamespace(**client) if isinstance(client, dict) else None,
        )

    @property
    def identity(self) -> SimpleNamespace:
        """The Cognito identity that called, its fields None without one."""
        fields = _object(self._invocation.cognito_identity) or {}
        return SimpleNamespace(
            cognito_identity_id=fields.get("cognitoIdentityId"),
            cognito_identity_pool_id=fields.get("cognitoIdentityPoolId"),
        )

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation, 0 when that time has come."""
        return max(0, self._invocation.deadline_ms - int(time() * 1000))


def _object(document: str) -> dict[str, Any] | None:
    if not document:
        return None
    try:
        value = loads(document.encode("latin-1"))
    except MalformedJsonError:
        return None
    return value if isinstance(value, dict) else None
