"""The access log: a record for each request, once its response is complete.

Health checks have none. Websockets have the one that uvicorn writes.
"""

from collections.abc import Awaitable

from ambidex.asgi.types import App, Receive, Scope, Send
from ambidex.log.access import AccessLog
from ambidex.server.health_check import is_health_check


def with_access_log(app: App, health_path: bytes) -> App:
    """An app whose requests are logged.

    Args:
        app: the app.
        health_path: the raw path of the load balancer's health check.
    """
    logged = AccessLog(app)

    def chosen(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        is_unlogged = scope["type"] == "http" and is_health_check(scope, health_path)
        return (app if is_unlogged else logged)(scope, receive, send)

    return chosen
