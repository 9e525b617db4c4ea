"""The lines that Lambda itself writes into a log in JSON, as Managed Instances have it.

Their reports have a duration and neither memory nor a price: an environment is at work for several
invocations at once, and is paid for as an instance.

Source: lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html for the form,
telemetry-schema-reference.html for the records; which of their fields Managed Instances have, no
page says: they are those of aws-lambda-runtime-interface-emulator.
"""

from datetime import UTC, datetime
from json import dumps
from typing import Any

from ambidex.local.extensions_api import Registered

_INITIALIZATION_TYPE = "lambda-managed-instances"


def init_report(duration_ms: float, status: str = "success", error_type: str = "") -> str:
    """The line at the end of an environment's init.

    Args:
        duration_ms: how long it has taken.
        status: success, error or timeout.
        error_type: empty for a success.
    """
    record = {
        "initializationType": _INITIALIZATION_TYPE,
        "phase": "init",
        "status": status,
        "metrics": {"durationMs": round(duration_ms, 3)},
    }
    return _line("platform.initReport", _with_error(record, error_type))


def extension(registered: Registered) -> str:
    """The line of an extension at the end of the init."""
    record = {"name": registered.name, "state": "Ready", "events": list(registered.events)}
    return _line("platform.extension", record)


def start(request_id: str, version: str) -> str:
    """The first line of an invocation."""
    return _line("platform.start", {"requestId": request_id, "version": version})


def report(
    request_id: str, duration_ms: float, status: str = "success", error_type: str = ""
) -> str:
    """The last line of an invocation.

    Args:
        request_id: the invocation's.
        duration_ms: until its result was there.
        status: success, error or timeout.
        error_type: empty for a success.
    """
    record = {
        "requestId": request_id,
        "metrics": {"durationMs": round(duration_ms, 3)},
        "status": status,
    }
    return _line("platform.report", _with_error(record, error_type))


def _with_error(record: dict[str, Any], error_type: str) -> dict[str, Any]:
    return record | {"errorType": error_type} if error_type else record


def _line(kind: str, record: dict[str, Any]) -> str:
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return dumps({"time": now, "type": kind, "record": record})
