"""What log records of a request are marked with: a request id, and the id of its trace.

A load balancer sends no request id, so each request gets one here, in the form of Lambda's. uvicorn
runs each request in a task, whose context this is.
"""

from collections.abc import Awaitable
from random import getrandbits

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
            request_id.decode("latin-1") or _new_id(),
            trace_header.decode("ascii", "backslashreplace"),
        )
        return app(scope, receive, send)

    return marked


def _new_id() -> str:
    # As `uuid.uuid4` has it, in a quarter of the time: nothing has to be kept secret by it.
    digits = f"{getrandbits(128) & _FREE | _VERSION_4:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


_VERSION_4 = 0x4000_8000_0000_0000_0000
_FREE = ~0xF000_C000_0000_0000_0000
