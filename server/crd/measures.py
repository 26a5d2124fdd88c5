"""CRDMetricData: one record a hook call, from what was kept of it (CRD, "Metrics"; payer's side).

    for record in metric_data(tx, exchanges.between(tx, "crd", start, end), payer): …

The record's logical model gives `docNeeded` and `infoNeeded` once where the extension may repeat: the first
counts. Where neither user nor organization could be seen with an NPI, the client's own name for the user
stands in, since the model asks for some identifier.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from server.crd.version import Element, Version
from server.fhir.dates import instant
from server.fhir.extensions import extension, value, values
from server.fhir.systems import NPI
from server.store import AT_A_TIME, Transaction, cards
from server.store import tables as stored

Outcomes = Mapping[str, str]
"""What was reported last of each card, by its uuid."""

ENGAGEMENT = {"accepted": "accept", "overridden": "override"}
ADAPTIVE = "/mri-adaptive"


def metric_data(
    tx: Transaction, versions: Mapping[str, Version], kept: Iterable[stored.Exchange], payer: Element
) -> Iterator[Element]:
    """The records of these exchanges, oldest first; refused calls too, with their issues."""
    rest = iter(kept)
    while some := list(islice(rest, AT_A_TIME)):
        told = (request for exchange in some for request in exchange.summary.get("requests", []))
        shown = [card["uuid"] for request in told for card in request["cards"]]
        outcomes = cards.outcomes(tx, shown)
        for exchange in some:
            yield _record(outcomes, versions[exchange.version], exchange, payer)


def _record(outcomes: Outcomes, version: Version, exchange: stored.Exchange, payer: Element) -> Element:
    summary = exchange.summary
    requests = [_request(outcomes, told) for told in summary.get("requests", [])]
    record = {
        "source": "payer-src",
        "hookInstance": exchange.instance,
        "hookType": summary.get("hook", exchange.operation),
        "providerId": _identifier(summary.get("provider", ""), exchange.client),
        "groupId": _identifier(summary.get("group", ""), exchange.client),
        "payerId": _payer_id(payer),
        "requestTime": instant(exchange.started),
        "responseTime": instant(exchange.started + dt.timedelta(milliseconds=exchange.milliseconds)),
        "httpResponse": exchange.status,
        "issue": [{"code": code} for code in summary.get("issues", [])],
        "tokenUse": summary.get("token", "not-used"),
        "resources": [
            {"type": kind, "count": count, "prefetch": prefetched}
            for prefetched, counts in (
                (True, summary.get("prefetched", {})),
                (False, summary.get("queried", {})),
            )
            for kind, count in sorted(counts.items())
        ],
        **version.measured(requests),
    }
    return {name: content for name, content in record.items() if content not in ("", [], None)}


def _request(outcomes: Outcomes, told: Element) -> Element:
    """One order: what it was, each card about it, and the coverage information."""
    shown = [_card(outcomes, card, told["type"]) for card in told["cards"]]
    information = {"type": "coverage-info", "focus": [told["type"]]}
    return {
        "type": told["type"],
        "orderDetail": told["detail"],
        "response": [{**information, "coverageInfo": [_coverage_info(told["coverageInformation"])]}, *shown],
    }


def _card(outcomes: Outcomes, card: Element, kind: str) -> Element:
    outcome = outcomes.get(card["uuid"])
    engagement = {"engagement": ENGAGEMENT[outcome]} if outcome else {}
    return {"type": card["topic"], "focus": [kind], **engagement}


def _coverage_info(information: Element) -> Element:
    told: dict[str, Any] = {
        "covered": value(extension(information, "covered")),
        "paNeeded": value(extension(information, "pa-needed")),
        "docNeeded": value(extension(information, "doc-needed")),
        "infoNeeded": value(extension(information, "info-needed")),
        "questionnaire": [
            {"reference": canonical, "adaptive": ADAPTIVE in canonical, "response": False}
            for canonical in values(information, "questionnaire")
        ],
        "assertionId": value(extension(information, "coverage-assertion-id")),
        "satisfiedId": value(extension(information, "satisfied-pa-id")),
    }
    return {name: content for name, content in told.items() if content not in (None, [])}


def _identifier(number: str, client: str) -> Element:
    if number:
        return {"system": NPI, "value": number}
    return {"value": client or "unknown"}


def _payer_id(payer: Element) -> Element:
    listed = payer.get("identifier", [])
    return {"system": listed[0]["system"], "value": listed[0]["value"]} if listed else {}
