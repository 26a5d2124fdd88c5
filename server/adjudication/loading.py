"""The payer's own records, from a file: members, claims of old, authorizations of old, network locations
with their distance, gold cards.

    loaded = load(tx, read(path.read_bytes()), now)     -> {"Coverage": 2, "Patient": 2, ...}

A file is a FHIR Bundle, or ndjson with a resource a line. It is loaded whole or not at all, and may be
loaded again: a resource replaces the one of its type and id. Whom a record is about is found as it is for a
client's request (`members.member_key`): by the Coverage that its own `insurance` names, else by the one
whose beneficiary is its patient, in the file or loaded earlier; of several by the one in force. Where a
number is corrected, what was loaded under the wrong one goes with it. A `Location` and a `Group` are about
nobody in particular, nor is whom other records name. What is to count no more is loaded again with a status
that says so.

    Patient, Coverage        a member (what MEMBERSHIP=registry asks for)
    Claim, ExplanationOfBenefit   bills: proof that a service was done; spends the authorization it quotes
    ClaimResponse            a ruling of old: an authorization, ours or a previous payer's (`insurer`), or a
                             denial; earns gold cards for who asked (see `server.policy.rulings`)
    Location                 a network site, miles away by the `location-distance` extension
    Group                    gold cards: practitioners (`member.entity.identifier`, NPI, `member.period`)
    Organization, Practitioner    the identifiers of payers and clinicians that the other records name
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Any

from server.adjudication.members import member_key
from server.adjudication.table import active
from server.fhir import json
from server.fhir.elements import placed_elements
from server.fhir.errors import InvalidJson, InvalidRequest, Issue
from server.fhir.extensions import extension, value
from server.fhir.malformed import nulls
from server.fhir.modifiers import unknown_modifiers
from server.fhir.references import Entry, Resolver, reference_text, reference_texts, type_and_id
from server.fhir.structure import faults
from server.policy.exemptions import listed, npi_of
from server.policy.reading import CLOSED, DISTANCE, miles_away
from server.policy.rulings import orderer_of
from server.store import Store, Transaction, records

Resource = dict[str, Any]

OF_ALL = ("Location", "Group")
MILES = "[mi_i]"
NAMED = ("Organization", "Practitioner")
_LEADING = {"Patient", "Coverage", "Claim", *NAMED}
_ABOUT = ("beneficiary", "patient", "subject")


def read(raw: bytes) -> list[Entry]:
    """The resources of a file, each with its place. Raises InvalidJson, and InvalidRequest naming every
    resource that is no FHIR, has no id, or is not the first of its id and another than that."""
    entries = list(_entries(raw))
    if found := [issue for entry in entries for issue in _faults(entry)] or list(_doubles(entries)):
        raise InvalidRequest(*found)
    return entries


def load(tx: Transaction, entries: list[Entry], now: dt.datetime) -> dict[str, int]:
    """Stores every resource under its member; gives how many of each type. Raises InvalidRequest naming
    each resource whose member cannot be told, and then nothing may be committed."""
    records.alone(tx)
    holders, of_nobody = _Holders(tx, entries, now.date()), (*OF_ALL, *NAMED)
    keys = {id(entry): holders.key(entry.resource) for entry in entries if _type(entry) not in of_nobody}
    strangers = [entry for entry in entries if id(entry) in keys and keys[id(entry)] is None]
    if strangers:
        raise InvalidRequest(*map(_unowned, strangers))
    corrected = set(holders.provisional)
    for entry in entries:
        key = keys.get(id(entry))
        former = keep(tx, entry.resource, key, holders.resolver, now)
        if former and former != key:
            corrected.add(former)
    holders.learn(tx, [record for wrong in corrected for record in records.of_member(tx, wrong)])
    for wrong in corrected:
        records.move(tx, wrong, holders.key)
    return dict(sorted(Counter(map(_type, entries)).items()))


def keep(
    tx: Transaction, record: Resource, key: str | None, resolver: Resolver, now: dt.datetime
) -> str | None:
    """Stores one resource under a member, or under none, by whatever else it is found again; gives the member
    that the one had which it replaces. `resolver` finds whom it names."""
    kind = record["resourceType"]
    return records.put(
        tx,
        record,
        key,
        now,
        orderer=orderer_of(record, resolver) if kind == "ClaimResponse" else "",
        miles=_miles(record) if kind == "Location" else None,
        beneficiary=_beneficiary(record) if kind == "Coverage" else None,
        cards=[(npi_of(each), each) for each in listed(record)] if kind == "Group" else [],
    )


def _miles(site: Resource) -> float | None:
    miles = miles_away(site)
    return float(miles) if miles is not None and site.get("status") not in CLOSED else None


def _beneficiary(coverage: Resource) -> str | None:
    """The id of the Patient, or what a Bundle calls it (`urn:uuid:…`)."""
    text = reference_text(coverage.get("beneficiary"))
    named = type_and_id(text)
    return (named[1] if named and named[0] == "Patient" else text) or None


def load_file(store: Store, file: Path, now: dt.datetime) -> dict[str, int]:
    """`load` of a file in a transaction of its own."""
    entries = read(file.read_bytes())
    with store.transaction() as tx:
        return load(tx, entries, now)


class _Holders:
    """Patients, their Coverages, and what rulings name, those of the file before those loaded earlier: of
    these whom the file leads to."""

    def __init__(self, tx: Transaction, entries: list[Entry], day: dt.date) -> None:
        self.resolver = Resolver()
        self._day = day
        self._names = {(_type(entry), entry.resource["id"]) for entry in entries}
        self._known: set[int] = set()
        for entry in entries:
            self.resolver.add(entry)
        self.provisional: set[str] = set()
        """Keys by which Coverages were known before the Patients of the file were."""
        called = {entry.full_url for entry in entries if _type(entry) == "Patient" and entry.full_url}
        self.learn(tx, [entry.resource for entry in entries], called)

    def learn(self, tx: Transaction, ahead: Sequence[Resource], called: Set[str] = frozenset()) -> None:
        """Adds what was loaded earlier and these lead to, and so on; `called` are Patients by fullUrl."""
        found: dict[int, Resource] = {}
        while ahead:
            named = {name for each in ahead for name in _led_to(each)}
            patients = {identifier for kind, identifier in named if kind == "Patient"}
            near = {**records.by_name(tx, named), **records.covering(tx, patients | called)}
            called = frozenset()
            fresh = {place: each for place, each in near.items() if place not in self._known}
            self._known.update(fresh)
            found.update(fresh)
            ahead = list(fresh.values())
        for _, known in sorted(found.items(), key=itemgetter(0)):
            if (known["resourceType"], known["id"]) not in self._names:
                self.resolver.add(Entry(known))
        self._covering: dict[str, Resource] = {}
        for coverage in self.resolver.of_type("Coverage"):
            if (patient := self._patient(coverage)) is not None:
                told = self._covering.setdefault(patient["id"], coverage)
                if active(coverage, self._day) and not active(told, self._day):
                    self._covering[patient["id"]] = coverage
                known_as = member_key(coverage)
                if ("Patient", patient["id"]) in self._names and known_as != self._key_of(coverage):
                    self.provisional.add(known_as)

    def key(self, resource: Resource) -> str | None:
        """The member key of whom a resource is about; None where nothing tells."""
        if resource["resourceType"] == "Coverage":
            return self._key_of(resource)
        for insurance in resource.get("insurance") or []:
            coverage = self.resolver.resolve(insurance.get("coverage"), resource)
            if coverage is not None and coverage["resourceType"] == "Coverage":
                return self._key_of(coverage)
        patient = resource if resource["resourceType"] == "Patient" else self._patient(resource)
        if patient is None:
            return None
        covering = self._covering.get(patient["id"])
        return self._key_of(covering) if covering is not None else _of_number(patient)

    def _key_of(self, coverage: Resource) -> str:
        return member_key(coverage, self._patient(coverage))

    def _patient(self, resource: Resource) -> Resource | None:
        named = next((resource[name] for name in _ABOUT if name in resource), None)
        return self.resolver.resolve(named, resource)


def _led_to(resource: Resource) -> Iterator[tuple[str, str]]:
    """Who and what a record names that tells whose it is, or who asked; a Patient leads to its Coverages."""
    if resource["resourceType"] == "Patient":
        yield "Patient", resource["id"]
    for text in reference_texts(resource):
        named = type_and_id(text)
        if named is not None and named[0] in _LEADING:
            yield named


def _of_number(patient: Resource) -> str | None:
    """A patient without a Coverage is known by a member number, where one is given."""
    key = member_key({}, patient)
    return key if key.startswith("member:") else None


def _entries(raw: bytes) -> Iterator[Entry]:
    """Where the first line is an object by itself, the file has a resource a line."""
    lines = raw.removeprefix(json.BOM).strip().splitlines()
    try:
        json.decode_object(lines[0] if lines else b"")
    except InvalidJson:
        yield from _within(json.decode_object(raw), "")
        return
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                yield from _within(json.decode_object(line), f"line {number}: ")
            except InvalidJson as error:
                raise InvalidJson(
                    *(replace(issue, expression=f"line {number}") for issue in error.issues)
                ) from None


def _within(resource: Resource, place: str) -> list[Entry]:
    if resource.get("resourceType") == "Bundle":
        resolver = Resolver.of_bundle(resource, f"{place}Bundle")
        listed = resource.get("entry", [])
        if not isinstance(listed, list) or len(resolver.entries) < len(listed):
            raise InvalidRequest(Issue("required", f"{place}Bundle.entry", _NOTHING_TO_LOAD))
        return resolver.entries
    return [Entry(resource, path=f"{place}{resource.get('resourceType', 'Resource')}")]


_NOTHING_TO_LOAD = (
    "An entry holds no resource. Nothing is deleted here: load a record again with a status that says that "
    "it counts no more."
)


def _faults(entry: Entry) -> Iterator[Issue]:
    broken = [*nulls(entry.resource, entry.path), *faults(entry.resource, entry.path)]
    yield from broken
    if not entry.resource.get("id"):
        yield Issue("required", f"{entry.path}.id", "A record needs an id, so that it can be loaded again.")
    if not broken:
        yield from _silent(entry)


def _silent(entry: Entry) -> Iterator[Issue]:
    """What is FHIR and would count as nothing, or as something else."""
    yield from unknown_modifiers(entry.resource, entry.path)
    of = entry.resource.get("type")
    if _type(entry) == "Group" and of is None:
        yield Issue("required", f"{entry.path}.type", "A list of gold cards is of type practitioner.")
    if _type(entry) == "Group" and of == "practitioner":
        for place, member in placed_elements(entry.resource, "member", entry.path):
            if not npi_of(member):
                place = f"{place}.entity.identifier"
                yield Issue("required", place, "A gold card names its holder by NPI. Send it as identifier.")
    if _type(entry) == "Location" and (stated := extension(entry.resource, DISTANCE)) is not None:
        distance = value(stated)
        if not isinstance(distance, dict) or distance.get("code") != MILES or distance.get("value") is None:
            yield Issue("value", f"{entry.path}.extension('{DISTANCE}')", f"Distances are in miles, {MILES}.")


def _doubles(entries: list[Entry]) -> Iterator[Issue]:
    first: dict[tuple[str, str], Resource] = {}
    for entry in entries:
        name = _type(entry), entry.resource["id"]
        if first.setdefault(name, entry.resource) != entry.resource:
            words = f"The file has another {'/'.join(name)} before this one. Keep the one that holds."
            yield Issue("duplicate", entry.path, words)


def _unowned(entry: Entry) -> Issue:
    return Issue(
        "required",
        entry.path,
        "Whose record this is cannot be told. Load the Coverage of its patient with it, or before it.",
    )


def _type(entry: Entry) -> str:
    return str(entry.resource["resourceType"])
