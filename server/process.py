"""How a process that serves looks after its memory and shares its one interpreter.

The interpreter runs one thread at a time. Requests that are judged side by side therefore only make each
other late: whoever comes first is answered first here, and the others wait without a thread.
"""

import gc
import sys

from anyio.to_thread import current_default_thread_limiter

YOUNG = 10_000
"""How many new objects there must be before collections look at them: a few times what a request holds
at once. At Python's own 700 they walk a request under way four times, for a twentieth of its processor."""

TURN = 0.001
"""Seconds until a thread that computes lets another have the interpreter. Whoever comes back from the
database waits that long each time; Python's own 5 ms are a quarter of a judgement."""


def settled() -> None:
    """To be called when all is loaded. That stays: collections need not walk it again, in the middle of a
    request. What requests make seldom refers to itself, and mostly goes without them."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
    sys.setswitchinterval(TURN)


def share(threads: int) -> None:
    """To be called in the event loop that serves: so many requests are at work in threads at a time."""
    current_default_thread_limiter().total_tokens = threads
