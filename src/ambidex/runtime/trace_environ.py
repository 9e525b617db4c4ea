"""The trace id of each request, where code looks for it: in os.environ.

On Managed Instances, too, AWS has Python code take the trace id from the variable
_X_AMZN_TRACE_ID, and boto3, the X-Ray SDK and others do: a process of AWS's runtime answers one
request at a time. Where requests overlap in a process, a variable of the process would give one
request the id of another, so here it is the context variable that the log has as well, behind the
same name.

Processes that the app starts do not inherit it.

Source: lambda/latest/dg/lambda-managed-instances-python-runtime.html, "Request context"
"""

import os
from collections.abc import Iterator

from ambidex.log.context import set_trace_header, trace_header

TRACE_ID = "_X_AMZN_TRACE_ID"


class _TraceEnviron(os._Environ[str]):  # noqa: SLF001 – os has no other name for it
    def __getitem__(self, key: str) -> str:
        if key != TRACE_ID:
            return super().__getitem__(key)
        value = trace_header()
        if not value:
            raise KeyError(key)
        return value

    def __setitem__(self, key: str, value: str) -> None:
        if key == TRACE_ID:
            set_trace_header(value)
        else:
            super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        if key != TRACE_ID:
            super().__delitem__(key)
        elif trace_header():
            set_trace_header("")
        else:
            raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        yield from super().__iter__()
        if trace_header():
            yield TRACE_ID

    def __len__(self) -> int:
        return super().__len__() + bool(trace_header())


def install() -> None:
    """Make the variable a matter of the context; what is set stays.

    The object is the same afterwards, for modules that are imported already may hold it.
    """
    value = os.environ.pop(TRACE_ID, None)
    os.environ.__class__ = _TraceEnviron
    if value is not None:
        os.environ[TRACE_ID] = value
