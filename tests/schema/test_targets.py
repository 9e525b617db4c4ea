"""schemathesis makes requests of an app's own schema, valid and invalid ones, for both targets.

An answer of Lambda that is not the one of ECS is an error, unless docs/reference/event-sources.md
says that its front door does not carry a field of the request or the answer.
"""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from schemathesis.core.result import Ok

from ambidex.http import Request
from tests.events.cases import SOURCES, Source
from tests.local.test_up import FREE_PORTS, command
from tests.project import ROOT
from tests.schema.carried import Target, request_as_carried, response_as_carried, unnamed

# Of each operation, valid and invalid ones together, at each front door.
EXAMPLES = 40
# What the path, the query and the headers of a request may have together. The front doors take
# 10,240 bytes or more, with the line's other words and the prefix of a stage; beyond that each
# refuses in its own way, which has tests of its own.
HEAD_BYTES = 8_000

APPS = {
    "math_service": ROOT / "examples" / "math_service" / "main.py",
    "shop": Path(__file__).parent / "shop.py",
}
SETTINGS = """
[tool.ambidex]
app = "main:app"

[tool.ambidex.lambda]
binary-media-types = ["*/*"]
"""
# The front doors, and the event sources whose columns on the page are theirs.
DOORS = {
    "http-api": "http_api, default stage",
    "http-api-v1": "http_api_v1, default stage",
    "rest-api": "rest_api, binary */*",
    "function-url": "function_url",
    "alb": "alb, multi values",
}


class Running(NamedTuple):
    """An app that runs on both targets."""

    schema: dict[str, Any]
    doors: dict[str, Target]
    ecs: Target


@pytest.fixture(scope="module", params=APPS)
def app(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "main.py").write_text(APPS[request.param].read_text())
    (folder / "pyproject.toml").write_text(SETTINGS)
    process = subprocess.Popen(
        command("up", "--json", *FREE_PORTS, "--front-doors", ",".join(DOORS)),
        cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        targets = json.loads(process.stdout.readline())["targets"]
        ecs = Target(targets["ecs"]["url"])
        doors = {name: Target(url) for name, url in targets["lambda"]["front-doors"].items()}
        schema = json.loads(ecs.answer(Request("GET", "/openapi.json")).body)
        yield Running(schema, doors, ecs)
        for target in (ecs, *doors.values()):
            target.close()
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()
        process.stdout.close()


def source(door: str) -> Source:
    (found,) = (source for source in SOURCES if source.id == DOORS[door])
    return found


def sent(case: schemathesis.Case[Any]) -> Request:
    """The request that schemathesis would send, as HTTP carries it."""
    try:
        arguments = case.as_transport_kwargs(base_url="http://shop.example.com")
        prepared = requests.Request(**arguments).prepare()
    except requests.exceptions.RequestException:
        assume(False)  # no HTTP client could send it
    assert prepared.method is not None
    assert isinstance(prepared.body, bytes | str | None)
    head_bytes = sum(len(name) + len(value) for name, value in prepared.headers.items())
    assume(len(prepared.path_url) + head_bytes <= HEAD_BYTES)
    path, _, query = prepared.path_url.partition("?")
    body = prepared.body or b""
    headers = tuple(
        (name.encode("latin-1"), value if isinstance(value, bytes) else value.encode("latin-1"))
        for name, value in prepared.headers.items()
        if name.lower() not in ("connection", "content-length")
    )
    return Request(
        method=prepared.method,
        path=path,
        query=query.encode("ascii"),
        headers=headers,
        body=body.encode() if isinstance(body, str) else body,
    )


def requests_of(schema: dict[str, Any]) -> Iterator[st.SearchStrategy[Request]]:
    """A strategy for each operation of a schema: valid requests, and invalid ones."""
    modes = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
    for found in schemathesis.openapi.from_dict(schema).get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        yield st.one_of(*(operation.as_strategy(generation_mode=mode) for mode in modes)).map(sent)


@pytest.mark.parametrize("door", DOORS)
def test_lambda_answers_as_ecs_does_but_for_what_the_page_names(app: Running, door: str) -> None:
    carrier = source(door)
    for strategy in requests_of(app.schema):

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(request=strategy)
        def compare(request: Request) -> None:
            carried = request_as_carried(carrier, request)
            assert unnamed(carrier, request, carried) == []
            from_ecs = app.ecs.answer(carried)
            expected = response_as_carried(carrier, from_ecs)
            assert unnamed(carrier, from_ecs, expected) == []
            assert app.doors[door].answer(request) == expected

        compare()
