"""Every input of the saved corpus, without a fuzzer: what has broken once stays mended."""

from pathlib import Path

import pytest

from tests.fuzz.target import is_handled

CORPUS = sorted((Path(__file__).parent / "corpus").iterdir())


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_an_input_is_a_request_or_a_response_or_refused(path: Path) -> None:
    is_handled(path.read_bytes())
