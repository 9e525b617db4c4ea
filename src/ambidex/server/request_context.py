"""What log records of a request are marked with: a request id, and the id of its trace.

A load balancer sends no request id, so each request gets one here, in the form of Lambda's. uvicorn
runs each request in a task, whose context this is.
"""

from collections.abc import Awaitable, Iterator
from itertools import count
from uuid import uuid4

from ambidex.asgi.types import App, Receive, Scope, Send
from ambidex.log import context


def with_request_context(app: App, id_header: bytes) -> App:
    """An app whose log records say whose request they are of.

    Args:
        app: the app.
        id_header: the header with the id that what is in front has given; empty: there is none.
    """
    new_ids = _ids()

    def marked(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        request_id = trace_header = b""
        for name, value in scope["headers"]:
            if name == b"x-amzn-trace-id":
                trace_header = value
            elif name == id_header:
                request_id = value
        context.enter(
            request_id.decode("latin-1") if request_id else next(new_ids),
            trace_header.decode("ascii", "backslashreplace") if trace_header else "",
        )
        return app(scope, receive, send)

    return marked


def _ids() -> Iterator[str]:
    """UUIDs of version 4, of which the process's first is random, and the others count on.

    A tenth of the time of `uuid.uuid4`: nothing has to be kept secret by them.
    """
    start = uuid4()
    front = f"{start}"[:24]
    for number in count(start.node):
        yield f"{front}{number % _NODES:012x}"


_NODES = 1 << 48
