"""How long does `ambidex up` take until both platforms are ready, beyond the app's own import?"""

import sys

from bench.answer import checked
from bench.program import cost, shown, versions
from bench.project import project, remove_handler
from bench.result import Bar, Comparison, Contestant, Relation, Result, Row
from bench.up import COMMAND, up

QUESTION = (
    "How long does `ambidex up` take until both platforms are ready, beyond the app's own import?"
)
ROUNDS = 11

_PROJECT = """\
[tool.ambidex]
app = "main:app"
"""
_IMPORT = (sys.executable, "-c", "import main")
_BARE = (sys.executable, "-c", "pass")


def measure(_seconds: float) -> Result:
    """Measure; it takes the seconds that it takes.

    Raises:
        BenchError: `ambidex up` does not start, or answers wrongly.
    """
    pinned, fastapi = versions("uvicorn", "uvloop", "fastapi"), versions("fastapi")
    ready: list[float] = []
    imported: list[float] = []
    bare: list[float] = []
    answer = ""
    with project(_PROJECT) as ours, project(_PROJECT) as alone:
        remove_handler(alone)
        for _ in range(ROUNDS + 1):
            bare.append(cost(_BARE, alone).wall_s)
            imported.append(cost(_IMPORT, alone).wall_s)
            with up(ours) as platforms:
                checked("Lambda", platforms.lambda_url)
                answer = checked("ECS", platforms.ecs_url)
                ready.append(platforms.ready_s)
    for values in (ready, imported, bare):
        del values[0]  # the caches were cold
    own = tuple(app - none for app, none in zip(imported, bare, strict=True))
    beyond = tuple(up_s - app for up_s, app in zip(ready, own, strict=True))
    return Result(
        QUESTION,
        (
            Contestant("ambidex up", pinned, shown(COMMAND)),
            Contestant("the app's import", fastapi, shown(_IMPORT), f"less `{shown(_BARE)}`"),
        ),
        (
            Row("the app's import", "s", own),
            Row(
                "ambidex up, from its exec to its line of JSON",
                "s",
                tuple(ready),
                answer,
                comparisons=(
                    Comparison("less the app's import", "s", beyond, Bar(Relation.AT_MOST, 1)),
                ),
            ),
        ),
    )
