"""Whose request a log record is of: what the platform tells of it, in context variables.

They are of the task that answers the request, and of what it starts: tasks, and threads by
`asyncio.to_thread` or anyio, run in a copy of its context.
"""

from contextvars import ContextVar

request_id: ContextVar[str] = ContextVar("ambidex_request_id", default="")
trace_header: ContextVar[str] = ContextVar("ambidex_trace_header", default="")
tenant_id: ContextVar[str] = ContextVar("ambidex_tenant_id", default="")


def enter(request: str, trace: str = "", tenant: str = "") -> None:
    """Have what is logged from now on be of a request.

    Args:
        request: its id.
        trace: its X-Ray header; what of it is logged is looked for when something is logged.
        tenant: the tenant that it is for.
    """
    request_id.set(request)
    trace_header.set(trace)
    tenant_id.set(tenant)


def trace_id() -> str:
    """The root of the X-Ray header: `Self=…;Root=1-67891233-abcdef012345678912345678`.

    Source: xray/latest/devguide/xray-concepts.html, "Tracing header";
    elasticloadbalancing/latest/application/load-balancer-request-tracing.html
    """
    header = trace_header.get()
    return header.partition("Root=")[2].partition(";")[0] if header else ""
