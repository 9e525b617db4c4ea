"""Each test of this folder runs on every target of its module's app, started once for them all.

A module says what its targets differ in by a table, INSTEAD: what this target does in place of what
the test says of the others.
"""

from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.apps.starting import HANDLER, MANGUM, NATIVE, Target, copied, started

TARGETS = ["lambda", "ecs", "handler", "mangum", "uvicorn"]


@pytest.fixture(scope="module")
def variables() -> str:
    """Lines for the `.env` of the app, none unless a module has a fixture of this name itself."""
    return ""


@pytest.fixture(scope="module")
def targets(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, variables: str
) -> Iterator[dict[str, Target]]:
    """The targets of the app that the module is named after.

    A module may have WAYS of its own.
    """
    app = request.path.stem.removeprefix("test_")
    running: dict[str, Target] = {}
    with ExitStack() as stack:
        for way in getattr(request.module, "WAYS", (NATIVE, HANDLER, MANGUM)):
            way = way._replace(variables=variables + way.variables)
            project = copied(app, way, tmp_path_factory.mktemp(app))
            running |= stack.enter_context(started(project, way))
        yield running


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest, targets: dict[str, Target]) -> Target:
    """Each target in turn."""
    return targets[request.param]


@pytest.fixture
def client(target: Target) -> Iterator[httpx.Client]:
    """A browser of sorts: it keeps cookies, and follows a redirect only when told to."""
    with httpx.Client(base_url=target.url, timeout=60) as client:
        yield client
