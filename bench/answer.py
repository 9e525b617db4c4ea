"""The one request that is measured, and the one right answer to it."""

from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from bench.program import BenchError

PATH = "/math/add?i=5&i=10"
RIGHT = (200, "text/plain; charset=utf-8", b"15")


def checked(name: str, url: str) -> str:
    """Ask a contestant; its answer, as the table has it.

    Args:
        name: the contestant's.
        url: its own, without a path.

    Raises:
        BenchError: there is no answer, or a wrong one.
    """
    try:
        answer = ask(url, PATH)
    except (OSError, HTTPException) as error:
        raise BenchError(f"{name} does not answer: {error}") from error
    if answer != RIGHT:
        raise BenchError(f"{name} answers {answer!r}, not {RIGHT!r}")
    status, content_type, body = answer
    return f"{status}, {content_type}, `{body.decode()}`"


def ask(url: str, path: str) -> tuple[int, str, bytes]:
    """Status, content type and body of the answer to a GET."""
    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        connection.request("GET", parts.path + path)
        response = connection.getresponse()
        return response.status, response.getheader("content-type", ""), response.read()
    finally:
        connection.close()
