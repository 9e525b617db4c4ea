"""Litestar behind a named stage on Lambda, and at the root on ECS."""

from typing import Any

import httpx
import pytest

from tests.apps.starting import HANDLER, NATIVE, Target, mangum_below

WAYS = (NATIVE, HANDLER, mangum_below("/v1"))

INSTEAD: dict[tuple[str, str], Any] = {
    ("mangum", "the stage in url_for"): "",
    ("mangum", "where a redirect to url_for leads"): 404,
    ("mangum", "startups for a request"): 1,
}


def stage(target: Target) -> str:
    return "/v1" if target.is_on_lambda else ""


def test_routes_take_typed_paths_and_repeated_parameters(client: httpx.Client) -> None:
    answer = client.get("/books/1", params={"lang": ["pt", "ünïcode & more"]})
    assert answer.json() == {"book": 1, "lang": ["pt", "ünïcode & more"]}
    assert client.get("/books/one").status_code == 404


def test_a_valid_struct_comes_back(client: httpx.Client) -> None:
    loan = {"book": "Ulisses", "days": 14, "until": "2026-12-01"}
    answer = client.post("/loans", json=loan)
    assert (answer.status_code, answer.json()) == (201, loan)


@pytest.mark.parametrize(
    ("loan", "key", "message"),
    [
        pytest.param({"book": "U", "days": 1}, "book", "Expected `str` of length >= 2",
                     id="length"),
        pytest.param({"book": "Ulisses", "days": 99}, "days", "Expected `int` <= 28", id="range"),
        pytest.param({"book": "Ulisses", "days": "x"}, "days", "Expected `int`, got `str`",
                     id="type"),
    ],
)  # fmt: skip
def test_what_msgspec_refuses_is_a_400_that_names_the_key(
    client: httpx.Client, loan: dict[str, object], key: str, message: str
) -> None:
    answer = client.post("/loans", json=loan)
    assert answer.status_code == 400
    assert answer.json()["extra"] == [{"message": message, "key": key, "source": "body"}]


def test_a_dto_keeps_to_itself_what_it_excludes(client: httpx.Client) -> None:
    answer = client.post("/readers", json={"name": "Ada", "password": "secret"})
    assert (answer.status_code, answer.json()) == (201, {"name": "Ada"})


def test_an_upload_arrives_byte_for_byte(client: httpx.Client) -> None:
    answer = client.post("/scans", files={"data": ("página.bin", bytes(range(256)))})
    assert answer.json() == {"name": "página.bin", "sum": 32640, "bytes": 256}


def test_the_schema_and_its_pages_are_below_the_stage(client: httpx.Client) -> None:
    schema = client.get("/schema/openapi.json").json()
    assert schema["info"] == {"title": "Library", "version": "1"}
    assert "/books/{number}" in schema["paths"]
    assert "/loans" in client.get("/schema/swagger").text
    # Litestar names no stage by itself, on no target: `servers` in its OpenAPIConfig is for that.
    assert schema["servers"] == [{"url": "/"}]


def test_url_for_has_the_stage_and_route_reverse_has_not(
    target: Target, client: httpx.Client
) -> None:
    kept = INSTEAD.get((target.name, "the stage in url_for"), stage(target))
    host = target.url.removesuffix(stage(target))
    assert client.get("/where").json() == {
        "url": f"{host}{kept}/where",
        "url_for": f"{host}{kept}/bag",
        "route_reverse": "/bag",
    }


def test_a_session_in_an_encrypted_cookie_lasts_over_requests(
    target: Target, client: httpx.Client
) -> None:
    for book in ("Ulisses", "A Maçã"):
        followed = client.post("/bag", data={"book": book}, follow_redirects=True)
        status = INSTEAD.get((target.name, "where a redirect to url_for leads"), 200)
        assert followed.status_code == status
    assert client.get("/bag").json() == ["Ulisses", "A Maçã"]
    assert httpx.get(f"{target.url}/bag").json() == []


@pytest.mark.parametrize(
    ("path", "status", "content_type", "text"),
    [
        pytest.param("/books/13", 402, "text/html; charset=utf-8", "<h1>pay first</h1>",
                     id="the app's page"),
        pytest.param("/books/14", 500, "application/json",
                     '{"status_code":500,"detail":"Internal Server Error"}', id="Litestar's own"),
        pytest.param("/none", 404, "application/json", '{"status_code":404,"detail":"Not Found"}',
                     id="no route"),
    ],
)  # fmt: skip
def test_an_exception_is_its_own_page(
    client: httpx.Client, path: str, status: int, content_type: str, text: str
) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.text) == (status, text)
    assert answer.headers["content-type"] == content_type


def test_the_stage_by_itself_leads_to_the_apps_root(target: Target) -> None:
    answer = httpx.get(target.url, follow_redirects=True)
    assert answer.status_code == 200


def test_one_process_answers_and_has_started_its_lifespan_once(target: Target) -> None:
    first, *others = target.startups()
    each = INSTEAD.get((target.name, "startups for a request"), 0)
    assert others == [first + each, first + 2 * each]
    assert (first == 1) == (each == 0)
