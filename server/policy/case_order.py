"""Facts of the order, its orderer and its coverage, one function each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from server.fhir.systems import CPT, ICD, NPI, NUCC, SNOMED, concept
from server.policy.case_chart import problem
from server.policy.case_draft import SIDES, SITES, Draft, Fact, Json, Kind, UnknownFact, ref
from server.policy.request import INJURY

OCCUPATIONAL_THERAPY = "84478008"
SIDE_NAMES = {"right": "RT", "left": "LT", "both": "50", "bilateral": "50"}
GOLD_CARD_NPI = "1888888884"
A_WHILE_AGO, RECENTLY = 14, 7
"""Days before day zero at which "onset within 30 days" and "recorded within 14 days" are placed."""
SPINE_PARTNER = {"72148": ("72141", "M54.12")}
OTHER_SPINE = ("72148", "M54.16")


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
    injured = problem(fact, draft, _first_diagnosis(draft), onsetDateTime=fact.value)
    injured["code"]["coding"].append(dict(INJURY))
    return injured


def _new_onset(fact: Fact, draft: Draft) -> Json:
    onset = fact.value if isinstance(fact.value, str) else draft.day(A_WHILE_AGO)
    return problem(fact, draft, "R51.9", onsetDateTime=onset)


def _new_symptoms(fact: Fact, draft: Draft) -> Json:
    recorded = fact.value if isinstance(fact.value, str) else draft.day(RECENTLY)
    worse = problem(fact, draft, _first_diagnosis(draft), recordedDate=recorded)
    worse["code"]["text"] = "New or worse symptoms"
    return worse


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


KINDS: Mapping[tuple[str, str], Kind] = {("Coverage", "status"): _coverage_status}
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
"""By type, system and code."""
