"""`Handler` with Mangum's options: what it does with each, and where it differs from Mangum."""

import asyncio
import gc
import json
import logging
from collections.abc import Callable, Iterator
from inspect import signature
from pathlib import Path
from typing import Any

import httpx
import pytest
from mangum import Mangum

from ambidex import Handler
from ambidex.asgi.lifespan import StartupError
from ambidex.asgi.load import AppLoadError
from ambidex.asgi.types import Receive, Scope, Send
from ambidex.events.detect import NotHttpError
from ambidex.http import Request
from ambidex.local.lambda_service import InitError
from ambidex.runtime.errors import InvocationError
from ambidex.settings import SettingError
from tests.events.cases import SOURCES, Source
from tests.events.samples import sample
from tests.project import Service, with_lambda_service

Adapter = Callable[..., Callable[[Any, Any], Any]]


@pytest.fixture(name="handler_of")
def _handler_of() -> Iterator[Adapter]:
    """`Handler`, but that what it makes ends with the test."""
    made: list[Handler] = []

    def handler_of(*arguments: Any, **options: Any) -> Handler:
        made.append(Handler(*arguments, **options))
        return made[-1]

    yield handler_of
    for loop in filter(None, (handler._event_loop for handler in made)):
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
    asyncio.set_event_loop(None)


@pytest.fixture(name="mangum_of")
def _mangum_of() -> Iterator[Adapter]:
    """Mangum, with an event loop that it takes for its own."""
    loop = asyncio.new_event_loop()

    def mangum_of(*arguments: Any, **options: Any) -> Callable[[Any, Any], Any]:
        asyncio.set_event_loop(loop)
        return Mangum(*arguments, **options)

    yield mangum_of
    loop.close()


class Probe:
    """An app that keeps the scope it is given; it has a lifespan unless told otherwise."""

    def __init__(self, status: int = 200, lifespan: str = "works") -> None:
        self.scope: Scope = {}
        self.status = status
        self.lifespan = lifespan
        self.starts = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        self.scope = scope
        headers = [(b"x-secret", b"1"), (b"X-Secret", b"2"), (b"x-tag", b"3")]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def _live(self, receive: Receive, send: Send) -> None:
        if self.lifespan == "is none":
            raise RuntimeError("only http is known here")
        await receive()
        self.starts += 1
        if self.lifespan == "raises":
            raise RuntimeError("the database is away")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})


def http_api(path: str = "/items", stage: str = "$default") -> dict[str, Any]:
    http = {"method": "GET", "path": path, "sourceIp": "192.0.2.1"}
    context = {"stage": stage, "http": http, "domainName": "x.execute-api.eu-west-1.amazonaws.com"}
    return {"version": "2.0", "rawPath": path, "headers": {}, "requestContext": context}


ALB = sample("aws-alb-lambda-target-request-headers-only") | {
    "headers": {"x-forwarded-for": "203.0.113.66, 192.0.2.1", "host": "x"}
}


# One event each, what is looked at, and what it is with Mangum and with Handler.
@pytest.mark.parametrize(
    ("event", "look", "options", "with_mangum", "with_handler"),
    [
        pytest.param(
            http_api("/prod/items", "prod"),
            lambda scope, _: (scope["path"], scope["root_path"]),
            {},
            ("/prod/items", ""),
            ("/prod/items", "/prod"),
            id="a stage is in the path; here it is the root path, too",
        ),
        pytest.param(
            http_api("/prod/items", "prod"),
            lambda scope, _: (scope["path"], scope["root_path"]),
            {"api_gateway_base_path": "/prod"},
            ("/items", ""),
            ("/prod/items", "/prod"),
            id="a stage that is named as the base path is no trouble",
        ),
        pytest.param(
            http_api("/api/items"),
            lambda scope, _: (scope["path"], scope["root_path"]),
            {"api_gateway_base_path": "api/"},
            ("items", ""),
            ("/api/items", "/api"),
            id="a slash at the end of the base path",
        ),
        pytest.param(
            http_api("/api/items"),
            lambda scope, _: (scope["path"], scope["root_path"]),
            {"api_gateway_base_path": "api"},
            ("/items", ""),
            ("/api/items", "/api"),
            id="the base path is cut off, or becomes the root path",
        ),
        pytest.param(
            http_api("/apiary"),
            lambda scope, _: scope["path"],
            {"api_gateway_base_path": "/api"},
            "ary",
            "/apiary",
            id="the base path is cut anywhere, or at segments",
        ),
        pytest.param(
            http_api("/a%2Fb"),
            lambda scope, _: (scope["path"], scope["raw_path"]),
            {},
            ("/a/b", None),
            ("/a%2Fb", b"/a%252Fb"),
            id="a path that the API has decoded is decoded again, or not",
        ),
        pytest.param(
            ALB,
            lambda scope, _: scope["client"][0],
            {},
            "203.0.113.66, 192.0.2.1",
            "192.0.2.1",
            id="the client behind a load balancer",
        ),
        pytest.param(
            http_api(),
            lambda _, result: result["headers"].get("content-type"),
            {},
            "application/json",
            None,
            id="a content type of a 204",
        ),
        pytest.param(
            http_api(),
            lambda _, result: "x-secret" in result["headers"],
            {"exclude_headers": ["X-Secret"]},
            True,
            False,
            id="an excluded header on payload 2.0",
        ),
    ],
)
def test_what_is_different_with_mangum(
    event: dict[str, Any],
    look: Callable[[Scope, Any], Any],
    options: dict[str, Any],
    with_mangum: object,
    with_handler: object,
    mangum_of: Adapter,
    handler_of: Adapter,
) -> None:
    found = []
    for adapter in (mangum_of, handler_of):
        app = Probe(status=204)
        result = adapter(app, **options)(event, None)
        found.append(look(app.scope, result))
    assert found == [with_mangum, with_handler]


def test_a_header_that_is_latin_1_arrives(mangum_of: Adapter, handler_of: Adapter) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"x-name", b"caf\xe9")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    with pytest.raises(UnicodeDecodeError):
        mangum_of(app, lifespan="off")(http_api(), None)
    assert handler_of(app, lifespan="off")(http_api(), None)["headers"]["x-name"] == "café"


def test_event_and_context_are_under_the_same_names(
    mangum_of: Adapter, handler_of: Adapter
) -> None:
    for adapter in (mangum_of, handler_of):
        app, event, context = Probe(), http_api(), object()
        adapter(app)(event, context)
        assert (app.scope["aws.event"], app.scope["aws.context"]) == (event, context)


def test_the_lifespan_runs_once_and_not_for_each_event(
    mangum_of: Adapter, handler_of: Adapter
) -> None:
    starts = []
    for adapter in (mangum_of, handler_of):
        app = Probe()
        handler = adapter(app)
        for _ in range(3):
            handler(http_api(), None)
        starts.append(app.starts)
    assert starts == [3, 1]


def test_what_the_lifespan_holds_open_stays_open(handler_of: Adapter) -> None:
    closed = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await receive()
            try:
                await send({"type": "lifespan.startup.complete"})
                await receive()
            finally:
                closed.append(True)
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})

    handler = handler_of(app)
    for _ in range(2):
        assert handler(http_api(), None)["statusCode"] == 200
        # An event loop alone keeps no task alive.
        gc.collect()
        assert not closed


@pytest.mark.parametrize("lifespan", ["auto", "on"])
def test_a_startup_that_raises_fails_the_event_and_the_next_one_tries_again(
    lifespan: str, mangum_of: Adapter, handler_of: Adapter
) -> None:
    app = Probe(lifespan="raises")
    assert mangum_of(app, lifespan=lifespan)(http_api(), None)["statusCode"] == 200
    handler = handler_of(app, lifespan=lifespan)
    for _ in range(2):
        with pytest.raises(StartupError, match="the database is away"):
            handler(http_api(), None)
    app.lifespan = "works"
    assert handler(http_api(), None)["statusCode"] == 200


def test_an_event_that_is_no_request_is_an_error_unless_the_settings_say_where_it_goes(
    monkeypatch: pytest.MonkeyPatch, mangum_of: Adapter, handler_of: Adapter
) -> None:
    event = {"Records": [{"eventSource": "aws:sqs"}]}
    with pytest.raises(RuntimeError, match="unable to infer"):
        mangum_of(Probe())(event, None)
    with pytest.raises(NotHttpError, match="set `events-path`"):
        handler_of(Probe())(event, None)
    monkeypatch.setenv("AMBIDEX_LAMBDA_EVENTS_PATH", "/events")
    assert handler_of(Probe())(event, None) is None


@pytest.mark.parametrize("event", [http_api(), {"Records": []}], ids=["request", "other"])
def test_a_status_that_the_settings_name_is_an_error(
    event: Any, monkeypatch: pytest.MonkeyPatch, handler_of: Adapter
) -> None:
    monkeypatch.setenv("AMBIDEX_LAMBDA_EVENTS_PATH", "/events")
    monkeypatch.setenv("AMBIDEX_LAMBDA_ERROR_STATUSES", "299")
    with pytest.raises(InvocationError, match="with 299") as error:
        handler_of(Probe(status=299))(event, None)
    assert error.value.kind == "Function.ErrorStatus"


def test_what_an_app_raises_is_logged_though_it_has_disabled_the_logger(
    handler_of: Adapter, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("ambidex").disabled = True  # as logging.config does if nothing is said
    assert handler_of(Probe(lifespan="is none", status=0))(http_api(), None)["statusCode"] == 500
    assert "the app raised" in caplog.text


def test_headers_alone_may_make_a_result_too_large(handler_of: Adapter) -> None:
    headers = [(b"x-%d" % number, b"x" * 10_000) for number in range(120)]

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body"})

    assert handler_of(app, lifespan="off")(ALB, None)["statusCode"] == 500


@pytest.mark.parametrize(
    ("lifespan", "app_has", "starts"),
    [("auto", "works", 1), ("on", "works", 1), ("off", "works", 0), ("auto", "is none", 0)],
)
def test_the_lifespan_is_run_or_not_as_it_is_told(
    lifespan: str, app_has: str, starts: int, handler_of: Adapter
) -> None:
    app = Probe(lifespan=app_has)
    assert handler_of(app, lifespan=lifespan)(http_api(), None)["statusCode"] == 200
    assert app.starts == starts
    assert app.scope["state"] == {}


def test_on_demands_a_lifespan(handler_of: Adapter) -> None:
    with pytest.raises(StartupError, match="the app has no lifespan, and Handler was told"):
        handler_of(Probe(lifespan="is none"), lifespan="on")(http_api(), None)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.id)
@pytest.mark.parametrize("excluded", [["x-secret"], ("X-SECRET",), {"x-secret", "other"}])
def test_an_excluded_header_is_in_no_result_of_any_source(
    source: Source, excluded: Any, handler_of: Adapter
) -> None:
    event = json.loads(json.dumps(source.to_event(source.sent(Request("GET", "/items")))))
    response = source.to_response(handler_of(Probe(), exclude_headers=excluded)(event, None))
    assert [name for name, _ in response.headers if name.startswith(b"x-")] == [b"x-tag"]


@pytest.mark.parametrize(
    ("setting", "option", "root_path"),
    [
        pytest.param("", "/api", "/api", id="option"),
        pytest.param("", "api/", "/api", id="option without its slash"),
        pytest.param("", "/", "", id="Mangum's own default"),
        pytest.param("/api", "/", "/api", id="setting"),
        pytest.param("/api/", "/api", "/api", id="both, and the same"),
    ],
)
def test_the_base_path_is_the_options_or_the_settings(
    setting: str, option: str, root_path: str, monkeypatch: pytest.MonkeyPatch, handler_of: Adapter
) -> None:
    monkeypatch.setenv("AMBIDEX_LAMBDA_BASE_PATH", setting)
    app = Probe()
    handler_of(app, api_gateway_base_path=option)(http_api("/api/items"), None)
    assert app.scope["root_path"] == root_path


def test_two_base_paths_are_an_error(monkeypatch: pytest.MonkeyPatch, handler_of: Adapter) -> None:
    monkeypatch.setenv("AMBIDEX_LAMBDA_BASE_PATH", "/v1")
    with pytest.raises(SettingError) as error:
        handler_of(Probe(), api_gateway_base_path="/v2")(http_api(), None)
    assert error.value.message == (
        "Handler: api_gateway_base_path = '/v2' and [tool.ambidex.lambda] base-path = '/v1' "
        "differ: leave one of them out"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(
            {"lifespan": "once"}, "lifespan = 'once' must be one of auto, on, off", id="lifespan"
        ),
        pytest.param(
            {"api_gateway_base_path": None},
            "api_gateway_base_path = None must be a string",
            id="base path",
        ),
        pytest.param(
            {"exclude_headers": "x-secret"},
            "exclude_headers = 'x-secret' must be a list of names",
            id="one header that is no list",
        ),
        pytest.param(
            {"exclude_headers": [b"x-secret"]},
            "exclude_headers = [b'x-secret'] must be a list of names",
            id="bytes",
        ),
        pytest.param(
            {"custom_handlers": [object]},
            "custom_handlers is not taken: for events of a kind of your own write a function that "
            "answers them and hands all others to the Handler, or set `events-path` in "
            "[tool.ambidex.lambda] to have them POSTed to the app",
            id="custom handlers",
        ),
    ],
)
def test_an_option_that_is_not_taken_says_so(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError) as error:
        Handler(Probe(), **options)
    assert error.value.message == f"Handler: {message}"


def test_text_mime_types_are_a_warning_at_the_users_line() -> None:
    with pytest.warns(UserWarning, match="text_mime_types is not needed") as warnings:
        Handler(Probe(), text_mime_types=["text/"])
    assert warnings[0].filename == __file__


def test_every_option_of_mangum_is_one_here_and_none_other() -> None:
    assert list(signature(Handler).parameters) == list(signature(Mangum).parameters)


def test_mangums_defaults_are_taken_without_a_word(handler_of: Adapter) -> None:
    handler = handler_of(
        Probe(),
        lifespan="auto",
        api_gateway_base_path="/",
        custom_handlers=None,
        text_mime_types=None,
        exclude_headers=None,
    )
    assert handler(http_api(), None)["statusCode"] == 200


@pytest.mark.parametrize(
    ("option", "hint"),
    [
        ("lifspan", "did you mean 'lifespan'?"),
        ("base_path", "did you mean 'api_gateway_base_path'?"),
        ("exclude_header", "did you mean 'exclude_headers'?"),
        (
            "qqqq",
            "there are ['lifespan', 'api_gateway_base_path', 'custom_handlers', "
            "'text_mime_types', 'exclude_headers']",
        ),
    ],
)
def test_an_unknown_option_is_an_error_with_the_nearest(option: str, hint: str) -> None:
    options: dict[str, Any] = {option: "x"}
    with pytest.raises(TypeError) as error:
        Handler(Probe(), **options)
    assert str(error.value) == f"Handler has no option {option!r}: {hint}"


def test_what_is_no_app_is_an_error() -> None:
    with pytest.raises(AppLoadError, match="Handler needs an ASGI app: it is an int"):
        Handler(7)  # type: ignore[arg-type]  # that is the test


APP = """
from ambidex import Handler
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["started"] = True
        await send({"type": "lifespan.startup.complete"})
        await receive()
    else:
        text = f"{scope['path']} {scope['root_path']} {scope['state']}"
        await answer(send, body=text.encode(), headers=[(b"x-secret", b"1")])
"""
SETTINGS = '[tool.ambidex.lambda]\ncommand = ["python", "-m", "awslambdaric", "main.handler"]\n'


def test_the_options_hold_under_awslambdaric_at_every_front_door(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        async with httpx.AsyncClient() as client:
            for door in (service.http_api, service.alb):
                response = await client.get(f"{door}/api/items")
                assert response.text == "/api/items /api {}"
                assert "x-secret" not in response.headers

    options = 'lifespan="off", api_gateway_base_path="/api", exclude_headers=["X-Secret"]'
    with_lambda_service(tmp_path, test, f"{APP}\nhandler = Handler(app, {options})\n", SETTINGS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param("custom_handlers=[object]", "custom_handlers is not taken", id="not taken"),
        pytest.param("lifspan='off'", "did you mean 'lifespan'", id="unknown"),
    ],
)
def test_under_awslambdaric_a_wrong_option_is_an_error_of_the_init(
    tmp_path: Path, options: str, message: str
) -> None:
    async def test(service: Service) -> None:
        raise AssertionError("it has started")

    with pytest.raises(InitError, match=message):
        with_lambda_service(tmp_path, test, f"{APP}\nhandler = Handler(app, {options})\n", SETTINGS)
