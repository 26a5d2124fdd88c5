"""Searching ClaimResponses: by id, by a name of the case, by the member, by the Claim that is answered.

At least one of these must be given, and no more than `MOST`; nobody lists everything. What is found is the
case as it stands now, and only what concerns the caller (`casebook.by_resource_id`): the rest is passed over
as if it were not there.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from server.fhir.elements import elements
from server.fhir.errors import InvalidRequest, Issue
from server.fhir.parameters import Asked
from server.fhir.search import Page, is_one_of, searchset
from server.pas import casebook
from server.pas.case import CASE_SYSTEM
from server.pas.intake import stored
from server.pas.response import pas_response_bundle
from server.pas.version import Version
from server.store import Store, Transaction, cases

Resource = dict[str, Any]

KEYS = {"_id": "token", "identifier": "token", "patient.identifier": "token", "request": "reference"}
"""Parameters that lead to cases."""

SAME = {"patient:Patient.identifier": "patient.identifier"}
"""A chain may name the type that it leads to."""

FILTERS = {
    "outcome": "http://hl7.org/fhir/remittance-outcome",
    "status": "http://hl7.org/fhir/fm-status",
    "use": "http://hl7.org/fhir/claim-use",
}
"""Parameters that only narrow, each with the system of its codes."""

MOST = 200
"""Alternatives of one search: each is looked for by itself."""

SEARCHED = {*KEYS, *SAME, *FILTERS}


def search_parameters() -> list[Resource]:
    """CapabilityStatement.rest.resource.searchParam."""
    filters = dict.fromkeys(FILTERS, "token")
    return [{"name": name, "type": kind} for name, kind in {**KEYS, **filters}.items()]


@dataclass(frozen=True, slots=True)
class Search:
    """The use case at one FHIR base."""

    version: Version
    base: str
    store: Store

    def answer(self, asked: Asked, page: Page, now: dt.datetime) -> Resource:
        """Bundle of type searchset; of what is `SEARCHED` alternatives after commas, every parameter must
        match. Raises InvalidRequest where no parameter says which cases, or they say too many."""
        asked = [(SAME.get(name, name), text) for name, text in asked]
        keys = [(name, text) for name, text in asked if name in KEYS]
        filters = [(name, text) for name, text in asked if name in FILTERS]
        if not keys:
            raise InvalidRequest(
                Issue("required", "ClaimResponse", f"Say which: search by one of {', '.join(KEYS)}.")
            )
        if sum(text.count(",") + 1 for _, text in keys) > MOST:
            words = f"More than {MOST} alternatives are not looked for at once. Search in several requests."
            raise InvalidRequest(Issue("too-costly", "ClaimResponse", words))
        with self.store.reading() as tx:
            # However often a search names a member, his requests are fetched and read once.
            of_member = cache(partial(_of_member, tx))
            found = set.intersection(*(set(_case_ids(tx, of_member, *key)) for key in set(keys)))
            told = [response for case_id in sorted(found) for response in self._response(tx, case_id, now)]
        matching = [
            response
            for response in told
            if all(is_one_of(response[name], text, FILTERS[name]) for name, text in filters)
        ]
        return searchset(self.base, "ClaimResponse", [*keys, *filters], matching, page)

    def _response(self, tx: Transaction, case_id: str, now: dt.datetime) -> Iterator[Resource]:
        case = casebook.by_resource_id(tx, case_id)
        if case is not None and case.id == case_id:
            yield pas_response_bundle(self.version, case, self.base, now)["entry"][0]["resource"]


Members = Callable[[str], Sequence[tuple[str, list[Resource]]]]


def _of_member(tx: Transaction, number: str) -> list[tuple[str, list[Resource]]]:
    """The cases of a member, each with the patient's identifiers."""
    rows = cases.of_member(tx, f"member:{number}")
    return [(row.id, elements(stored(row.request).patient, "identifier")) for row in rows]


def _case_ids(tx: Transaction, of_member: Members, name: str, text: str) -> Iterator[str]:
    for each in text.split(","):
        system, bar, value = each.rpartition("|")
        match name:
            case "_id":
                yield each
            case "identifier" if system == CASE_SYSTEM:
                yield value
            case "identifier":
                yield from cases.called(tx, system if bar else None, value)
            case "request":
                yield from cases.called(tx, "", each)
            case "patient.identifier":
                found = of_member(value)
                yield from (case for case, listed in found if not bar or _may_be(listed, system, value))


def _may_be(identifiers: Sequence[Resource], system: str, value: str) -> bool:
    """Whether the patient's own identifiers say nothing against the number being of that system."""
    systems = {each.get("system", "") for each in identifiers if each.get("value") == value}
    return not systems or system in systems
