"""The ids that AWS gives to requests: unlikely to come twice, and no secrets.

They come from a generator that is seeded once, for asking the kernel each time is a tenth of what
a request costs here.
"""

import random
import uuid
from base64 import b64encode

_generator = random.Random()  # noqa: S311 – ids, no secrets


def hex_id(digits: int) -> str:
    """Hexadecimal digits, as trace ids and log streams have them."""
    return f"{_generator.getrandbits(4 * digits):0{digits}x}"


def request_id() -> str:
    """The id of an invocation: a random UUID."""
    return str(uuid.UUID(int=_generator.getrandbits(128), version=4))


def api_request_id() -> str:
    """The id of a request to an HTTP API, as its header Apigw-Requestid has it."""
    return b64encode(_generator.randbytes(11)).decode()
