"""Request form completion: forms that DTR is not for (CRD, "Request form completion").

What an order must document goes by coverage information and DTR. A form about something else, such as who
pays for an injury, is asked for by a Task that the client creates where its user accepts it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from uuid import uuid4

from server.adjudication.judged import Judged
from server.crd.cards import Drawn
from server.crd.focus import Focus
from server.crd.suggestions import create, short, suggestion
from server.crd.version import Element, Version
from server.fhir.canonical import canonical
from server.fhir.dates import instant
from server.fhir.systems import ICD, concept
from server.policy.catalog import PlanForm

SDC_TEMP = "http://hl7.org/fhir/uv/sdc/CodeSystem/temp"


def wanted(judged: Judged, record: Iterable[Element]) -> Iterator[PlanForm]:
    """The forms that this order's reasons call for and that nobody has answered yet."""
    if not judged.determination.covered:
        return
    reasons = {(ICD, code) for code in judged.determination.line.diagnoses}
    answered = {
        canonical(str(resource.get("questionnaire", ""))).url
        for resource in record
        if resource.get("resourceType") == "QuestionnaireResponse"
        and resource.get("status") in ("completed", "amended")
    }
    for form in judged.plan.catalog.forms:
        if form.diagnoses & reasons and canonical(form.canonical).url not in answered:
            yield form


def drawn(form: PlanForm, task: Element, about: str, source: Element) -> Drawn:
    """The card: accepting it creates the Task."""
    content = {
        "summary": short(form.summary),
        "detail": form.detail,
        "indicator": "info",
        "source": source,
        "suggestions": [
            suggestion(f"Ask for: {form.title}", create(task, f"Asks for the form: {form.title}."))
        ],
        "selectionBehavior": "at-most-one",
    }
    return Drawn(form.topic, content, (about,))


def task(
    version: Version, form: PlanForm, focus: Focus, coverage: Element, patient_id: str, now: dt.datetime
) -> Element:
    """profile-taskquestionnaire. The canonical goes without its version: clients have been seen that take
    it for an address and stumble over the bar."""
    visit = focus.reference if focus.resource["resourceType"] == "Encounter" else ""
    insurers = coverage.get("payor")
    encounter = {"reference": visit} if visit else focus.line.get("encounter")
    return {
        "resourceType": "Task",
        "id": str(uuid4()),
        "basedOn": [{"reference": focus.reference}],
        "status": "ready",
        "intent": "order",
        "code": concept(SDC_TEMP, "complete-questionnaire"),
        "description": form.title,
        "for": {"reference": f"Patient/{patient_id}"},
        **({"encounter": encounter} if encounter else {}),
        "authoredOn": instant(now),
        **({"requester": insurers[0]} if insurers else {}),
        "reasonCode": {"text": form.title},
        "input": [
            {
                "type": {
                    "coding": [{"system": SDC_TEMP, "code": "questionnaire"}],
                    "text": "questionnaire",
                },
                "valueCanonical": canonical(form.canonical).url,
            },
            *version.form_inputs,
        ],
    }
