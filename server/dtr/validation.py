"""Holding a QuestionnaireResponse to the form it answers.

    issues = faults(Form(questionnaire), response)

Without the chart the value of a CQL gate is not known. Where a question behind it has an answer it was open;
where none has, they may have been answered and need not have been. Everything else is decided: which
questions exist, what they take, how often, whether they apply, and, once the response is complete, whether
the required ones have answers. FHIR R4, questionnaireresponse.html.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from server.dtr.form import CORE, Answer, Answers, Form, Gate, Item, same
from server.dtr.response import answers_of, items_of
from server.fhir.dates import first_day
from server.fhir.errors import Issue
from server.fhir.extensions import extension, value

VALUES = {
    "boolean": "valueBoolean",
    "choice": "valueCoding",
    "date": "valueDate",
    "decimal": "valueDecimal",
    "integer": "valueInteger",
    "string": "valueString",
    "text": "valueString",
}
COMPLETE = frozenset({"completed", "amended"})


def faults(form: Form, response: Mapping[str, Any], *, conditions: bool = True) -> list[Issue]:
    """Every fault with its place; empty where the response is a right answer to the form so far.

    An app that was shown no `conditions` cannot know which questions do not apply: an answer to one of them
    may stand beside the others, unless it is the yes that they stand in place of.
    """
    found = [*_structure(form, response)]
    if found:
        return found
    answers = answers_of(response)
    enabled = form.enabled(answers, _gates_of(form, answers))
    places = {item["linkId"]: path for item, path in items_of(response)}
    for question in form.questions():
        given = answers.get(question.link_id, [])
        path = places.get(question.link_id, "QuestionnaireResponse.item")
        if given and enabled[question.link_id] is False and (conditions or _is_yes(given)):
            found.append(
                Issue("business-rule", path, f"{question.link_id} does not apply. Take its answer out.")
            )
        else:
            found += _answers(question, given, path)
        if (
            response.get("status") in COMPLETE
            and question.required
            and enabled[question.link_id]
            and not given
        ):
            instead = "".join(f", or {other} with yes" for other in question.instead)
            text = f"{question.link_id} must be answered{instead}."
            found.append(Issue("required", "QuestionnaireResponse.item", text))
    return found


def misshapen(element: Mapping[str, Any], path: str) -> Iterator[Issue]:
    """What keeps the items of a form or response from being read at all, with its place."""
    listed = element.get("item", [])
    if not isinstance(listed, list):
        yield Issue(
            "structure", f"{path}.item", "It must be a list of items. Leave it out where there is none."
        )
        return
    for index, item in enumerate(listed):
        place = f"{path}.item[{index}]"
        if not isinstance(item, dict):
            yield Issue("structure", place, "An item must be an object. Send it as it was sent to you.")
        elif not isinstance(item.get("linkId"), str):
            words = "An item is known by its linkId, a text. Send the one that it was sent to you with."
            yield Issue("required", f"{place}.linkId", words)
        else:
            yield from misshapen(item, place)


def _is_yes(given: Sequence[Answer]) -> bool:
    return any(value(answer) is True for answer in given)


def _gates_of(form: Form, answers: Answers) -> Gate:
    """Open where something behind it was answered, else not known."""
    passed = {
        above.gate["expression"]
        for link_id in answers
        for name in (link_id, *form.items[link_id].parents)
        if (above := form.items[name]).gate
    }
    return lambda expression: True if expression["expression"] in passed else None


def _structure(form: Form, response: Mapping[str, Any]) -> Iterator[Issue]:
    """Items that the form does not have, stand elsewhere in it, or come twice."""
    seen: set[str] = set()
    for item, path in items_of(response):
        link_id = item.get("linkId")
        if link_id not in form.items:
            yield Issue("not-found", path, f"The form has no item {link_id}.")
        elif link_id in seen:
            yield Issue("duplicate", path, f"{link_id} stands here twice. Give repeated answers in one item.")
        elif item.get("answer") and not form.items[link_id].is_question:
            yield Issue("structure", path, f"{link_id} is no question and takes no answer.")
        seen.add(str(link_id))


def _answers(question: Item, given: Sequence[Answer], path: str) -> Iterator[Issue]:
    if len(given) > 1 and not question.repeats:
        yield Issue("structure", path, f"{question.link_id} takes one answer.")
    for index, answer in enumerate(given):
        fault = _fault(question, answer)
        if fault:
            yield Issue("value", f"{path}.answer[{index}]", f"{question.link_id}: {fault}")
    alone = [
        answer for answer in given if (answer.get("valueCoding") or {}).get("code") in question.exclusive
    ]
    if alone and len(given) > 1:
        code = alone[0]["valueCoding"]["code"]
        yield Issue("business-rule", path, f"{question.link_id}: {code} goes with no other answer.")


def _fault(question: Item, answer: Answer) -> str:
    """What is wrong with one answer; empty where nothing is."""
    name = VALUES[question.type]
    if name not in answer:
        return f"answer with {name}."
    content = value(answer)
    if question.type == "choice" and not any(same(content, option) for option in question.options):
        return "choose one of the options of the form."
    if question.type == "date" and first_day(content) is None:
        return "give a day, such as 2026-01-31."
    if question.type in ("decimal", "integer"):
        return _out_of_range(question, content)
    if question.type in ("string", "text"):
        return _too_short(question, content)
    if question.type == "boolean" and not isinstance(content, bool):
        return "answer true or false."
    return ""


def _too_short(question: Item, content: Any) -> str:
    if not isinstance(content, str) or not content.strip():
        return "write something."
    least = value(extension(question.node, f"{CORE}/minLength"))
    return f"write at least {least} characters." if least is not None and len(content) < least else ""


def _out_of_range(question: Item, content: Any) -> str:
    least = value(extension(question.node, f"{CORE}/minValue"))
    most = value(extension(question.node, f"{CORE}/maxValue"))
    try:
        number = Decimal(str(content))
    except InvalidOperation:
        return "give a number."
    if isinstance(content, bool) or (question.type == "integer" and number != int(number)):
        return "give a number."
    if (least is not None and number < least) or (most is not None and number > most):
        return f"give a number from {least} to {most}."
    return ""
