"""The event loop of a process on Lambda."""

import asyncio


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Uvloop's where it is installed, for it halves the time of an invocation; else asyncio's."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
