"""The sample events: AWS's own library for Python reads them, and ours makes requests of them."""

import base64
import hashlib
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes import ALBEvent, VPCLatticeEventV2
from aws_lambda_powertools.utilities.parser import models

from ambidex.events.detect import detect
from ambidex.local import samples
from ambidex.local.samples import SAMPLES

EVERY_KIND = pytest.mark.parametrize("kind", SAMPLES)


def document(kind: str) -> dict[str, Any]:
    value = json.loads(samples.event(kind))
    assert isinstance(value, dict)
    return value


def test_every_kind_has_a_file_and_every_file_a_kind() -> None:
    files = {path.stem for path in Path(samples.__file__).parent.glob("*.json")}
    assert files == set(SAMPLES)


@pytest.mark.parametrize(
    ("kind", "model"),
    [
        pytest.param("http-api", models.APIGatewayProxyEventV2Model, id="http-api"),
        pytest.param("http-api-v1", models.APIGatewayProxyEventModel, id="http-api-v1"),
        pytest.param("rest-api", models.APIGatewayProxyEventModel, id="rest-api"),
        pytest.param("function-url", models.LambdaFunctionUrlModel, id="function-url"),
        pytest.param("vpc-lattice-v1", models.VpcLatticeModel, id="vpc-lattice-v1"),
        pytest.param("sqs", models.SqsModel, id="sqs"),
        pytest.param("sqs-fifo", models.SqsModel, id="sqs-fifo"),
        pytest.param("sns", models.SnsModel, id="sns"),
        pytest.param("s3", models.S3Model, id="s3"),
        pytest.param("eventbridge", models.EventBridgeModel, id="eventbridge"),
        pytest.param("schedule", models.EventBridgeModel, id="schedule"),
        pytest.param("scheduler", models.EventBridgeModel, id="scheduler"),
        pytest.param("dynamodb", models.DynamoDBStreamModel, id="dynamodb"),
        pytest.param("kinesis", models.KinesisDataStreamModel, id="kinesis"),
        pytest.param("ses", models.SesModel, id="ses"),
        pytest.param("cognito", models.CognitoPreSignupTriggerModel, id="cognito"),
    ],
)
def test_awss_own_models_take_a_sample(kind: str, model: Any) -> None:
    model.model_validate(document(kind))


# AWS's models of these two know neither a load balancer's multi-value headers nor the lists that
# VPC Lattice's page shows; its data classes know both.
def test_awss_own_data_classes_read_the_samples_whose_headers_are_lists() -> None:
    load_balancer = ALBEvent(document("alb"))
    assert load_balancer.resolved_headers_field["host"] == ["shop.example"]
    assert load_balancer.resolved_query_string_parameters["size"] == ["s", "m"]
    lattice = VPCLatticeEventV2(document("vpc-lattice-v2"))
    headers: dict[str, Any] = dict(lattice.resolved_headers_field)
    assert headers["host"] == ["shop.internal.example"]
    assert lattice.request_context.region == "us-east-1"


@pytest.mark.parametrize(
    ("kind", "source", "path", "client"),
    [
        pytest.param("http-api", "http_api", "/", "203.0.113.7", id="http-api"),
        pytest.param("http-api-v1", "http_api_v1", "/", "203.0.113.7", id="http-api-v1"),
        # On the API's own host the stage is in front of the path.
        pytest.param("rest-api", "rest_api", "/prod/", "203.0.113.7", id="rest-api"),
        pytest.param("function-url", "function_url", "/", "203.0.113.7", id="function-url"),
        pytest.param("alb", "alb", "/", "203.0.113.7", id="alb"),
        pytest.param("vpc-lattice-v2", "vpc_lattice", "/", "10.0.1.23", id="vpc-lattice-v2"),
        pytest.param("vpc-lattice-v1", "vpc_lattice", "/", "10.0.1.23", id="vpc-lattice-v1"),
    ],
)
def test_a_sample_of_a_front_door_is_a_request(
    kind: str, source: str, path: str, client: str
) -> None:
    event = document(kind)
    found = detect(event)
    request = found.to_request(event, "")
    assert found.name == source
    assert (request.method, request.path) == ("GET", path)
    assert request.query == b"colour=blue&size=s&size=m"
    assert [value for name, value in request.headers if name.lower() == b"cookie"] == [
        b"session=ada"
    ]
    assert request.client is not None
    assert request.client[0] == client


@EVERY_KIND
def test_a_sample_is_of_a_day_that_has_passed(kind: str) -> None:
    text = samples.event(kind).decode()
    days = re.findall(r"(20\d\d-\d\d-\d\d)T\d", text)
    epochs = re.findall(r"\b(17[89]\d{7})(?:\d{3}|\d{6}|\.\d+)?\b", text)
    days += [f"{datetime.fromtimestamp(int(epoch), UTC):%Y-%m-%d}" for epoch in epochs]
    assert all("2026-09-01" <= day <= "2026-09-30" for day in days)
    assert days or kind in {"direct", "cognito", "alb", "vpc-lattice-v1"}


@EVERY_KIND
def test_checksums_and_encodings_in_a_sample_are_right(kind: str) -> None:
    for record in document(kind).get("Records", []):
        if "md5OfBody" in record:
            assert hashlib.md5(record["body"].encode()).hexdigest() == record["md5OfBody"]
        if "kinesis" in record:
            json.loads(base64.b64decode(record["kinesis"]["data"], validate=True))


@EVERY_KIND
def test_a_kind_is_told_in_a_sentence_and_has_a_page_of_awss(kind: str) -> None:
    sample = SAMPLES[kind]
    assert sample.page.startswith("https://docs.aws.amazon.com/")
    assert sample.sentence
    assert not sample.sentence.endswith(".")
