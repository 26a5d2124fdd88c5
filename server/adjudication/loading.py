"""The payer's own records, from a file: members, claims of old, authorizations of old, network locations
with their distance, gold cards.

    loaded = load(tx, read(path.read_bytes()), now)     -> {"Coverage": 2, "Patient": 2, ...}

A file is a FHIR Bundle, or ndjson with a resource a line. It is loaded whole or not at all, and may be
loaded again: a resource replaces the one of its type and id. Whom a record is about is found as it is for a
client's request (`members.member_key`): by the Coverage that its own `insurance` names, else by the one
whose beneficiary is its patient, in the file or loaded earlier. A `Location` and a `Group` are about nobody
in particular.

    Patient, Coverage        a member (what MEMBERSHIP=registry asks for)
    Claim, ExplanationOfBenefit   bills: proof that a service was done; spends the authorization it quotes
    ClaimResponse            a ruling of old: an authorization, ours or a previous payer's (`insurer`), or a
                             denial; earns gold cards for who asked (see `server.policy.rulings`)
    Location                 a network site, miles away by the `location-distance` extension
    Group                    gold cards: practitioners (`member.entity.identifier`, NPI, `member.period`)
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from server.adjudication.members import member_key
from server.fhir import json
from server.fhir.errors import InvalidJson, InvalidRequest, Issue
from server.fhir.references import Entry, Resolver
from server.fhir.structure import faults
from server.policy.rulings import orderer_of
from server.store import Store, Transaction, records

Resource = dict[str, Any]

OF_ALL = ("Location", "Group")
_ABOUT = ("beneficiary", "patient", "subject")


def read(raw: bytes) -> list[Entry]:
    """The resources of a file, each with its place. Raises InvalidJson, and InvalidRequest naming every
    resource that is no FHIR or has no id."""
    entries = list(_entries(raw))
    if found := [issue for entry in entries for issue in _faults(entry)]:
        raise InvalidRequest(*found)
    return entries


def load(tx: Transaction, entries: list[Entry], now: dt.datetime) -> dict[str, int]:
    """Stores every resource under its member; gives how many of each type. Raises InvalidRequest naming
    each resource whose member cannot be told, and then nothing may be committed."""
    holders = _Holders(tx, entries)
    keys = {id(entry): holders.key(entry) for entry in entries if _type(entry) not in OF_ALL}
    strangers = [entry for entry in entries if id(entry) in keys and keys[id(entry)] is None]
    if strangers:
        raise InvalidRequest(*map(_unowned, strangers))
    for entry in entries:
        asked_by = orderer_of(entry.resource, holders.resolver) if _type(entry) == "ClaimResponse" else ""
        records.put(tx, entry.resource, keys.get(id(entry)), now, orderer=asked_by)
    return dict(sorted(Counter(map(_type, entries)).items()))


def load_file(store: Store, file: Path, now: dt.datetime) -> dict[str, int]:
    """`load` of a file in a transaction of its own."""
    entries = read(file.read_bytes())
    with store.transaction() as tx:
        return load(tx, entries, now)


class _Holders:
    """Coverages by the patient they cover, those of the file before those loaded earlier."""

    def __init__(self, tx: Transaction, entries: list[Entry]) -> None:
        self.resolver = Resolver()
        names = {(_type(entry), entry.resource["id"]) for entry in entries}
        for entry in entries:
            self.resolver.add(entry)
        for kind in ("Patient", "Coverage"):
            for known in records.of_kind(tx, kind):
                if (kind, known["id"]) not in names:
                    self.resolver.add(Entry(known))

    def key(self, entry: Entry) -> str | None:
        """The member key of whom a resource is about; None where nothing tells."""
        resource = entry.resource
        if _type(entry) == "Coverage":
            return self._key_of(resource)
        for insurance in resource.get("insurance") or []:
            coverage = self.resolver.resolve(insurance.get("coverage"), resource)
            if coverage is not None and coverage["resourceType"] == "Coverage":
                return self._key_of(coverage)
        patient = resource if _type(entry) == "Patient" else self._patient(resource)
        if patient is None:
            return None
        coverages = self.resolver.of_type("Coverage")
        keys = (self._key_of(each) for each in coverages if self._patient(each) is patient)
        return next(keys, None) or _of_number(patient)

    def _key_of(self, coverage: Resource) -> str:
        return member_key(coverage, self._patient(coverage))

    def _patient(self, resource: Resource) -> Resource | None:
        named = next((resource[name] for name in _ABOUT if name in resource), None)
        return self.resolver.resolve(named, resource)


def _of_number(patient: Resource) -> str | None:
    """A patient without a Coverage is known by a member number, where one is given."""
    key = member_key({}, patient)
    return key if key.startswith("member:") else None


def _entries(raw: bytes) -> Iterator[Entry]:
    """Where the first line is an object by itself, the file has a resource a line."""
    lines = raw.removeprefix(b"\xef\xbb\xbf").strip().splitlines()
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
        resolver = Resolver()
        resolver.add_bundle(resource, f"{place}Bundle")
        return resolver.entries
    return [Entry(resource, path=f"{place}{resource.get('resourceType')}")]


def _faults(entry: Entry) -> Iterator[Issue]:
    yield from faults(entry.resource, entry.path)
    if not entry.resource.get("id"):
        yield Issue("required", f"{entry.path}.id", "A record needs an id, so that it can be loaded again.")


def _unowned(entry: Entry) -> Issue:
    return Issue(
        "required",
        entry.path,
        "Whose record this is cannot be told. Load the Coverage of its patient with it, or before it.",
    )


def _type(entry: Entry) -> str:
    return str(entry.resource["resourceType"])
