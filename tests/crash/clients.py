"""What clients ask, and what they were told. A client that gets no answer sends the same bytes again."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import httpx

from tests.pas import builders as a
from tests.pas import charts
from tests.pas.conftest import FHIR, Answer

Resource = dict[str, Any]

PATIENCE = 0.05
"""Seconds before an unanswered request is sent again."""


@dataclass(frozen=True)
class Told:
    """The answer to one request."""

    member: str
    version: str
    answer: Answer
    tries: int


@dataclass
class Clients:
    """So many at a time, until they are stopped; each request is for a member of its own."""

    base: str
    number: int
    told: list[Told] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        self._members = count(1)
        self._threads = [
            threading.Thread(target=self._work, args=(seed,), daemon=True) for seed in range(self.number)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Each gets the answer it is waiting for, and then no more."""
        self.stopping.set()
        for thread in self._threads:
            thread.join()

    def _work(self, seed: int) -> None:
        chance = random.Random(seed)
        with httpx.Client(base_url=self.base, timeout=10) as http:
            while not self.stopping.is_set():
                member, version = f"M-{next(self._members)}", chance.choice(["2.0", "2.2"])
                body = a.raw(chance.choice([approved, pended])(member))
                self._until_answered(http, member, version, body)

    def _until_answered(self, http: httpx.Client, member: str, version: str, body: bytes) -> None:
        for tries in count(1):
            try:
                answered = http.post(f"/r{version}/fhir/Claim/$submit", content=body, headers=FHIR)
            except httpx.TransportError:
                threading.Event().wait(PATIENCE)
                continue
            if answered.status_code == 200:
                self.told.append(Told(member, version, Answer(answered.json()), tries))
                return
            if answered.status_code != 503:
                self.refused.append(f"{answered.status_code} {answered.text[:200]}")
                return
            threading.Event().wait(PATIENCE)


def approved(member: str) -> Resource:
    return _request(member, *charts.meets_every_criterion(), plan="evicore")


def pended(member: str) -> Resource:
    """Waits for a reviewer, who denies it as the rules recommend."""
    return _request(
        member, charts.answers(**charts.SHORT_TRIAL), *charts.film_and_examination(), plan="reviewed"
    )


def inquiry(member: str) -> Resource:
    """What was decided for that member?"""
    asked = a.inquiry()
    for entry in asked["entry"]:
        if entry["resource"]["resourceType"] == "Coverage":
            entry["resource"]["subscriberId"] = member
    return asked


def _request(member: str, *chart: Resource, plan: str) -> Resource:
    return a.request(
        *chart,
        coverage=a.coverage(plan, subscriberId=member),
        claim=a.claim(identifier=[{"system": "https://ehr.example/pa", "value": member}]),
    )
