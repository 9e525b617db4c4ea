"""Sample events, a file a kind, for `ambidex invoke`.

They have the form that AWS's page shows, with values of our own.
"""

from pathlib import Path
from typing import NamedTuple

_AWS = "https://docs.aws.amazon.com/"


class Sample(NamedTuple):
    """What a kind of event is."""

    sentence: str
    page: str  # AWS's, on events of this kind


def _sample(sentence: str, page: str) -> Sample:
    return Sample(sentence, _AWS + page)


SAMPLES = {
    "direct": _sample(
        "an event of one's own form, as a caller of the Invoke API sends it",
        "lambda/latest/dg/invocation-sync.html",
    ),
    "http-api": _sample(
        "a request through an HTTP API (payload 2.0)",
        "apigateway/latest/developerguide/http-api-develop-integrations-lambda.html",
    ),
    "http-api-v1": _sample(
        "a request through an HTTP API with payload 1.0",
        "apigateway/latest/developerguide/http-api-develop-integrations-lambda.html",
    ),
    "rest-api": _sample(
        "a request through a REST API with proxy integration",
        "apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html",
    ),
    "function-url": _sample("a request to a Function URL", "lambda/latest/dg/urls-invocation.html"),
    "alb": _sample(
        "a request through an Application Load Balancer, with multi-value headers",
        "elasticloadbalancing/latest/application/lambda-functions.html",
    ),
    "vpc-lattice-v2": _sample(
        "a request through VPC Lattice, event structure V2",
        "vpc-lattice/latest/ug/lambda-functions.html",
    ),
    "vpc-lattice-v1": _sample(
        "a request through VPC Lattice, event structure V1",
        "vpc-lattice/latest/ug/lambda-functions.html",
    ),
    "sqs": _sample("two messages of a queue", "lambda/latest/dg/with-sqs.html"),
    "sqs-fifo": _sample("two messages of a FIFO queue", "lambda/latest/dg/with-sqs.html"),
    "sns": _sample("a message of a topic", "lambda/latest/dg/with-sns.html"),
    "s3": _sample("an object that was put into a bucket", "lambda/latest/dg/with-s3.html"),
    "eventbridge": _sample(
        "an event of an app on an event bus",
        "eventbridge/latest/userguide/eb-events-structure.html",
    ),
    "schedule": _sample(
        "an EventBridge rule that runs on a schedule",
        "lambda/latest/dg/with-scheduled-events.html",
    ),
    # AWS names this default and shows it nowhere; the form is what others have logged.
    "scheduler": _sample(
        "a schedule of EventBridge Scheduler without an input of its own",
        "scheduler/latest/APIReference/API_Target.html",
    ),
    "dynamodb": _sample(
        "a new and a changed item of a table's stream", "lambda/latest/dg/with-ddb.html"
    ),
    "kinesis": _sample("two records of a data stream", "lambda/latest/dg/with-kinesis.html"),
    "ses": _sample(
        "an email that was received",
        "ses/latest/dg/receiving-email-action-lambda-event.html",
    ),
    "cognito": _sample(
        "a user who signs up with a user pool",
        "cognito/latest/developerguide/user-pool-lambda-pre-sign-up.html",
    ),
}
"""By kind; the file of a kind has its name."""


def event(kind: str) -> bytes:
    """The sample event of a kind, as JSON.

    Args:
        kind: one of SAMPLES.
    """
    return Path(__file__).with_name(f"{kind}.json").read_bytes()
