"""What the demo shows of each step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from server.demo.ehr import CoverageInformation
from server.demo.stories import Played
from server.dtr.form import Answer, answer_value
from server.dtr.populate import Filling
from server.dtr.response import origin_of
from server.pas.cases import Told
from server.policy.cases import Case
from server.policy.determination import Met

Resource = dict[str, Any]


def tell(played: Played, why: Resource | None, out: Console) -> None:
    """One step after another; `why` is the determination behind the number, where there is one."""
    _step(out, "The order", _order(played.case))
    _step(out, "CRD, order-sign", _coverage_information(played.information), _cards(played.answered))
    if played.filled and played.completed:
        _step(out, "DTR, the form", _form(played.filled, played.completed))
    if played.decided:
        _step(out, "PAS, $submit", _decision(played.decided))
    for response in played.found:
        number = response.get("preAuthRef", "it, without a number")
        _step(out, "PAS, $inquire", Text(f"finds {number}: {response.get('disposition', '')}"))
    if why:
        _step(out, "Why", _criteria(why))


def _step(out: Console, title: str, *shown: RenderableType) -> None:
    out.print(Text(f"  {title}", style="bold cyan"))
    out.print(Padding(Group(*shown), (0, 0, 1, 6)))


def _order(case: Case) -> Table:
    order = case.order
    codes = [coding["code"] for coding in order["code"]["coding"]]
    diagnoses = [coding["code"] for reason in order["reasonCode"] for coding in reason["coding"]]
    table = _pairs()
    table.add_row("service", f"MRI, CPT {', '.join(codes)} {' '.join(case.modifiers)}")
    table.add_row("diagnosis", ", ".join(diagnoses))
    table.add_row("plan", case.plan)
    table.add_row("chart", ", ".join(_counted(case.clinical)) or "nothing that bears on it")
    return table


def _counted(resources: Sequence[Any]) -> Iterator[str]:
    kinds = [resource["resourceType"] for resource in resources]
    for kind in dict.fromkeys(kinds):
        yield f"{kinds.count(kind)} {kind}"


def _coverage_information(information: CoverageInformation) -> Table:
    table = _pairs()
    for url in ("covered", "pa-needed", "doc-needed", "satisfied-pa-id", "questionnaire"):
        if information[url]:
            table.add_row(url, str(information[url]))
    for reason in information.reasons:
        table.add_row("reason", reason)
    return table


def _cards(answered: Resource) -> Table:
    table = _pairs()
    for card in answered["cards"]:
        table.add_row("card", card["summary"])
        for suggestion in card.get("suggestions", []):
            table.add_row("", f"→ {suggestion['label']}")
    return table


def _form(filled: Filling, completed: Filling) -> RenderableType:
    form = completed.form
    table = Table("Question", "Answer", "From", box=None, pad_edge=False, header_style="dim")
    for link_id, answers in completed.answers.items():
        question = form.items[link_id].node.get("text", "")
        table.add_row(
            f"{link_id}  {question}", "; ".join(map(_shown, answers)), _source(link_id, filled, answers)
        )
    asked = ", ".join(filled.asked) or "nothing"
    return Group(Text(f"{form.canonical}; after the chart still asked: {asked}"), table)


def _source(link_id: str, filled: Filling, answers: Sequence[Answer]) -> str:
    return "chart" if link_id in filled.answers else f"clinician ({origin_of(answers[0])})"


def _shown(answer: Answer) -> str:
    found = answer_value(answer)
    if isinstance(found, dict):
        return str(found.get("display") or found.get("code") or found.get("value"))
    return {True: "yes", False: "no"}.get(found, str(found)) if isinstance(found, bool) else str(found)


def _decision(bundle: Resource) -> Table:
    told = Told(bundle)
    table = _pairs()
    table.add_row("decision", f"{told.action}  {told.response.get('disposition', '')}")
    if number := told.response.get("preAuthRef"):
        period = told.response.get("preAuthPeriod", {})
        table.add_row("number", f"{number}, {period.get('start', '')} to {period.get('end', '')}")
    if told.words:
        table.add_row("in words", told.words)
    return table


def _criteria(why: Resource) -> Table:
    """What was known, and from where."""
    table = Table("Criterion", "Value", "Evidence", "Guideline", box=None, pad_edge=False, header_style="dim")
    for criterion in why["criteria"]:
        if criterion["value"] == Met.UNKNOWN or not criterion["evidence"]:
            continue
        evidence = [f"{each['reference']} {each['summary']}".strip() for each in criterion["evidence"]]
        shown = [*evidence[:3], *([f"and {len(evidence) - 3} more"] if len(evidence) > 3 else [])]
        table.add_row(
            f"{criterion['id']}  {criterion['title']}",
            criterion["value"],
            "\n".join(shown),
            criterion["guideline"],
        )
    return table


def _pairs() -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    return table
