"""The settings, from `[tool.ambidex]` and from the environment; no other module reads those.

One table describes every setting; the values, the names in the environment and the reference page
follow from it. In the image `[tool.ambidex.lambda] base-path` arrives as AMBIDEX_LAMBDA_BASE_PATH.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, unquote

from ambidex.errors import AmbidexError, shown

if TYPE_CHECKING:
    from pathlib import Path

PREFIX = "AMBIDEX_"

# Lambda's own, which hold on both platforms. Source: configuration-envvars.html;
# monitoring-cloudwatchlogs-log-level.html.
LOG_FORMAT = "AWS_LAMBDA_LOG_FORMAT"
LOG_LEVEL = "AWS_LAMBDA_LOG_LEVEL"
_LOG_CONTROLS = {
    LOG_FORMAT: ("JSON", "Text"),
    LOG_LEVEL: ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"),
}
# Python's own names of levels, which AWS's Python runtime takes as well.
_SYNONYMS = {LOG_FORMAT: (), LOG_LEVEL: ("WARNING", "CRITICAL")}

FRONT_DOORS = ("http-api", "http-api-v1", "rest-api", "function-url", "alb")
DEFAULT_STAGE = "$default"
# Those of API Gateway, which alone have stages and custom domains.
_APIS = ("http-api", "http-api-v1", "rest-api")

_STREAMING = ("rest-api", "function-url")


class SettingError(AmbidexError):
    """A setting that is unknown or out of range; the user's fault."""


class LambdaSettings(NamedTuple):
    """`[tool.ambidex.lambda]`; in Python `lambda` is a keyword."""

    memory: int
    timeout: int
    front_door: str
    stage: str
    domain: str
    binary_media_types: tuple[str, ...]
    command: tuple[str, ...]
    base_path: str
    concurrency: int
    events_path: str
    error_statuses: tuple[str, ...]
    response: str
    deadline_margin: float  # seconds
    authorization_source: str
    snap_start: bool
    lifespan: str
    max_concurrency: int
    workers: int

    @property
    def failing_statuses(self) -> frozenset[int]:
        """The statuses that `error-statuses` names, one by one."""
        return frozenset().union(*map(_statuses, self.error_statuses))


class EcsSettings(NamedTuple):
    """`[tool.ambidex.ecs]`."""

    cpu: int
    memory: int
    host: str
    port: int
    tasks: int
    command: tuple[str, ...]
    health_path: str
    trusted_proxies: tuple[str, ...]
    drain: int
    stop_timeout: int


class Settings(NamedTuple):
    """`[tool.ambidex]`."""

    app: str
    environment: dict[str, str]
    env_file: str
    aws_lambda: LambdaSettings
    ecs: EcsSettings


Check = Callable[[Any], str]
"""Says what is wrong with a value, or nothing."""


class Setting(NamedTuple):
    """One setting: where it is, its default, what it may be, and what it is for."""

    section: str  # "", "lambda" or "ecs"
    key: str
    default: Any
    check: Check
    range: str
    doc: str
    is_in_image: bool = False

    @property
    def name(self) -> str:
        """As an error names it: `[tool.ambidex.lambda] base-path`."""
        return f"[{table_name(self.section)}] {self.key}"

    @property
    def variable(self) -> str:
        """As the image has it in its environment."""
        return PREFIX + "_".join(filter(None, (self.section, self.key))).upper().replace("-", "_")

    @property
    def field(self) -> str:
        """As the frozen values have it."""
        return self.key.replace("-", "_")


def table_name(section: str) -> str:
    """The name of a section's table in pyproject.toml."""
    return f"tool.ambidex.{section}" if section else "tool.ambidex"


def _between(low: int, high: int) -> Check:
    def check(value: object) -> str:
        is_number = isinstance(value, int) and not isinstance(value, bool)
        if is_number and low <= value <= high:  # type: ignore[operator]  # is_number says so
            return ""
        return f"must be a whole number from {low} to {high}"

    return check


def _seconds(high: int) -> Check:
    def check(value: object) -> str:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and 0 <= value <= high:  # type: ignore[operator]  # is_number says so
            return ""
        return f"must be a number of seconds from 0 to {high}"

    return check


def _flag(value: object) -> str:
    return "" if isinstance(value, bool) else "must be true or false"


def _one_of(*names: str) -> Check:
    return lambda value: "" if value in names else f"must be one of {', '.join(names)}"


def _text(value: object) -> str:
    return "" if isinstance(value, str) else "must be a string"


def _path(value: object) -> str:
    is_path = isinstance(value, str) and value.startswith("/")
    return "" if is_path else "must be a path that starts with /"


def _health_path(value: object) -> str:
    # It goes into a request line as it is.
    is_printable = isinstance(value, str) and all("!" <= character <= "~" for character in value)
    problem = "must be of printable ASCII without spaces: percent-encode the rest"
    return _path(value) or ("" if is_printable else problem)


def _stage(value: object) -> str:
    is_name = isinstance(value, str) and bool(value.replace("-", "").replace("_", "").isalnum())
    is_stage = value == DEFAULT_STAGE or (is_name and str(value).isascii())
    return "" if is_stage else "must be $default or of letters, digits, - and _"


def _domain(value: object) -> str:
    labels = value.split(".") if isinstance(value, str) else [""]
    is_name = all(
        label.isascii() and label.replace("-", "").isalnum() and label.strip("-") == label
        for label in labels
    )
    is_own_host = "execute-api" in labels
    is_domain = value == "" or (is_name and len(labels) > 1 and not is_own_host)
    return "" if is_domain else "must be a domain of your own, like api.example.com"


def _media_types(value: object) -> str:
    problem = _strings(value)
    if problem:
        return problem
    for item in value:  # type: ignore[attr-defined]  # a list, as _strings has seen
        group, slash, name = item.partition("/")
        is_type = slash and all(part and not set(part) & set(" ,;/") for part in (group, name))
        if not is_type or (group == "*" and name != "*"):
            return f"must be a list of media types like image/png, image/* and */*: {shown(item)}"
    return ""


def _base_path(value: object) -> str:
    has_more = isinstance(value, str) and ("?" in value or "#" in value)
    problem = "must be a path without ? and #: percent-encode them"
    return "" if value == "" else _path(value) or (problem if has_more else "")


def _events_path(value: object) -> str:
    # "/" would close the app's first page to everybody.
    is_root = isinstance(value, str) and value != "" and not unquote(value).strip("/\n")
    return "must be a path below /" if is_root else _base_path(value)


def _header_name(value: object) -> str:
    # The characters of a token, RFC 9110 5.6.2.
    is_name = isinstance(value, str) and all(
        character.isascii() and (character.isalnum() or character in "!#$%&'*+-.^_`|~")
        for character in value
    )
    return "" if is_name else "must be the name of a header"


def _statuses(text: str) -> range:
    """The statuses of an entry; none if it is neither a status nor a range."""
    # Not compiled at import: most functions name no status.
    ends = re.fullmatch(r"([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?", text)
    return range(int(ends[1]), int(ends[2] or ends[1]) + 1) if ends else range(0)


def _error_statuses(value: object) -> str:
    problem = 'must be a list of statuses and ranges from 100 to 599, such as "500-599" or 429'
    if not isinstance(value, list | tuple):
        return problem
    for item in value:
        is_status = isinstance(item, str | int) and not isinstance(item, bool)
        if not is_status or not _statuses(str(item)):
            return f"{problem}: {shown(item)} is none"
    return ""


def _strings(value: object) -> str:
    is_list = isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
    return "" if is_list else "must be a list of strings"


def _command(value: object) -> str:
    problem = _strings(value)
    if not problem and any("\0" in item for item in value):  # type: ignore[attr-defined]  # strings
        problem = "must have no NUL"
    return problem


def _networks(value: object) -> str:
    problem = _strings(value)
    if problem:
        return problem
    from ipaddress import ip_network

    for network in value:  # type: ignore[attr-defined]  # a list, as _strings has seen
        try:
            ip_network(network)
        except ValueError as error:
            return f"must be a list of addresses and networks: {error}"
    return ""


def _variables(value: object) -> str:
    is_table = isinstance(value, Mapping) and all(isinstance(v, str) for v in value.values())
    return variables_problem(value) if is_table else "must be a table of strings"  # type: ignore[arg-type]  # is_table says so


def variables_problem(variables: Mapping[str, str]) -> str:
    """Says what no process could have in its environment, or nothing; shows no values."""
    for name, value in variables.items():
        if not (name.isascii() and name.isidentifier()):
            rule = "a name is of letters, digits and _, and starts with no digit"
            return f"must not name a variable {shown(name)}: {rule}"
        if "\0" in value:
            return f"must have no NUL in {shown(name)}"
    return ""


TABLE = (
    Setting("", "app", "", _text, "", "The ASGI app, `module:attribute`.", True),
    Setting("", "environment", {}, _variables, "", "Variables for the app, on both targets."),
    Setting(
        "",
        "env-file",
        "",
        _text,
        "",
        "A file of variables for the app; `environment` wins. Empty: `.env`, if it is there.",
    ),
    Setting("lambda", "memory", 512, _between(128, 10240), "128–10240", "MiB the function has."),
    Setting("lambda", "timeout", 29, _between(1, 900), "1–900", "Seconds an invocation may take."),
    Setting(
        "lambda",
        "front-door",
        "http-api",
        _one_of(*FRONT_DOORS),
        ", ".join(FRONT_DOORS),
        "What turns HTTP into events; `http-api-v1` is an HTTP API with payload 1.0.",
    ),
    Setting(
        "lambda",
        "stage",
        DEFAULT_STAGE,
        _stage,
        "",
        "The API's stage. A REST API has no `$default`: there that means `prod`.",
    ),
    Setting(
        "lambda",
        "domain",
        "",
        _domain,
        "",
        "The API's custom domain; `base-path` is the key of its mapping. Empty: its own host.",
    ),
    Setting(
        "lambda",
        "binary-media-types",
        [],
        _media_types,
        "",
        "What a REST API takes for binary, such as `image/*` or `*/*`.",
    ),
    Setting(
        "lambda",
        "command",
        [],
        _command,
        "",
        "What an environment runs; `{port}` is filled in, one for each. Empty: `ambidex serve`.",
    ),
    Setting(
        "lambda",
        "base-path",
        "",
        _base_path,
        "",
        "What is in front of the app's own paths; cut at segments, becomes `root_path`.",
        True,
    ),
    Setting("lambda", "concurrency", 10, _between(1, 1000), "1–1000", "Environments at most."),
    Setting(
        "lambda",
        "events-path",
        "",
        _events_path,
        "",
        "Where events that are no HTTP requests are POSTed; 404 to all callers from outside, on "
        "both platforms. Empty: such events fail.",
        True,
    ),
    Setting(
        "lambda",
        "error-statuses",
        [],
        _error_statuses,
        "",
        'Statuses that fail the invocation, such as `["500-599", 429]`; the front door then gives '
        "its own.",
        True,
    ),
    Setting(
        "lambda",
        "response",
        "buffered",
        _one_of("buffered", "stream"),
        "buffered, stream",
        "Whether responses are streamed to Function URLs and REST APIs, piece by piece, and these "
        "front doors take streams. Others take none, and get their answers whole.",
        True,
    ),
    Setting(
        "lambda",
        "deadline-margin",
        0.25,
        _seconds(60),
        "0–60",
        "Seconds before the time-out at which a request is answered with a 504; 0: not at all.",
        True,
    ),
    Setting(
        "lambda",
        "authorization-source",
        "",
        _header_name,
        "",
        "The header that the app gets as Authorization, in place of the one that IAM needs.",
        True,
    ),
    Setting(
        "lambda",
        "snap-start",
        False,
        _flag,
        "",
        "Whether environments on your machine start from snapshots; on AWS the function says it.",
    ),
    Setting(
        "lambda",
        "lifespan",
        "snapshot",
        _one_of("snapshot", "restore"),
        "snapshot, restore",
        "With SnapStart: whether the app starts before the snapshot or after each restore.",
        True,
    ),
    Setting(
        "lambda",
        "max-concurrency",
        0,
        _between(0, 1000),
        "0–1000",
        "Requests in one environment at a time, on Managed Instances; 0: an ordinary function.",
    ),
    Setting(
        "lambda",
        "workers",
        1,
        _between(1, 192),
        "1–192",
        "Processes in one environment, on Managed Instances; one for each vCPU is enough.",
        True,
    ),
    Setting(
        "ecs",
        "cpu",
        512,
        _between(256, 32768),
        "256–32768",
        "CPU units of a task; 1024 are one vCPU.",
    ),
    Setting("ecs", "memory", 1024, _between(512, 249856), "512–249856", "MiB a task has."),
    Setting("ecs", "host", "0.0.0.0", _text, "", "The address `serve` listens on.", True),  # noqa: S104
    Setting(
        "ecs", "port", 8080, _between(0, 65535), "0–65535", "The port `serve` listens on.", True
    ),
    Setting("ecs", "tasks", 1, _between(1, 100), "1–100", "Tasks the service keeps running."),
    Setting(
        "ecs",
        "command",
        [],
        _command,
        "",
        "What a task runs; `{host}` and `{port}` are filled in. Empty: `ambidex serve`.",
    ),
    Setting(
        "ecs",
        "health-path",
        "/",
        _health_path,
        "",
        "Where the load balancer asks for health.",
        True,
    ),
    Setting(
        "ecs",
        "trusted-proxies",
        ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"],
        _networks,
        "",
        "Networks whose X-Forwarded-For and X-Forwarded-Proto are believed.",
        True,
    ),
    Setting(
        "ecs",
        "drain",
        10,
        _between(0, 119),
        "0–119",
        "Seconds a task serves on after SIGTERM while its health check fails.",
        True,
    ),
    Setting(
        "ecs",
        "stop-timeout",
        30,
        _between(1, 120),
        "1–120",
        "Seconds from SIGTERM to SIGKILL; more than `drain`.",
        True,
    ),
)

# Memory in MiB by CPU units.
# See AmazonECS/latest/developerguide/fargate-tasks-services.html
FARGATE_SIZES: dict[int, tuple[int, ...]] = {
    256: (512, 1024, 2048),
    512: tuple(range(1024, 4096 + 1, 1024)),
    1024: tuple(range(2048, 8192 + 1, 1024)),
    2048: tuple(range(4096, 16384 + 1, 1024)),
    4096: tuple(range(8192, 30720 + 1, 1024)),
    8192: tuple(range(16384, 61440 + 1, 4096)),
    16384: tuple(range(32768, 122880 + 1, 8192)),
    32768: (61440, 122880, 249856),
}


def from_pyproject(path: "Path", overrides: Mapping[str, Any] | None = None) -> Settings:
    """The settings of a pyproject.toml; the defaults for what it does not say.

    Args:
        path: the file; it need not exist.
        overrides: what flags on the command line say, by name of environment variable.

    Raises:
        SettingError: the file cannot be read, a key is unknown or a value is out of range.
    """
    import tomllib

    try:
        document = tomllib.loads(path.read_text("utf-8")) if path.exists() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"{path} is not TOML: {error}") from None
    except OSError as error:
        raise SettingError(f"{path} cannot be read: {error.strerror}") from None
    values = dict(_from_tables(_table(_table(document, "tool"), "ambidex")))
    values.update(overrides or {})
    settings = _settings(values)
    _check_function(settings.aws_lambda)
    _check_response(settings.aws_lambda)
    return settings


def from_environ(environ: Mapping[str, str]) -> Settings:
    """The settings as the image has them, in variables that start with AMBIDEX_.

    Raises:
        SettingError: a variable with that prefix is unknown or its value is out of range, or one of
            Lambda's logging controls is.
    """
    known = {setting.variable: setting for setting in TABLE if setting.is_in_image}
    values = {}
    for name, text in environ.items():
        if name.startswith(PREFIX):
            if name not in known:
                raise SettingError(f"there is no setting {name}", _nearest(name, known))
            values[name] = _from_text(known[name], text)
    _check_log_controls(environ)
    return _settings(values)


def _check_log_controls(environ: Mapping[str, str]) -> None:
    for name, choices in _LOG_CONTROLS.items():
        text = environ.get(name, "")
        if text and text.upper() not in map(str.upper, (*choices, *_SYNONYMS[name])):
            raise SettingError(f"{name} = {shown(text)} must be one of {', '.join(choices)}")


def to_environ(settings: Settings) -> dict[str, str]:
    """The variables that give an image these settings."""
    values = {}
    for setting in TABLE:
        if setting.is_in_image:
            value = _value(settings, setting)
            values[setting.variable] = ",".join(value) if isinstance(value, tuple) else str(value)
    return values


def _value(settings: Settings, setting: Setting) -> Any:  # noqa: ANN401 – each has its own type
    sections = {"": settings, "lambda": settings.aws_lambda, "ecs": settings.ecs}
    return getattr(sections[setting.section], setting.field)


def _table(parent: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = parent.get(key, {})
    if not isinstance(value, Mapping):
        raise SettingError(f"{key} must be a table, not {shown(value)}", "write [tool.ambidex]")
    return value


def _from_tables(tables: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    known = {(setting.section, setting.key): setting for setting in TABLE}
    sections = {setting.section for setting in TABLE} - {""}
    flat: dict[tuple[str, str], Any] = {}
    for key, value in tables.items():
        if key in sections:
            if not isinstance(value, Mapping):
                raise SettingError(f"[{table_name(key)}] must be a table, not {shown(value)}")
            flat.update({(key, inner): item for inner, item in value.items()})
        else:
            flat["", key] = value
    for (section, key), value in flat.items():
        if (section, key) not in known:
            names = [name for owner, name in known if owner == section]
            nearest = _nearest(key, [*names, *sections] if not section else names)
            belongs = [f"it is one of [{table_name(o)}]" for o, name in known if name == key]
            raise SettingError(
                f"there is no setting {key!r} in [{table_name(section)}]",
                nearest or "".join(belongs[:1]),
            )
        yield known[section, key].variable, value


def _from_text(setting: Setting, text: str) -> Any:  # noqa: ANN401 – each has its own type
    if isinstance(setting.default, int | float):
        try:
            return type(setting.default)(text)
        except ValueError:
            return text  # its check says what is wrong
    if isinstance(setting.default, list):
        return [item.strip() for item in text.split(",") if item.strip()]
    return text


def _settings(values: Mapping[str, Any]) -> Settings:
    sections: dict[str, dict[str, Any]] = {"": {}, "lambda": {}, "ecs": {}}
    for setting in TABLE:
        value = setting.default
        if setting.variable in values:
            value = values[setting.variable]
            problem = setting.check(value)
            if problem:
                raise SettingError(f"{setting.name} = {shown(value)} {problem}")
        sections[setting.section][setting.field] = (
            tuple(value) if isinstance(value, list) else value
        )
    of_lambda = sections["lambda"]
    of_lambda["base_path"] = _quoted(of_lambda["base_path"].rstrip("/"))
    of_lambda["events_path"] = _quoted(of_lambda["events_path"])
    of_lambda["error_statuses"] = tuple(map(str, of_lambda["error_statuses"]))
    aws_lambda, ecs = LambdaSettings(**of_lambda), EcsSettings(**sections["ecs"])
    _check_front_door(aws_lambda)
    _check_pairs(ecs)
    return Settings(**sections[""], aws_lambda=aws_lambda, ecs=ecs)


def _check_function(aws_lambda: LambdaSettings) -> None:
    if aws_lambda.deadline_margin >= aws_lambda.timeout:
        raise SettingError(
            f"[tool.ambidex.lambda] deadline-margin = {aws_lambda.deadline_margin:g} must be less "
            f"than timeout = {aws_lambda.timeout}, or every request is late"
        )
    if aws_lambda.snap_start and aws_lambda.max_concurrency:
        raise SettingError(
            "[tool.ambidex.lambda] snap-start = true and max-concurrency = "
            f"{aws_lambda.max_concurrency} exclude each other, for Managed Instances have no "
            "snapshots",
            "take one of them out",
        )


def _check_response(aws_lambda: LambdaSettings) -> None:
    if aws_lambda.response == "stream" and aws_lambda.front_door not in _STREAMING:
        raise SettingError(
            "[tool.ambidex.lambda] response = 'stream' and front-door = "
            f"{aws_lambda.front_door!r} exclude each other, for that front door takes no streams",
            f"take response out, or choose one of {', '.join(_STREAMING)}",
        )


def _check_front_door(aws_lambda: LambdaSettings) -> None:
    if aws_lambda.front_door in _APIS:
        return
    for key, value, none in (
        ("stage", aws_lambda.stage, DEFAULT_STAGE),
        ("domain", aws_lambda.domain, ""),
    ):
        if value != none:
            raise SettingError(
                f"[tool.ambidex.lambda] {key} = {shown(value)} and front-door = "
                f"{aws_lambda.front_door!r} exclude each other, for only APIs have a {key}",
                f"take {key} out, or choose one of {', '.join(_APIS)}",
            )


def _quoted(path: str) -> str:
    return quote(path, safe="/%:@!$&'()*+,;=~")


def _check_pairs(ecs: EcsSettings) -> None:
    if ecs.cpu not in FARGATE_SIZES:
        sizes = ", ".join(map(str, FARGATE_SIZES))
        raise SettingError(f"[tool.ambidex.ecs] cpu = {ecs.cpu} is none Fargate has: {sizes}")
    if ecs.memory not in FARGATE_SIZES[ecs.cpu]:
        sizes = ", ".join(map(str, FARGATE_SIZES[ecs.cpu]))
        raise SettingError(
            f"[tool.ambidex.ecs] memory = {ecs.memory} is none Fargate has with cpu = {ecs.cpu}: "
            f"{sizes}"
        )
    if ecs.drain >= ecs.stop_timeout:
        raise SettingError(
            f"[tool.ambidex.ecs] drain = {ecs.drain} must be less than stop-timeout = "
            f"{ecs.stop_timeout}, for SIGKILL comes then"
        )


def _nearest(name: str, names: Any) -> str:  # noqa: ANN401 – any collection of strings
    from difflib import get_close_matches

    matches = get_close_matches(name, list(names), n=1)
    return f"did you mean {matches[0]}?" if matches else ""
