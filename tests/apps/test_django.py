"""Django with its admin, at the root and behind a named stage."""

import hashlib
import re
import subprocess
import sys
from typing import Any

import httpx
import pytest

from ambidex.events import http_api
from ambidex.http import Request
from tests.apps.starting import APPS, HANDLER, MANGUM, NATIVE, Target, mangum_below

PROXY = "DJANGO_BEHIND_PROXY=1\n"
WAYS = (
    NATIVE._replace(variables=PROXY),
    MANGUM._replace(variables=PROXY),
    HANDLER._replace(variables=PROXY),
    NATIVE._replace(on_lambda="lambda at a stage", on_ecs="ecs beside it", stage="prod"),
    mangum_below("/prod")._replace(
        on_lambda="mangum at a stage", on_ecs="uvicorn beside it", stage="prod"
    ),
    MANGUM._replace(
        on_lambda="mangum with FORCE_SCRIPT_NAME",
        on_ecs="uvicorn with FORCE_SCRIPT_NAME",
        stage="prod",
        variables="DJANGO_FORCE_SCRIPT_NAME=/prod\n",
    ),
)
TARGETS = [
    "lambda",
    "ecs",
    "handler",
    "mangum",
    "uvicorn",
    "lambda at a stage",
    "mangum at a stage",
    "mangum with FORCE_SCRIPT_NAME",
]

INSTEAD: dict[tuple[str, str], Any] = {
    ("mangum at a stage", "the stage in the site's own links"): "",
    ("mangum at a stage", "where the site's own links lead"): 404,
    ("mangum at a stage", "the stage without a slash"): 404,
    ("mangum", "a traceback in the log for a lifespan that Django has not"): True,
    ("mangum at a stage", "a traceback in the log for a lifespan that Django has not"): True,
    ("mangum with FORCE_SCRIPT_NAME", "a traceback in the log for a lifespan that Django has not"):
        True,
}  # fmt: skip

USER, PASSWORD = "ada", "of this test only"
TLS = {"host": "shop.example", "x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.9"}


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One database for all targets, made and migrated before, as a deployment does."""
    database = tmp_path_factory.mktemp("database") / "shop.sqlite3"
    environ = {
        "DJANGO_SETTINGS_MODULE": "shop_settings",
        "DJANGO_DATABASE": str(database),
        "DJANGO_SUPERUSER_USERNAME": USER,
        "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
        "DJANGO_SUPERUSER_EMAIL": "ada@shop.example",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    for arguments in (["migrate", "--verbosity=0"], ["createsuperuser", "--noinput"]):
        subprocess.run(
            [sys.executable, "-m", "django", *arguments], cwd=APPS / "django", env=environ,
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    return f"DJANGO_DATABASE={database}\n"


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest, targets: dict[str, Target]) -> Target:
    """Each target in turn."""
    return targets[request.param]


def links(target: Target) -> str:
    """What the site's own links begin with."""
    stage = "/prod" if target.url.endswith("/prod") else ""
    return str(INSTEAD.get((target.name, "the stage in the site's own links"), stage))


def token(page: httpx.Response) -> str:
    """The CSRF token of a page's form."""
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.text)
    assert found, page.text
    return found[1]


def logged_in(client: httpx.Client, password: str = PASSWORD) -> httpx.Response:
    """The page that a user comes to who fills in the admin's form."""
    form = client.get("/admin/", follow_redirects=True)
    fields = {"username": USER, "password": password, "csrfmiddlewaretoken": token(form)}
    return client.post(form.url, data=fields, follow_redirects=True)


def test_the_admin_lets_its_user_in_and_out_again(target: Target, client: httpx.Client) -> None:
    form = client.get("/admin/", follow_redirects=True)
    assert form.history[0].headers["location"] == (
        f"{links(target)}/admin/login/?next={links(target)}/admin/"
    )
    status = INSTEAD.get((target.name, "where the site's own links lead"), 200)
    assert form.status_code == status
    if status == 404:
        return
    index = logged_in(client)
    assert (index.status_code, index.url.path) == (200, f"{links(target)}/admin/")
    assert f"<strong>{USER}</strong>" in index.text
    users = client.get("/admin/auth/user/")
    assert "ada@shop.example" in users.text
    client.post("/admin/logout/", data={"csrfmiddlewaretoken": token(index)})
    assert client.get("/admin/").status_code == 302


@pytest.mark.parametrize("target", ["lambda", "ecs", "lambda at a stage"], indirect=True)
def test_a_wrong_password_stays_outside(client: httpx.Client) -> None:
    answer = logged_in(client, "a wrong one")
    assert "Please enter the correct username and password" in answer.text
    assert client.get("/admin/").status_code == 302


def test_who_has_logged_in_on_lambda_is_logged_in_on_ecs(targets: dict[str, Target]) -> None:
    with httpx.Client(base_url=targets["lambda"].url) as client:
        logged_in(client)
        index = client.get(f"{targets['ecs'].url}/admin/")
    assert f"<strong>{USER}</strong>" in index.text


@pytest.mark.parametrize(
    ("path", "status", "location"),
    [
        pytest.param("/articles?q=Z%C3%B6&q=%26", 301, "/articles/?q=Z%C3%B6&q=%26", id="slash"),
        pytest.param("/old-articles", 301, "/articles/", id="by name"),
        pytest.param("/admin", 301, "/admin/", id="admin"),
    ],
)
def test_redirects_keep_stage_and_query(
    target: Target, client: httpx.Client, path: str, status: int, location: str
) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.headers["location"]) == (status, links(target) + location)


def test_the_stage_by_itself_leads_to_the_home_page(target: Target) -> None:
    answer = httpx.get(target.url, follow_redirects=True)
    assert answer.status_code == INSTEAD.get((target.name, "the stage without a slash"), 200)


def test_a_query_is_decoded_once(client: httpx.Client) -> None:
    answer = client.get("/articles/?q=Z%C3%B6&q=%2526")
    assert answer.json()["query"] == ["Zö", "%26"]


def test_an_upload_arrives_byte_for_byte_and_is_confirmed_after_the_redirect(
    target: Target, client: httpx.Client
) -> None:
    every_byte = bytes(range(256)) * 1024
    form = client.get("/deliveries/")
    assert f'action="{links(target)}/deliveries/"' in form.text
    answer = client.post(
        "/deliveries/",
        data={"from": "Zoë", "csrfmiddlewaretoken": token(form)},
        files={"note": ("página.bin", every_byte)},
    )
    assert (answer.status_code, answer.headers["location"]) == (302, f"{links(target)}/deliveries/")
    digest = hashlib.sha256(every_byte).hexdigest()
    assert f"<p>página.bin of Zoë: {digest}</p>" in client.get("/deliveries/").text
    assert digest not in client.get("/deliveries/").text


@pytest.mark.parametrize(
    ("origin", "has_token", "status"),
    [
        pytest.param("", True, 302, id="token"),
        pytest.param("", False, 403, id="no token"),
        pytest.param("the site's own", True, 302, id="own origin"),
        pytest.param("https://www.shop.example", True, 302, id="trusted origin"),
        pytest.param("https://evil.example", True, 403, id="other origin"),
    ],
)
def test_a_form_needs_its_token_and_an_origin_that_is_trusted(
    target: Target, client: httpx.Client, origin: str, has_token: bool, status: int
) -> None:
    form = client.get("/deliveries/")
    own = target.url.removesuffix("/prod")
    answer = client.post(
        "/deliveries/",
        data={"from": "Zoë"} | ({"csrfmiddlewaretoken": token(form)} if has_token else {}),
        files={"note": ("note", b"x")},
        headers={"origin": origin.replace("the site's own", own)} if origin else {},
    )
    assert answer.status_code == status


def test_only_the_allowed_hosts_are_answered_but_for_the_health_check(client: httpx.Client) -> None:
    # A load balancer's health check calls the task by its address, which is no name to allow.
    for path, host, status in (
        ("/request", "shop.example", 200),
        ("/request", "evil.example", 400),
        ("/health", "10.0.0.7:8080", 200),
    ):
        assert client.get(path, headers={"host": host}).status_code == status


@pytest.mark.parametrize("target", [*TARGETS, "ecs beside it"], indirect=True)
def test_a_request_over_tls_is_secure_and_from_the_client(target: Target) -> None:
    # With the proxy's header in the settings and, at a stage, without: ASGI's scheme says it, too.
    seen = over_tls(target, "/request")
    assert seen == {
        "is_secure": True,
        "url": f"https://shop.example{links(target)}/request",
        "reverse": f"{links(target)}/articles/",
        "client": "203.0.113.9",
    }


def over_tls(target: Target, path: str) -> object:
    """What a front door with TLS would get: the local ones have none."""
    stage = "prod" if target.url.endswith("/prod") else http_api.DEFAULT_STAGE
    if not target.is_on_lambda:
        (task,) = re.findall(r"running on (http://[\d.:]+)", target.log.read_text())
        return httpx.get(f"{task}{path}", headers=TLS).json()
    request = Request(
        method="GET",
        path=f"/{stage}{path}" if stage == "prod" else path,
        query=b"",
        headers=tuple((name.encode(), value.encode()) for name, value in TLS.items()),
        body=b"",
        client=("203.0.113.9", 0),
    )
    domain = "local.execute-api.us-east-1.amazonaws.com"
    door = http_api.FrontDoor("id", 0, domain, "local", "123456789012", stage)
    url = f"{target.invoke_url}/2015-03-31/functions/django/invocations"
    result = httpx.post(url, json=http_api.to_event(request, door)).json()
    return httpx.Response(200, content=result["body"]).json()


def test_with_force_script_name_the_stage_is_in_ecss_links_too(targets: dict[str, Target]) -> None:
    # One setting for both platforms; a root path comes from the front door, and ECS has none.
    for name, stage in (("uvicorn with FORCE_SCRIPT_NAME", "/prod"), ("ecs beside it", "")):
        seen = httpx.get(f"{targets[name].url}/request").json()
        assert seen["reverse"] == f"{stage}/articles/"


def test_a_view_that_raises_is_a_500_and_its_traceback_is_in_the_log(
    target: Target, client: httpx.Client
) -> None:
    answer = client.get("/fail", params={"by": target.name})
    assert (answer.status_code, "Server Error (500)" in answer.text) == (500, True)
    target.logged(f"ValueError: the shelves are empty: {target.name}")


def test_a_stream_has_the_same_bytes(target: Target, client: httpx.Client) -> None:
    answer = client.get("/export")
    assert answer.content == b"".join(
        b"%d;%s\n" % (number, bytes(range(128, 256))) for number in range(20)
    )
    is_gathered = "content-length" in answer.headers
    assert is_gathered == target.is_on_lambda


def test_one_process_answers_though_there_is_no_lifespan(target: Target) -> None:
    assert target.startups() == [0, 0, 0]
    traceback = "Exception in 'lifespan' protocol"
    what = "a traceback in the log for a lifespan that Django has not"
    if INSTEAD.get((target.name, what)):
        target.logged(traceback)
    elif target.name.startswith(("lambda", "ecs", "handler")):  # others share the log with Mangum
        assert traceback not in target.log.read_text()
