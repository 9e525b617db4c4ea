"""Telling the load balancer's health check from a request.

The path alone does not tell them apart: `/`, the default, is a route of most apps. The load
balancer names itself `ELB-HealthChecker/2.0`.
Source: elasticloadbalancing/latest/application/lambda-functions.html, "Health checks"
"""

from ambidex.asgi.types import Scope


def raw_path(health_path: str) -> bytes:
    """A health check's path as requests have it, which may be set with a query."""
    return health_path.partition("?")[0].encode()


def is_health_check(scope: Scope, path: bytes) -> bool:
    """Whether a request is the load balancer's health check.

    Args:
        scope: of an HTTP request.
        path: the raw path that the load balancer asks for.
    """
    return scope["raw_path"] == path and any(
        name == b"user-agent" and value.startswith(b"ELB-HealthChecker")
        for name, value in scope["headers"]
    )
