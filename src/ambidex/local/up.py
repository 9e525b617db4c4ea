"""`ambidex up`: both platforms on this machine, until Ctrl-C."""

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from ambidex.errors import shown
from ambidex.local import invoke_api, load_balancer
from ambidex.local.ecs_service import EcsService, TaskDefinition
from ambidex.local.front_doors import TIMEOUTS_S, FrontDoor, front_door
from ambidex.local.http1 import server as http1_server
from ambidex.local.http1.server import Server
from ambidex.local.lambda_service import LambdaService, Limits
from ambidex.local.log import is_coloured, printer
from ambidex.local.ports import Port, check_distinct, in_turn, listening
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
    front_doors: tuple[str, ...] = ()  # by name; none: the one that the settings name


class Running(NamedTuple):
    """Both platforms, ready."""

    lambda_url: str  # of the first front door
    ecs_url: str
    invoke_url: str
    lambda_service: LambdaService
    ecs_service: EcsService
    front_doors: Mapping[str, str]  # URLs by name, in the order in which they were named


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
        raise SettingError(f"there is no folder {shown(str(folder))}", _of_a_file(folder))
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


def _of_a_file(path: Path) -> str:
    if path.name == "pyproject.toml" and path.is_file():
        return f"name the folder that it is in: ambidex up {shown(str(path.parent))}"
    if not path.with_suffix(".py").is_file():
        return ""
    there = "" if path.parent == Path.cwd() else f", in {path.parent}"
    return f"for `app` in {path.stem}.py: ambidex up {path.stem}:app{there}"


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
        doors = await _front_doors(stack, settings, options, service)
        forwarding = load_balancer.Forwarding(idle_timeout_s=None if options.debug else 60.0)
        balancer = load_balancer.listen(group, HOST, options.ecs_port, forwarding)
        ecs = await listening(stack, balancer, Port(options.ecs_port, "--ecs-port"))
        invoke = await _listen(
            stack,
            FrontDoor(invoke_api.InvokeApi(service), load_balancer.LIMITS, invoke_api.refuse),
            Port(options.invoke_port, "--invoke-port"),
        )
        async with asyncio.TaskGroup() as starting:
            starting.create_task(service.warm_up())
            starting.create_task(tasks.start())
        yield Running(
            next(iter(doors.values())),
            f"http://{HOST}:{ecs.port}",
            f"http://{HOST}:{invoke.port}",
            service,
            tasks,
            doors,
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


async def _front_doors(
    stack: AsyncExitStack, settings: Settings, options: Options, service: LambdaService
) -> dict[str, str]:
    """Listen at each of Lambda's front doors; their URLs by name."""
    urls = {}
    timeouts_s = {} if options.debug else TIMEOUTS_S
    names = options.front_doors or (settings.aws_lambda.front_door,)
    ports = in_turn(Port(options.lambda_port, "--lambda-port"), len(names))
    others = (Port(options.ecs_port, "--ecs-port"), Port(options.invoke_port, "--invoke-port"))
    check_distinct((*ports, *others))
    for name, port in zip(names, ports, strict=True):
        door = front_door(name, service, settings.aws_lambda, timeouts_s)
        server = await _listen(stack, door, port)
        urls[name] = f"http://{HOST}:{server.port}{door.path}"
    return urls


async def _listen(stack: AsyncExitStack, door: FrontDoor, port: Port) -> Server:
    server = http1_server.listen(
        door.handler, HOST, port.number, limits=door.limits, refuse=door.refuse,
        keep_alive_s=_KEEP_ALIVE_S,
    )  # fmt: skip
    return await listening(stack, server, port)


def _announce(platforms: Running, options: Options) -> None:
    if options.as_json:
        document = {
            "targets": {
                "lambda": {
                    "url": platforms.lambda_url,
                    "front-doors": dict(platforms.front_doors),
                },
                "ecs": {"url": platforms.ecs_url},
            },
            "invoke": {"url": platforms.invoke_url},
        }
        sys.stdout.write(f"{json.dumps(document)}\n")
    else:
        function = platforms.lambda_service.function.name
        doors = platforms.front_doors
        lines = [
            *((f"Lambda {name}" if len(doors) > 1 else "Lambda", f"curl {url}/")
              for name, url in doors.items()),
            ("ECS", f"curl {platforms.ecs_url}/"),
            ("Invoke API", f"{platforms.invoke_url}, function {function}"),
        ]  # fmt: skip
        width = max(len(label) for label, _ in lines)
        bold, plain = ("\x1b[1m", "\x1b[0m") if is_coloured(sys.stdout) else ("", "")
        for label, text in lines:
            sys.stdout.write(f"{bold}{label}{plain}{' ' * (width - len(label))}  {text}\n")
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
