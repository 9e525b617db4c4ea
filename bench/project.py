"""Projects to measure: copies of the example, in folders that last as long as the measurement."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.program import ROOT, BenchError

EXAMPLE = ROOT / "examples" / "math_service"

# What the example has of ambidex; without it, it is the app's own.
_OURS = ("from ambidex import Handler\n", "handler = Handler(app)\n")


@contextmanager
def project(settings: str) -> Iterator[Path]:
    """A copy of the example with other settings.

    Args:
        settings: the whole pyproject.toml.
    """
    with TemporaryDirectory(prefix="ambidex-bench-") as name:
        folder = Path(name)
        shutil.copy(EXAMPLE / "main.py", folder)
        (folder / "pyproject.toml").write_text(settings, encoding="utf-8")
        yield folder


def remove_handler(folder: Path) -> None:
    """Take ambidex out of a copy's main.py.

    Raises:
        BenchError: the example has changed, and more of ambidex is in it.
    """
    path = folder / "main.py"
    source = path.read_text("utf-8")
    for line in _OURS:
        source = source.replace(line, "")
    if "ambidex" in source or "Handler" in source:
        raise BenchError(f"{EXAMPLE / 'main.py'} has more of ambidex than bench/project.py removes")
    path.write_text(source, encoding="utf-8")
