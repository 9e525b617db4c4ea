"""The settings: defaults, ranges, errors, and their way through the environment."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ambidex.settings import (
    FARGATE_SIZES,
    FRONT_DOORS,
    TABLE,
    EcsSettings,
    LambdaSettings,
    Setting,
    SettingError,
    Settings,
    from_environ,
    from_pyproject,
    to_environ,
)

SECTIONS = {"": "tool.ambidex", "lambda": "tool.ambidex.lambda", "ecs": "tool.ambidex.ecs"}
EVERY = [pytest.param(setting, id=setting.name) for setting in TABLE]
IN_IMAGE = [setting for setting in TABLE if setting.is_in_image]


def settings_of(tmp_path: Path, toml: str) -> Settings:
    path = tmp_path / "pyproject.toml"
    path.write_text(toml, encoding="utf-8")
    return from_pyproject(path)


def error_of(tmp_path: Path, toml: str) -> SettingError:
    with pytest.raises(SettingError) as error:
        settings_of(tmp_path, toml)
    return error.value


def value_of(settings: Settings, setting: Setting) -> Any:
    sections = {"": settings, "lambda": settings.aws_lambda, "ecs": settings.ecs}
    return getattr(sections[setting.section], setting.field)


DEFAULTS = {
    ("", "app"): "",
    ("", "environment"): {},
    ("", "env-file"): "",
    ("lambda", "memory"): 512,
    ("lambda", "timeout"): 29,
    ("lambda", "front-door"): "http-api",
    ("lambda", "stage"): "$default",
    ("lambda", "domain"): "",
    ("lambda", "binary-media-types"): (),
    ("lambda", "command"): (),
    ("lambda", "base-path"): "",
    ("lambda", "concurrency"): 10,
    ("lambda", "events-path"): "",
    ("lambda", "error-statuses"): (),
    ("lambda", "response"): "buffered",
    ("lambda", "deadline-margin"): 0.25,
    ("lambda", "authorization-source"): "",
    ("lambda", "snap-start"): False,
    ("lambda", "lifespan"): "snapshot",
    ("lambda", "max-concurrency"): 0,
    ("lambda", "workers"): 1,
    ("ecs", "cpu"): 512,
    ("ecs", "memory"): 1024,
    ("ecs", "host"): "0.0.0.0",
    ("ecs", "port"): 8080,
    ("ecs", "tasks"): 1,
    ("ecs", "command"): (),
    ("ecs", "health-path"): "/",
    ("ecs", "trusted-proxies"): ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
    ("ecs", "drain"): 10,
    ("ecs", "stop-timeout"): 30,
}


@pytest.mark.parametrize(
    ("section", "key", "value"), [(*name, value) for name, value in DEFAULTS.items()]
)
def test_what_the_file_does_not_say_has_its_default(
    tmp_path: Path, section: str, key: str, value: object
) -> None:
    (setting,) = (s for s in TABLE if (s.section, s.key) == (section, key))

    assert value_of(from_pyproject(tmp_path / "pyproject.toml"), setting) == value
    assert value_of(settings_of(tmp_path, "[project]\nname = 'x'\n"), setting) == value
    assert value_of(from_environ({}), setting) == value


def test_every_default_is_among_these() -> None:
    assert set(DEFAULTS) == {(setting.section, setting.key) for setting in TABLE}


def test_every_field_has_a_setting_and_every_setting_a_field() -> None:
    fields = {
        "": set(Settings._fields) - {"aws_lambda", "ecs"},
        "lambda": set(LambdaSettings._fields),
        "ecs": set(EcsSettings._fields),
    }

    assert fields == {
        section: {setting.field for setting in TABLE if setting.section == section}
        for section in SECTIONS
    }


@pytest.mark.parametrize("setting", EVERY)
def test_a_default_is_within_its_own_range(setting: Setting) -> None:
    assert setting.check(setting.default) == ""


def toml_value(value: object) -> str:
    if isinstance(value, dict):
        items = (f"{toml_value(key)} = {toml_value(item)}" for key, item in value.items())
        return "{ " + ", ".join(items) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(toml_value, value))}]"
    return json.dumps(value).replace("\x7f", "\\u007f")


def line(section: str, key: str, value: object) -> str:
    return f"[{SECTIONS[section]}]\n{key} = {toml_value(value)}\n"


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("", "app", "main:app"),
        ("", "environment", {"LOG_LEVEL": "info", "_2": "é\n"}),
        ("", "env-file", "local.env"),
        ("lambda", "memory", 128),
        ("lambda", "memory", 10240),
        ("lambda", "timeout", 1),
        ("lambda", "timeout", 900),
        *(("lambda", "front-door", name) for name in FRONT_DOORS),
        ("lambda", "stage", "prod"),
        ("lambda", "domain", "api.example.com"),
        ("lambda", "binary-media-types", ["*/*"]),
        ("lambda", "binary-media-types", ["image/*", "application/vnd.api+json"]),
        ("lambda", "command", ["main.handler"]),
        ("lambda", "base-path", "/api"),
        ("lambda", "concurrency", 1),
        ("lambda", "concurrency", 1000),
        ("lambda", "events-path", "/events"),
        ("lambda", "error-statuses", ["500-599", "429", "100-100"]),
        ("lambda", "response", "buffered"),
        ("lambda", "deadline-margin", 0),
        ("lambda", "deadline-margin", 2.5),
        ("lambda", "authorization-source", "X-Authorization"),
        ("lambda", "snap-start", True),
        ("lambda", "lifespan", "restore"),
        ("lambda", "max-concurrency", 64),
        ("lambda", "workers", 192),
        ("ecs", "host", "127.0.0.1"),
        ("ecs", "port", 0),
        ("ecs", "port", 65535),
        ("ecs", "tasks", 1),
        ("ecs", "tasks", 100),
        ("ecs", "command", ["uvicorn", "main:app", "--port", "{port}"]),
        ("ecs", "health-path", "/health"),
        ("ecs", "health-path", "/caf%C3%A9?a=~!"),
        ("ecs", "trusted-proxies", []),
        ("ecs", "trusted-proxies", ["10.1.2.3", "2001:db8::/32"]),
        ("ecs", "drain", 0),
        ("ecs", "drain", 29),
        ("ecs", "stop-timeout", 11),
        ("ecs", "stop-timeout", 120),
    ],
)
def test_a_value_within_its_range_is_taken(
    tmp_path: Path, section: str, key: str, value: object
) -> None:
    (setting,) = (s for s in TABLE if (s.section, s.key) == (section, key))
    expected = tuple(value) if isinstance(value, list) else value

    assert value_of(settings_of(tmp_path, line(section, key, value)), setting) == expected


STATUSES = 'must be a list of statuses and ranges from 100 to 599, such as "500-599" or 429'
RULE = "a name is of letters, digits and _, and starts with no digit"


def out_of_range(section: str, key: str, value: object, problem: str) -> Any:
    return pytest.param(section, key, value, problem, id=f"{section} {key} = {value!r}"[:60])


@pytest.mark.parametrize(
    ("section", "key", "value", "problem"),
    [
        out_of_range("", "app", 5, "must be a string"),
        out_of_range("", "environment", "A=1", "must be a table of strings"),
        out_of_range("", "environment", {"A": 1}, "must be a table of strings"),
        *(
            out_of_range(
                "", "environment", {name: "1"}, f"must not name a variable {name!r}: {RULE}"
            )
            for name in ("", "1A", "A-B", "A B", "A=B", "É", "A\n")
        ),
        out_of_range("", "environment", {"A": "1\0"}, "must have no NUL in 'A'"),
        out_of_range("", "env-file", True, "must be a string"),
        out_of_range("lambda", "memory", 127, "must be a whole number from 128 to 10240"),
        out_of_range("lambda", "memory", 10241, "must be a whole number from 128 to 10240"),
        out_of_range("lambda", "memory", 512.0, "must be a whole number from 128 to 10240"),
        out_of_range("lambda", "memory", "512", "must be a whole number from 128 to 10240"),
        out_of_range("lambda", "timeout", 0, "must be a whole number from 1 to 900"),
        out_of_range("lambda", "timeout", 901, "must be a whole number from 1 to 900"),
        out_of_range("lambda", "timeout", True, "must be a whole number from 1 to 900"),
        out_of_range("lambda", "command", "main.handler", "must be a list of strings"),
        out_of_range("lambda", "command", ["a", 1], "must be a list of strings"),
        out_of_range("lambda", "command", ["a", "b\0"], "must have no NUL"),
        *(
            out_of_range(
                "lambda", "stage", stage, "must be $default or of letters, digits, - and _"
            )
            for stage in ("", "é", "a/b", "$latest")
        ),
        *(
            out_of_range(
                "lambda", "domain", domain, "must be a domain of your own, like api.example.com"
            )
            for domain in (
                *(1, "localhost", "api.example.com:443", "https://api.example.com", "a..b", "-a.b"),
                *("é.example.com", "a.b\n", "local.execute-api.us-east-1.amazonaws.com"),
            )
        ),
        out_of_range("lambda", "binary-media-types", "*/*", "must be a list of strings"),
        *(
            out_of_range(
                "lambda",
                "binary-media-types",
                ["*/*", wrong],
                f"must be a list of media types like image/png, image/* and */*: {wrong!r}",
            )
            for wrong in ("", "image", "image/", "/png", "*/png", "image/png;q=1", "a/b/c", "a/b c")
        ),
        out_of_range("lambda", "base-path", "api", "must be a path that starts with /"),
        out_of_range("lambda", "base-path", 1, "must be a path that starts with /"),
        out_of_range("lambda", "response", "chunked", "must be one of buffered, stream"),
        *(
            out_of_range(
                "lambda", "deadline-margin", margin, "must be a number of seconds from 0 to 60"
            )
            for margin in (-0.1, 60.1, "1", True)
        ),
        *(
            out_of_range("lambda", "authorization-source", name, "must be the name of a header")
            for name in ("X Authorization", "x:", "é", 1)
        ),
        out_of_range("lambda", "snap-start", 1, "must be true or false"),
        out_of_range("lambda", "lifespan", "auto", "must be one of snapshot, restore"),
        out_of_range("lambda", "max-concurrency", -1, "must be a whole number from 0 to 1000"),
        out_of_range("lambda", "workers", 0, "must be a whole number from 1 to 192"),
        out_of_range("lambda", "concurrency", 0, "must be a whole number from 1 to 1000"),
        out_of_range("lambda", "concurrency", 1001, "must be a whole number from 1 to 1000"),
        out_of_range("lambda", "events-path", "events", "must be a path that starts with /"),
        out_of_range("lambda", "events-path", 1, "must be a path that starts with /"),
        out_of_range(
            "lambda", "events-path", "/a?b=1", "must be a path without ? and #: percent-encode them"
        ),
        out_of_range(
            "lambda", "base-path", "/a#b", "must be a path without ? and #: percent-encode them"
        ),
        *(
            out_of_range("lambda", "events-path", path, "must be a path below /")
            for path in ("/", "//", "/%2F", "/\n")
        ),
        out_of_range("lambda", "error-statuses", "500", STATUSES),
        out_of_range("lambda", "error-statuses", 500, STATUSES),
        *(
            out_of_range("lambda", "error-statuses", [item], f"{STATUSES}: {item!r} is none")
            for item in (
                *("abc", "", "600", "99", "099", "5000", "599-500", "500-600", "500-"),
                *(
                    "-500",
                    "500-501-502",
                    "5xx",
                    "500 - 599",
                    "\u0665\u0660\u0660",
                    "500\n",
                    600,
                    0,
                    True,
                    500.0,
                ),
            )
        ),
        out_of_range("ecs", "cpu", 255, "must be a whole number from 256 to 32768"),
        out_of_range("ecs", "cpu", 32769, "must be a whole number from 256 to 32768"),
        out_of_range("ecs", "memory", 511, "must be a whole number from 512 to 249856"),
        out_of_range("ecs", "memory", 249857, "must be a whole number from 512 to 249856"),
        out_of_range("ecs", "host", 0, "must be a string"),
        out_of_range("ecs", "port", -1, "must be a whole number from 0 to 65535"),
        out_of_range("ecs", "port", 65536, "must be a whole number from 0 to 65535"),
        out_of_range("ecs", "tasks", 0, "must be a whole number from 1 to 100"),
        out_of_range("ecs", "tasks", 101, "must be a whole number from 1 to 100"),
        out_of_range("ecs", "command", ["a\0"], "must have no NUL"),
        out_of_range("ecs", "health-path", "", "must be a path that starts with /"),
        *(
            out_of_range(
                "ecs",
                "health-path",
                path,
                "must be of printable ASCII without spaces: percent-encode the rest",
            )
            for path in ("/ü", "/a b", "/a\n", "/\x7f", "/a\0")
        ),
        out_of_range("ecs", "trusted-proxies", "10.0.0.0/8", "must be a list of strings"),
        out_of_range(
            "ecs",
            "trusted-proxies",
            ["10.0.0.1/8"],
            "must be a list of addresses and networks: 10.0.0.1/8 has host bits set",
        ),
        out_of_range(
            "ecs",
            "trusted-proxies",
            ["proxy"],
            "must be a list of addresses and networks: 'proxy' does not appear to be an IPv4 or "
            "IPv6 network",
        ),
        out_of_range("ecs", "drain", -1, "must be a whole number from 0 to 119"),
        out_of_range("ecs", "drain", 120, "must be a whole number from 0 to 119"),
        out_of_range("ecs", "stop-timeout", 0, "must be a whole number from 1 to 120"),
        out_of_range("ecs", "stop-timeout", 121, "must be a whole number from 1 to 120"),
    ],
)
def test_a_value_out_of_its_range_is_an_error_that_names_the_setting(
    tmp_path: Path, section: str, key: str, value: object, problem: str
) -> None:
    error = error_of(tmp_path, line(section, key, value))

    assert error.message == f"[{SECTIONS[section]}] {key} = {value!r} {problem}"


def test_a_front_door_that_is_none_is_answered_with_those_there_are(tmp_path: Path) -> None:
    error = error_of(tmp_path, line("lambda", "front-door", "http_api"))
    (setting,) = (s for s in TABLE if s.key == "front-door")

    assert error.message == (
        f"[tool.ambidex.lambda] front-door = 'http_api' must be one of {setting.range}"
    )


@pytest.mark.parametrize("front_door", ["function-url", "alb"])
@pytest.mark.parametrize(("key", "value"), [("stage", "prod"), ("domain", "api.example.com")])
def test_what_only_apis_have_and_another_front_door_exclude_each_other(
    tmp_path: Path, front_door: str, key: str, value: str
) -> None:
    toml = f'[tool.ambidex.lambda]\nfront-door = "{front_door}"\n{key} = "{value}"\n'
    error = error_of(tmp_path, toml)

    assert error.message == (
        f"[tool.ambidex.lambda] {key} = {value!r} and front-door = {front_door!r} exclude each "
        f"other, for only APIs have a {key}"
    )
    assert error.hint == f"take {key} out, or choose one of http-api, http-api-v1, rest-api"


@pytest.mark.parametrize("front_door", ["http-api", "http-api-v1", "alb"])
def test_streams_and_a_front_door_that_takes_none_exclude_each_other(
    tmp_path: Path, front_door: str
) -> None:
    toml = f'[tool.ambidex.lambda]\nfront-door = "{front_door}"\nresponse = "stream"\n'
    error = error_of(tmp_path, toml)

    assert error.message == (
        f"[tool.ambidex.lambda] response = 'stream' and front-door = {front_door!r} exclude each "
        "other, for that front door takes no streams"
    )
    assert error.hint == "take response out, or choose one of rest-api, function-url"


@pytest.mark.parametrize("front_door", ["rest-api", "function-url"])
def test_a_front_door_that_takes_streams_may_have_them(tmp_path: Path, front_door: str) -> None:
    toml = f'[tool.ambidex.lambda]\nfront-door = "{front_door}"\nresponse = "stream"\n'

    assert settings_of(tmp_path, toml).aws_lambda.response == "stream"


def test_the_image_streams_behind_whatever_front_door() -> None:
    assert from_environ({"AMBIDEX_LAMBDA_RESPONSE": "stream"}).aws_lambda.response == "stream"


@pytest.mark.parametrize("margin", [1, 1.5])
def test_a_deadline_margin_leaves_time_for_the_app(tmp_path: Path, margin: float) -> None:
    error = error_of(tmp_path, f"[tool.ambidex.lambda]\ntimeout = 1\ndeadline-margin = {margin}\n")

    assert error.message == (
        f"[tool.ambidex.lambda] deadline-margin = {margin:g} must be less than timeout = 1, or "
        "every request is late"
    )


def test_the_image_knows_no_time_out_that_its_deadline_margin_had_to_be_less_than() -> None:
    settings = from_environ({"AMBIDEX_LAMBDA_DEADLINE_MARGIN": "45"})

    assert settings.aws_lambda.deadline_margin == 45


def test_managed_instances_and_snapshots_exclude_each_other(tmp_path: Path) -> None:
    toml = "[tool.ambidex.lambda]\nsnap-start = true\nmax-concurrency = 16\n"
    error = error_of(tmp_path, toml)

    assert error.message == (
        "[tool.ambidex.lambda] snap-start = true and max-concurrency = 16 exclude each other, for "
        "Managed Instances have no snapshots"
    )
    assert error.hint == "take one of them out"


def test_an_error_shows_at_most_200_characters_of_a_value(tmp_path: Path) -> None:
    error = error_of(tmp_path, line("lambda", "memory", "x" * 1000))

    assert f"'{'x' * 196}..." in error.message
    assert "x" * 197 not in error.message


@pytest.mark.parametrize("setting", EVERY)
def test_the_printed_range_of_a_number_is_the_one_that_is_checked(setting: Setting) -> None:
    low, dash, high = setting.range.partition("–")
    number = type(setting.default)
    if not dash:
        assert number not in (int, float)
        return

    assert setting.check(number(low)) == setting.check(number(high)) == ""
    assert setting.check(number(low) - 1)
    assert setting.check(number(high) + 1)


@pytest.mark.parametrize(
    ("toml", "message", "hint"),
    [
        pytest.param(
            "[tool.ambidex]\nap = 'main:app'",
            "there is no setting 'ap' in [tool.ambidex]",
            "did you mean app?",
            id="key",
        ),
        pytest.param(
            "[tool.ambidex.lambda]\nmemroy = 512",
            "there is no setting 'memroy' in [tool.ambidex.lambda]",
            "did you mean memory?",
            id="key in a section",
        ),
        pytest.param(
            "[tool.ambidex.ecs]\ntimeout = 1",
            "there is no setting 'timeout' in [tool.ambidex.ecs]",
            "did you mean stop-timeout?",
            id="key of another section that is like one here",
        ),
        pytest.param(
            "[tool.ambidex]\nevents-path = '/events'",
            "there is no setting 'events-path' in [tool.ambidex]",
            "it is one of [tool.ambidex.lambda]",
            id="key of another section",
        ),
        pytest.param(
            "[tool.ambidex.ecs]\nhealth_path = '/'",
            "there is no setting 'health_path' in [tool.ambidex.ecs]",
            "did you mean health-path?",
            id="underscore for a hyphen",
        ),
        pytest.param(
            "[tool.ambidex.lamda]\nmemory = 512",
            "there is no setting 'lamda' in [tool.ambidex]",
            "did you mean lambda?",
            id="section",
        ),
        pytest.param(
            "[tool.ambidex]\nqqqqqqqq = 1",
            "there is no setting 'qqqqqqqq' in [tool.ambidex]",
            "",
            id="like nothing",
        ),
        pytest.param(
            "[tool.ambidex]\nlambda = 512",
            "[tool.ambidex.lambda] must be a table, not 512",
            "",
            id="section that is none",
        ),
        pytest.param(
            "[tool]\nambidex = 'main:app'",
            "ambidex must be a table, not 'main:app'",
            "write [tool.ambidex]",
            id="ambidex that is no table",
        ),
        pytest.param(
            "tool = 1", "tool must be a table, not 1", "write [tool.ambidex]", id="tool is no table"
        ),
    ],
)
def test_what_is_unknown_is_an_error_that_names_it_and_the_nearest(
    tmp_path: Path, toml: str, message: str, hint: str
) -> None:
    error = error_of(tmp_path, toml)

    assert (error.message, error.hint) == (message, hint)


def test_a_file_that_is_no_toml_is_an_error_that_names_it(tmp_path: Path) -> None:
    error = error_of(tmp_path, "[tool.ambidex\n")

    assert error.message.startswith(f"{tmp_path / 'pyproject.toml'} is not TOML: ")


def test_a_file_that_is_not_utf_8_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_bytes(b"[tool.ambidex]\napp = '\xff'\n")

    with pytest.raises(SettingError) as error:
        from_pyproject(path)

    assert error.value.message.startswith(f"{path} is not TOML: ")


def test_a_file_that_cannot_be_read_is_an_error_that_names_it(tmp_path: Path) -> None:
    folder = tmp_path / "pyproject.toml"
    folder.mkdir()

    with pytest.raises(SettingError) as error:
        from_pyproject(folder)

    assert error.value.message == f"{folder} cannot be read: Is a directory"


def test_a_file_is_utf_8_whatever_the_locale(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "[tool.ambidex]\nenvironment = { NAME = 'café €' }\n")

    assert settings.environment == {"NAME": "café €"}


@pytest.mark.parametrize(
    ("cpu", "memory"), [(cpu, memory) for cpu, sizes in FARGATE_SIZES.items() for memory in sizes]
)
def test_every_pair_that_fargate_offers_is_taken(cpu: int, memory: int) -> None:
    settings = from_pyproject(
        Path("no such file"), {"AMBIDEX_ECS_CPU": cpu, "AMBIDEX_ECS_MEMORY": memory}
    )

    assert (settings.ecs.cpu, settings.ecs.memory) == (cpu, memory)


# AmazonECS/latest/developerguide/fargate-tasks-services.html: smallest and largest memory in MiB,
# and the step between, by CPU units. 0.25 vCPU has three sizes, 32 vCPU three of its own.
@pytest.mark.parametrize(
    ("cpu", "smallest", "largest", "sizes"),
    [
        (256, 512, 2048, 3),
        (512, 1024, 4096, 4),
        (1024, 2048, 8192, 7),
        (2048, 4096, 16384, 13),
        (4096, 8192, 30720, 23),
        (8192, 16384, 61440, 12),
        (16384, 32768, 122880, 12),
    ],
)
def test_fargates_sizes_are_those_of_its_page(
    cpu: int, smallest: int, largest: int, sizes: int
) -> None:
    offered = FARGATE_SIZES[cpu]

    assert (offered[0], offered[-1], len(offered)) == (smallest, largest, sizes)


@pytest.mark.parametrize(
    ("cpu", "memory", "message"),
    [
        pytest.param(
            300,
            1024,
            "[tool.ambidex.ecs] cpu = 300 is none Fargate has: "
            "256, 512, 1024, 2048, 4096, 8192, 16384, 32768",
            id="no such CPU",
        ),
        pytest.param(
            256,
            4096,
            "[tool.ambidex.ecs] memory = 4096 is none Fargate has with cpu = 256: 512, 1024, 2048",
            id="too much memory",
        ),
        pytest.param(
            512,
            512,
            "[tool.ambidex.ecs] memory = 512 is none Fargate has with cpu = 512: "
            "1024, 2048, 3072, 4096",
            id="too little memory",
        ),
        pytest.param(
            512,
            1500,
            "[tool.ambidex.ecs] memory = 1500 is none Fargate has with cpu = 512: "
            "1024, 2048, 3072, 4096",
            id="between two sizes",
        ),
    ],
)
def test_a_pair_that_fargate_does_not_offer_is_an_error_that_names_both(
    tmp_path: Path, cpu: int, memory: int, message: str
) -> None:
    error = error_of(tmp_path, f"[tool.ambidex.ecs]\ncpu = {cpu}\nmemory = {memory}\n")

    assert error.message == message


@pytest.mark.parametrize(("drain", "stop_timeout"), [(10, 10), (30, 20), (119, 119)])
def test_draining_must_end_before_the_task_is_killed(
    tmp_path: Path, drain: int, stop_timeout: int
) -> None:
    error = error_of(
        tmp_path, f"[tool.ambidex.ecs]\ndrain = {drain}\nstop-timeout = {stop_timeout}\n"
    )

    assert error.message == (
        f"[tool.ambidex.ecs] drain = {drain} must be less than stop-timeout = {stop_timeout}, for "
        "SIGKILL comes then"
    )


@pytest.mark.parametrize(
    ("written", "base_path"),
    [
        pytest.param("/api", "/api", id="plain"),
        pytest.param("/api/", "/api", id="trailing slash"),
        pytest.param("/", "", id="the root is none"),
        pytest.param("/v1/api", "/v1/api", id="two segments"),
        pytest.param("/café x", "/caf%C3%A9%20x", id="is percent-encoded"),
        pytest.param("/caf%C3%A9", "/caf%C3%A9", id="is not encoded twice"),
    ],
)
def test_a_base_path_is_percent_encoded_and_has_no_slash_at_its_end(
    tmp_path: Path, written: str, base_path: str
) -> None:
    settings = settings_of(tmp_path, line("lambda", "base-path", written))

    assert settings.aws_lambda.base_path == base_path
    assert from_environ(to_environ(settings)).aws_lambda.base_path == base_path


@pytest.mark.parametrize(
    ("written", "events_path"),
    [
        pytest.param("/events", "/events", id="plain"),
        pytest.param("/events/", "/events/", id="a slash at its end, which a route may have"),
        pytest.param("/é v", "/%C3%A9%20v", id="is percent-encoded"),
        pytest.param("/%C3%A9", "/%C3%A9", id="is not encoded twice"),
    ],
)
def test_an_events_path_is_percent_encoded(tmp_path: Path, written: str, events_path: str) -> None:
    settings = settings_of(tmp_path, line("lambda", "events-path", written))

    assert settings.aws_lambda.events_path == events_path
    assert from_environ(to_environ(settings)).aws_lambda.events_path == events_path


def test_error_statuses_are_statuses_and_ranges(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, line("lambda", "error-statuses", ["500-502", 429, "404"]))

    assert settings.aws_lambda.failing_statuses == {404, 429, 500, 501, 502}
    assert to_environ(settings)["AMBIDEX_LAMBDA_ERROR_STATUSES"] == "500-502,429,404"
    assert from_environ(to_environ(settings)) == from_environ(
        {"AMBIDEX_LAMBDA_ERROR_STATUSES": "500-502, 429,404"}
    )


def test_a_flag_on_the_command_line_wins_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text("[tool.ambidex]\napp = 'main:app'\n[tool.ambidex.ecs]\nport = 1\ntasks = 2\n")
    settings = from_pyproject(path, {"AMBIDEX_ECS_PORT": 9000})

    assert (settings.app, settings.ecs.port, settings.ecs.tasks) == ("main:app", 9000, 2)


def test_a_flag_out_of_range_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="port = 70000 must be a whole number"):
        from_pyproject(tmp_path / "pyproject.toml", {"AMBIDEX_ECS_PORT": 70000})


@pytest.mark.parametrize(
    ("section", "key", "variable"),
    [
        ("", "app", "AMBIDEX_APP"),
        ("lambda", "base-path", "AMBIDEX_LAMBDA_BASE_PATH"),
        ("ecs", "stop-timeout", "AMBIDEX_ECS_STOP_TIMEOUT"),
    ],
)
def test_one_rule_makes_the_name_of_the_variable(section: str, key: str, variable: str) -> None:
    (setting,) = (s for s in TABLE if (s.section, s.key) == (section, key))

    assert setting.variable == variable


def test_no_two_settings_share_a_variable() -> None:
    assert len({setting.variable for setting in TABLE}) == len(TABLE)


@pytest.mark.parametrize(
    ("environ", "field", "value"),
    [
        ({"AMBIDEX_APP": "main:app"}, "app", "main:app"),
        ({"AMBIDEX_LAMBDA_BASE_PATH": "/api/"}, "base_path", "/api"),
        ({"AMBIDEX_ECS_PORT": "9000"}, "port", 9000),
        ({"AMBIDEX_ECS_HEALTH_PATH": "/health"}, "health_path", "/health"),
        ({"AMBIDEX_ECS_TRUSTED_PROXIES": ""}, "trusted_proxies", ()),
        (
            {"AMBIDEX_ECS_TRUSTED_PROXIES": "10.0.0.0/8, ::1,"},
            "trusted_proxies",
            ("10.0.0.0/8", "::1"),
        ),
        ({"PATH": "/bin", "AMBIDEX": "1", "ambidex_app": "x"}, "app", ""),
    ],
)
def test_the_environment_is_read_by_that_rule(
    environ: dict[str, str], field: str, value: object
) -> None:
    settings = from_environ(environ)
    found = [
        getattr(section, field)
        for section in (settings, settings.aws_lambda, settings.ecs)
        if hasattr(section, field)
    ]

    assert found == [value]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("AMBIDEX_ECS_PROT", "did you mean AMBIDEX_ECS_PORT?"),
        ("AMBIDEX_BASE_PATH", "did you mean AMBIDEX_LAMBDA_BASE_PATH?"),
        ("AMBIDEX_", "did you mean AMBIDEX_APP?"),
        ("AMBIDEX_QQQQQQQQQQQQQQQQQQQQQQ", ""),
    ],
)
def test_an_unknown_variable_is_an_error_that_names_it_and_the_nearest(
    name: str, hint: str
) -> None:
    with pytest.raises(SettingError) as error:
        from_environ({name: "1"})

    assert error.value.message == f"there is no setting {name}"
    assert error.value.hint == hint


@pytest.mark.parametrize("value", ["", "JSON", "json", "Text", "TEXT"])
def test_the_format_of_the_log_is_lambdas(value: str) -> None:
    from_environ({"AWS_LAMBDA_LOG_FORMAT": value})


@pytest.mark.parametrize("value", ["", "TRACE", "debug", "INFO", "WARN", "ERROR", "FATAL"])
def test_the_level_of_the_log_is_lambdas(value: str) -> None:
    from_environ({"AWS_LAMBDA_LOG_LEVEL": value})


@pytest.mark.parametrize("value", ["WARNING", "CRITICAL"])
def test_the_level_of_the_log_may_have_pythons_name(value: str) -> None:
    from_environ({"AWS_LAMBDA_LOG_LEVEL": value})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("AWS_LAMBDA_LOG_FORMAT", "yaml"),
        ("AWS_LAMBDA_LOG_FORMAT", "WARNING"),
        ("AWS_LAMBDA_LOG_LEVEL", "loud"),
    ],
)
def test_what_is_neither_is_an_error(variable: str, value: str) -> None:
    with pytest.raises(SettingError, match=f"{variable} = '{value}' must be "):
        from_environ({variable: value})


@pytest.mark.parametrize("setting", [s for s in TABLE if not s.is_in_image], ids=lambda s: s.name)
def test_a_setting_that_is_not_for_the_image_is_unknown_there(setting: Setting) -> None:
    with pytest.raises(SettingError, match=f"there is no setting {setting.variable}"):
        from_environ({setting.variable: "1"})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("eighty", "'eighty' must be a whole number from 0 to 65535"),
        ("", "'' must be a whole number from 0 to 65535"),
        ("80.0", "'80.0' must be a whole number from 0 to 65535"),
        ("65536", "65536 must be a whole number from 0 to 65535"),
        ("9" * 5000, f"'{'9' * 196}... must be a whole number from 0 to 65535"),
    ],
)
def test_a_variable_out_of_range_is_an_error_that_names_the_setting(
    text: str, problem: str
) -> None:
    with pytest.raises(SettingError) as error:
        from_environ({"AMBIDEX_ECS_PORT": text})

    assert error.value.message == f"[tool.ambidex.ecs] port = {problem}"


def test_the_defaults_go_through_the_environment_and_back() -> None:
    environ = to_environ(from_environ({}))

    assert set(environ) == {setting.variable for setting in IN_IMAGE}
    assert from_environ(environ) == from_environ({})


# Numbers that may be together; a number that is not here keeps its default.
NUMBERS: dict[str, st.SearchStrategy[Any]] = {
    "AMBIDEX_LAMBDA_DEADLINE_MARGIN": st.floats(0, 28),
    "AMBIDEX_LAMBDA_WORKERS": st.integers(1, 192),
    "AMBIDEX_ECS_PORT": st.integers(0, 65535),
    "AMBIDEX_ECS_DRAIN": st.integers(0, 59),
    "AMBIDEX_ECS_STOP_TIMEOUT": st.integers(60, 120),
}
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)


def values_for(setting: Setting) -> st.SearchStrategy[Any]:
    """Values that a setting takes, by its default's type and its range."""
    if setting.variable in NUMBERS:
        return NUMBERS[setting.variable]
    if setting.key == "authorization-source":
        return st.from_regex(r"[!#$%&'*+.^_`|~0-9A-Za-z-]*", fullmatch=True)
    if setting.key == "error-statuses":
        statuses = st.integers(100, 599)
        ranges = st.tuples(statuses, statuses).map(lambda ends: "{}-{}".format(*sorted(ends)))
        return st.lists(ranges | statuses | statuses.map(str), max_size=4)
    if isinstance(setting.default, list):
        return st.lists(st.ip_addresses().map(str), max_size=4)
    if isinstance(setting.default, str):
        if setting.range:
            return st.sampled_from(setting.range.split(", "))
        if not setting.check("no path"):
            return TEXTS
        paths = TEXTS.map(lambda text: f"/{text}")
        paths = paths.map(quote) if setting.check("/é") else paths
        return paths.filter(lambda path: not setting.check(path))
    return st.just(setting.default)


@given(data=st.data())
def test_any_settings_of_the_image_go_through_the_environment_and_back(
    data: st.DataObject,
) -> None:
    values = {
        setting.variable: data.draw(values_for(setting), label=setting.name) for setting in IN_IMAGE
    }
    # The image is behind no front door, but the project is, and not each takes streams.
    values["AMBIDEX_LAMBDA_FRONT_DOOR"] = "function-url"
    settings = from_pyproject(Path("no such file"), values)
    in_image = from_environ(to_environ(settings))
    aws_lambda = in_image.aws_lambda._replace(front_door="function-url")

    assert in_image._replace(aws_lambda=aws_lambda) == settings
