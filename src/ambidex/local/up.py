"""`ambidex up`: both platforms on this machine, until Ctrl-C."""

import asyncio
import errno
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from ambidex.errors import AmbidexError, shown
from ambidex.local import load_balancer
from ambidex.local.ecs_service import EcsService, TaskDefinition
from ambidex.local.front_doors import TIMEOUTS_S, front_door
from ambidex.local.http1 import server as http1_server
from ambidex.local.http1.messages import Limits as HeadLimits
from ambidex.local.http1.server import Handler, Refuse, Server
from ambidex.local.invoke_api import InvokeApi
from ambidex.local.lambda_service import LambdaService, Limits
from ambidex.local.log import is_coloured, printer
from ambidex.local.process import has_peak_memory
from ambidex.local.reaper import Reaper
from ambidex.local.target_group import HealthCheck, TargetGroup
from ambidex.local.variables import function, task_variables
from ambidex.settings import SettingError, Settings, from_pyproject

HOST = "127.0.0.1"

# What shells take for "ended by Ctrl-C".
STOPPED = 130

# A laptop's tasks are checked every second, where ALB's default is 30: who waits is a person.
_HEALTH_INTERVAL_S = 1.0

# How long an API Gateway or an ALB keeps an idle client's connection.
_KEEP_ALIVE_S = 60.0


class PortError(AmbidexError):
    """A port cannot be had; the user's to choose another."""

    def __init__(self, port: int, option: str, error: OSError) -> None:
        is_taken = error.errno == errno.EADDRINUSE
        super().__init__(
            f"port {port} is taken" if is_taken else f"port {port}: {error.strerror}",
            f"choose another with {option}, or 0 for any that is free",
        )


class Options(NamedTuple):
    """What the command line says."""

    folder: Path
    app: str
    lambda_port: int
    ecs_port: int
    invoke_port: int
    reload: bool
    debug: bool
    as_json: bool


class Running(NamedTuple):
    """Both platforms, ready."""

    lambda_url: str
    ecs_url: str
    invoke_url: str
    lambda_service: LambdaService
    ecs_service: EcsService


def run(options: Options) -> int:
    """Run both platforms until Ctrl-C.

    Raises:
        AmbidexError: something is wrong with the settings, the app or a port.
    """
    settings = project_settings(options.folder, options.app)
    if options.reload:
        import watchfiles  # noqa: F401 – missing, it is missed before anything starts
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_until_stopped(settings, options))


def project_settings(folder: Path, app: str) -> Settings:
    """The settings of a project; an app named on the command line wins.

    Raises:
        SettingError: there is no such folder, no app is named, or a setting is wrong.
    """
    if not folder.is_dir():
        is_module = folder.with_suffix(".py").is_file()
        hint = f"for `app` in {folder.name}.py: ambidex up {folder.name}:app" if is_module else ""
        raise SettingError(f"there is no folder {shown(str(folder))}", hint)
    overrides = {"AMBIDEX_APP": app} if app else {}
    settings = from_pyproject(folder / "pyproject.toml", overrides)
    if not settings.app:
        file = folder / "pyproject.toml"
        raise SettingError(
            f"no app is named in {file}" if file.exists() else f"there is no {file}",
            'name it there, `app = "main:app"` in [tool.ambidex], or after the command: '
            "ambidex up main:app",
        )
    return settings


@asynccontextmanager
async def running(
    settings: Settings, options: Options, log: Callable[[str], Callable[[str], None]] = printer
) -> AsyncIterator[Running]:
    """Both platforms, started side by side; all is gone at the end.

    Args:
        settings: the project's.
        options: the command line's.
        log: makes the function that takes the lines of a source, `lambda`, `ecs` or `up`.

    Raises:
        AmbidexError: something did not start.
    """
    async with AsyncExitStack() as stack:
        reaper = Reaper()
        stack.callback(reaper.close)
        limits = Limits(has_timeouts=not options.debug)
        defined = function(settings, options.folder, os.environ)
        service = LambdaService(defined, reaper, log("lambda"), limits)
        stack.push_async_callback(service.close)
        group = TargetGroup(HealthCheck(settings.ecs.health_path, _HEALTH_INTERVAL_S))
        stack.push_async_callback(group.close)
        definition = TaskDefinition(
            command=settings.ecs.command or (sys.executable, "-m", "ambidex", "serve"),
            folder=options.folder,
            environ=lambda host, port: task_variables(
                settings, options.folder, os.environ, host, port
            ),
            stop_timeout_s=settings.ecs.stop_timeout,
            has_timeouts=not options.debug,
        )
        tasks = EcsService(definition, settings.ecs.tasks, group, reaper, log("ecs"), log("up"))
        stack.push_async_callback(tasks.close)
        timeouts_s = {} if options.debug else TIMEOUTS_S
        door = front_door(settings.aws_lambda.front_door, service, settings.aws_lambda, timeouts_s)
        server = await _listen(
            stack, door.handler, options.lambda_port, "--lambda-port", door.limits, door.refuse
        )
        ecs = await _load_balancer(stack, options, group)
        invoke = await _listen(
            stack, InvokeApi(service), options.invoke_port, "--invoke-port",
            load_balancer.LIMITS, load_balancer.refuse,
        )  # fmt: skip
        async with asyncio.TaskGroup() as starting:
            starting.create_task(service.warm_up())
            starting.create_task(tasks.start())
        yield Running(
            f"http://{HOST}:{server.port}{door.path}",
            f"http://{HOST}:{ecs.port}",
            f"http://{HOST}:{invoke.port}",
            service,
            tasks,
        )


async def _until_stopped(settings: Settings, options: Options) -> int:
    stop = asyncio.Event()
    starting = asyncio.current_task()
    loop = asyncio.get_running_loop()
    say = printer("up")

    def on_signal() -> None:
        if starting is not None and not stop.is_set():
            starting.cancel()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    _show_log(say)
    try:
        async with running(settings, options) as platforms:
            starting = None
            reloading = options.reload and asyncio.create_task(_reload(options, platforms, say))
            await asyncio.sleep(0)  # it watches from its first step on, so no change is missed
            _announce(platforms, options)
            if not has_peak_memory():
                say(
                    "this system tells no peak of memory: REPORT lines have what is held at the end"
                )
            waiters = {asyncio.create_task(stop.wait())} | ({reloading} if reloading else set())
            done, pending = await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
            for waiter in pending:
                waiter.cancel()
            for waiter in done:
                waiter.result()  # a watch that failed is no reason to go on without a word
            say("stopping")
    except BaseExceptionGroup as group:
        raise _first(group) from None
    except asyncio.CancelledError:
        say("stopped before it was ready")
        return STOPPED
    return 0


def _show_log(say: Callable[[str], None]) -> None:
    # What front doors and the load balancer answer themselves, and why.
    handler = logging.Handler()
    handler.emit = lambda record: say(handler.format(record))  # type: ignore[method-assign]
    logger = logging.getLogger("ambidex.local")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


async def _reload(options: Options, platforms: Running, say: Callable[[str], None]) -> None:
    from watchfiles import PythonFilter, awatch

    async for changes in awatch(options.folder, watch_filter=PythonFilter()):
        names = sorted({Path(path).name for _, path in changes})
        say(f"{', '.join(names)} changed: restarting")
        platforms.lambda_service.replace()
        await platforms.ecs_service.replace()


async def _load_balancer(stack: AsyncExitStack, options: Options, group: TargetGroup) -> Server:
    forwarding = load_balancer.Forwarding(idle_timeout_s=None if options.debug else 60.0)
    try:
        server = await load_balancer.listen(group, HOST, options.ecs_port, forwarding)
    except OSError as error:
        raise PortError(options.ecs_port, "--ecs-port", error) from None
    stack.callback(server.abort)
    return server


async def _listen(
    stack: AsyncExitStack,
    handler: Handler,
    port: int,
    option: str,
    limits: HeadLimits,
    refuse: Refuse,
) -> Server:
    try:
        server = await http1_server.listen(
            handler, HOST, port, limits=limits, refuse=refuse, keep_alive_s=_KEEP_ALIVE_S
        )
    except OSError as error:
        raise PortError(port, option, error) from None
    stack.callback(server.abort)
    return server


def _announce(platforms: Running, options: Options) -> None:
    if options.as_json:
        document = {
            "targets": {
                "lambda": {"url": platforms.lambda_url},
                "ecs": {"url": platforms.ecs_url},
            },
            "invoke": {"url": platforms.invoke_url},
        }
        sys.stdout.write(f"{json.dumps(document)}\n")
    else:
        bold, plain = ("\x1b[1m", "\x1b[0m") if is_coloured(sys.stdout) else ("", "")
        sys.stdout.write(
            f"{bold}Lambda{plain}      curl {platforms.lambda_url}/\n"
            f"{bold}ECS{plain}         curl {platforms.ecs_url}/\n"
            f"{bold}Invoke API{plain}  {platforms.invoke_url}, "
            f"function {platforms.lambda_service.function.name}\n"
        )
    sys.stdout.flush()


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
