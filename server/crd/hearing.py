"""A hook call as it is heard, and what is said of each order of it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from server.adjudication.judged import Judged
from server.crd.focus import Focus
from server.crd.intake import Call
from server.crd.saying import Saying
from server.crd.sight import Sight
from server.policy.request import Chart

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Hearing:
    """A call, all that can be seen for it, what it asks about, and orders of it that could not be read."""

    call: Call
    sight: Sight
    asked: list[Focus]
    unread: tuple[str, ...]
    now: dt.datetime
    client: str


@dataclass(frozen=True, slots=True)
class Outlook:
    """What would be said of imaging for the complaint of a visit, under an assertion of its own."""

    judged: Judged
    assertion_id: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said of one order under one Coverage, in the light of `chart`. `judged` is None where the
    Coverage could not be read."""

    focus: Focus
    chart: Chart
    coverage: Resource
    coverage_reference: str
    judged: Judged | None
    saying: Saying
    assertion_id: str
    outlook: Outlook | None = None
