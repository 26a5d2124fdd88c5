"""What of a patient's record is kept with an assertion: only what its outcome hangs on, since a record is the
EHR's to keep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from server.adjudication.judged import Judged
from server.fhir.references import Resolver, local_reference
from server.policy.determination import Met
from server.policy.reading import apart
from server.policy.request import Chart

BY_RECORD = frozenset({"COD-CON", "SOS-SITE"})
"""Criteria that a record may meet, by an operation or an implant, of which no form asks."""


def decisive(judged: Judged, chart: Chart) -> Iterator[Mapping[str, Any]]:
    """What of the chart stands between the order and its approval, takes out of the way what no answer would,
    or spares it authorization, for whoever judges it later by answers alone. Answers that there are already
    are asked for anew, unless they contradict the chart, which a person has to read."""
    criteria = judged.determination.criteria
    met = (each for each in criteria if each.id in BY_RECORD and each.value is Met.YES)
    named = {each.reference for told in (*judged.determination.in_the_way, *met) for each in told.evidence}
    contradicted = "CNF" in judged.determination.unmet
    if not judged.determination.pa_needed:
        named.update(_setting(judged.order, Resolver.of(chart.resources)))
    if not named:
        return
    for resource in chart.resources:
        is_form = resource["resourceType"] == "QuestionnaireResponse"
        if (contradicted or not is_form) and not named.isdisjoint(map(local_reference, apart(resource))):
            yield resource


def _setting(order: Mapping[str, Any], resolver: Resolver) -> Iterator[str]:
    """At which visit it was written, and by whom."""
    requester = resolver.resolve(order.get("requester")) or {}
    person = resolver.resolve(requester.get("practitioner"))
    for each in (resolver.resolve(order.get("encounter")), requester, person):
        if each:
            yield local_reference(each)
