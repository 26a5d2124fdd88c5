"""Facts of the chart: what the EHR shows of the patient, one function a kind of fact."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from server.fhir.systems import CPT, HCPCS, ICD, LOINC, NUCC, RXNORM, SNOMED, TERMINOLOGY, UCUM, concept
from server.policy.case_draft import PAYER, SIDES, SITES, Draft, Fact, Json, Kind, UnknownFact, ref

FINDING = f"{PAYER}/CodeSystem/mri-exam-finding"
SCORE = f"{PAYER}/CodeSystem/mri-score"
ANSWER = f"{PAYER}/CodeSystem/mri-answer"
OCCUPATIONAL_THERAPIST = "225X00000X"
PROBLEM = "problem-list-item"
UNITS = {"1988-5": ("mg/L", "mg/L"), "98979-8": ("mL/min/1.73m2", "mL/min/{1.73_m2}")}
REGION_SITES = {
    "SH": "shoulder",
    "EL": "elbow",
    "WH": "wrist",
    "HI": "hip",
    "KN": "knee",
    "AF": "ankle",
    "CS": "cervical spine",
    "TS": "thoracic spine",
    "LS": "lumbar spine",
    "BR": "brain",
}
FORMS = {
    "SH": "shoulder",
    "EL": "elbow",
    "WH": "wrist-hand",
    "HI": "hip",
    "KN": "knee",
    "AF": "ankle-foot",
    "CS": "cervical-spine",
    "TS": "thoracic-spine",
    "LS": "lumbar-spine",
    "BR": "brain",
}


def _procedure(fact: Fact, draft: Draft) -> Json:
    given = fact.given
    therapist = given.get("modifier") == "GO"
    codes = [fact.code, *([f"{fact.code}-{given['modifier']}"] if "modifier" in given else [])]
    sites = [
        *([concept(SNOMED, SITES[REGION_SITES[given["surgery"]]])] if "surgery" in given else []),
        *([concept(SNOMED, SIDES[given["side"]])] if "side" in given else []),
    ]
    performers = []
    if therapist:
        performers.append(
            {"function": concept(NUCC, OCCUPATIONAL_THERAPIST), "actor": ref(draft.therapist())}
        )
    if given.get("sameOrganization"):
        performers.append({"actor": {"reference": "Organization/clinic"}})
    return draft.chart(
        "Procedure",
        "performedDateTime",
        fact,
        status="completed",
        code=concept(CPT, *codes),
        **({"performer": performers} if performers else {}),
        **({"bodySite": sites} if sites else {}),
    )


def _medication_request(fact: Fact, draft: Draft) -> Json:
    given = fact.given
    supply = {"value": given.get("supplyDays"), "unit": "day", "system": UCUM, "code": "d"}
    return draft.chart(
        "MedicationRequest",
        "authoredOn",
        fact,
        status="active" if given.get("active") else "completed",
        intent="order",
        medicationCodeableConcept=concept(RXNORM, fact.code),
        requester=ref(draft.practitioner),
        **({"dispenseRequest": {"expectedSupplyDuration": supply}} if "supplyDays" in given else {}),
    )


def _device_request(fact: Fact, draft: Draft) -> Json:
    return draft.chart(
        "DeviceRequest",
        "authoredOn",
        fact,
        status="completed",
        intent="order",
        codeCodeableConcept=concept(HCPCS, fact.code),
        requester=ref(draft.practitioner),
    )


def _diagnostic_report(fact: Fact, draft: Draft) -> Json:
    given = fact.given
    side = [f"{fact.code}-{given['side']}"] if "side" in given else []
    return draft.chart(
        "DiagnosticReport",
        "effectiveDateTime",
        fact,
        status="final",
        category=[concept(f"{TERMINOLOGY}/v2-0074", "RAD")],
        code=concept(CPT, fact.code, *side),
        **({"conclusionCode": [concept(ANSWER, given["result"])]} if "result" in given else {}),
    )


def _finding(fact: Fact, draft: Draft) -> Json:
    results = {"positive": ("10828004", "Positive"), "negative": ("260385009", "Negative")}
    value: Json
    if isinstance(fact.value, bool):
        value = {"valueBoolean": fact.value}
    elif isinstance(fact.value, int):
        value = {"valueInteger": fact.value}
    elif isinstance(fact.value, str) and fact.value in results:
        code, display = results[fact.value]
        coding = {"system": SNOMED, "code": code, "display": display}
        value = {"valueCodeableConcept": {"coding": [coding]}}
    elif isinstance(fact.value, str):
        value = {"valueCodeableConcept": {"text": fact.value}}
    else:
        raise UnknownFact(f"finding {fact.code} has value {fact.value!r}: expected positive or negative")
    return _observation(fact, draft, FINDING, "exam", value)


def _score(fact: Fact, draft: Draft) -> Json:
    if isinstance(fact.value, bool):
        return _observation(fact, draft, SCORE, "survey", {"valueBoolean": fact.value})
    quantity = {"value": fact.value, "unit": "{score}", "system": UCUM, "code": "{score}"}
    return _observation(fact, draft, SCORE, "survey", {"valueQuantity": quantity})


def _measured(fact: Fact, draft: Draft) -> Json:
    if isinstance(fact.value, str):
        value: Json = {"valueCodeableConcept": {"text": fact.value}}
    else:
        unit, code = UNITS.get(fact.code, ("{score}", "{score}"))
        value = {"valueQuantity": {"value": fact.value, "unit": unit, "system": UCUM, "code": code}}
    category = "laboratory" if fact.code in UNITS else "survey"
    return _observation(fact, draft, LOINC, category, value)


def _observation(fact: Fact, draft: Draft, system: str, category: str, value: Json) -> Json:
    return draft.chart(
        "Observation",
        "effectiveDateTime",
        fact,
        status="final",
        category=[concept(f"{TERMINOLOGY}/observation-category", category)],
        code=concept(system, fact.code),
        **value,
    )


def _condition(fact: Fact, draft: Draft) -> Json:
    return problem(fact, draft, fact.code, recordedDate=draft.day(fact.date))


def problem(fact: Fact, draft: Draft, code: str, **elements: Any) -> Json:
    """An active, confirmed problem."""
    return draft.chart(
        "Condition",
        None,
        fact,
        clinicalStatus=concept(f"{TERMINOLOGY}/condition-clinical", "active"),
        verificationStatus=concept(f"{TERMINOLOGY}/condition-ver-status", "confirmed"),
        category=[concept(f"{TERMINOLOGY}/condition-category", PROBLEM)],
        code=concept(ICD, code),
        **{name: value for name, value in elements.items() if value is not None},
    )


def _encounter(fact: Fact, draft: Draft) -> Json:
    day = draft.day(fact.date)
    return draft.chart(
        "Encounter",
        None,
        fact,
        status="finished",
        **{"class": {"system": f"{TERMINOLOGY}/v3-ActCode", "code": "AMB"}},
        type=[concept(CPT, fact.code)],
        participant=[{"individual": ref(draft.practitioner)}],
        **({"period": {"start": day, "end": day}} if day else {}),
    )


def _care_plan(fact: Fact, draft: Draft) -> Json:
    given = fact.given
    goals: list[Json] = []
    if given.get("goals"):
        aim = {"text": "Use of the limb in daily life without pain"}
        goals.append(draft.chart("Goal", None, fact, lifecycleStatus="active", description=aim))
    activity = {"activity": [{"reference": ref(draft.order)}]} if given.get("referencesOrder") else {}
    start = draft.day(fact.date)
    return draft.chart(
        "CarePlan",
        None,
        fact,
        status="active",
        intent="plan",
        category=[concept(SNOMED, fact.code)],
        **({"period": {"start": start}} if start else {}),
        **({"goal": [ref(goal) for goal in goals]} if goals else {}),
        **activity,
    )


def _goal(fact: Fact, draft: Draft) -> Json:
    return draft.chart(
        "Goal",
        "statusDate",
        fact,
        lifecycleStatus="active",
        achievementStatus=concept(f"{TERMINOLOGY}/goal-achievement", fact.code),
        description={"text": "Relief of the problem for which imaging is ordered"},
    )


def _answer(fact: Fact, draft: Draft) -> Json:
    """An item of the one response of that day; a patched answer is a response of its own."""
    item = {"linkId": fact.code, "answer": [_coded(fact.code, one) for one in _listed(fact.value)]}
    if not fact.patch and fact.date in draft.forms:
        draft.forms[fact.date]["item"].append(item)
        return draft.forms[fact.date]
    form = FORMS.get(draft.region, "adaptive")
    response = draft.chart(
        "QuestionnaireResponse",
        "authored",
        fact,
        questionnaire=f"{PAYER}/Questionnaire/mri-{form}",
        status="completed",
        item=[item],
    )
    if not fact.patch:
        draft.forms[fact.date] = response
    return response


def _coded(question: str, value: Any) -> Json:
    """One answer in the type of its question: text, flag, number, date, diagnosis, site, or code."""
    if question.endswith(".text"):
        return {"valueString": value}
    if isinstance(value, bool):
        return {"valueBoolean": value}
    if not isinstance(value, str):
        return {"valueDecimal": value}
    if re.fullmatch(r"\d{4}(-\d\d){0,2}", value):
        return {"valueDate": value}
    if question in ("COD-ICD", "COD-SPEC"):
        return {"valueCoding": {"system": ICD, "code": value}}
    if question == "COD-CPT":
        return {"valueCoding": {"system": SNOMED, "code": SITES.get(value, value)}}
    return {"valueCoding": {"system": ANSWER, "code": value}}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


KINDS: Mapping[tuple[str, str], Kind] = {
    ("Procedure", "cpt"): _procedure,
    ("MedicationRequest", "rxnorm"): _medication_request,
    ("DeviceRequest", "hcpcs"): _device_request,
    ("DiagnosticReport", "cpt"): _diagnostic_report,
    ("Observation", "exam"): _finding,
    ("Observation", "score"): _score,
    ("Observation", "loinc"): _measured,
    ("Condition", "icd10"): _condition,
    ("Encounter", "cpt"): _encounter,
    ("QuestionnaireResponse", "linkId"): _answer,
    ("CarePlan", "sct"): _care_plan,
    ("Goal", "achievement"): _goal,
}
"""By type and system, whatever the code."""
