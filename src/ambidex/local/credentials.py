"""AWS credentials as functions with SnapStart get them: from an endpoint, not in variables.

Variables would be in the snapshot, and out of date in what is restored from it.

Source: lambda/latest/dg/configuration-envvars.html, AWS_CONTAINER_CREDENTIALS_FULL_URI; path,
answers and refusal are those of aws-lambda-runtime-interface-emulator.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hmac import compare_digest
from json import dumps
from typing import NamedTuple

from ambidex.local.free_port import HOST
from ambidex.local.runtime_api import JSON, Answer

PATH = b"/2021-04-23/credentials"

# Clients ask again before it. Those of a developer do not say when they expire, unless the AWS CLI
# has exported them.
_VALID = timedelta(hours=1)
_EXPIRATION = "AWS_CREDENTIAL_EXPIRATION"
_VARIABLES = (
    "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", _EXPIRATION
)  # fmt: skip


class Credentials(NamedTuple):
    """A developer's credentials."""

    access_key_id: str
    secret_access_key: str
    session_token: str = ""
    expiration: str = ""  # ISO 8601; empty where it is not known


def without_credentials(variables: Mapping[str, str]) -> tuple[dict[str, str], Credentials | None]:
    """Variables without credentials, and the credentials if there were any."""
    found = None
    if "AWS_ACCESS_KEY_ID" in variables and "AWS_SECRET_ACCESS_KEY" in variables:
        found = Credentials(
            variables["AWS_ACCESS_KEY_ID"],
            variables["AWS_SECRET_ACCESS_KEY"],
            variables.get("AWS_SESSION_TOKEN", ""),
            variables.get(_EXPIRATION, ""),
        )
    return {name: variables[name] for name in variables if name not in _VARIABLES}, found


def endpoint_variables(port: int, token: str) -> dict[str, str]:
    """The variables by which the AWS SDKs find the endpoint.

    Args:
        port: the Runtime API's.
        token: what a client has to show.
    """
    return {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{HOST}:{port}{PATH.decode()}",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": token,
    }


def answer(credentials: Credentials, token: str, shown_token: str) -> Answer:
    """The endpoint's answer.

    Args:
        credentials: what there is to give.
        token: what a client has to show.
        shown_token: what it has shown, the header Authorization.
    """
    if not compare_digest(token.encode(), shown_token.encode()):
        text = b"cannot get credentials for the provided token\n"
        return Answer(404, ((b"Content-Type", b"text/plain; charset=utf-8"),), text)
    expiration = credentials.expiration or (datetime.now(UTC) + _VALID).strftime("%FT%TZ")
    document = {
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key,
        "Token": credentials.session_token,
        "Expiration": expiration,
    }
    return Answer(200, JSON, dumps(document).encode())
