"""How fast it is, as medians and ratios of one run on one machine: `make bench`.

A module of this package measures one thing and gives its lines:

    def lines() -> Iterator[Line]: ...

`python -m tests.bench` runs all of them, `python -m tests.bench engine crd` those named. Nothing here is
a test: speed is never asserted.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Line:
    """One figure. `target` is what it is to be ("< 2 ms"), `kept` whether it is; `parts` are shares of the
    whole by what they go into, 0 to 1."""

    name: str
    figure: str
    target: str = ""
    kept: bool | None = None
    parts: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Times:
    """Seconds of each repetition."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def p99(self) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]

    def __str__(self) -> str:
        return f"median {milliseconds(self.median)}, p99 {milliseconds(self.p99)}"


def times(work: Callable[[], object], *, repeat: int, warm: int = 3) -> Times:
    """How long `work` takes, one after another, after it was done `warm` times."""
    for _ in range(warm):
        work()
    found = []
    for _ in range(repeat):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return Times(tuple(found))


def below(name: str, seconds: float, limit: float, shown: str = "", **parts: float) -> Line:
    """A figure in seconds that is to be below a limit."""
    return Line(
        name, shown or milliseconds(seconds), f"< {milliseconds(limit)}", seconds < limit, parts=parts
    )


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms" if seconds < 1 else f"{seconds:.2f} s"
