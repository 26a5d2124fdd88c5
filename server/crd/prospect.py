"""Imaging in prospect: what the plan looks for before an MRI of the complaint that a visit is for.

At a visit nothing is ordered yet, and this is when an examination or a score is easiest to record. The
complaint's policy is asked about the plain MRI of its part, as of today, and whoever sees the patient reads
what is still open. Nothing is granted by it and nothing is put on the encounter.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from server.adjudication.judged import Judged
from server.adjudication.orders import with_diagnoses
from server.crd.cards import Drawn, criteria_app, face, links_of
from server.crd.suggestions import short
from server.crd.version import Element
from server.fhir.references import Resolver
from server.fhir.systems import CPT, ICD, coding_key, concept
from server.policy.catalog import Catalog, Policy

_TOLD = frozenset({"guideline", "safety", "instructions"})
"""The kinds of advice that make sense before there is an order."""


def imaging_for(
    line: Mapping[str, Any], resolver: Resolver, catalog: Catalog, day: dt.date
) -> Element | None:
    """The plain MRI of the part that the visit's complaint is of, as a draft order; None where no policy
    knows the complaint."""
    visit = with_diagnoses(line, resolver)
    for code in _complaints(visit):
        if policy := catalog.policy_of(code, day):
            return _plain_study(visit, code, policy, catalog, day)
    return None


def drawn(judged: Judged, about: str, assertion_id: str, source: Element, base: str) -> Iterator[Drawn]:
    """The guideline, what to mind, and what is open with the page that shows it."""
    said = judged.determination
    for advice in said.advice:
        if advice.kind in _TOLD:
            content = {**face(advice, source), **links_of(advice)}
            yield Drawn(advice.topic, content, (about,), assertion_id)
    wanted = [
        f"- {each.title}: {each.would_satisfy}"
        for each in said.in_the_way
        if each.would_satisfy and not each.id.startswith(("COD-", "SOS-"))
    ]
    if wanted:
        count = f"{len(wanted)} things" if len(wanted) > 1 else "one thing"
        content = {
            "summary": short(f"Before {_named(judged)}, the plan looks for {count}."),
            "detail": "\n".join(["Worth recording at this visit where it applies:", *wanted]),
            "indicator": "info",
            "source": source,
        }
        yield Drawn("clinical-reminder", content, (about,), assertion_id)
        yield criteria_app(said, (about,), assertion_id, source, base, _named(judged))


def _named(judged: Judged) -> str:
    return f"an {judged.determination.title or 'MRI'}"


def _complaints(visit: Mapping[str, Any]) -> Iterator[str]:
    """ICD-10-CM codes that the visit is for, its own words before its problem list's."""
    for reason in visit.get("reasonCode", []):
        for coding in reason.get("coding", []):
            system, code = coding_key(coding)
            if system == ICD and code:
                yield code


def _plain_study(
    line: Mapping[str, Any], code: str, policy: Policy, catalog: Catalog, day: dt.date
) -> Element:
    sides = [side for side, diagnoses in catalog.sides.items() if (ICD, code) in diagnoses]
    modifiers = [f"{policy.services[0]}-{side}" for side in sides[:1] if policy.joint]
    kept = ("subject", "reasonCode", "reasonReference")
    return {
        "resourceType": "ServiceRequest",
        "id": f"{line['id']}-imaging",
        "status": "draft",
        "intent": "proposal",
        "code": concept(CPT, policy.services[0], *modifiers),
        "authoredOn": day.isoformat(),
        "encounter": {"reference": f"Encounter/{line['id']}"},
        **{name: line[name] for name in kept if name in line},
    }
