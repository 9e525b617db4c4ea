"""The command line: one thin function per command, which imports its room when it is called."""

from pathlib import Path
from typing import Any

import click

from ambidex.errors import COULD_NOT_START, AmbidexError

FAILED = 1
USAGE = 2
INVOKE_PORT = 8003
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
    balancer, on port 8080 unless AMBIDEX_ECS_PORT names another. For a Lambda Web Function, where
    AWS_LAMBDA_HTTP_ENDPOINT is set, it is that server at that address. Without MODULE:ATTRIBUTE the
    app is the one that AMBIDEX_APP names. All settings are variables that begin with AMBIDEX_.
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
    "--invoke-port",
    type=PORT,
    default=INVOKE_PORT,
    show_default=True,
    help="Port of the Invoke API.",
)
@click.option(
    "--front-doors",
    default="",
    metavar="NAME,NAME…",
    help="Lambda's front doors: http-api, http-api-v1, rest-api, function-url, alb. The first is "
    "on --lambda-port, the others on 8004, 8005 and so on, or as far above another port. "
    "[default: the one in the settings]",
)
@click.option("--reload", is_flag=True, help="Restart both when the source changes.")
@click.option("--debug", is_flag=True, help="No time-outs, for a debugger.")
@click.option("--json", "as_json", is_flag=True, help="Print the URLs as one line of JSON.")
def up(project: str, front_doors: str, **options: Any) -> int:  # noqa: ANN401 – the options above
    """Run the app on both platforms, on this machine.

    PATH is the folder of a pyproject.toml with [tool.ambidex]; MODULE:ATTRIBUTE is an app in this
    one. A port of 0 is any free one. Ctrl-C ends everything.
    """
    try:
        from ambidex.local.up import Options, run

        named = _front_doors(front_doors)
        folder, app = (Path.cwd(), project) if ":" in project else (Path(project).resolve(), "")
        return run(Options(folder, app, front_doors=named, **options))
    except ModuleNotFoundError as error:
        if error.name not in LOCAL_EXTRA:
            raise
        raise AmbidexError(
            f"`ambidex up` needs {error.name}, which is not installed",
            "install ambidex with its extra `local`",
        ) from None


@cli.command()
@click.option("--event", metavar="FILE|KIND", help="What to send.")
@click.option(
    "--type",
    type=click.Choice(["RequestResponse", "Event", "DryRun"]),
    default="RequestResponse",
    show_default=True,
    help="Wait for the result; queue the event; only check the call.",
)
@click.option(
    "--client-context", default="", metavar="FILE|JSON", help="A client context for the function."
)
@click.option(
    "--url",
    default=f"http://127.0.0.1:{INVOKE_PORT}",
    show_default=True,
    help="Where the Invoke API is.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print result, error and log as one line of JSON."
)
@click.option("--list", "lists", is_flag=True, help="List the kinds of sample events.")
@click.option("--print", "kind", metavar="KIND", help="Print a sample event, to make it your own.")
def invoke(event: str | None, lists: bool, kind: str | None, **options: Any) -> int:  # noqa: ANN401 – the options above
    """Send an event to the function of a running `ambidex up`.

    FILE is JSON, or - for standard input; KIND is a sample event, one of those that --list shows,
    and comes before a file of its name.
    The result is on standard output, the end of the function's log on standard error.

    \b
      ambidex invoke --event http-api
      ambidex invoke --print sqs > event.json
      ambidex invoke --event event.json --type Event

    The exit status is 0 if all is well, 1 if the function fails or is throttled, 2 if the command
    or the event is not in order, 3 if nothing answers at the URL.
    """  # noqa: D301 – the backspace is click's mark for lines to keep
    from ambidex.local import invoke as invocation

    try:
        if lists:
            click.echo(invocation.list_kinds(), nl=False)
            return 0
        if kind is not None:
            click.echo(invocation.read_sample(kind), nl=False)
            return 0
        if event is None:
            raise click.UsageError("Missing option '--event'; --list shows the kinds there are.")
        return invocation.run(invocation.Options(event, **options))
    except invocation.UsageError as error:
        show(error)
        return USAGE
    except invocation.InvocationFailed as error:
        show(error)
        return FAILED


def _front_doors(text: str) -> tuple[str, ...]:
    from ambidex.local.front_doors import FrontDoorsError, names

    try:
        return names(text) if text else ()
    except FrontDoorsError as error:
        raise click.BadParameter(error.message, param_hint="--front-doors") from None


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
