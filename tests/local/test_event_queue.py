"""Asynchronous invocations: what is tried again, when, and what becomes a dead letter."""

from datetime import UTC, datetime

import pytest

from ambidex.local.dead_letters import DeadLetter, record
from ambidex.local.event_queue import Attempts, Discard, Retries, Retry, decide
from ambidex.local.invocation import Outcome

DONE = Outcome(b"{}")
FAILED = Outcome(b'{"errorType": "E"}', "E")
HOUR_S = 60 * 60


@pytest.mark.parametrize(
    ("attempts", "outcome", "age_s", "decision"),
    [
        pytest.param(Attempts(1), DONE, 0, None, id="done"),
        pytest.param(Attempts(3), DONE, 7 * HOUR_S, None, id="done at last"),
        pytest.param(Attempts(1), FAILED, 0, Retry(1), id="failed once"),
        pytest.param(Attempts(2), FAILED, 0, Retry(2), id="failed twice"),
        pytest.param(Attempts(3), FAILED, 0, Discard("RetriesExhausted"), id="failed thrice"),
        pytest.param(Attempts(0, 1), None, 0, Retry(0.1), id="throttled once"),
        pytest.param(Attempts(0, 2), None, 0, Retry(0.2), id="throttled twice"),
        pytest.param(Attempts(2, 4), None, 0, Retry(0.8), id="throttled after two errors"),
        pytest.param(Attempts(0, 9999), None, HOUR_S, Retry(5), id="throttled again and again"),
        pytest.param(
            Attempts(0, 50), None, 6 * HOUR_S - 4, Discard("EventAgeExceeded"), id="throttled on"
        ),
        pytest.param(Attempts(1), FAILED, 6 * HOUR_S - 1, Retry(1), id="failed just in time"),
        pytest.param(
            Attempts(1), FAILED, 6 * HOUR_S, Discard("EventAgeExceeded"), id="failed too late"
        ),
    ],
)
def test_an_event_is_tried_again_or_given_up_by_attempts_outcome_and_age(
    attempts: Attempts, outcome: Outcome | None, age_s: float, decision: Retry | Discard | None
) -> None:
    assert decide(attempts, outcome, age_s, Retries()) == decision


WHEN = datetime(2026, 11, 20, 12, 30, 1, 250_000, UTC)
LETTER = DeadLetter("4-2", "arn:of:it", "RetriesExhausted", 3, b'{"order": 7}', FAILED)


def test_a_dead_letter_has_the_form_of_an_on_failure_destinations_record() -> None:
    assert record(LETTER, WHEN) == {
        "version": "1.0",
        "timestamp": "2026-11-20T12:30:01.250Z",
        "requestContext": {
            "requestId": "4-2",
            "functionArn": "arn:of:it:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3,
        },
        "requestPayload": {"order": 7},
        "responseContext": {
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": "Unhandled",
        },
        "responsePayload": {"errorType": "E"},
    }


def test_a_result_that_is_no_json_is_in_the_record_as_text() -> None:
    letter = LETTER._replace(outcome=Outcome(b"no \xff JSON", "E"))
    assert record(letter, WHEN)["responsePayload"] == "no \ufffd JSON"


def test_an_event_that_never_reached_the_function_has_no_response() -> None:
    document = record(LETTER._replace(outcome=None, invoke_count=0), WHEN)
    assert "responseContext" not in document
    assert "responsePayload" not in document
