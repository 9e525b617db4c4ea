"""The guide from the Lambda Web Adapter: the real adapter before, `ambidex serve` after."""

import asyncio
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ambidex.settings import from_pyproject
from tests.docs.pages import blocks, files, settled
from tests.docs.test_commands import GUIDES, Up, check, up, written
from tests.project import ROOT, both

PAGE = GUIDES / "from-lambda-web-adapter.md"
INSTALLED = ROOT / "build" / "lambda-web-adapter" / "bin"
FORMS = ("before", "after")


@pytest.fixture(autouse=True)
def adapter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The adapter on the PATH."""
    path = f"{INSTALLED}:{os.environ['PATH']}"
    if shutil.which("lambda-adapter", path=path) is None:
        pytest.skip("there is no lambda-adapter: run `make lambda-web-adapter`, which needs cargo")
    monkeypatch.setenv("PATH", path)


@pytest.mark.parametrize("form", FORMS)
def test_each_form_answers_as_its_page_says(tmp_path: Path, form: str) -> None:
    written(PAGE, tmp_path)
    place = FORMS.index(form)
    with up(tmp_path / form) as running:
        check(blocks(PAGE, "run")[place], running)
    # An iterator, so that the lines have to come in this order.
    log = iter([settled(line) for line in running.log])
    for line in blocks(PAGE, "log")[place].text.splitlines():
        assert settled(line) in log, line


Answer = tuple[int, list[tuple[str, str]], bytes]
VOLATILE = {"date", "apigw-requestid"}


def answers(running: Up) -> Iterator[tuple[str, Answer]]:
    base = running.urls["lambda"]
    message = {"messageId": "m-1", "eventSource": "aws:sqs", "body": "seven"}
    with httpx.Client(timeout=60) as client:
        for name, request in {
            "a route": client.build_request("GET", f"{base}/shop/ping"),
            "a route that is not there": client.build_request("GET", f"{base}/shop/nothing"),
            "a method that it has not": client.build_request("DELETE", f"{base}/shop/ping"),
            "the base path alone": client.build_request("GET", f"{base}/shop"),
            "a link": client.build_request("GET", f"{base}/shop/items"),
            "a path with the base path's letters": client.build_request("GET", f"{base}/shopping"),
            "the base path twice": client.build_request("GET", f"{base}/shop/shop/ping"),
            "no base path": client.build_request("GET", f"{base}/ping"),
            "the context": client.build_request("GET", f"{base}/shop/function"),
            "an event from outside": client.build_request(
                "POST", f"{base}/shop/events", json={"Records": [message]}
            ),
            "an event of a queue": client.build_request(
                "POST",
                f"{running.urls['invoke']}/2015-03-31/functions/shop/invocations",
                json={"Records": [message]},
            ),
        }.items():
            response = client.send(request)
            headers = [
                (key, value)
                for key, value in response.headers.multi_items()
                if key not in VOLATILE and not key.startswith("x-amzn-")
            ]
            yield name, (response.status_code, sorted(headers), response.content)


def test_before_and_after_differ_in_what_the_page_names_and_in_nothing_else(
    tmp_path: Path,
) -> None:
    found: dict[str, dict[str, Answer]] = {}
    for form in FORMS:
        folder = tmp_path / form / "shop"
        for name, text in files(PAGE).items():
            if name.startswith(form):
                folder.mkdir(parents=True, exist_ok=True)
                (folder / Path(name).name).write_text(text)
        with up(folder) as running:
            found[form] = dict(answers(running))
    before, after = found["before"], found["after"]
    for name, (status, headers, body) in before.items():
        if ("server", "uvicorn") in headers:
            headers.remove(("server", "uvicorn"))
        else:
            assert name == "an event of a queue"
        before[name] = (status, headers, body)
    differing = {name: (before[name][0], after[name][0]) for name in before
                 if before[name] != after[name]}  # fmt: skip
    assert differing == {
        "the base path alone": (200, 307),
        "a link": (200, 200),
        "a path with the base path's letters": (200, 404),
        "the base path twice": (200, 404),
        "an event from outside": (200, 404),
    }


async def logged(log: list[str], text: str) -> int:
    """Wait for a log line that holds a text; its place."""
    while True:
        for place, line in enumerate(log):
            if text in line:
                return place
        await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("form", "is_within"),
    [pytest.param("before", False, id="before"), pytest.param("after", True, id="after")],
)
def test_background_work_runs_in_its_own_invocation_after_and_not_before(
    tmp_path: Path, form: str, is_within: bool
) -> None:
    folder = written(PAGE, tmp_path) / form

    async def main() -> None:
        log: list[str] = []
        settings = from_pyproject(folder / "pyproject.toml")
        async with both(folder, settings, log) as running, httpx.AsyncClient() as client:
            await client.post(f"{running.lambda_url}/shop/orders")
            request_id = log[await logged(log, "START")].split()[2]
            packed = asyncio.create_task(logged(log, "order 7 is packed"))
            while not packed.done():  # a request thaws what is frozen
                await client.get(f"{running.lambda_url}/shop/ping", timeout=60)
            end = await logged(log, f"END RequestId: {request_id}")
            assert (await packed < end) == is_within

    asyncio.run(main())


@pytest.mark.parametrize(
    ("form", "old", "new"),
    [
        pytest.param("before", "{ ", '{ AWS_LWA_ERROR_STATUS_CODES = "404", ', id="before"),
        pytest.param("after", "base-path", "error-statuses = [404]\nbase-path", id="after"),
    ],
)
def test_a_status_that_the_settings_name_fails_the_invocation_before_and_after(
    tmp_path: Path, form: str, old: str, new: str
) -> None:
    settings = written(PAGE, tmp_path) / form / "pyproject.toml"
    settings.write_text(settings.read_text().replace(old, new, 1))
    with up(settings.parent) as running:
        named = httpx.get(f"{running.urls['lambda']}/shop/nothing", timeout=60)
        assert (named.status_code, named.json()) == (500, {"message": "Internal Server Error"})
        assert httpx.get(f"{running.urls['lambda']}/shop/ping", timeout=60).text == '"pong"'


def test_one_function_of_the_app_changes() -> None:
    project = files(PAGE)
    changed = project["before/main.py"].replace("import json\n", "")
    old = """    context = json.loads(request.headers["x-amzn-lambda-context"])
    return {"function": context["env_config"]["function_name"]}
"""
    new = '    return {"function": request.scope["aws.context"].function_name}\n'
    assert changed.replace(old, new) == project["after/main.py"]
