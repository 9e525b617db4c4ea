"""Whose request a log record is of: what the platform tells of it, in a context variable.

It is of the task that answers the request, and of what that starts: tasks, and threads by
`asyncio.to_thread` or anyio, run in a copy of its context.

One variable for all, for each that is set makes objects that live as long as the task, and those of
many requests at a time have the garbage collector look for garbage.
"""

from contextvars import ContextVar

_NOBODYS = ("", "", "")
_ids: ContextVar[tuple[str, str, str]] = ContextVar("ambidex_request", default=_NOBODYS)


def enter(request: str, trace: str = "", tenant: str = "") -> None:
    """Have what is logged from now on be of a request.

    Args:
        request: its id.
        trace: its X-Ray header; what of it is logged is looked for when something is logged.
        tenant: the tenant that it is for.
    """
    _ids.set((request, trace, tenant))


def set_trace_header(trace: str) -> None:
    """Have the request's X-Ray header be another from now on."""
    request, _, tenant = _ids.get()
    _ids.set((request, trace, tenant))


def request_id() -> str:
    """The request's id; empty outside of a request, as the others."""
    return _ids.get()[0]


def trace_header() -> str:
    """The request's X-Ray header."""
    return _ids.get()[1]


def tenant_id() -> str:
    """The tenant that the request is for."""
    return _ids.get()[2]


def trace_id() -> str:
    """The root of the X-Ray header: `Self=…;Root=1-67891233-abcdef012345678912345678`.

    Source: xray/latest/devguide/xray-concepts.html, "Tracing header";
    elasticloadbalancing/latest/application/load-balancer-request-tracing.html
    """
    header = trace_header()
    return header.partition("Root=")[2].partition(";")[0] if header else ""
