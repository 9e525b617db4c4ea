"""What log records of a request are marked with: a request id, and the id of its trace.

A load balancer sends no request id, so each request gets one here, in the form of Lambda's. uvicorn
runs each request in a task, whose context this is.
"""

from collections.abc import Awaitable
from uuid import uuid4

from ambidex.asgi.types import App, Receive, Scope, Send
from ambidex.log import context


def with_request_context(app: App, id_header: bytes) -> App:
    """An app whose log records say whose request they are of.

    Args:
        app: the app.
        id_header: the header with the id that what is in front has given; empty: there is none.
    """

    def marked(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        request_id = trace_header = b""
        for name, value in scope["headers"]:
            if name == b"x-amzn-trace-id":
                trace_header = value
            elif name == id_header:
                request_id = value
        context.enter(
            request_id.decode("latin-1") or str(uuid4()),
            trace_header.decode("ascii", "backslashreplace"),
        )
        return app(scope, receive, send)

    return marked
