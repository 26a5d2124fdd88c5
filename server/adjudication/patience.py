"""How much of one call is judged, and how long: others wait meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from server.fhir.errors import InvalidRequest, Issue

MOST = 200
"""Judgements of one call, one an order or appointment and Coverage, of some hundredths of a second each."""

MOST_SECONDS = 30.0
"""Of this thread's own work, so that a busy machine refuses nothing. A line takes some hundredths of a
second, but some seconds beside thousands of findings."""

T = TypeVar("T")


def in_time(judging: Iterable[T]) -> Iterator[T]:
    """What is to be judged, one after the other. Raises InvalidRequest where it takes too long."""
    began = time.thread_time()
    for each in judging:
        if time.thread_time() - began > MOST_SECONDS:
            words = "This takes too long to judge in one call. Send less of it at a time."
            raise InvalidRequest(Issue("too-costly", diagnostics=words))
        yield each
