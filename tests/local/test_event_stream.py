"""The event stream encoding, as botocore decodes it."""

import json

import pytest
from botocore.eventstream import ChecksumMismatch, EventStreamBuffer, EventStreamMessage
from hypothesis import given
from hypothesis import strategies as st

from ambidex.local.event_stream import invoke_complete, message, payload_chunks


def decoded(data: bytes) -> list[EventStreamMessage]:
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    return list(buffer)


NAMES = st.text(min_size=1, max_size=60)


@given(st.lists(st.tuples(st.dictionaries(NAMES, st.text(max_size=300)), st.binary(max_size=300))))
def test_botocore_decodes_any_messages(messages: list[tuple[dict[str, str], bytes]]) -> None:
    data = b"".join(message(headers, payload) for headers, payload in messages)

    assert [(each.headers, each.payload) for each in decoded(data)] == messages


@given(st.dictionaries(NAMES, st.text()), st.binary(), st.data())
def test_a_byte_that_changes_is_seen(
    headers: dict[str, str], payload: bytes, data: st.DataObject
) -> None:
    encoded = bytearray(message(headers, payload))
    # Lengths that have changed are a matter of their own check sum, in the first 12 bytes.
    encoded[data.draw(st.integers(12, len(encoded) - 1))] ^= 1

    with pytest.raises(ChecksumMismatch):
        decoded(bytes(encoded))


@given(st.binary(max_size=200_000))
def test_a_piece_of_any_size_is_one_payload_in_chunks(data: bytes) -> None:
    events = decoded(b"".join(payload_chunks(data)))

    assert b"".join(event.payload for event in events) == data
    assert all(0 < len(event.payload) <= 65536 for event in events)
    assert {event.headers[":event-type"] for event in events} <= {"PayloadChunk"}


def test_the_events_have_the_headers_that_sdks_look_for() -> None:
    (chunk,) = decoded(b"".join(payload_chunks(b"x")))
    (complete,) = decoded(invoke_complete("Unhandled", "{}", "bG9n"))

    assert chunk.headers == {
        ":message-type": "event",
        ":event-type": "PayloadChunk",
        ":content-type": "application/octet-stream",
    }
    assert complete.headers == {
        ":message-type": "event",
        ":event-type": "InvokeComplete",
        ":content-type": "application/json",
    }
    assert json.loads(complete.payload) == {
        "ErrorCode": "Unhandled",
        "ErrorDetails": "{}",
        "LogResult": "bG9n",
    }


def test_a_success_has_no_error_and_without_being_asked_for_no_log() -> None:
    (complete,) = decoded(invoke_complete("", "", ""))

    assert complete.payload == b"{}"
