"""AWS's event stream encoding, `application/vnd.amazon.eventstream`, of what Lambda sends in it.

A message is, in big endian: its length and that of its headers, 4 bytes each; the CRC-32 of these 8
bytes; the headers; the payload; the CRC-32 of all before. A header is its name behind a byte with
the name's length, its type, and the value, here always a string behind two bytes with its length.
SDKs have decoders of it only, so that the encoder is ours.

Source: AmazonS3/latest/API/RESTSelectObjectAppendix.html, where AWS describes it;
lambda/latest/api/API_InvokeWithResponseStream.html
"""

from collections.abc import Iterable, Mapping
from json import dumps
from struct import pack
from zlib import crc32

CONTENT_TYPE = "application/vnd.amazon.eventstream"

_STRING = 7
# The most in one PayloadChunk. AWS does not say; its SDKs take a message of some megabytes.
_CHUNK_BYTES = 64 * 1024


def message(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message.

    Args:
        headers: names of at most 255 bytes, values of at most 65,535.
        payload: any bytes.
    """
    block = b"".join(_header(name.encode(), value.encode()) for name, value in headers.items())
    lengths = pack("!II", 16 + len(block) + len(payload), len(block))
    data = lengths + pack("!I", crc32(lengths)) + block + payload
    return data + pack("!I", crc32(data))


def payload_chunks(data: bytes) -> Iterable[bytes]:
    """The PayloadChunk events of a piece of a result."""
    headers = _event("PayloadChunk", "application/octet-stream")
    for start in range(0, len(data), _CHUNK_BYTES):
        yield message(headers, data[start : start + _CHUNK_BYTES])


def invoke_complete(error_code: str, error_details: str, log_result: str) -> bytes:
    """The InvokeComplete event, the last one; a field that is empty is left out.

    Args:
        error_code: AWS's name for the error.
        error_details: the error's JSON.
        log_result: the log's tail, base64.
    """
    fields = {"ErrorCode": error_code, "ErrorDetails": error_details, "LogResult": log_result}
    document = {name: value for name, value in fields.items() if value}
    return message(_event("InvokeComplete", "application/json"), dumps(document).encode())


def _event(kind: str, content_type: str) -> dict[str, str]:
    return {":message-type": "event", ":event-type": kind, ":content-type": content_type}


def _header(name: bytes, value: bytes) -> bytes:
    return pack("!B", len(name)) + name + pack("!BH", _STRING, len(value)) + value
