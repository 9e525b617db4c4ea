"""Each room imports what the architecture lets it import, and the image's side stays light."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "src" / "ambidex"

# docs/architecture.md has the same table in words.
MAY_IMPORT = {
    "__init__": {"runtime"},
    "__main__": {"cli", "errors", "runtime", "server"},
    "errors": set[str](),
    "http": set[str](),
    "settings": {"errors"},
    "events": {"errors", "http"},
    "asgi": {"errors", "http"},
    "log": {"asgi", "settings"},
    "runtime": {"errors", "http", "events", "asgi", "log", "settings"},
    "server": {"errors", "asgi", "log", "settings"},
    "local": {"errors", "http", "events", "settings"},
    "cli": {"__main__", "errors", "local"},
}

# What may be loaded on Lambda beside the standard library.
LIGHT = {"ambidex", "uvloop", "orjson", "cython_runtime"}


def rooms() -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in PACKAGE.rglob("*.py"):
        found.setdefault(path.relative_to(PACKAGE).parts[0].removesuffix(".py"), []).append(path)
    return found


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_the_table_names_every_room() -> None:
    assert set(rooms()) == set(MAY_IMPORT)


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_a_room_imports_only_what_it_may(room: str) -> None:
    for path in rooms()[room]:
        for name in imports(path):
            if name.startswith("ambidex."):
                other = name.split(".")[1]
                allowed = MAY_IMPORT[room] | {room}
                assert other in allowed or not (PACKAGE / other).exists(), f"{path}: {name}"
                assert other in allowed or not (PACKAGE / f"{other}.py").exists(), f"{path}: {name}"


def loaded(code: str) -> set[str]:
    script = f"import sys\n{code}\nimport json; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(run.stdout))


def test_serve_on_lambda_loads_nothing_but_what_it_needs() -> None:
    modules = loaded(
        "import ambidex.__main__, ambidex.runtime.main, ambidex.events.http_api\n"
        "from ambidex.runtime.event_loop import new_event_loop; new_event_loop().close()"
    ) - loaded("")
    outside = {
        name
        for name in (module.partition(".")[0] for module in modules)
        if name not in sys.stdlib_module_names and not name.startswith(("__", "_"))
    }
    assert outside <= LIGHT
    ours = {name.split(".")[1] for name in modules if name.startswith("ambidex.")}
    assert ours <= {"__main__", "asgi", "errors", "events", "http", "log", "runtime", "settings"}


def test_serve_on_lambda_leaves_slow_parts_of_the_standard_library_alone() -> None:
    bare = loaded("import asyncio, json, logging, urllib.parse, orjson, uvloop")
    modules = loaded("import ambidex.__main__, ambidex.runtime.main") - bare
    slow = {"tomllib", "difflib", "dataclasses", "argparse", "ipaddress", "uuid", "subprocess"}
    assert not {name.partition(".")[0] for name in modules} & slow


def test_an_ordinary_function_loads_nothing_of_managed_instances() -> None:
    modules = loaded("import ambidex.__main__, ambidex.runtime.main")
    of_theirs = {"managed_instances", "slots", "trace_environ", "workers"}
    assert not {f"ambidex.runtime.{name}" for name in of_theirs} & modules


# What the codecs of a front door share with others, and what is its own.
OF_SOURCES = {
    "alb": {"alb", "forwarded", "multi_value"},
    "function_url": {"forwarded", "function_url", "payload_2_0"},
    "http_api": {"forwarded", "http_api", "payload_2_0"},
    "http_api_v1": {"forwarded", "http_api_v1", "multi_value", "payload_1_0"},
    "rest_api": {"forwarded", "multi_value", "payload_1_0", "rest_api"},
    "vpc_lattice": {"forwarded", "multi_value", "vpc_lattice"},
}


@pytest.mark.parametrize("source", sorted(OF_SOURCES))
def test_the_first_event_of_a_front_door_loads_no_codec_of_another(source: str) -> None:
    before = loaded("import ambidex.runtime.main")
    modules = loaded(f"import ambidex.runtime.main, ambidex.events.{source}") - before
    ours = {name.removeprefix("ambidex.events.") for name in modules if "ambidex" in name}
    assert ours == OF_SOURCES[source] | {"base64", "body"}
    assert modules - {f"ambidex.events.{name}" for name in ours} <= {"http"}


def test_handler_is_importable_from_the_package_and_loads_no_settings() -> None:
    assert "ambidex.settings" not in loaded("from ambidex import Handler")


def test_hooks_around_a_snapshot_can_be_registered_without_loading_the_runtime() -> None:
    modules = loaded("from ambidex import after_restore, before_snapshot")
    assert not {"asyncio", "ambidex.settings", "ambidex.runtime.handler"} & modules
