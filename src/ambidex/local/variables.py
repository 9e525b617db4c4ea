"""The environment variables that a copy of the app finds, on Lambda and on ECS.

A copy does not inherit the developer's whole environment, as it would not on AWS: it gets what the
platform sets, what the settings say, AWS credentials and region if there are any, and the few
variables without which programs of this machine do not run.

Source: lambda/latest/dg/configuration-envvars.html, "Defined runtime environment variables"
"""

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ambidex.errors import shown
from ambidex.local.credentials import Credentials, without_credentials
from ambidex.local.extensions_api import Metadata
from ambidex.settings import LOG_FORMAT, SettingError, Settings, to_environ, variables_problem

DEFAULT_REGION = "us-east-1"
ACCOUNT_ID = "123456789012"

_OF_THE_MACHINE = (
    "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONPATH", "TMPDIR", "VIRTUAL_ENV",
    "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_DIR", "SSL_CERT_FILE",
)  # fmt: skip
# Set by Lambda itself; a user's value would be refused there. So would credentials, but people have
# them in the .env with which they run the app alone.
_RESERVED = re.compile(
    r"_HANDLER|_X_AMZN_TRACE_ID|AWS_EXECUTION_ENV|AWS_LAMBDA_(?!LOG_FORMAT|LOG_LEVEL|EXEC_WRAPPER).*"
    r"|LAMBDA_TASK_ROOT|LAMBDA_RUNTIME_DIR|AMBIDEX_.*"
)
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")
# Set by Lambda, too, but a user's value wins.
_DEFAULTS = {"AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR", "TZ": ":UTC"}
# Whoever reads the log of a task here is a person, though it comes down a pipe.
_READABLE = {LOG_FORMAT: "Text"}


class Function(NamedTuple):
    """What the Lambda service knows of its one function."""

    name: str
    command: tuple[str, ...]  # {port} is filled in
    folder: Path
    environ: dict[str, str]  # the same in each environment
    variables: dict[str, str]  # what of these would be the function's own on AWS
    memory_mib: int
    timeout_s: int
    concurrency: int
    region: str
    max_concurrency: int  # of one environment, with Managed Instances; else 0
    credentials: Credentials | None = None  # with SnapStart, where they are no variables

    @property
    def version(self) -> str:
        """The version that runs, and that a caller who names none invokes."""
        return self.environ["AWS_LAMBDA_FUNCTION_VERSION"]

    @property
    def has_snapshots(self) -> bool:
        """Whether its environments are restored from snapshots: SnapStart."""
        return self.environ["AWS_LAMBDA_INITIALIZATION_TYPE"] == "snap-start"

    @property
    def arn(self) -> str:
        """The function's ARN."""
        return f"arn:aws:lambda:{self.region}:{ACCOUNT_ID}:function:{self.name}"

    @property
    def invoked_arn(self) -> str:
        """The ARN that an invocation is told; that of a published version ends with its number."""
        return f"{self.arn}:{self.version}" if self.has_snapshots else self.arn

    @property
    def has_port(self) -> bool:
        """Whether each environment gets a port of its own."""
        return any("{port}" in part for part in self.command)

    @property
    def metadata(self) -> Metadata:
        """What extensions are told of it."""
        return Metadata(self.name, self.environ["_HANDLER"], ACCOUNT_ID, self.version)

    @property
    def log_group(self) -> str:
        """The log group that Lambda makes for it."""
        return f"/aws/lambda/{self.name}"


def function(settings: Settings, folder: Path, environ: Mapping[str, str]) -> Function:
    """The function of a project.

    Args:
        settings: the project's.
        folder: the project's.
        environ: the developer's own environment.

    Raises:
        SettingError: the env-file is missing or unreadable, or a variable has no legal name or one
            that the platform keeps for itself, or a value that it does not take.
    """
    name = re.sub(r"[^A-Za-z0-9_-]", "-", folder.name)[:64] or "function"
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or DEFAULT_REGION
    command = settings.aws_lambda.command or (sys.executable, "-m", "ambidex", "serve")
    own = {
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(settings.aws_lambda.memory),
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
        "LAMBDA_TASK_ROOT": str(folder),
        "LAMBDA_RUNTIME_DIR": "/var/runtime",
        "_HANDLER": command[-1] if settings.aws_lambda.command else settings.app,
    }
    user, ambidex = _user(settings, folder), _ambidex(settings)
    if settings.aws_lambda.max_concurrency:
        own |= _managed_instances(settings.aws_lambda.max_concurrency, user)
    variables, credentials = _machine(environ) | _DEFAULTS | user, None
    if settings.aws_lambda.snap_start:
        variables, credentials = without_credentials(variables)
        user, _ = without_credentials(user)
        own |= {"AWS_LAMBDA_FUNCTION_VERSION": "1", "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
        del own["AWS_LAMBDA_LOG_GROUP_NAME"]
    return Function(
        name=name,
        command=tuple(command),
        folder=folder,
        environ=variables | own | ambidex,
        variables=user | ambidex,
        memory_mib=settings.aws_lambda.memory,
        timeout_s=settings.aws_lambda.timeout,
        concurrency=settings.aws_lambda.concurrency,
        region=region,
        max_concurrency=settings.aws_lambda.max_concurrency,
        credentials=credentials,
    )


def task_variables(
    settings: Settings, folder: Path, environ: Mapping[str, str], host: str, port: int
) -> dict[str, str]:
    """The environment of one ECS task, which listens on an address of its own.

    Raises:
        SettingError: as `function`.
    """
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or DEFAULT_REGION
    own = {
        "AWS_EXECUTION_ENV": "AWS_ECS_FARGATE",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
    }
    here = {
        "AMBIDEX_ECS_HOST": host,
        "AMBIDEX_ECS_PORT": str(port),
        # The load balancer is on this machine, too.
        "AMBIDEX_ECS_TRUSTED_PROXIES": ",".join((*settings.ecs.trusted_proxies, host)),
    }
    user = _READABLE | _machine(environ) | _user(settings, folder)
    return user | own | _ambidex(settings) | here


def _managed_instances(max_concurrency: int, user: Mapping[str, str]) -> dict[str, str]:
    """What the environments of Managed Instances find besides, or instead.

    Raises:
        SettingError: the user wants another log format.

    Source: lambda/latest/dg/lambda-managed-instances-version-publishing.html for the version;
    lambda-managed-instances-python-runtime.html, "Logging", for the format, of which there is no
    choice.
    """
    if (log_format := user.get("AWS_LAMBDA_LOG_FORMAT", "JSON")) != "JSON":
        raise SettingError(
            f"AWS_LAMBDA_LOG_FORMAT is {shown(log_format)}: Managed Instances log JSON only",
            "take it out of `environment` and of the env-file, or `max-concurrency` out of "
            "[tool.ambidex.lambda]",
        )
    return {
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST.PUBLISHED",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "lambda-managed-instances",
        "AWS_LAMBDA_MAX_CONCURRENCY": str(max_concurrency),
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
    }


def _machine(environ: Mapping[str, str]) -> dict[str, str]:
    names = [name for name in environ if name in _OF_THE_MACHINE or name.startswith("AWS_")]
    variables = {name: environ[name] for name in names if not _RESERVED.fullmatch(name)}
    # The programs beside this Python come first: `python` and `uvicorn` are the project's own.
    bin_folder = str(Path(sys.executable).parent)
    variables["PATH"] = f"{bin_folder}:{environ.get('PATH', '/usr/local/bin:/usr/bin:/bin')}"
    # Lines reach the log when they are written, although a pipe takes them.
    variables["PYTHONUNBUFFERED"] = "1"
    return variables


def _user(settings: Settings, folder: Path) -> dict[str, str]:
    variables = _env_file(settings.env_file, folder) | settings.environment
    for name in variables:
        if _RESERVED.fullmatch(name) or name in _REGIONS:
            hint = "take it out of `environment` and of the env-file"
            if name in _REGIONS:
                hint += "; the region comes from your own AWS_REGION"
            raise SettingError(f"the variable {shown(name)} is kept for the platform", hint)
    return variables


def _ambidex(settings: Settings) -> dict[str, str]:
    return {name: value for name, value in to_environ(settings).items() if value}


def _parsed(path: Path) -> dict[str, str]:
    from dotenv import dotenv_values
    from dotenv.parser import parse_stream

    with path.open(encoding="utf-8") as stream:
        for binding in parse_stream(stream):
            if binding.error or (binding.key is not None and binding.value is None):
                line = binding.original.line
                raise SettingError(
                    f"{path}, line {line}: this is no variable", "write NAME=value, or NAME="
                )
    # Parsed again, for there values may name others, as ${NAME}.
    return {key: value or "" for key, value in dotenv_values(path).items()}


def _env_file(name: str, folder: Path) -> dict[str, str]:
    path = folder / (name or ".env")
    try:
        if not path.is_file():
            if name:
                raise SettingError(
                    f"[tool.ambidex] env-file = {shown(name)}: there is no such file"
                )
            return {}
        variables = _parsed(path)
    except UnicodeDecodeError as error:
        raise SettingError(f"{path} is not UTF-8: {error.reason} at byte {error.start}") from None
    except OSError as error:
        raise SettingError(f"{path} cannot be read: {error.strerror}") from None
    if problem := variables_problem(variables):
        raise SettingError(f"{path} {problem}")
    return variables
