"""The process of one environment: its command, and the variables that are its own."""

from collections.abc import Callable
from datetime import UTC, datetime

from ambidex.local import process
from ambidex.local.credentials import endpoint_variables
from ambidex.local.free_port import HOST
from ambidex.local.ids import hex_id
from ambidex.local.process import Process
from ambidex.local.reaper import Reaper
from ambidex.local.variables import Function


async def start(
    function: Function,
    port: int,
    runtime_api_port: int,
    on_line: Callable[[str], None],
    reaper: Reaper,
    token: str = "",
) -> Process:
    """Start a copy of a function.

    Args:
        function: what it runs.
        port: what `{port}` in the function's command is.
        runtime_api_port: where its Runtime API is.
        on_line: takes each line that it writes.
        reaper: ends it should this process die.
        token: what it has to show for credentials, where these are no variables.

    Raises:
        CommandError: the command cannot be started.
    """
    environ = function.environ | {"AWS_LAMBDA_RUNTIME_API": f"{HOST}:{runtime_api_port}"}
    if not function.has_snapshots:  # an environment that is restored has another stream
        stream = f"{datetime.now(UTC):%Y/%m/%d}/[{function.version}]{hex_id(32)}"
        environ["AWS_LAMBDA_LOG_STREAM_NAME"] = stream
    if function.credentials is not None:
        environ |= endpoint_variables(runtime_api_port, token)
    command = [part.replace("{port}", str(port)) for part in function.command]
    return await process.start(command, function.folder, environ, on_line, reaper)
