"""What each fact of a case becomes in FHIR R4: one function a kind of fact, and the table of them.

`apply` lets one fact add a resource to the chart or the payer's records, or change an element of the order,
and merges the fact's own `patch` into what it became.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from server.fhir.systems import CPT, HCPCS, ICD, NPI
from server.policy.case_draft import (
    NUCC,
    PAYER,
    SIDES,
    SNOMED,
    TERMINOLOGY,
    Draft,
    Fact,
    Json,
    concept,
    ref,
)

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
FINDING = f"{PAYER}/CodeSystem/mri-exam-finding"
SCORE = f"{PAYER}/CodeSystem/mri-score"
ANSWER = f"{PAYER}/CodeSystem/mri-answer"
DISTANCE = "http://hl7.org/fhir/StructureDefinition/location-distance"
OCCUPATIONAL_THERAPIST = "225X00000X"
OCCUPATIONAL_THERAPY = "84478008"
SIDE_NAMES = {"right": "RT", "left": "LT", "both": "50", "bilateral": "50"}
SITES = {
    "shoulder": "16982005",
    "upper arm": "40983000",
    "elbow": "76248009",
    "elbow joint": "16953009",
    "forearm": "14975008",
    "wrist": "8205005",
    "wrist joint": "74670003",
    "hand": "85562004",
    "hip": "29836001",
    "hip joint": "24136001",
    "thigh": "68367000",
    "knee": "72696002",
    "knee joint": "49076000",
    "lower leg": "30021000",
    "ankle": "70258002",
    "ankle joint": "70258002",
    "foot": "56459004",
    "cervical": "122494005",
    "cervical spine": "122494005",
    "thoracic": "122495006",
    "thoracic spine": "122495006",
    "lumbar": "122496007",
    "lumbar spine": "122496007",
    "brain": "12738006",
}
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
GOLD_CARD_NPI = "1888888884"
AUTHORIZATION_SPAN = dt.timedelta(days=60)
UNITS = {"1988-5": ("mg/L", "mg/L"), "98979-8": ("mL/min/1.73m2", "mL/min/{1.73_m2}")}
A_WHILE_AGO, RECENTLY = 14, 7
"""Days before day zero at which "onset within 30 days" and "recorded within 14 days" are placed."""
SPINE_PARTNER = {"72148": ("72141", "M54.12")}
OTHER_SPINE = ("72148", "M54.16")
PROBLEM = "problem-list-item"


class UnknownFact(ValueError):
    """A fact that the format does not know, or a value it does not allow."""


def apply(fact: Fact, draft: Draft) -> None:
    """Add what the fact becomes to the draft. Raises UnknownFact."""
    kind = KINDS.get((fact.type, fact.system)) or ELEMENTS.get((fact.type, fact.system, fact.code))
    if kind is None:
        raise UnknownFact(f"no {fact.type} of system {fact.system} with code {fact.code} in the format")
    given = msgspec.structs.replace(fact, value=dated(fact.value, draft.day_zero))
    became = kind(given, draft)
    if fact.patch:
        merge(became, dated(fact.patch, draft.day_zero))


def dated(value: Any, day_zero: dt.date) -> Any:
    """The value with each "D-41" in it as the date 41 days before day zero, each "D+7" as the one after."""
    if isinstance(value, str) and (found := re.fullmatch(r"D([-+]\d+)", value)):
        return (day_zero + dt.timedelta(days=int(found[1]))).isoformat()
    if isinstance(value, list):
        return [dated(one, day_zero) for one in value]
    if isinstance(value, dict):
        return {key: dated(one, day_zero) for key, one in value.items()}
    return value


def merge(target: Json, patch: Mapping[str, Any]) -> None:
    """JSON merge patch (RFC 7396), in place: objects merge, null removes, all else replaces."""
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict) and isinstance(target.get(key), dict):
            merge(target[key], value)
        else:
            target[key] = value


# Facts of the chart


def _given(fact: Fact) -> Mapping[str, Any]:
    """The value as an object; empty where there is none."""
    return fact.value if isinstance(fact.value, Mapping) else {}


def _procedure(fact: Fact, draft: Draft) -> Json:
    given = _given(fact)
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
    given = _given(fact)
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
    given = _given(fact)
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
    elif fact.value in results:
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
    return _problem(fact, draft, fact.code, recordedDate=draft.day(fact.date))


def _problem(fact: Fact, draft: Draft, code: str, **elements: Any) -> Json:
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
    given = _given(fact)
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


# Facts of the payer's own records


def _authorization(fact: Fact, draft: Draft) -> Json:
    given = _given(fact)
    side = given.get("side") or next(
        (name for name, code in SIDES.items() if concept(SNOMED, code) in draft.order.get("bodySite", [])),
        None,
    )
    number = f"OLD-{len(draft.records) + 1}"
    start = draft.day_zero - dt.timedelta(days=fact.date or 0)
    end = start + AUTHORIZATION_SPAN
    response: Json = {
        "resourceType": "ClaimResponse",
        "id": f"authorization-{len(draft.records) + 1}",
        "status": "active",
        "type": concept(f"{TERMINOLOGY}/claim-type", "professional"),
        "use": "preauthorization",
        "patient": ref(draft.patient),
        "created": start.isoformat(),
        "insurer": draft.coverage["payor"][0],
        "outcome": "complete",
        "preAuthRef": number,
        "preAuthPeriod": {"start": start.isoformat(), "end": end.isoformat()},
        "addItem": [
            {
                "productOrService": concept(CPT, fact.code),
                **({"modifier": [concept(CPT, side)]} if side else {}),
                "adjudication": [{"category": concept(f"{TERMINOLOGY}/adjudication", "submitted")}],
            }
        ],
    }
    draft.records.append(response)
    return response


def _location(fact: Fact, draft: Draft) -> Json:
    miles = _given(fact).get("nearestFreestandingMiles")
    distance = {"value": miles, "unit": "mi", "system": UCUM, "code": "[mi_i]"}
    location: Json = {
        "resourceType": "Location",
        "id": f"location-{len(draft.records) + 1}",
        "extension": [{"url": DISTANCE, "valueDistance": distance}],
        "status": "active",
        "name": "Nearest freestanding MRI of the network",
        "mode": "instance",
    }
    draft.records.append(location)
    return location


# Facts of the order and its parties


def _coverage_status(fact: Fact, draft: Draft) -> Json:
    if fact.value != "inactive":
        raise UnknownFact(f"coverage status {fact.value!r}: expected inactive")
    draft.coverage["period"]["end"] = draft.day(1)
    return draft.coverage


def _gold_card(fact: Fact, draft: Draft) -> Json:
    if fact.value:
        draft.practitioner["identifier"] = [{"system": NPI, "value": GOLD_CARD_NPI}]
    return draft.practitioner


def _body_site(fact: Fact, draft: Draft) -> Json:
    code = SITES.get(str(fact.value).lower())
    if code is None:
        raise UnknownFact(f"body site {fact.value!r}: expected one of {', '.join(SITES)}")
    draft.order["bodySite"] = [concept(SNOMED, code), *draft.order.get("bodySite", [])]
    return draft.order


def _body_site_side(fact: Fact, draft: Draft) -> Json:
    """The side of the body site; a modifier of another side stays visible on the code."""
    side = SIDE_NAMES.get(str(fact.value).lower(), str(fact.value))
    if side not in SIDES:
        raise UnknownFact(f"side {fact.value!r}: expected RT, LT or 50")
    by_modifier = [concept(SNOMED, code) for code in SIDES.values()]
    sites = draft.order.get("bodySite", [])
    stated = [name for name, code in SIDES.items() if concept(SNOMED, code) in sites]
    coded = draft.order["code"]["coding"]
    coded.extend(concept(CPT, f"{coded[0]['code']}-{name}")["coding"][0] for name in stated if name != side)
    kept = [site for site in sites if site not in by_modifier]
    draft.order["bodySite"] = [*kept, concept(SNOMED, SIDES[side])]
    return draft.order


def _priority(fact: Fact, draft: Draft) -> Json:
    draft.order["priority"] = fact.value
    return draft.order


def _requester(fact: Fact, draft: Draft) -> Json:
    draft.role["code"] = draft.role["specialty"] = [concept(NUCC, str(fact.value))]
    return draft.role


def _injury_date(fact: Fact, draft: Draft) -> Json:
    draft.injured = dt.date.fromisoformat(str(fact.value))
    return _problem(fact, draft, _first_diagnosis(draft), onsetDateTime=fact.value)


def _new_onset(fact: Fact, draft: Draft) -> Json:
    onset = fact.value if isinstance(fact.value, str) else draft.day(A_WHILE_AGO)
    return _problem(fact, draft, "R51.9", onsetDateTime=onset)


def _new_symptoms(fact: Fact, draft: Draft) -> Json:
    recorded = fact.value if isinstance(fact.value, str) else draft.day(RECENTLY)
    problem = _problem(fact, draft, _first_diagnosis(draft), recordedDate=recorded)
    problem["code"]["text"] = "New or worse symptoms"
    return problem


def _ot_linked(fact: Fact, draft: Draft) -> Json:
    therapy = draft.chart(
        "ServiceRequest",
        None,
        fact,
        status="active",
        intent="order",
        category=[concept(SNOMED, OCCUPATIONAL_THERAPY)],
        code=concept(SNOMED, OCCUPATIONAL_THERAPY),
        authoredOn=draft.day(A_WHILE_AGO),
        requester=ref(draft.role),
    )
    if fact.value:
        draft.order["basedOn"] = [ref(therapy)]
    return therapy


def _note(fact: Fact, draft: Draft) -> Json:
    draft.order["note"] = [{"text": fact.value}]
    return draft.order


def _multi(fact: Fact, draft: Draft) -> Json:
    """A second spine line of the same member and day."""
    code, diagnosis = SPINE_PARTNER.get(draft.order["code"]["coding"][0]["code"], OTHER_SPINE)
    second = {
        **draft.order,
        "id": f"order-{len(draft.siblings) + 2}",
        "code": concept(CPT, code),
        "reasonCode": [concept(ICD, diagnosis)],
    }
    draft.siblings.append(second)
    return second


def _first_diagnosis(draft: Draft) -> str:
    reasons = draft.order["reasonCode"]
    if not reasons:
        raise UnknownFact("the order has no diagnosis to which this could belong")
    return str(reasons[0]["coding"][0]["code"])


Kind = Callable[[Fact, Draft], Json]

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
    ("Coverage", "status"): _coverage_status,
    ("ClaimResponse", "cpt"): _authorization,
    ("Location", "network"): _location,
}
"""By type and system, whatever the code."""

ELEMENTS: Mapping[tuple[str, str, str], Kind] = {
    ("Practitioner", "program", "gold-card"): _gold_card,
    ("ServiceRequest", "element", "bodySite"): _body_site,
    ("ServiceRequest", "element", "bodySiteSide"): _body_site_side,
    ("ServiceRequest", "element", "priority"): _priority,
    ("ServiceRequest", "element", "requester"): _requester,
    ("ServiceRequest", "element", "injuryDate"): _injury_date,
    ("ServiceRequest", "element", "newOnset"): _new_onset,
    ("ServiceRequest", "element", "newSymptoms"): _new_symptoms,
    ("ServiceRequest", "element", "otLinked"): _ot_linked,
    ("ServiceRequest", "element", "note"): _note,
    ("ServiceRequest", "element", "multi"): _multi,
}
"""By type, system and code: elements of the order, and its orderer."""
