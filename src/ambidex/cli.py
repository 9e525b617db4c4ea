"""The command line: one thin function per command, which imports its room when it is called."""

from pathlib import Path
from typing import Any

import click

from ambidex.errors import AmbidexError

COULD_NOT_START = 3
PORT = click.IntRange(0, 65535)
# What the extra `local` brings and `up` cannot do without.
LOCAL_EXTRA = ("dotenv", "httptools", "watchfiles")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ambidex", message="%(prog)s %(version)s")
def cli() -> None:
    """One container image for an ASGI app, on AWS Lambda and on Amazon ECS."""


@cli.command()
@click.argument("app", default="", metavar="[MODULE:ATTRIBUTE]")
def serve(app: str) -> int:
    """Run the app: what the image starts, on Lambda and on ECS.

    With AWS_LAMBDA_RUNTIME_API set this is a Lambda runtime, else an HTTP server for a load
    balancer. Without MODULE:ATTRIBUTE the app is the one that AMBIDEX_APP names.
    """
    from ambidex.__main__ import serve as run_app

    return run_app(app)


@cli.command()
@click.argument("project", default=".", metavar="[PATH|MODULE:ATTRIBUTE]")
@click.option(
    "--lambda-port", type=PORT, default=8001, show_default=True, help="Port of Lambda's front door."
)
@click.option(
    "--ecs-port", type=PORT, default=8002, show_default=True, help="Port of ECS's load balancer."
)
@click.option(
    "--invoke-port", type=PORT, default=8003, show_default=True, help="Port of the Invoke API."
)
@click.option("--reload", is_flag=True, help="Restart both when the source changes.")
@click.option("--debug", is_flag=True, help="No time-outs, for a debugger.")
@click.option("--json", "as_json", is_flag=True, help="Print the URLs as one line of JSON.")
def up(project: str, **options: Any) -> int:  # noqa: ANN401 – the options above
    """Run the app on both platforms, on this machine.

    PATH is the folder of a pyproject.toml with [tool.ambidex]; MODULE:ATTRIBUTE is an app in this
    one. A port of 0 is any free one. Ctrl-C ends everything.
    """
    try:
        from ambidex.local.up import Options, run

        if ":" in project:
            return run(Options(folder=Path.cwd(), app=project, **options))
        return run(Options(folder=Path(project).resolve(), app="", **options))
    except ModuleNotFoundError as error:
        if error.name not in LOCAL_EXTRA:
            raise
        raise AmbidexError(
            f"`ambidex up` needs {error.name}, which is not installed",
            "install ambidex with its extra `local`",
        ) from None


def run(arguments: list[str]) -> int:
    """Run a command.

    Returns:
        The exit status: 0 done, 1 a check found something, 2 usage, 3 could not start.
    """
    try:
        status = cli.main(arguments, prog_name="ambidex", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return 130
    except AmbidexError as error:
        show(error)
        return COULD_NOT_START
    return status if isinstance(status, int) else 0


def show(error: AmbidexError) -> None:
    """Print an error for a person to read."""
    click.echo(f"{click.style('error:', fg='red', bold=True)} {error.message}", err=True)
    if error.hint:
        click.echo(f"{click.style('hint:', fg='cyan', bold=True)} {error.hint}", err=True)
