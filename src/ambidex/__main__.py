"""The `ambidex` command."""

import gc
import os
import sys


def main() -> int:
    """Run the command line; a plain `serve` goes straight to what it starts.

    The command-line library would cost a fifth of the cold start's budget on Lambda, and off Lambda
    it would leave PID 1 without signal handlers for as long.

    Returns:
        The exit status.
    """
    arguments = sys.argv[1:]
    names = arguments[1:]
    is_plain = len(names) < 2 and not any(name.startswith("-") for name in names)
    if arguments[:1] != ["serve"] or not is_plain:
        from ambidex.cli import run

        return run(arguments)
    from ambidex.errors import COULD_NOT_START, AmbidexError

    try:
        return serve("".join(names))
    except AmbidexError as error:
        from ambidex.cli import show

        show(error)
        return COULD_NOT_START


def serve(app_name: str) -> int:
    """Serve an app as the platform wants it, which the environment tells.

    Args:
        app_name: `module:attribute`; empty for the one that the settings name.

    Returns:
        The exit status.

    Raises:
        AmbidexError: off Lambda, something keeps it from starting.
    """
    # Where Lambda wants a server there may be a Runtime API as well: the endpoint decides.
    if "AWS_LAMBDA_RUNTIME_API" in os.environ and not os.environ.get("AWS_LAMBDA_HTTP_ENDPOINT"):
        return _serve_lambda(app_name)
    from ambidex.server.main import serve as serve_http

    return serve_http(app_name, os.environ)


def _serve_lambda(app_name: str) -> int:
    # What is imported stays: looking for garbage in it takes a tenth of the init.
    gc.disable()
    gc.set_threshold(2000)  # Python's own from 3.13 on: less is looked at where requests are many
    from ambidex.runtime.main import serve

    try:
        status = serve(app_name, os.environ)
    except SystemExit as end:
        if not isinstance(end.code, int):
            raise
        status = end.code
    if status:
        # At once: what is under way would only say that it is not brought to its end.
        from ambidex.runtime.watchdog import leave

        leave(status)
    return status


if __name__ == "__main__":
    sys.exit(main())
