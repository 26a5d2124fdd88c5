"""The orders of the demo, as data, and how each is played."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from server.demo.ehr import CoverageInformation, Ehr
from server.dtr.populate import Filling
from server.policy.case_facts import dated
from server.policy.cases import Case, CaseError, Vignette, case_of

Resource = dict[str, Any]

FILE = Path(__file__).parent / "stories.json"


class Story(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An order with its chart, and by linkId what the clinician answers when asked ("D-28": a date)."""

    title: str
    case: Vignette
    answers: dict[str, Any] = msgspec.field(default_factory=dict)


@dataclass
class Played:
    """What happened, step by step; a step that did not take place is None."""

    case: Case
    answered: Resource
    filled: Filling | None = None
    completed: Filling | None = None
    found: list[Resource] = field(default_factory=list)
    decided: Resource | None = None

    @property
    def information(self) -> CoverageInformation:
        return CoverageInformation.of(self.answered, self.case)


def stories() -> tuple[Story, ...]:
    return msgspec.json.decode(FILE.read_bytes(), type=dict[str, tuple[Story, ...]])["stories"]


def as_written() -> list[dict[str, Any]]:
    """The stories as they stand in the file, for whoever wants to change one."""
    written: dict[str, list[dict[str, Any]]] = msgspec.json.decode(FILE.read_bytes())
    return written["stories"]


def laid_out(story: Story, day: dt.date, payer: Resource, run: str) -> Case:
    """The story's order for a member of its own in this run, so that a second run is not told what the first
    was granted."""
    return case_of(msgspec.structs.replace(story.case, id=f"{story.case.id}-{run}"), day, payer)


async def play(story: Story, case: Case, ehr: Ehr) -> Played:
    """Signs the order; fills and completes the form where documentation is asked; asks for authorization.
    An order that is found to be wrong goes back to the clinician instead."""
    played = Played(case, await ehr.sign(case))
    information = played.information
    if information["doc-needed"] and story.answers:
        played.filled = await ehr.form(case)
        played.completed = completed(played.filled, story.answers, case)
        response = played.completed.response("completed", case.now)
        played.decided = await ehr.submit(case, [response])
    elif not information["doc-needed"]:
        played.decided = await ehr.submit(case)
        played.found = await ehr.inquire(case)
    return played


def completed(filling: Filling, answers: Mapping[str, Any], case: Case) -> Filling:
    """The clinician answers what is asked, round by round, each question once: an answer may bring further
    questions. Raises CaseError for an answer that its question does not allow."""
    left = {link_id: answer for link_id, answer in answers.items() if answer != []}
    while asked := left.keys() & set(filling.open):
        try:
            given = {link_id: dated(left.pop(link_id), case.day_zero) for link_id in asked}
            filling = filling.answered(given, case.clinician)
        except (ValueError, OverflowError) as error:
            raise CaseError(f"{case.id}, answers: {error}") from error
    return filling
