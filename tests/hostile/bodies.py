"""Bodies that no well-behaved client sends, drawn from a seed: requests of every door, mistreated.

for blow in blows(random.Random(seed)): blow.path, blow.body, blow.kind
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from server.fhir import json
from tests.crd import builders as hook
from tests.pas import builders as a
from tests.subscriptions.builders import subscription
from tests.validation.mutants import holder_of, walked

Resource = dict[str, Any]

NASTY_TEXTS = (
    "' OR 1=1; DROP TABLE pa_case; --",
    "<script>alert(1)</script>",
    "{{7*7}}${7*7}%s%n",
    "../../../../etc/passwd",
    "urn:uuid:",
    "\u202e\u0000\ufeff",
    "Patient/" + "x" * 5000,
    "http://169.254.169.254/latest/meta-data",
    "",
    "member:M-BERT",
    "#",
)
NASTY_DAYS = (
    "0001-01-01",
    "9999-12-31",
    "2026-02-30",
    "2026-11-25T24:00:00Z",
    "2026-11-25T10:00:00+14:00",
    "-0001-01-01",
    "2026",
    "26-11-25",
    "2016-12-31T23:59:60Z",
)
NASTY_VALUES: tuple[Any, ...] = (
    None,
    True,
    -1,
    10**30,
    0.1,
    [],
    {},
    [[]],
    [None],
    {"reference": {"reference": "x"}},
    "text",
)


@dataclass(frozen=True, slots=True)
class Blow:
    kind: str
    path: str
    body: bytes


Mistreat = Callable[[Resource, random.Random], bytes]


def _place(resource: Resource, dice: random.Random, like: type = object) -> tuple[tuple[str | int, ...], Any]:
    found = [each for each in walked(resource) if isinstance(each[1], like)]
    return dice.choice(found) if found else (("id",), None)


def _put(resource: Resource, path: tuple[str | int, ...], value: Any) -> bytes:
    holder_of(resource, path)[path[-1]] = value
    return json.encode(resource)


def truncated(resource: Resource, dice: random.Random) -> bytes:
    raw = json.encode(resource)
    return raw[: dice.randrange(len(raw))]


def duplicate_member(resource: Resource, dice: random.Random) -> bytes:
    return json.encode(resource).replace(b'"resourceType":', b'"resourceType":"Patient","resourceType":', 1)


def flipped_bytes(resource: Resource, dice: random.Random) -> bytes:
    raw = bytearray(json.encode(resource))
    for _ in range(dice.randrange(1, 6)):
        raw[dice.randrange(len(raw))] = dice.randrange(256)
    return bytes(raw)


def lone_surrogate(resource: Resource, dice: random.Random) -> bytes:
    return json.encode(resource).replace(b'"a', b'"\\ud800a', dice.randrange(1, 4))


def huge_number(resource: Resource, dice: random.Random) -> bytes:
    marked = _put(resource, _place(resource, dice)[0], "NUMBER")
    number = dice.choice([b"1e999999999", b"-1" + b"0" * 400, b"1" * 5000, b"1e-400", b"NaN", b"-0.0"])
    return marked.replace(b'"NUMBER"', number)


def nested(resource: Resource, dice: random.Random) -> bytes:
    depth = dice.choice([50, 99, 101, 1000, 100_000])
    opening, closing = dice.choice([(b'{"a":', b"}"), (b"[", b"]"), (b'{"extension":[', b"]}")])
    marked = _put(resource, _place(resource, dice)[0], "NESTED")
    return marked.replace(b'"NESTED"', opening * depth + b"1" + closing * depth)


def wrong_value(resource: Resource, dice: random.Random) -> bytes:
    return _put(resource, _place(resource, dice)[0], copy.deepcopy(dice.choice(NASTY_VALUES)))


def removed(resource: Resource, dice: random.Random) -> bytes:
    for _ in range(dice.randrange(1, 5)):
        path, _ = _place(resource, dice)
        holder = holder_of(resource, path)
        if holder and (isinstance(holder, list) or path[-1] in holder):
            del holder[path[-1]]
    return json.encode(resource)


def nasty_text(resource: Resource, dice: random.Random) -> bytes:
    return _put(resource, _place(resource, dice, str)[0], dice.choice(NASTY_TEXTS))


def nasty_day(resource: Resource, dice: random.Random) -> bytes:
    days = [path for path, value in walked(resource) if isinstance(value, str) and value[:2] == "20"]
    return _put(resource, dice.choice(days) if days else ("created",), dice.choice(NASTY_DAYS))


def circle(resource: Resource, dice: random.Random) -> bytes:
    """Every reference leads to the same place: to itself, to what holds it, or round in a ring."""
    names = [value for path, value in walked(resource) if path[-1] == "reference" and isinstance(value, str)]
    target = dice.choice([*names, "#", "Claim/1"])
    for path, value in list(walked(resource)):
        if path[-1] == "reference" and isinstance(value, str):
            holder_of(resource, path)["reference"] = target
    return json.encode(resource)


def swollen(resource: Resource, dice: random.Random) -> bytes:
    """A list with very many elements."""
    path, value = _place(resource, dice, list)
    if isinstance(value, list) and value:
        count = dice.choice([200, 1000, 10_001])
        holder_of(resource, path)[path[-1]] = (
            value[:1] * count if len(json.encode(value[0])) < 3000 else value
        )
    return json.encode(resource)


def shuffled(resource: Resource, dice: random.Random) -> bytes:
    """Two parts change places."""
    one, first = _place(resource, dice)
    resource = json.decode_object(_put(resource, one, copy.deepcopy(_place(resource, dice)[1])))
    del first
    return json.encode(resource)


def foreign(resource: Resource, dice: random.Random) -> bytes:
    """Names of another client's patient, case and organization."""
    text = json.encode(resource)
    for own, other in ((b"M-ANNA", b"M-BERT"), (b"1992999999", b"1457362880"), (b"/anna", b"/bert")):
        if dice.random() < 0.7:
            text = text.replace(own, other)
    return text


KINDS: Mapping[str, Mistreat] = {
    "truncated": truncated,
    "duplicate member": duplicate_member,
    "flipped bytes": flipped_bytes,
    "lone surrogate": lone_surrogate,
    "huge number": huge_number,
    "deep nesting": nested,
    "wrong value": wrong_value,
    "removed": removed,
    "nasty text": nasty_text,
    "nasty day": nasty_day,
    "circle of references": circle,
    "very many entries": swollen,
    "parts exchanged": shuffled,
    "another client's names": foreign,
}


def complaint() -> Resource:
    """What an EHR reports of a form that does not work."""
    issue = {"severity": "error", "code": "invalid", "details": {"text": "It does not open."}}
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "questionnaire", "valueCanonical": "https://payer.example/Questionnaire/mri-knee|1.0.0"},
            {"name": "outcome", "resource": {"resourceType": "OperationOutcome", "issue": [issue]}},
        ],
    }


def attachment() -> Resource:
    """A report for a case."""
    text = {"attachment": {"contentType": "text/plain", "data": "bm90aGluZw=="}}
    report = {"resourceType": "DocumentReference", "status": "current", "content": [text]}
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "TrackingId", "valueIdentifier": {"system": "https://payer.example/case", "value": "1"}},
            {"name": "AttachTo", "valueCode": "claim"},
            {"name": "OrganizationId", "valueIdentifier": {"system": a.NPI, "value": "1992999999"}},
            {"name": "MemberId", "valueIdentifier": {"value": "M-ANNA"}},
            {"name": "Attachment", "part": [{"name": "Content", "resource": report}]},
        ],
    }


def requests() -> dict[str, Resource]:
    """A well-behaved body for each path; what is asked for has nothing that would approve it."""
    order = hook.shoulder()
    package = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "coverage", "resource": hook.coverage()},
            {"name": "order", "resource": order},
        ],
    }
    bodies: dict[str, Resource] = {}
    for version in ("2.0", "2.2"):
        base = f"/r{version}"
        bodies |= {
            f"{base}/cds-services/order-sign": hook.sign(order, sent=hook.prefetch()),
            f"{base}/cds-services/order-select": hook.select(order, chosen=[order], sent=hook.prefetch()),
            f"{base}/cds-services/order-dispatch": hook.dispatch(order, hook.prefetch(), version),
            f"{base}/cds-services/appointment-book": hook.book(
                hook.appointment("73221", order), sent=hook.prefetch()
            ),
            f"{base}/cds-services/encounter-start": hook.encounter_call("encounter-start", hook.visit(0)),
            f"{base}/fhir/Subscription": subscription(version, "https://ehr.example/notify"),
            f"{base}/fhir/Bundle/$validate": a.request(),
            f"{base}/fhir/Questionnaire/$log-questionnaire-errors": complaint(),
            f"{base}/fhir/$submit-attachment": attachment(),
            f"{base}/fhir/Claim/$submit": a.request(),
            f"{base}/fhir/Claim/$inquire": a.inquiry(),
            f"{base}/fhir/Questionnaire/$questionnaire-package": package,
            f"{base}/fhir/Questionnaire/$next-question": {
                "resourceType": "QuestionnaireResponse",
                "status": "in-progress",
                "questionnaire": "#form",
                "contained": [{"resourceType": "Questionnaire", "id": "form", "status": "active"}],
            },
        }
    return bodies


def blows(dice: random.Random) -> Iterator[Blow]:
    """Without end; each kind and each path in turn."""
    bodies = requests()
    while True:
        for kind, mistreat in KINDS.items():
            path = dice.choice(list(bodies))
            yield Blow(kind, path, mistreat(copy.deepcopy(bodies[path]), dice))
