"""Requests on a walk through their lives, where nobody has chosen the way: every door tells the same of them,
in both guide versions."""

import datetime as dt
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.pas import builders as a
from tests.pas import charts
from tests.pas.conftest import Answer, Payer
from tests.pas.test_appeals import contesting
from tests.pas.test_attachments import parameters, scan, send
from tests.pas.test_changes import FILM, called, cancelled, marked, prior
from tests.pas.test_decision_clock import clock
from tests.report.test_cms import member
from tests.review.test_desk import ONE_BASE, decide

Resource = dict[str, Any]
Told = dict[int, tuple[str, str | None]]

STEPS = 16
CHARTS: list[Callable[[], list[Resource]]] = [
    charts.meets_every_criterion,
    lambda: [charts.answers(**charts.SHORT_TRIAL), *charts.film_and_examination()],
    list,
]


@dataclass
class Walk:
    payer: Payer
    chance: random.Random
    requests: list["Request"] = field(default_factory=list)

    def step(self) -> None:
        what = self.chance.choice([self.ask, self.change, self.change, self.attach, self.review, self.wait])
        if not self.requests:
            what = self.ask
        what()

    def ask(self) -> None:
        """A member's first request, under a plan whose rules deny or under one that leaves that to people."""
        name, plan = f"{len(self.requests)}", self.chance.choice(["evicore", "reviewed"])
        study = self.chance.choice([a.item(1), a.item(1, extension=a.item()["extension"][:3])])
        request = Request(f"M-{name}", plan, [study, FILM][: self.chance.choice([1, 2])])
        self.requests.append(request)
        self.send(request)

    def change(self) -> None:
        """Partly marked, cancelled or contested, and grown; what is decided and not touched stands."""
        request = self.chance.choice(self.requests)
        before = told(self.read(request))
        place = self.chance.randrange(len(request.items) + 1)
        touch = self.chance.choice([lambda item: marked(item, "changed"), cancelled, contesting])
        items = [touch(item) if at == place else item for at, item in enumerate(request.items)]
        self.send(request, [*items, marked(a.item(len(items) + 1), "added")][: len(items) + place % 2])
        after = told(self.read(request))
        for at, item in enumerate(request.items[: len(before)]):
            action, _ = stood = before[item["sequence"]]
            assert at == place or action == "A4" or after[item["sequence"]] == stood

    def send(self, request: "Request", items: list[Resource] | None = None) -> None:
        payer = replace(self.payer, version=self.chance.choice(["2.0", "2.2"]))
        name, versions = f"{request.member}-{self.chance.random()}", request.versions
        related = {"related": [prior(versions[-1])]} if versions else {}
        claim = a.claim(*(items or request.items), id=name, identifier=[called(name)], **related)
        parties = member(request.member, plan=request.plan)
        answer = payer.submit(a.request(*self.chance.choice(CHARTS)(), claim=claim, **parties))
        if "item" not in answer.response:
            assert answer.response["error"]
            return
        versions.append(name)
        request.urls.append(answer.url)
        request.items += (items or [])[len(request.items) :]
        assert told(answer) == told(self.read(request))

    def attach(self) -> None:
        request = self.chance.choice(self.requests)
        tracking = f"{request.urls[-1].rpartition('/')[2]}-1"
        if self.read(request).actions[0] == "A4":
            content = self.chance.choice([charts.meets_every_criterion(), [charts.film()], [scan()]])
            number = {"valueIdentifier": {"value": request.member}}
            send(self.payer, parameters(tracking, *content, MemberId=number))

    def review(self) -> None:
        for item in self.payer.http.get("/review").json()["items"][:1]:
            words = {"ask": {"text": "What was tried?"}, "modify": {"place": "22", "why": "There."}}
            what = self.chance.choice(["approve", "ask", "modify"])
            assert decide(self.payer, what, item, **words.get(what, {})).status_code == 200

    def wait(self) -> None:
        clock(self.payer, dt.timedelta(days=self.chance.choice([1, 8]))).sweep()

    def read(self, request: "Request") -> Answer:
        return Answer({"entry": [{"resource": self.payer.read(request.urls[-1])}]})

    def one_story(self, request: "Request") -> Told:
        """What every door tells of a request."""
        story = told(self.read(request))
        asked = a.inquiry()
        parties = member(request.member, plan=request.plan)
        asked["entry"][1]["resource"], asked["entry"][4]["resource"] = parties["patient"], parties["coverage"]
        (found,) = replace(self.payer, version=self.chance.choice(["2.0", "2.2"])).inquire(asked)
        first = request.urls[0].replace("/r2.0/", f"/r{self.chance.choice(['2.0', '2.2'])}/")
        assert told(found) == story
        assert told(Answer({"entry": [{"resource": self.payer.read(first)}]})) == story
        case = request.urls[-1].rpartition("/")[2]
        for sequence, (action, number) in story.items():
            for name in (f"{case}-{sequence}", *([number] if number and action != "C" else [])):
                why = self.payer.http.get(f"/why/{name}").json()
                assert why["answered"]["action"] == action
        waiting = [each for each in self.payer.http.get("/review").json()["items"] if each["case"] == case]
        assert all(story[each["item"]][0] == "A4" for each in waiting)
        return story


@dataclass
class Request:
    member: str
    plan: str
    items: list[Resource]
    versions: list[str] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)


def told(answer: Answer) -> Told:
    """Review action and number of each item."""
    reviews = {item["itemSequence"]: item["adjudication"][0]["extension"][0] for item in answer.items}
    numbers = {
        sequence: next((each["valueString"] for each in review["extension"] if each["url"] == "number"), None)
        for sequence, review in reviews.items()
    }
    return dict(zip(reviews, zip(answer.actions, numbers.values(), strict=True), strict=True))


@ONE_BASE
def test_every_door_tells_one_story(payer: Payer) -> None:
    walk, seen = Walk(payer, random.Random(12)), set[str]()
    for _ in range(STEPS):
        walk.step()
        story = walk.one_story(walk.chance.choice(walk.requests))
        seen |= {action for action, _ in story.values()}
    numbers = [{number for _, number in walk.one_story(each).values() if number} for each in walk.requests]

    assert seen >= {"A1", "A3", "A4"}
    assert len(set().union(*numbers)) == sum(map(len, numbers))
