"""What the demo shows of each step, on a terminal or on a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from server.demo.ehr import CoverageInformation
from server.demo.stories import Played
from server.dtr.form import Answer
from server.dtr.populate import Filling
from server.dtr.response import origin_of
from server.fhir.extensions import value
from server.pas.cases import Told
from server.policy.cases import Case
from server.policy.determination import Met

Resource = dict[str, Any]


@dataclass(frozen=True)
class Shown:
    """A sentence, a table, or both; without `columns` its rows are a name and what it is."""

    rows: Sequence[tuple[str, ...]] = ()
    columns: tuple[str, ...] = ()
    lead: str = ""


@dataclass(frozen=True)
class Step:
    """What happened in one step; `addresses` are what the calls it took have in their paths."""

    title: str
    shown: tuple[Shown, ...]
    addresses: tuple[str, ...] = ()


def told(played: Played, why: Resource | None) -> Iterator[Step]:
    """One step after another; `why` is the determination behind the number, where there is one."""
    yield Step("The order", (_order(played.case),))
    answered = (_coverage_information(played.information), _cards(played.answered))
    yield Step("CRD, order-sign", answered, ("/cds-services/",))
    if played.filled and played.completed:
        form = _form(played.filled, played.completed)
        yield Step("DTR, the form", (form,), ("/Questionnaire/", "/ValueSet/"))
    if played.decided:
        yield Step("PAS, $submit", (_decision(played.decided),), ("$submit",))
    else:
        back = "Documentation is asked for, and the story has none: the order goes back to the clinician."
        yield Step("Nothing is submitted", (Shown(lead=back),))
    for response in played.found:
        number = response.get("preAuthRef", "it, without a number")
        found = Shown(lead=f"finds {number}: {response.get('disposition', '')}")
        yield Step("PAS, $inquire", (found,), ("$inquire",))
    if why:
        yield Step("Why", (_criteria(why),), ("/why/",))


def _order(case: Case) -> Shown:
    order = case.order
    codes = [coding["code"] for coding in order["code"]["coding"]]
    diagnoses = [coding["code"] for reason in order["reasonCode"] for coding in reason["coding"]]
    return Shown(
        [
            ("service", f"{', '.join(codes)} {' '.join(case.modifiers)}"),
            ("diagnosis", ", ".join(diagnoses)),
            ("plan", case.plan),
            ("chart", ", ".join(_counted(case.clinical)) or "nothing that bears on it"),
        ]
    )


def _counted(resources: Sequence[Any]) -> Iterator[str]:
    kinds = [resource["resourceType"] for resource in resources]
    for kind in dict.fromkeys(kinds):
        yield f"{kinds.count(kind)} {kind}"


def _coverage_information(information: CoverageInformation) -> Shown:
    named = ("covered", "pa-needed", "doc-needed", "satisfied-pa-id", "questionnaire")
    rows = [(url, str(information[url])) for url in named if information[url]]
    return Shown([*rows, *(("reason", reason) for reason in information.reasons)])


def _cards(answered: Resource) -> Shown:
    rows: list[tuple[str, ...]] = []
    for card in answered["cards"]:
        rows.append(("card", card["summary"]))
        rows += [("", f"→ {suggestion['label']}") for suggestion in card.get("suggestions", [])]
    return Shown(rows)


def _form(filled: Filling, completed: Filling) -> Shown:
    form = completed.form
    rows = [
        (
            f"{link_id}  {form.items[link_id].node.get('text', '')}",
            "; ".join(map(_answered, answers)),
            _source(link_id, filled, answers),
        )
        for link_id, answers in completed.answers.items()
    ]
    asked = ", ".join(filled.asked) or "nothing"
    lead = f"{form.canonical}; after the chart still asked: {asked}"
    return Shown(rows, ("Question", "Answer", "From"), lead)


def _source(link_id: str, filled: Filling, answers: Sequence[Answer]) -> str:
    return "chart" if link_id in filled.answers else f"clinician ({origin_of(answers[0])})"


def _answered(answer: Answer) -> str:
    found = value(answer)
    if isinstance(found, dict):
        return str(found.get("display") or found.get("code") or found.get("value"))
    return {True: "yes", False: "no"}.get(found, str(found)) if isinstance(found, bool) else str(found)


def _decision(bundle: Resource) -> Shown:
    found = Told(bundle)
    rows: list[tuple[str, ...]] = [("decision", f"{found.action}  {found.response.get('disposition', '')}")]
    if number := found.response.get("preAuthRef"):
        period = found.response.get("preAuthPeriod", {})
        rows.append(("number", f"{number}, {period.get('start', '')} to {period.get('end', '')}"))
    if found.words:
        rows.append(("in words", found.words))
    return Shown(rows)


def _criteria(why: Resource) -> Shown:
    """What was known, and from where."""
    rows = []
    for criterion in why["criteria"]:
        if criterion["value"] == Met.UNKNOWN or not criterion["evidence"]:
            continue
        evidence = [f"{each['reference']} {each['summary']}".strip() for each in criterion["evidence"]]
        shown = [*evidence[:3], *([f"and {len(evidence) - 3} more"] if len(evidence) > 3 else [])]
        name = f"{criterion['id']}  {criterion['title']}"
        rows.append((name, criterion["value"], "\n".join(shown), criterion["guideline"]))
    return Shown(rows, ("Criterion", "Value", "Evidence", "Guideline"))
