"""Coverage-guided fuzzing of events and results: `python -m tests.fuzz -runs=100000`.

The options are libFuzzer's. What it finds is kept in build/fuzz; an input that breaks something
belongs into tests/fuzz/corpus with the repair, for every input there is a test.
"""

import json
import random
import sys
from collections.abc import Iterator
from typing import Any

import atheris

with atheris.instrument_imports(include=["ambidex"]):
    from tests.fuzz.target import is_handled

from tests.project import ROOT

_CORPUS = ROOT / "tests" / "fuzz" / "corpus"
_FOUND = ROOT / "build" / "fuzz"
# A run takes a fraction of a millisecond: what takes ten seconds hangs.
_OPTIONS = ("-timeout=10", "-max_len=16384", "-rss_limit_mb=2048", "-reduce_inputs=0")
_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1.5, 10**30, "", "/", "//", "%", "%2", "%ff", "é", "\ud800", "\x00",
    "1.0", "2.0", "GET", "[::1]:80", ":" * 99, "9" * 5000, "a=1&b", "?", "/?a=%zz", [], [None],
    ["x"], [["x"]], {}, {"": ""}, {"a": None}, {"a": ["b"]},
)  # fmt: skip


def mutated(data: bytes, max_bytes: int, seed: int) -> bytes:
    """JSON with something wrong in it, so that most inputs get past the parser."""
    chosen = random.Random(seed)
    try:
        value = json.loads(data)
        places = list(_places(value))
    except (ValueError, RecursionError):
        value, places = None, []
    if not places or chosen.random() < 0.1:
        return bytes(atheris.Mutate(data, len(data)))
    for _ in range(chosen.randint(1, 3)):
        container, key = chosen.choice(places)
        if chosen.random() < 0.3 and isinstance(container, dict):
            container.pop(key, None)
        else:
            other, other_key = chosen.choice(places)
            replaced = [*_VALUES, _at(other, other_key)]
            _put(container, key, chosen.choice(replaced))
    try:
        return json.dumps(value).encode()[:max_bytes]
    except (ValueError, RecursionError):  # it holds itself
        return data


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict | list):
        for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
            yield value, key
            yield from _places(item)


def _at(container: Any, key: Any) -> Any:
    try:
        return container[key]
    except (KeyError, IndexError):
        return None


def _put(container: Any, key: Any, value: Any) -> None:
    if isinstance(container, dict) or key < len(container):
        container[key] = value


def main() -> None:
    """Fuzz until the runs are done; libFuzzer ends the process."""
    _FOUND.mkdir(parents=True, exist_ok=True)
    arguments = [*sys.argv, *_OPTIONS, f"-artifact_prefix={_FOUND}/", str(_FOUND), str(_CORPUS)]
    atheris.Setup(arguments, is_handled, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
