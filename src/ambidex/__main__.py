"""The `ambidex` command."""

import os
import sys


def main() -> int:
    """Run the command line; `serve` on Lambda goes straight to the runtime.

    Returns:
        The exit status.
    """
    arguments = sys.argv[1:]
    if arguments[:1] == ["serve"] and "AWS_LAMBDA_RUNTIME_API" in os.environ:
        names = arguments[1:]
        if len(names) < 2 and not any(name.startswith("-") for name in names):
            # Past the command-line library, which would cost a fifth of the cold start's budget.
            from ambidex.runtime.main import serve

            return serve("".join(names), os.environ)
    from ambidex.cli import run

    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
