"""FastAPI behind a named stage on Lambda, and at the root on ECS."""

import hashlib
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.apps.starting import HANDLER, NATIVE, Target, mangum_below

WAYS = (NATIVE, HANDLER, mangum_below("/prod"))

INSTEAD: dict[tuple[str, str], Any] = {
    ("mangum", "the schema that /docs asks for"): "/openapi.json",
    ("mangum", "the schema's servers"): None,
    ("mangum", "where the app's own URLs lead"): 404,
    ("mangum", "is answered before background work"): False,
    ("handler", "is answered before background work"): False,
    ("mangum", "the stage without a slash"): 404,
    ("uvicorn", "what the app logs as information is in the log"): False,
    ("mangum", "startups for a request"): 1,
}

CATALOGUE = bytes(range(256)) * 40


def stage(target: Target) -> str:
    return "/prod" if target.is_on_lambda else ""


def test_the_page_of_the_api_asks_for_its_schema_below_the_stage(
    target: Target, client: httpx.Client
) -> None:
    (asked_for,) = re.findall(r"url: '([^']+)'", client.get("/docs").text)
    of_all = f"{stage(target)}/openapi.json"
    assert asked_for == INSTEAD.get((target.name, "the schema that /docs asks for"), of_all)
    schema = client.get("/openapi.json").json()
    servers = [{"url": stage(target)}] if stage(target) else None
    assert schema.get("servers") == INSTEAD.get((target.name, "the schema's servers"), servers)
    assert schema["info"]["title"] == "Order desk"


def test_a_redirect_to_the_slash_keeps_the_stage(target: Target, client: httpx.Client) -> None:
    redirect = client.get("/items")
    assert redirect.status_code == 307
    followed = client.get("/items", follow_redirects=True)
    status = INSTEAD.get((target.name, "where the app's own URLs lead"), 200)
    assert followed.status_code == status
    if status == 200:
        assert redirect.headers["location"] == f"{target.url}/items/"
        assert followed.json() == {
            "self": f"{target.url}/items/",
            "first": f"{target.url}/items/1",
        }


def test_uploads_arrive_byte_for_byte_with_names_types_and_fields(client: httpx.Client) -> None:
    every_byte = bytes(range(256)) * 4096
    answer = client.post(
        "/uploads",
        data={"note": "grüße"},
        files=[
            ("files", ("every.bin", every_byte, "application/octet-stream")),
            ("files", ("menü.txt", "äöü".encode(), "text/plain")),
            ("files", ("empty", b"", "image/png")),
        ],
    )
    assert answer.json() == {
        "note": "grüße",
        "files": [
            ["every.bin", "application/octet-stream", hashlib.sha256(every_byte).hexdigest()],
            ["menü.txt", "text/plain", hashlib.sha256("äöü".encode()).hexdigest()],
            ["empty", "image/png", hashlib.sha256(b"").hexdigest()],
        ],
    }


def test_a_download_has_its_name_and_every_byte(client: httpx.Client) -> None:
    answer = client.get("/catalogue", headers={"accept-encoding": "identity"})
    assert answer.content == CATALOGUE
    disposition = "attachment; filename*=utf-8''cat%C3%A1logo.bin"
    assert answer.headers["content-disposition"] == disposition
    assert answer.headers["content-length"] == str(len(CATALOGUE))
    assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize(
    ("asked_for", "status", "content_range", "content"),
    [
        pytest.param("bytes=250-260", 206, "bytes 250-260/10240", CATALOGUE[250:261], id="part"),
        pytest.param("bytes=-3", 206, "bytes 10237-10239/10240", CATALOGUE[-3:], id="its end"),
        pytest.param("bytes=99999-", 416, "bytes */10240", b"", id="none"),
    ],
)
def test_a_range_of_a_download_is_that_range(
    client: httpx.Client, asked_for: str, status: int, content_range: str, content: bytes
) -> None:
    answer = client.get("/catalogue", headers={"range": asked_for})
    assert (answer.status_code, answer.headers["content-range"]) == (status, content_range)
    assert answer.content == content


def test_several_ranges_are_one_multipart_answer(client: httpx.Client) -> None:
    answer = client.get("/catalogue", headers={"range": "bytes=0-3,300-303"})
    assert answer.status_code == 206
    boundary = answer.headers["content-type"].partition("boundary=")[2]
    parts = answer.content.split(b"--" + boundary.encode())
    assert [part.partition(b"\r\n\r\n")[2] for part in parts[1:3]] == [
        CATALOGUE[0:4] + b"\r\n",
        CATALOGUE[300:304] + b"\r\n",
    ]


def test_head_has_the_length_of_the_download_and_no_body(client: httpx.Client) -> None:
    answer = client.head("/catalogue")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(CATALOGUE))


def test_every_cookie_is_kept_and_sent_back(client: httpx.Client) -> None:
    answer = client.post("/login")
    names = [line.partition("=")[0] for line in answer.headers.get_list("set-cookie")]
    assert names == ["session", "theme", "language"]
    assert client.get("/me").json() == ["s3cret=", "dark", "pt"]
    client.post("/logout")
    assert {cookie.name for cookie in client.cookies.jar} == {"language"}
    assert client.get("/me").status_code == 422


@pytest.mark.parametrize("path", ["/relative-orders", "/absolute-orders"])
def test_a_redirect_with_307_takes_the_body_along(
    target: Target, client: httpx.Client, path: str
) -> None:
    order = {"article": "tea", "pieces": 2}
    answer = client.post(path, json=order, follow_redirects=True)
    status = 200
    if path == "/absolute-orders":
        status = INSTEAD.get((target.name, "where the app's own URLs lead"), 200)
    assert answer.status_code == status
    if status == 200:
        assert (str(answer.url), answer.json()) == (f"{target.url}/orders", order)


def test_background_work_is_done_after_the_answer_and_before_the_next_request(
    target: Target, client: httpx.Client, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "started")
    os.mkfifo(tmp_path / "go")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.post, "/reports", data={"folder": str(tmp_path)})
        assert (tmp_path / "started").read_text() == "at work"
        is_before = INSTEAD.get((target.name, "is answered before background work"), True)
        if is_before:
            assert answer.result().json() == "under way"
        # Nothing holds an answer up that is on its way, so one that has not come never will.
        assert answer.done() == is_before
        report = f"report for {target.name}"
        (tmp_path / "go").write_text(report)
        assert answer.result().json() == "under way"
    assert end_of_audit(target, [report]) == [report]


def test_a_stream_has_the_same_bytes_gathered_on_lambda_and_in_chunks_on_ecs(
    target: Target, client: httpx.Client
) -> None:
    answer = client.get("/stream", headers={"accept-encoding": "identity"})
    assert answer.content == b"".join(
        b"%d:%s\n" % (number, bytes(range(128, 256))) for number in range(20)
    )
    assert ("content-length" in answer.headers) == target.is_on_lambda
    assert ("transfer-encoding" in answer.headers) != target.is_on_lambda


def test_what_depends_on_a_generator_is_closed_with_the_request(
    target: Target, client: httpx.Client
) -> None:
    client.post("/orders", json={"article": "milk", "pieces": 1})
    steps = ["opened", "milk", "closed"]
    assert end_of_audit(target, steps) == steps


def end_of_audit(target: Target, expected: list[str]) -> list[str]:
    """What the app has noted last; nothing is waited for on Lambda.

    On ECS the next request may come before what follows the answer to the last.
    """
    while True:
        audit: list[str] = httpx.get(f"{target.url}/audit").json()[-len(expected) :]
        if audit == expected or target.is_on_lambda:
            return audit


def test_what_the_app_logs_as_information_is_in_the_log(
    target: Target, client: httpx.Client
) -> None:
    article = f"a {target.name}"
    client.post("/orders", json={"article": article, "pieces": 1})
    is_logged = f"ordered: {article}" in target.logged(f"booked: {article}")
    what = "what the app logs as information is in the log"
    assert is_logged == INSTEAD.get((target.name, what), True)


def test_an_order_that_is_none_is_a_422_that_says_where(client: httpx.Client) -> None:
    answer = client.post("/orders", json={"article": "tea", "pieces": 0})
    assert answer.status_code == 422
    (detail,) = answer.json()["detail"]
    assert (detail["type"], detail["loc"]) == ("greater_than", ["body", "pieces"])


def test_an_http_exception_has_its_status_text_and_headers(client: httpx.Client) -> None:
    answer = client.get("/items/10")
    assert (answer.status_code, answer.headers["x-items"]) == (404, "9")
    assert answer.json() == {"detail": "there is no item 10"}


@pytest.mark.parametrize("target", ["lambda", "ecs", "handler", "mangum"], indirect=True)
def test_an_app_that_raises_is_a_plain_500(client: httpx.Client) -> None:
    # Plain uvicorn is left out, for it spoils the request that comes after:
    # test_the_request_after_one_that_raised_is_answered in tests/local/test_ecs_service.py.
    answer = client.get("/fail")
    assert (answer.status_code, answer.text) == (500, "Internal Server Error")
    assert client.get("/").status_code == 200


def test_the_apps_own_gzip_arrives_as_it_was_made(client: httpx.Client) -> None:
    answer = client.get("/words", headers={"accept-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.json() == "word " * 1000
    assert int(answer.headers["content-length"]) < 100
    plain = client.get("/words", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.json() == answer.json()


def test_the_apps_own_cors_answers_a_preflight(client: httpx.Client) -> None:
    asked = {"origin": "https://shop.example", "access-control-request-method": "PUT"}
    answer = client.options("/orders", headers=asked)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    assert answer.headers["access-control-allow-methods"] == "GET, PUT"
    refused = client.options("/orders", headers={**asked, "origin": "https://other.example"})
    assert refused.status_code == 400
    assert "access-control-allow-origin" not in refused.headers


def test_a_websocket_is_refused_on_lambda_and_works_on_ecs(target: Target) -> None:
    url = target.url.replace("http", "ws", 1) + "/chat"
    if target.is_on_lambda:
        with pytest.raises(InvalidStatus) as refused, connect(url):
            pass
        assert refused.value.response.status_code == 404
    else:
        with connect(url) as socket:
            socket.send("hello")
            assert socket.recv() == "you said hello"


def test_the_stage_by_itself_leads_to_the_apps_root(target: Target) -> None:
    answer = httpx.get(target.url, follow_redirects=True)
    assert answer.status_code == INSTEAD.get((target.name, "the stage without a slash"), 200)


def test_one_process_answers_and_has_started_its_lifespan_once(target: Target) -> None:
    first, *others = target.startups()
    each = INSTEAD.get((target.name, "startups for a request"), 0)
    assert others == [first + each, first + 2 * each]
    assert (first == 1) == (each == 0)
