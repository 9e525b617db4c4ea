"""The front doors of Lambda by the names that the settings and `--front-doors` have for them."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import NamedTuple

from ambidex.errors import AmbidexError, shown
from ambidex.local import (
    front_door_function_url,
    front_door_http_api,
    front_door_rest_api,
    load_balancer,
)
from ambidex.local.api_address import api_address
from ambidex.local.front_door_alb import AlbToLambda
from ambidex.local.http1.messages import Limits
from ambidex.local.http1.server import Handler, Refuse
from ambidex.local.lambda_service import LambdaService
from ambidex.settings import DEFAULT_STAGE, FRONT_DOORS, LambdaSettings

# A REST API with the response transfer mode STREAM, whose time-out is another one.
_REST_API_STREAM = "rest-api, streamed"

TIMEOUTS_S = {
    "http-api": front_door_http_api.TIMEOUT_S,
    "http-api-v1": front_door_http_api.TIMEOUT_S,
    "rest-api": front_door_rest_api.TIMEOUT_S,
    _REST_API_STREAM: front_door_rest_api.IDLE_S,
}


class FrontDoorsError(AmbidexError):
    """A list of front doors that cannot be; the user's to correct."""


class FrontDoor(NamedTuple):
    """A front door, ready to be listened for."""

    handler: Handler
    limits: Limits
    refuse: Refuse
    path: str = ""  # in front of the app's own paths, in the URL of a client


def names(text: str) -> tuple[str, ...]:
    """The front doors of a list with commas.

    Raises:
        FrontDoorsError: one is unknown, or named twice.
    """
    named = tuple(name.strip() for name in text.split(","))
    for name in named:
        if name not in FRONT_DOORS:
            matches = get_close_matches(name, FRONT_DOORS, n=1)
            nearest = f"did you mean {matches[0]}?" if matches else ", ".join(FRONT_DOORS)
            raise FrontDoorsError(f"there is no front door {shown(name)}: {nearest}")
        if named.count(name) > 1:
            raise FrontDoorsError(f"the front door {name} is named twice")
    return named


def front_door(
    name: str,
    service: LambdaService,
    settings: LambdaSettings,
    timeouts_s: Mapping[str, float] = TIMEOUTS_S,
) -> FrontDoor:
    """A front door of a function.

    Args:
        name: one of `FRONT_DOORS`.
        service: the Lambda service.
        settings: the project's.
        timeouts_s: how long front doors wait for the function, by name; one that is not there
            waits for ever.
    """
    region = service.function.region
    is_streaming = settings.response == "stream"
    if name == "alb":
        return FrontDoor(AlbToLambda(service), load_balancer.LIMITS, load_balancer.refuse)
    if name == "function-url":
        url = front_door_function_url
        return FrontDoor(url.FunctionUrl(service, is_streaming), url.LIMITS, url.refuse)
    if name == "rest-api":
        rest = front_door_rest_api
        stage = rest.STAGE if settings.stage == DEFAULT_STAGE else settings.stage
        address = api_address(settings, stage, region)
        types = settings.binary_media_types
        timeout_s = timeouts_s.get(_REST_API_STREAM if is_streaming else name)
        rest_handler = rest.RestApi(service, address, types, timeout_s, is_streaming)
        return FrontDoor(rest_handler, rest.LIMITS, rest.refuse, address.prefix)
    http = front_door_http_api
    address = api_address(settings, settings.stage, region)
    payload = http.PAYLOAD_1_0 if name == "http-api-v1" else http.PAYLOAD_2_0
    handler = http.HttpApi(service, address, payload, timeouts_s.get(name))
    return FrontDoor(handler, http.LIMITS, http.refuse, address.prefix)
