"""The context of an invocation, with the names that AWS's Python runtime gives them.

Source: lambda/latest/dg/python-context.html
"""

from collections.abc import Mapping
from time import time
from types import SimpleNamespace
from typing import Any

from ambidex.runtime.event_json import MalformedEventError, loads
from ambidex.runtime.messages import Invocation


class LambdaContext:
    """What `scope["aws.context"]` holds.

    Args:
        invocation: the invocation.
        environ: where Lambda's own variables are.
    """

    def __init__(self, invocation: Invocation, environ: Mapping[str, str]) -> None:
        self.aws_request_id = invocation.request_id
        self.invoked_function_arn = invocation.function_arn
        self.tenant_id = invocation.tenant_id or None
        self.function_name = environ.get("AWS_LAMBDA_FUNCTION_NAME")
        self.function_version = environ.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.memory_limit_in_mb = environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        self.log_group_name = environ.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = environ.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self._invocation = invocation

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
    except MalformedEventError:
        return None
    return value if isinstance(value, dict) else None
