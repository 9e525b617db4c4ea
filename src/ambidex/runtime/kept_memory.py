"""Memory that stays with the process from one large body to the next.

The C library gives large blocks back to the kernel as soon as they are free, and has their pages
made anew, one fault each, for the next event: half of the time that a body of 4 MiB takes. On
Lambda nobody else could use them meanwhile. What it gives back, and from which size on it asks the
kernel for a block, follows the largest block that was ever freed; so one is.

Source: mallopt(3), "Dynamic mmap threshold" (glibc; others take no notice)
"""

from functools import cache

# Twice this is what stays; it takes in the blocks that bodies of Lambda's 6 MB need.
_BLOCK_BYTES = 16 * 1024 * 1024


@cache
def keep_memory() -> None:
    """Have memory that is freed stay, from now on."""
    bytes(_BLOCK_BYTES)
