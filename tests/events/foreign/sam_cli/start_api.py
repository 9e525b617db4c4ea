"""Runs SAM CLI's `local start-api` with a function that keeps its events instead of a container.

In SAM CLI's own environment: `python start_api.py TEMPLATE PORT [NAME=VALUE ...]`, the values for
the template's parameters. Everything from the socket to the call of the function is SAM CLI's own.
"""

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from samcli.commands.local.lib.local_api_service import LocalApiService
from samcli.lib.providers.sam_stack_provider import SamLocalStackProvider


class Function:
    """In the place of SAM CLI's runner of containers: appends each event to the file EVENTS."""

    def is_debugging(self) -> bool:
        """Whether there is a debugger; the service asks."""
        return False

    def invoke(self, _name: str, event: str, *, stdout: Any, **_: object) -> None:
        """Keep an event; answer with an empty 200."""
        with Path(os.environ["EVENTS"]).open("a", encoding="utf-8") as events:
            events.write(f"{event}\n")
        stdout.write_str('{"statusCode": 200, "body": ""}')


def main(template: str, port: str, *parameters: str) -> None:
    """Serve until a signal ends it."""
    overrides = dict(parameter.split("=", 1) for parameter in parameters)
    stacks, _ = SamLocalStackProvider.get_stacks(template, parameter_overrides=overrides)
    folder = str(Path(template).parent)
    context = SimpleNamespace(
        stacks=stacks, local_lambda_runner=Function(), stderr=None, get_cwd=lambda: folder
    )
    LocalApiService(
        context,
        port=int(port),
        host="127.0.0.1",
        static_dir=None,
        disable_authorizer=False,
        ssl_context=None,
    ).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
