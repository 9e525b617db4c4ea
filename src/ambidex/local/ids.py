"""The ids that AWS gives to requests: unlikely to come twice, and no secrets.

They come from a generator that is seeded once, for asking the kernel each time is a tenth of what
a request costs here.
"""

import random
from base64 import b64encode

_generator = random.Random()  # noqa: S311 – ids, no secrets

# The bits of a UUID that say which kind it is of.
_VERSION_4 = 0x4000_8000_0000_0000_0000
_FREE = ~0xF000_C000_0000_0000_0000


def hex_id(digits: int) -> str:
    """Hexadecimal digits, as trace ids and log streams have them."""
    return f"{_generator.getrandbits(4 * digits):0{digits}x}"


def request_id() -> str:
    """The id of an invocation: a random UUID, made in half the time that `uuid` takes."""
    digits = f"{_generator.getrandbits(128) & _FREE | _VERSION_4:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def api_request_id() -> str:
    """The id of a request to an HTTP API, as its header Apigw-Requestid has it."""
    return b64encode(_generator.randbytes(11)).decode()
