"""Lambda Web Functions: Lambda starts an HTTP server, and sends it requests over HTTP.

The server listens where AWS_LAMBDA_HTTP_ENDPOINT says, `0.0.0.0:3000`, within 10 s. Requests have
an id in `lambda-web-request-id`. At the end no request is sent any more before SIGTERM comes, so
there is nothing to drain, and a second later the process is ended.

AWS offers them for Node.js only, as yet.

Source: lambda/latest/dg/web-functions-revisions-env-vars.html, web-functions-http.html,
web-functions-env-lifecycle.html
"""

from ambidex.errors import shown
from ambidex.settings import EcsSettings, SettingError

ENDPOINT = "AWS_LAMBDA_HTTP_ENDPOINT"
REQUEST_ID_HEADER = b"lambda-web-request-id"

_STOP_TIMEOUT_S = 1


def at_endpoint(settings: EcsSettings, endpoint: str) -> EcsSettings:
    """The settings of a server that Lambda runs.

    Args:
        settings: those for ECS.
        endpoint: where to listen, `host:port`.

    Raises:
        SettingError: that is no address; the environment's fault.
    """
    host, colon, port = endpoint.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    is_port = port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535
    if not (host and colon and is_port):
        raise SettingError(
            f"{ENDPOINT} = {shown(endpoint)} must be host:port, such as 0.0.0.0:3000",
            "Lambda sets it for Web Functions: elsewhere take it out of the environment",
        )
    return settings._replace(host=host, port=int(port), drain=0, stop_timeout=_STOP_TIMEOUT_S)
