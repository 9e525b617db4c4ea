"""Starlette with sessions and static files, behind a load balancer on both platforms."""

from typing import Any

import httpx
import pytest

from tests.apps.starting import APPS, Target

INSTEAD: dict[tuple[str, str], Any] = {
    ("mangum", "startups for a request"): 1,
}

STATIC = APPS / "starlette" / "static"


def test_a_session_counts_over_requests(client: httpx.Client) -> None:
    visits = [client.get("/visit").json()["visits"] for _ in range(3)]
    assert visits == [1, 2, 3]


def test_each_browser_has_a_session_of_its_own(target: Target, client: httpx.Client) -> None:
    assert client.get("/visit").json()["visits"] == 1
    assert httpx.get(f"{target.url}/visit").json()["visits"] == 1
    assert client.get("/visit").json()["visits"] == 2


def test_a_message_is_shown_once_after_the_redirect(client: httpx.Client) -> None:
    answer = client.post("/sign", data={"name": "Zoë & Co"}, follow_redirects=True)
    assert [redirect.status_code for redirect in answer.history] == [303]
    assert answer.json()["flash"] == "thank you, Zoë & Co"
    assert client.get("/visit").json()["flash"] is None


def test_after_the_logout_the_session_is_a_new_one(client: httpx.Client) -> None:
    client.get("/visit")
    assert "session" in client.cookies
    assert client.post("/logout").headers["set-cookie"].startswith("session=null; path=/; expires=")
    assert "session" not in client.cookies
    assert client.get("/visit").json()["visits"] == 1


def test_a_forged_session_is_none(client: httpx.Client) -> None:
    client.cookies.set("session", "eyJ2aXNpdHMiOiA5OX0=.awcx2w.forged")
    assert client.get("/visit").json()["visits"] == 1


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        pytest.param("style.css", "text/css; charset=utf-8", id="text"),
        pytest.param("dot.png", "image/png", id="binary"),
    ],
)
def test_a_static_file_is_fetched_once_and_then_confirmed(
    client: httpx.Client, name: str, content_type: str
) -> None:
    first = client.get(f"/static/{name}")
    assert first.content == (STATIC / name).read_bytes()
    assert first.headers["content-type"] == content_type
    for condition, validator in (("if-none-match", "etag"), ("if-modified-since", "last-modified")):
        again = client.get(f"/static/{name}", headers={condition: first.headers[validator]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert "content-length" not in again.headers
    changed = client.get(f"/static/{name}", headers={"if-none-match": '"another"'})
    assert (changed.status_code, changed.content) == (200, first.content)


def test_a_folder_of_static_files_leads_to_its_index(target: Target, client: httpx.Client) -> None:
    answer = client.get("/static", follow_redirects=True)
    assert str(answer.url) == f"{target.url}/static/"
    assert answer.text == (STATIC / "index.html").read_text()
    assert client.get("/static/none").status_code == 404


def test_one_process_answers_and_has_started_its_lifespan_once(target: Target) -> None:
    first, *others = target.startups()
    each = INSTEAD.get((target.name, "startups for a request"), 0)
    assert others == [first + each, first + 2 * each]
    assert (first == 1) == (each == 0)
