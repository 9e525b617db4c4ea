"""The commands that the pages show are run, and print what the pages say."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.docs.pages import PAGES, Block, blocks, commands, files, settled
from tests.project import PLAIN, ROOT

README = ROOT / "README.md"
GUIDES = ROOT / "docs" / "guides"
# The ports that the pages show, for a test takes free ones.
PORTS = {"lambda": "8001", "ecs": "8002", "invoke": "8003"}
FREE_PORTS = ("--lambda-port", "0", "--ecs-port", "0", "--invoke-port", "0")


class Up:
    """A running `ambidex up`; `log` is there when it has ended."""

    def __init__(self, folder: Path, urls: dict[str, str]) -> None:
        self.folder = folder
        self.urls = urls
        self.log: list[str] = []

    def here(self, text: str) -> str:
        """A text of a page with the ports of this run."""
        for name, port in PORTS.items():
            text = text.replace(f"127.0.0.1:{port}", self.urls[name].removeprefix("http://"))
        # The port that `ambidex invoke` takes if it is told none is not free in a test.
        at_hand = f"ambidex invoke --url {self.urls['invoke']} --event"
        return text.replace("ambidex invoke --event", at_hand)


def environ() -> dict[str, str]:
    """The environment of a user whose virtual environment is active."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "NO_COLOR": "1"}


def run(line: str, folder: Path) -> str:
    """Run a command line; its output and its errors."""
    done = subprocess.run(
        ["sh", "-c", line], cwd=folder, env=environ(), check=False, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return done.stdout


@contextmanager
def up(folder: Path, *arguments: str) -> Iterator[Up]:
    process = subprocess.Popen(
        ["ambidex", "up", "--json", *FREE_PORTS, *arguments], cwd=folder, env=environ(),
        text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        line = process.stdout.readline()
        assert line, process.stderr.read()
        document = json.loads(line)
        urls = {name: target["url"] for name, target in document["targets"].items()}
        running = Up(folder, {**urls, "invoke": document["invoke"]["url"]})
        yield running
    finally:
        process.send_signal(signal.SIGINT)
        running_log = process.stderr.read().splitlines()
        process.wait()
        process.stdout.close()
        process.stderr.close()
    running.log = running_log


def written(page: Path, folder: Path) -> Path:
    """A page's own project in a folder of the name that the page gives it."""
    for name, text in files(page).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def check(block: Block, running: Up) -> None:
    """Run the commands of a block; each prints what the page says."""
    for command in commands(block):
        printed = run(running.here(command.line), running.folder)
        assert settled(printed) == settled(running.here(command.output)), command.line


def test_the_readmes_first_command_is_what_its_make_target_runs(tmp_path: Path) -> None:
    (command,) = commands(blocks(README, "up")[0])
    assert command.line == "make up"
    recipe = subprocess.run(
        ["make", "--no-print-directory", "-n", "up"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()[-1]
    assert recipe == ".venv/bin/ambidex up examples/math_service"
    process = subprocess.Popen(
        [*recipe.removeprefix(".venv/bin/").split(), *FREE_PORTS], cwd=ROOT, env=environ(),
        text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    printed = "".join(process.stdout.readline() for _ in command.output.splitlines())
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()
    process.wait()
    process.stdout.close()
    assert without_ports(printed) == without_ports(command.output)
    assert rest == ""


def without_ports(text: str) -> str:
    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text.rstrip("\n"))


def test_the_readmes_answers_are_those_of_the_example() -> None:
    with up(ROOT / "examples" / "math_service") as running:
        for block in blocks(README, "run"):
            check(block, running)


def test_the_readmes_answers_are_those_of_the_classic_form_but_for_its_server_header() -> None:
    with up(ROOT / "examples" / "math_service_mangum") as running:
        for block in blocks(README, "run"):
            for command in commands(block):
                printed = settled(run(running.here(command.line), running.folder))
                expected = settled(running.here(command.output))
                assert printed.replace("server: uvicorn\n", "") == expected
                has_server = "server: uvicorn\n" in printed
                assert has_server == (running.urls["ecs"] in running.here(command.line))


def test_the_first_steps_lead_where_their_page_says(tmp_path: Path) -> None:
    page = GUIDES / "first-steps.md"
    folder = written(page, tmp_path / "shop")
    with up(folder) as running:
        script = folder / "invoke.py"
        script.write_text(running.here(script.read_text()))
        for block in blocks(page, "run"):
            check(block, running)
    check_log(page, running)


def check_log(page: Path, ended: Up) -> None:
    """The lines that a page shows of a log are in it, in this order."""
    log = iter([settled(line) for line in ended.log])
    for block in blocks(page, "log"):
        for line in block.text.splitlines():
            # An iterator, so that the lines have to come in this order.
            assert settled(line) in log, line


def test_the_guide_to_logs_leads_where_it_says(tmp_path: Path) -> None:
    page = GUIDES / "logs.md"
    with up(written(page, tmp_path / "shop")) as running:
        for block in blocks(page, "run"):
            check(block, running)
    check_log(page, running)


def test_the_guide_to_events_leads_where_it_says(tmp_path: Path) -> None:
    page = GUIDES / "events.md"
    with up(written(page, tmp_path / "shop")) as running:
        for block in blocks(page, "run"):
            check(block, running)
    assert "lambda | order 7" in running.log


def test_the_guide_to_snapstart_leads_where_it_says(tmp_path: Path) -> None:
    page = GUIDES / "snapstart.md"
    with up(written(page, tmp_path / "shop")) as running:
        for block in blocks(page, "run"):
            check(block, running)
    log = iter([settled(line) for line in running.log])
    for block in blocks(page, "log"):
        for line in block.text.splitlines():
            assert settled(line) in log, line


def test_without_its_hook_the_guides_app_has_a_closed_connection(tmp_path: Path) -> None:
    folder = written(GUIDES / "snapstart.md", tmp_path / "shop")
    app = (folder / "main.py").read_text()
    (folder / "main.py").write_text(app.replace("@ambidex.after_restore\n", ""))
    with up(folder) as running, httpx.Client() as client:
        assert client.get(running.urls["lambda"]).json() == {"closed": True}
        assert client.get(running.urls["ecs"]).json() == {"closed": False}


def test_the_guide_to_invoking_leads_where_it_says(tmp_path: Path) -> None:
    page = GUIDES / "invoke.md"
    with up(written(page, tmp_path / "shop")) as running:
        for block in blocks(page, "run"):
            check(block, running)


def test_the_guide_to_streaming_leads_where_it_says(tmp_path: Path) -> None:
    page = GUIDES / "streaming.md"
    with up(written(page, tmp_path / "shop")) as running:
        for block in blocks(page, "run"):
            check(block, running)


@pytest.mark.parametrize("page", [README, *sorted(GUIDES.glob("*.md"))], ids=lambda p: p.name)
def test_what_a_page_shows_to_fail_fails_like_this(page: Path, tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    for block in blocks(page, "fails"):
        for command in commands(block):
            assert settled(run(command.line, folder)) == settled(command.output), command.line


def test_the_native_and_the_classic_form_of_the_guide_answer_alike(tmp_path: Path) -> None:
    page = GUIDES / "from-the-blog-post.md"
    forms = {name: text for name, text in files(page).items() if name.endswith("pyproject.toml")}
    assert len(forms) == 3
    app = files(page)["main.py"]
    for name, text in forms.items():
        folder = tmp_path / name.partition("/")[0]
        folder.mkdir()
        (folder / "main.py").write_text(app)
        (folder / "pyproject.toml").write_text(text)
        with up(folder) as running:
            for block in blocks(page, "run"):
                check(block, running)


def test_the_way_from_mangum_leads_where_its_page_says(tmp_path: Path) -> None:
    page = GUIDES / "from-mangum.md"
    written(page, tmp_path)
    for form, block in zip(("before", "handler", "serve"), blocks(page, "run"), strict=True):
        with up(tmp_path / form) as running:
            check(block, running)


def test_from_mangum_to_the_handler_two_words_change() -> None:
    project = files(GUIDES / "from-mangum.md")
    changed = project["before/main.py"].replace("Mangum(", "Handler(")
    changed = changed.replace("from mangum import Mangum\n", "\nfrom ambidex import Handler\n")
    assert changed == project["handler/main.py"]
    assert project["before/pyproject.toml"] == project["handler/pyproject.toml"]


@pytest.mark.parametrize(
    ("handler", "startups"),
    [
        pytest.param("", ["1", "1", "1"], id="ambidex serve"),
        pytest.param("handler", ["1", "1", "1"], id="ambidex.Handler"),
        pytest.param("mangum", ["1", "2", "3"], id="Mangum"),
    ],
)
def test_how_often_the_lifespan_starts(tmp_path: Path, handler: str, startups: list[str]) -> None:
    (tmp_path / "main.py").write_text(f"""{PLAIN}
from ambidex import Handler
from mangum import Mangum
started = 0
async def app(scope, receive, send):
    global started
    if scope["type"] == "http":
        await answer(send, body=str(started).encode())
        return
    await receive()
    started += 1
    await send({{"type": "lifespan.startup.complete"}})
    await receive()
    await send({{"type": "lifespan.shutdown.complete"}})
handler, mangum = Handler(app), Mangum(app)
""")
    words = ["python", "-m", "awslambdaric", f"main.{handler}"] if handler else []
    (tmp_path / "pyproject.toml").write_text(
        f'[tool.ambidex]\napp = "main:app"\n[tool.ambidex.lambda]\ncommand = {words}\n'
    )
    with up(tmp_path) as running, httpx.Client() as client:
        assert [client.get(running.urls["lambda"]).text for _ in startups] == startups


def test_every_directive_is_one_that_the_tests_know() -> None:
    known = r"up|run|fails|log|file: [\w./-]+|"
    for page in PAGES:
        for block in blocks(page):
            is_known = re.fullmatch(known, block.directive) is not None
            # A page of a generator begins its pasted part with a notice of its own.
            assert is_known or "docs/reference" in str(page) or page.name == "performance.md"
