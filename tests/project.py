"""Projects made for a test, and the Lambda service or both platforms running them."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

from ambidex.local import invoke_api, load_balancer, up
from ambidex.local.front_doors import TIMEOUTS_S, FrontDoor, front_door
from ambidex.local.http1 import server as http1_server
from ambidex.local.lambda_service import LambdaService, Limits
from ambidex.local.reaper import Reaper
from ambidex.local.up import Options, Running
from ambidex.local.variables import function
from ambidex.settings import FRONT_DOORS, Settings, from_pyproject

ROOT = Path(__file__).parent.parent
HOST = "127.0.0.1"
LIMITS = Limits()
# What a test lets a child find: the programs of this environment.
ENVIRON = {"PATH": str(Path(sys.executable).parent)}

# An ASGI app without any framework, which the tests' own apps use to say little.
PLAIN = """
async def answer(send, status=200, body=b"", headers=()):
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})
"""


def project(folder: Path, app: str, settings: str = "") -> Settings:
    """Write an app's main.py and its settings; the settings read back."""
    (folder / "main.py").write_text(dedent(PLAIN) + dedent(app))
    (folder / "pyproject.toml").write_text(f'[tool.ambidex]\napp = "main:app"\n{dedent(settings)}')
    return from_pyproject(folder / "pyproject.toml")


class Service:
    """The Lambda service of a project, its front doors and its log.

    A front door's URL has in its path what stands in front of the app's own paths.
    """

    def __init__(self, service: LambdaService, log: list[str]) -> None:
        self.service = service
        self.log = log
        self.http_api = ""
        self.http_api_v1 = ""
        self.rest_api = ""
        self.function_url = ""
        self.alb = ""
        self.invoke_api = ""

    async def logged(self, text: str) -> str:
        """Wait for a log line that holds a text."""
        while True:
            for line in self.log:
                if text in line:
                    return line
            await asyncio.sleep(0.01)


@asynccontextmanager
async def lambda_service(
    folder: Path,
    settings: Settings,
    limits: Limits = LIMITS,
    warm: bool = True,
    front_door_s: float | None = None,
    **changes: Any,
) -> AsyncIterator[Service]:
    """Run a project's Lambda side with all front doors and the Invoke API."""
    log: list[str] = []
    reaper = Reaper()
    defined = function(settings, folder, ENVIRON)._replace(**changes)
    service = LambdaService(defined, reaper, log.append, limits)
    running = Service(service, log)
    servers = []
    try:
        if warm:
            await service.warm_up()
        timeouts_s = {name: front_door_s or own_s for name, own_s in TIMEOUTS_S.items()}
        doors = {
            name: front_door(name, service, settings.aws_lambda, timeouts_s) for name in FRONT_DOORS
        }
        doors["invoke_api"] = FrontDoor(
            invoke_api.InvokeApi(service), load_balancer.LIMITS, invoke_api.refuse
        )
        for name, door in doors.items():
            server = await http1_server.listen(
                door.handler, HOST, 0, limits=door.limits, refuse=door.refuse, keep_alive_s=None
            )
            servers.append(server)
            url = f"http://{HOST}:{server.port}{door.path}"
            setattr(running, name.replace("-", "_"), url)
        yield running
    finally:
        for server in servers:
            server.abort()
        await service.close()
        reaper.close()


def with_lambda_service(
    folder: Path,
    test: Callable[[Service], Awaitable[None]],
    app: str,
    settings: str = "",
    **options: Any,
) -> None:
    """Write a project, run its Lambda side, and a test with it."""

    async def main() -> None:
        async with lambda_service(folder, project(folder, app, settings), **options) as service:
            await test(service)

    asyncio.run(main())


@asynccontextmanager
async def both(
    folder: Path,
    settings: Settings,
    log: list[str] | None = None,
    front_doors: tuple[str, ...] = (),
) -> AsyncIterator[Running]:
    """Run a project on both platforms, on free ports."""
    options = Options(
        folder, "", 0, 0, 0, reload=False, debug=False, as_json=True, front_doors=front_doors
    )
    lines: list[str] = [] if log is None else log
    async with up.running(settings, options, lambda _: lines.append) as running:
        yield running
