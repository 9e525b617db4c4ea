"""AWS's Powertools on the function's side: somebody else reads the events that we make."""

import json
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes import (
    ALBEvent,
    APIGatewayProxyEvent,
    APIGatewayProxyEventV2,
    LambdaFunctionUrlEvent,
    VPCLatticeEvent,
    VPCLatticeEventV2,
)

from ambidex.http import Request
from tests.events.cases import LATTICE_V1, LATTICE_V2, PAYLOAD_1_0, PAYLOAD_2_0, SOURCES, Source

READERS: dict[str, Any] = {
    "http_api": APIGatewayProxyEventV2,
    "http_api_v1": APIGatewayProxyEvent,
    "rest_api": APIGatewayProxyEvent,
    "function_url": LambdaFunctionUrlEvent,
    "alb": ALBEvent,
    LATTICE_V1: VPCLatticeEvent,
    LATTICE_V2: VPCLatticeEventV2,
}
BODY = '{"name":"café"}'
REQUEST = Request(
    method="PUT",
    path="/items/7",
    query=b"tag=a&size=l",
    headers=(
        (b"host", b"api.example.com"),
        (b"x-forwarded-for", b"192.0.2.1"),
        (b"x-tag", b"a"),
        (b"content-type", b"application/json"),
    ),
    body=BODY.encode(),
    client=("192.0.2.1", 0),
)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.id)
def test_powertools_sees_in_our_events_what_was_sent(source: Source) -> None:
    reader = READERS.get(source.id) or READERS[source.module]
    seen = reader(json.loads(json.dumps(source.to_event(source.sent(REQUEST)))))

    assert seen.http_method == "PUT"
    # A REST API's event has no stage; VPC Lattice's path has the query behind it.
    assert seen.path.partition("?")[0].removeprefix(source.mapping).removeprefix(source.stage) == (
        "/items/7"
    )
    parameters = seen.resolved_query_string_parameters
    assert [parameters[name] for name in ("tag", "size")] == [["a"], ["l"]]
    assert seen.resolved_headers_field["x-tag"] in ("a", ["a"])
    assert (seen.decoded_body if seen.is_base64_encoded else seen.body) == BODY
    if source.module in PAYLOAD_2_0:
        assert seen.request_context.http.source_ip == "192.0.2.1"
    elif source.module in PAYLOAD_1_0:
        assert seen.request_context.identity.source_ip == "192.0.2.1"
