"""New seeds for the generators whose state is in a snapshot, and so the same in its every copy.

Lambda gives the kernel's generator a new seed at each restore; so `os.urandom`, `secrets`,
`random.SystemRandom` and `uuid.uuid4` need nothing. Only modules that the app has loaded are looked
at: what is not loaded has no state.

Source: lambda/latest/dg/snapstart-uniqueness.html
"""

import os
import sys

_SEED_BYTES = 32


def reseed() -> None:
    """Give those that belong to the whole process a new seed from the kernel's generator.

    An app's own generators, such as a `random.Random()` or NumPy's `default_rng()`, are its own
    hooks' to seed.
    """
    modules = sys.modules
    if "random" in modules:
        modules["random"].seed()
    if "numpy.random" in modules:
        modules["numpy.random"].seed()
    if "tempfile" in modules:
        # Its generator of names gets a new seed only where the process id is another one.
        vars(modules["tempfile"])["_name_sequence"] = None
    if "ssl" in modules:
        # OpenSSL's generator does so after a fork, too, but not after a restore.
        modules["ssl"].RAND_add(os.urandom(_SEED_BYTES), _SEED_BYTES)
