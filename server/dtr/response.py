"""QuestionnaireResponses: the draft that goes out, and items from answers by linkId and back, with where each
answer came from.

information-origin (DTR) says of every answer whether software or a person gave it; its codes are the
version's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from server.dtr.form import Answer, Answers, Element, Form
from server.dtr.version import Draft
from server.fhir.dates import instant
from server.fhir.extensions import extension, value
from server.fhir.systems import concept

DTR = "http://hl7.org/fhir/us/davinci-dtr/StructureDefinition"
INFORMATION_ORIGIN = f"{DTR}/information-origin"
INTENDED_USE = f"{DTR}/intendedUse"

Resource = dict[str, Any]


def drafted(draft: Draft, context: Iterable[Resource], purposes: str) -> Resource:
    """dtr-questionnaireresponse. In two things the versions differ: `context`, the extensions that refer to
    Coverage and orders, and `purposes`, the system of the draft's purpose."""
    purpose = concept(purposes, draft.purpose)
    return {
        "resourceType": "QuestionnaireResponse",
        "meta": {"profile": [f"{DTR}/dtr-questionnaireresponse"]},
        "extension": [*context, {"url": INTENDED_USE, "valueCodeableConcept": purpose}],
        "questionnaire": draft.form.canonical,
        "status": "in-progress",
        **({"subject": draft.subject} if draft.subject else {}),
        "authored": instant(draft.now),
        "item": list(draft.items),
    }


def information_origin(source: str, author: str | None = None) -> Resource:
    """The extension; `author` is the reference of the practitioner who answered, given exactly where a
    person did (invariant dtrx-1)."""
    parts: list[Resource] = [{"url": "source", "valueCode": source}]
    if author is not None:
        who = {"url": "practitioner", "valueReference": {"reference": author}}
        parts.append({"url": "author", "extension": [who]})
    return {"url": INFORMATION_ORIGIN, "extension": parts}


def with_origin(answer: Answer, origin: Resource) -> Resource:
    kept = [found for found in answer.get("extension", []) if found.get("url") != INFORMATION_ORIGIN]
    return {**answer, "extension": [*kept, origin]}


def origin_of(answer: Answer) -> str | None:
    """The origin code of an answer; None where it does not say."""
    source = value(extension(extension(answer, INFORMATION_ORIGIN), "source"))
    return str(source) if source is not None else None


def answers_of(response: Element) -> dict[str, list[Resource]]:
    """The answers of a response by linkId, as sent."""
    found: dict[str, list[Resource]] = {}
    for item, _ in items_of(response):
        given = [dict(answer) for answer in item.get("answer", []) if _has_value(answer)]
        if given:
            found.setdefault(item["linkId"], []).extend(given)
    return found


def items_of(element: Element, path: str = "QuestionnaireResponse") -> Iterator[tuple[Element, str]]:
    """Every item with its FHIRPath, in document order: below items and below answers."""
    for index, item in enumerate(element.get("item", [])):
        place = f"{path}.item[{index}]"
        yield item, place
        yield from items_of(item, place)
        for position, answer in enumerate(item.get("answer", [])):
            yield from items_of(answer, f"{place}.answer[{position}]")


def answered_items(form: Form, answers: Answers) -> list[Resource]:
    """The items that carry answers, in the form's structure and order."""
    return _items(form.questionnaire.get("item", []), answers)


def blank_items(form: Form) -> list[Resource]:
    """The form's outermost items without answers: what a draft holds before anybody has answered."""
    return [
        {"linkId": node["linkId"], "text": node["text"]}
        for node in form.questionnaire["item"]
        if node["type"] != "display"
    ]


def _items(nodes: Sequence[Element], answers: Answers) -> list[Resource]:
    return [item for node in nodes if (item := _item(node, answers)) is not None]


def _item(node: Element, answers: Answers) -> Resource | None:
    below = _items(node.get("item", []), answers) if node["type"] == "group" else []
    given = [dict(answer) for answer in answers.get(node["linkId"], [])]
    if not below and not given:
        return None
    filled: Resource = {"linkId": node["linkId"], "text": node["text"]}
    if given:
        filled["answer"] = given
    if below:
        filled["item"] = below
    return filled


def _has_value(answer: Mapping[str, Any]) -> bool:
    return any(name.startswith("value") for name in answer)
