"""What a reviewer reads of a request: what came to be read, what the rules rest on, what happened so far."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from server.fhir.dates import full_years
from server.fhir.elements import elements, nodes
from server.fhir.extensions import value
from server.fhir.references import local_reference
from server.pas import casebook, evidence, intake
from server.pas.intake import Submission
from server.pas.verdict import Certified, Modified, note_texts
from server.policy.catalog import Catalog
from server.review.desk import Waiting, history
from server.store import Transaction

Resource = dict[str, Any]


def whole(tx: Transaction, waiting: Waiting) -> Resource:
    """The work item with all of it: `patient` is told by sex and age, `told` is what the provider was told,
    or asked, of it last, `documents` are what came to be read, `relied_on` what else of the request the
    criteria name as their evidence: the answers of a form, say."""
    case = waiting.case
    read = evidence.joined(intake.stored(case.request), evidence.of_chain(tx, case.chain_id))
    documents = casebook.handed_in(tx, case)
    documents += [file for document in documents for file in _files(document, read) if file not in documents]
    details = waiting.details
    named = (
        each["reference"] for found in details["determination"]["criteria"] for each in found["evidence"]
    )
    resolved = (
        read.resolve(name) for name in dict.fromkeys(named) if name != local_reference(waiting.line.order)
    )
    relied_on = [each for each in resolved if each is not None and each not in documents]
    reached = waiting.line.item.verdict
    granted = [_granted(reached)] if isinstance(reached, Certified | Modified) else []
    return {
        **details,
        "patient": _person(read.patient, waiting.line.received.date()),
        "told": [*granted, *note_texts(reached)],
        "documents": documents,
        "relied_on": relied_on,
        "history": history(tx, case),
    }


def _person(patient: Resource, day: dt.date) -> str:
    """Who it is to a clinician: "female, 52 years"."""
    born = patient.get("birthDate")
    years = full_years(born, day)
    age = f"{years} years" if years is not None else f"born {born}" if born else "age not told"
    return f"{patient.get('gender', 'sex not told')}, {age}"


def _granted(reached: Certified | Modified) -> str:
    code = reached.code if isinstance(reached, Modified) else "as asked"
    return f"{code}, {reached.units} authorized, {reached.span.start} to {reached.span.end}"


def answers(resource: Resource, catalog: Catalog) -> Iterator[tuple[str, str]]:
    """The questions of a QuestionnaireResponse that were answered, and the answers, for a person. Apps may
    leave out the words of a question or a code: they are those of our own forms and codes."""
    form = catalog.questionnaire(str(resource.get("questionnaire", "")))
    texts = {each["linkId"]: each.get("text") for each in nodes(form) if "linkId" in each}
    for item in nodes(resource.get("item")):
        if given := list(elements(item, "answer")):
            name = str(item.get("linkId"))
            words = item.get("text") or texts.get(name) or name
            yield str(words), ", ".join(_spoken(value(each), catalog) for each in given)


def _spoken(given: Any, catalog: Catalog) -> str:
    if isinstance(given, bool):
        return "yes" if given else "no"
    if not isinstance(given, Mapping):
        return str(given)
    if "value" in given:
        return f"{given['value']} {given.get('unit') or ''}".strip()
    system = catalog.code_systems.get(str(given.get("system")), {"concept": []})
    own = (each["display"] for each in system["concept"] if each["code"] == given.get("code"))
    named = (given.get(part) for part in ("display", "title", "reference", "url"))
    return str(next(filter(None, (*named, *own)), given.get("code")))


def _files(document: Resource, read: Submission) -> Iterator[Resource]:
    """What of the request an attachment of the document points to."""
    for each in nodes(document):
        found = read.resolve(each["url"], document) if isinstance(each.get("url"), str) else None
        if found is not None:
            yield found
