"""Where the time of a request goes: parts of the server by the clock, while it answers as it always does.

with watching({"determine": [(adjudicator, "determine")], …}) as spent:
    …requests…
spent["determine"]      seconds in it, without what other watched parts took inside it
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any
from unittest.mock import patch

Place = tuple[Any, str]
"""A module or class, and the name of a function in it."""


@contextmanager
def watching(parts: Mapping[str, Sequence[Place]], whole: str = "") -> Iterator[Counter[str]]:
    """For as long as the block runs. A method that gives a context manager is timed until that is left.
    Nothing inside the part `whole` is told apart."""
    spent: Counter[str] = Counter()
    under_way = threading.local()
    with ExitStack() as patched:
        for part, places in parts.items():
            for owner, name in places:
                timed = _timed(getattr(owner, name), part, spent, under_way, part == whole)
                by_itself = isinstance(owner, type) and isinstance(owner.__dict__.get(name), classmethod)
                patched.enter_context(patch.object(owner, name, staticmethod(timed) if by_itself else timed))
        yield spent


def _timed(
    function: Callable[..., Any],
    part: str,
    spent: Counter[str],
    under_way: threading.local,
    whole: bool,
) -> Callable[..., Any]:
    @contextmanager
    def clock() -> Iterator[None]:
        if getattr(under_way, "whole", False):
            yield
            return
        inside, under_way.inside, under_way.whole = getattr(under_way, "inside", 0.0), 0.0, whole
        began = time.perf_counter()
        try:
            yield
        finally:
            under_way.whole = False
            took = time.perf_counter() - began
            spent[part] += took - under_way.inside
            under_way.inside = inside + took

    @contextmanager
    def until_left(context: Any) -> Iterator[Any]:
        with clock(), context as value:
            yield value

    @wraps(function)
    def watched(*arguments: Any, **named: Any) -> Any:
        with clock():
            given = function(*arguments, **named)
        return until_left(given) if hasattr(given, "__enter__") else given

    return watched
