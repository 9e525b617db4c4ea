"""Where clients reach an API of API Gateway: on its own host, or on a custom domain.

| reached on | client's URL | domainName in the event |
|---|---|---|
| its own host | `/{stage}/…`; without `$default` | `{api id}.execute-api.{region}.amazonaws.com` |
| a custom domain | `/{key of the API mapping}/…` | the domain |

Source: apigateway/latest/developerguide/http-api-stages.html,
apigateway/latest/developerguide/rest-api-mappings.html
"""

from typing import NamedTuple

from ambidex.events.fields import starts_with_segments
from ambidex.events.http_api import DEFAULT_STAGE
from ambidex.local.front_door import Cause, Refusal
from ambidex.settings import LambdaSettings

API_ID = "local"


class ApiAddress(NamedTuple):
    """What stands in front of the API's own paths, and in `domainName`."""

    domain_name: str
    stage: str
    prefix: str  # of the path in a client's URL, percent-encoded
    is_custom: bool


def api_address(settings: LambdaSettings, stage: str, region: str) -> ApiAddress:
    """The address of an API by its settings.

    Args:
        settings: `domain` and `base-path`; the latter is the mapping's key.
        stage: the API's.
        region: the function's.
    """
    if settings.domain:
        return ApiAddress(settings.domain, stage, settings.base_path, is_custom=True)
    own_host = f"{API_ID}.execute-api.{region}.amazonaws.com"
    prefix = "" if stage == DEFAULT_STAGE else f"/{stage}"
    return ApiAddress(own_host, stage, prefix, is_custom=False)


def below(address: ApiAddress, path: str) -> str:
    """The path in the API; starts with a slash.

    Raises:
        Refusal: a client's path that does not lead to it.
    """
    if starts_with_segments(path, address.prefix):
        return path[len(address.prefix) :] or "/"
    if address.is_custom:
        mapping = address.prefix.removeprefix("/")
        raise Refusal(Cause.NO_MAPPING, f"the path is not below the API mapping {mapping}")
    raise Refusal(Cause.NO_STAGE, f"the path is not below the stage {address.stage}")
