"""A Questionnaire as those see it who fill it, check it or render it: items in order, and when they apply.

    form = Form(questionnaire)
    form.enabled(answers, gates)["CC-OUT"]      -> True, False, or None while a gate is not known

`answers` maps a linkId to its answers, each a FHIR `answer` element (`{"valueCoding": {…}}`). A gate is an
item's enableWhenExpression; whoever can evaluate CQL knows its value, others leave it open. FHIR R4,
questionnaire.html ("Enabling items"); SDC, enableWhenExpression.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from server.fhir.extensions import extension, value

SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition"
CORE = "http://hl7.org/fhir/StructureDefinition"
INITIAL_EXPRESSION = f"{SDC}/sdc-questionnaire-initialExpression"
ENABLE_WHEN_EXPRESSION = f"{SDC}/sdc-questionnaire-enableWhenExpression"
CQF_LIBRARY = f"{CORE}/cqf-library"
QUESTIONNAIRE_ADAPTIVE = f"{SDC}/sdc-questionnaire-questionnaireAdaptive"
OPTION_EXCLUSIVE = f"{CORE}/questionnaire-optionExclusive"

REFERENCE = re.compile(r'(?:"(?P<quoted>[^"]+)"|(?P<plain>\w+))\.(?:"(?P<define>[^"]+)"|(?P<word>\w+))')
"""`"Library"."Define"`, the only form of CQL our forms use: clients find the define without a translator."""

Element = Mapping[str, Any]
Answer = Mapping[str, Any]
Answers = Mapping[str, Sequence[Answer]]
Gate = Callable[[Element], bool | None]
"""Value of an enableWhenExpression; None where it cannot be evaluated."""


def open_gate(expression: Element) -> bool | None:
    """The gate of whoever has no chart: not known."""
    return None


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a form. `parents` are the linkIds above it, the outermost first."""

    node: Element
    parents: tuple[str, ...] = ()

    @property
    def link_id(self) -> str:
        return str(self.node["linkId"])

    @property
    def type(self) -> str:
        return str(self.node["type"])

    @property
    def is_question(self) -> bool:
        return self.type not in ("group", "display")

    @property
    def required(self) -> bool:
        return self.node.get("required") is True

    @property
    def repeats(self) -> bool:
        return self.node.get("repeats") is True

    @property
    def initial_expression(self) -> Element | None:
        return value(extension(self.node, INITIAL_EXPRESSION))  # type: ignore[no-any-return]

    @property
    def gate(self) -> Element | None:
        return value(extension(self.node, ENABLE_WHEN_EXPRESSION))  # type: ignore[no-any-return]

    @property
    def instead(self) -> list[str]:
        """Questions of the same criterion whose yes stands in place of an answer: no treatment, no start."""
        return [
            condition["question"]
            for condition in self.node.get("enableWhen", [])
            if condition["operator"] == "!="
            and condition.get("answerBoolean") is True
            and criterion_of(condition["question"]) == criterion_of(self.link_id)
        ]

    @property
    def options(self) -> list[dict[str, Any]]:
        """The codings that may be chosen; empty where the item names none inline."""
        return [
            option["valueCoding"] for option in self.node.get("answerOption", []) if "valueCoding" in option
        ]

    @property
    def exclusive(self) -> set[str]:
        """Codes of the options that go with no other."""
        return {
            option["valueCoding"]["code"]
            for option in self.node.get("answerOption", [])
            if "valueCoding" in option and value(extension(option, OPTION_EXCLUSIVE)) is True
        }


class Form:
    """The items of a Questionnaire by linkId, in the order in which they are asked."""

    def __init__(self, questionnaire: Element) -> None:
        self.questionnaire = questionnaire
        self.items = {item.link_id: item for item in _walk(questionnaire.get("item", []))}

    @property
    def canonical(self) -> str:
        """`url|version`: what a form is fixed by."""
        return f"{self.questionnaire['url']}|{self.questionnaire['version']}"

    @property
    def adaptive(self) -> bool:
        """Whether it is asked question by question."""
        return extension(self.questionnaire, QUESTIONNAIRE_ADAPTIVE) is not None

    @property
    def libraries(self) -> list[str]:
        """Canonicals of the CQL libraries its expressions name."""
        return [
            found["valueCanonical"]
            for found in self.questionnaire.get("extension", [])
            if found.get("url") == CQF_LIBRARY
        ]

    def questions(self) -> Iterator[Item]:
        return (item for item in self.items.values() if item.is_question)

    def enabled(self, answers: Answers, gate: Gate = open_gate) -> dict[str, bool | None]:
        """Whether each item applies, given the answers so far; an item below one that does not, does not, and
        the answer to a question that does not apply decides nothing."""
        found: dict[str, bool | None] = {}
        valid = dict(answers)
        for link_id, item in self.items.items():
            above = found[item.parents[-1]] if item.parents else True
            found[link_id] = _both(above, lambda item=item: _applies(item, valid, gate))  # type: ignore[misc]
            if found[link_id] is False:
                valid.pop(link_id, None)
        return found

    def asked(self, answers: Answers, gate: Gate) -> tuple[str, ...]:
        """What a person must still answer: enabled, required, unanswered."""
        enabled = self.enabled(answers, gate)
        return tuple(
            item.link_id
            for item in self.questions()
            if item.required and enabled[item.link_id] and not answers.get(item.link_id)
        )


def _walk(items: Sequence[Element], parents: tuple[str, ...] = ()) -> Iterator[Item]:
    for node in items:
        yield Item(node, parents)
        yield from _walk(node.get("item", []), (*parents, node["linkId"]))


def _both(one: bool | None, other: Callable[[], bool | None]) -> bool | None:
    """`and` in three values; the second is looked at only if it can matter."""
    if one is False:
        return False
    second = other()
    return one if second is True else second if second is False else None


def _applies(item: Item, answers: Answers, gate: Gate) -> bool | None:
    if item.gate is not None:
        return gate(item.gate)
    conditions = item.node.get("enableWhen", [])
    results = [_holds(condition, answers.get(condition["question"], [])) for condition in conditions]
    return any(results) if item.node.get("enableBehavior") == "any" else all(results)


def _holds(condition: Element, given: Sequence[Answer]) -> bool:
    operator, expected = condition["operator"], _expected(condition)
    if operator == "exists":
        return bool(given) is bool(expected)
    if operator == "!=":
        return not any(same(value(answer), expected) for answer in given)
    if operator == "=":
        return any(same(value(answer), expected) for answer in given)
    return any(_COMPARE[operator](value(answer), expected) for answer in given)


_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: bool(a < b),
    "<=": lambda a, b: bool(a <= b),
    ">": lambda a, b: bool(a > b),
    ">=": lambda a, b: bool(a >= b),
}


def _expected(condition: Element) -> Any:
    return next(content for name, content in condition.items() if name.startswith("answer"))


def same(one: Any, other: Any) -> bool:
    """Equal as answers: codings by system and code, whatever they display."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return (one.get("system"), one.get("code")) == (other.get("system"), other.get("code"))
    return bool(one == other)


def define_of(expression: Element) -> tuple[str, str]:
    """Library and define that an expression names."""
    match = REFERENCE.fullmatch(expression["expression"])
    if match is None:
        raise ValueError(f"{expression['expression']} does not name a define of a library")
    return match["quoted"] or match["plain"], match["define"] or match["word"]


TREATMENT = {"CC-DUR.modalities": "CC-MOD", "CC-DUR.hep-followup": "CC-MOD"}


def criterion_of(link_id: str) -> str:
    """The criterion that a question settles: questions are named after theirs, those about the kinds of
    treatment after the trial they belong to."""
    return TREATMENT.get(link_id) or link_id.partition(".")[0]


def plain_answer(item: Item, given: Any) -> Answer | None:
    """A plain value as an answer of the item's type: a code as the option of that code, a day as valueDate.

    None where it is no answer to this question (a code that is no option, a text for a number): the question
    stays open rather than being answered wrongly.
    """
    match item.type, given:
        case "choice", str():
            return next(({"valueCoding": dict(o)} for o in item.options if o["code"] == given), None)
        case "boolean", bool():
            return {"valueBoolean": given}
        case "decimal", int() | Decimal() if not isinstance(given, bool):
            return {"valueDecimal": Decimal(given)}
        case "integer", int() if not isinstance(given, bool):
            return {"valueInteger": given}
        case "date", dt.date():
            return {"valueDate": given.isoformat()[:10]}
        case "date", str():
            return {"valueDate": given[:10]}
        case "string" | "text", str() if given:
            return {"valueString": given}
    return None
