"""The lines that Lambda itself writes into a function's log.

Source: lambda/latest/dg/monitoring-cloudwatchlogs-view.html; lambda-runtime-environment.html for
INIT_REPORT and a RESTORE_REPORT that tells an error; snapstart-monitoring.html for the fields of
REPORT. The lines of EXTENSION and RESTORE_START, and what is a tab, are as functions' logs have it.
"""

import math
import signal
from datetime import UTC, datetime

from ambidex.local.extensions_api import Registered


def start(request_id: str, version: str = "$LATEST") -> str:
    """The first line of an invocation."""
    return f"START RequestId: {request_id} Version: {version}"


def timed_out(request_id: str, message: str) -> str:
    """The line of an invocation that took too long."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return f"{now} {request_id} {message}"


def end(request_id: str) -> str:
    """The last line but one of an invocation."""
    return f"END RequestId: {request_id}"


def report(
    request_id: str,
    duration_ms: float,
    init_ms: float,
    memory_mib: int,
    max_memory_mib: int,
    status: str,
    restore_ms: float = 0,
) -> str:
    """The last line of an invocation.

    Args:
        request_id: the invocation's.
        duration_ms: of the invoke phase.
        init_ms: of the init if this invocation is the first to be billed for it, else 0.
        memory_mib: what the function has.
        max_memory_mib: the most that it used.
        status: empty for a success.
        restore_ms: of the restore from a snapshot if this invocation is the first after it, else 0.
    """
    parts = [
        f"REPORT RequestId: {request_id}",
        f"Duration: {duration_ms:.2f} ms",
        f"Billed Duration: {math.ceil(duration_ms + init_ms + math.ceil(restore_ms))} ms",
        f"Memory Size: {memory_mib} MB",
        f"Max Memory Used: {max_memory_mib} MB",
    ]
    if init_ms:
        parts.append(f"Init Duration: {init_ms:.2f} ms")
    if restore_ms:
        parts.append(f"Restore Duration: {restore_ms:.2f} ms")
        parts.append(f"Billed Restore Duration: {math.ceil(restore_ms)} ms")
    return "\t".join([*parts, status] if status else parts)


def snapshot_report(duration_ms: float) -> str:
    """The line of an init that ends with a snapshot."""
    return f"INIT_REPORT Init Duration: {duration_ms:.2f} ms"


def restore_start() -> str:
    """The first line of a restore; on AWS it may name the runtime's version, which images lack."""
    return "RESTORE_START"


def restore_report(duration_ms: float, status: str, error_type: str) -> str:
    """The last line of a restore.

    Args:
        duration_ms: until the runtime has asked for an event.
        status: empty for a success.
        error_type: empty without one.
    """
    parts = [f"RESTORE_REPORT Restore Duration: {duration_ms:.2f} ms"]
    if status:
        parts.append(f"Status: {status}")
    if error_type:
        parts.append(f"Error Type: {error_type}")
    return "\t".join(parts)


def init_report(duration_ms: float, status: str, error_type: str) -> str:
    """The line of an init that failed."""
    return (
        f"INIT_REPORT Init Duration: {duration_ms:.2f} ms\tPhase: init\tStatus: {status}\t"
        f"Error Type: {error_type}"
    )


def extension(registered: Registered) -> str:
    """The line of an extension at the end of the init."""
    events = ", ".join(registered.events)
    return f"EXTENSION\tName: {registered.name}\tState: Ready\tEvents: [{events}]"


def exit_reason(status: int) -> str:
    """How a runtime has ended, by its exit status; negative for a signal."""
    if status == 0:
        return "without providing a reason"
    if status > 0:
        return f"with error: exit status {status}"
    return f"with error: signal: {_SIGNALS.get(-status, str(-status))}"


_SIGNALS: dict[int, str] = {
    signal.SIGKILL: "killed",
    signal.SIGSEGV: "segmentation fault",
    signal.SIGTERM: "terminated",
}
