"""An app of this folder on its targets: those of ambidex, and those of Mangum and plain uvicorn."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

from tests.local.test_up import FREE_PORTS, command

APPS = Path(__file__).parent

# On Lambda an image of the classic kind has AWS's runtime client and a handler, on ECS uvicorn.
_ON_LAMBDA = 'command = ["python", "-m", "awslambdaric", "classic.handler"]'
_ON_ECS = 'command = ["uvicorn", "main:app", "--host", "{host}", "--port", "{port}"]'


class Way(NamedTuple):
    """How an image starts an app, and what its targets are called here."""

    handler: str  # the source of `classic.py`; empty: both sides are `ambidex serve`
    on_lambda: str
    on_ecs: str
    stage: str = ""  # of the HTTP API, where the app's settings name none
    variables: str = ""  # lines for the app's `.env`


NATIVE = Way("", "lambda", "ecs")
MANGUM = Way(
    "from mangum import Mangum\nfrom main import app\n\nhandler = Mangum(app)\n",
    "mangum",
    "uvicorn",
)
HANDLER = Way(
    "from ambidex import Handler\nfrom main import app\n\nhandler = Handler(app)\n",
    "handler",
    "uvicorn beside handler",
)


def mangum_below(base_path: str) -> Way:
    """Mangum as it has to be at a named stage, where it finds no route otherwise."""
    options = f"app, api_gateway_base_path={base_path!r}"
    return MANGUM._replace(handler=MANGUM.handler.replace("Mangum(app)", f"Mangum({options})"))


class Target(NamedTuple):
    """Where an app is reached."""

    name: str
    url: str
    invoke_url: str  # the Invoke API of the same `up`
    log: Path  # of the same `up`

    @property
    def is_on_lambda(self) -> bool:
        """Whether it is behind a front door of Lambda."""
        return self.name.startswith(("lambda", "handler", "mangum"))

    @property
    def environments(self) -> int:
        """How many environments have answered on Lambda; only their first REPORT has an init."""
        return self.log.read_text().count("Init Duration:")

    def logged(self, text: str) -> str:
        """The log up to a text, which is waited for."""
        while text not in (log := self.log.read_text()):
            os.sched_yield()
        return log.partition(text)[0]

    def startups(self) -> list[int]:
        """How often the lifespan had started by three requests, all answered by one process.

        0 where the app has no lifespan.
        """
        processes = [httpx.get(f"{self.url}/process", timeout=60).json() for _ in range(3)]
        assert len({process["pid"] for process in processes}) == 1
        assert self.environments == 1
        return [process.get("startups", 0) for process in processes]


def copied(app: str, way: Way, folder: Path) -> Path:
    """A copy of an app, with a way to start it in its settings."""
    project = folder / app
    shutil.copytree(APPS / app, project, ignore=shutil.ignore_patterns("__pycache__"))
    settings = project / "pyproject.toml"
    text = settings.read_text()
    if way.stage:
        text = _with(text, "lambda", f'stage = "{way.stage}"')
    (project / ".env").write_text(way.variables)
    if way.handler:
        (project / "classic.py").write_text(way.handler)
        text = _with(_with(text, "lambda", _ON_LAMBDA), "ecs", _ON_ECS)
    settings.write_text(text)
    return project


def _with(settings: str, section: str, line: str) -> str:
    header = f"[tool.ambidex.{section}]\n"
    assert settings.count(header) == 1
    return settings.replace(header, f"{header}{line}\n")


@contextmanager
def started(project: Path, way: Way) -> Iterator[dict[str, Target]]:
    """Run `ambidex up` on a project; its targets by name."""
    log = project.parent / "log"
    with log.open("w") as lines:
        # Its log goes to a file: nobody reads a pipe while the tests run.
        process = subprocess.Popen(
            command("up", "--json", *FREE_PORTS), cwd=project, text=True,
            stdout=subprocess.PIPE, stderr=lines,
        )  # fmt: skip
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, log.read_text()
        document = json.loads(line)
        names = {way.on_lambda: "lambda", way.on_ecs: "ecs"}
        yield {
            name: Target(name, document["targets"][platform]["url"], document["invoke"]["url"], log)
            for name, platform in names.items()
        }
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
        process.stdout.close()
