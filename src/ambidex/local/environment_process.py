"""The process of one environment, and the server of its Runtime API: how they start and end.

Source: lambda/latest/dg/lambda-runtime-environment.html, "Shutdown phase"
"""

import signal
from collections.abc import Callable
from datetime import UTC, datetime

from ambidex.local import process, runtime_api_server
from ambidex.local.credentials import endpoint_variables
from ambidex.local.extensions_api import Extensions
from ambidex.local.free_port import HOST
from ambidex.local.http1.server import Handler, Server
from ambidex.local.ids import hex_id
from ambidex.local.process import Process
from ambidex.local.reaper import Reaper
from ambidex.local.variables import Function

# From SIGTERM to SIGKILL, with internal extensions, and there are no others here.
SHUTDOWN_S = 0.5


async def start(
    function: Function,
    port: int,
    answer: Handler,
    on_line: Callable[[str], None],
    reaper: Reaper,
    token: str = "",
) -> tuple[Process, Server]:
    """Start a copy of a function, and its Runtime API.

    Args:
        function: what it runs.
        port: what `{port}` in the function's command is.
        answer: takes each request to its Runtime API.
        on_line: takes each line that it writes.
        reaper: ends it should this process die.
        token: what it has to show for credentials, where these are no variables.

    Raises:
        CommandError: the command cannot be started.
    """
    server = await runtime_api_server.listen(answer)
    try:
        environ = _environ(function, server.port, token)
        command = [part.replace("{port}", str(port)) for part in function.command]
        started = await process.start(command, function.folder, environ, on_line, reaper)
    except BaseException:
        server.close()
        raise
    return started, server


def stop(running: Process, extensions: Extensions) -> None:
    """End it: at once, or where an extension is registered by SIGTERM and, later, SIGKILL."""
    if running.is_to_be_killed:
        return
    if not extensions.registered:
        running.signal(signal.SIGKILL)
        return
    running.thaw()
    running.signal(signal.SIGTERM)
    running.kill_later(SHUTDOWN_S)


def _environ(function: Function, runtime_api_port: int, token: str) -> dict[str, str]:
    environ = function.environ | {"AWS_LAMBDA_RUNTIME_API": f"{HOST}:{runtime_api_port}"}
    if not function.has_snapshots:  # an environment that is restored has another stream
        stream = f"{datetime.now(UTC):%Y/%m/%d}/[{function.version}]{hex_id(32)}"
        environ["AWS_LAMBDA_LOG_STREAM_NAME"] = stream
    if function.credentials is not None:
        environ |= endpoint_variables(runtime_api_port, token)
    return environ
