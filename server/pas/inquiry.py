"""What an inquiry asks for, and whether a case answers it (PAS, `$inquire`).

Query by example: every element that the inquiry supplies must match, an element it leaves out matches
anything; of several items, diagnoses or action codes any one will do. A case concerns who sent it, and
whoever names the member and one of the providers in it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Set
from dataclasses import dataclass
from functools import partial
from typing import Any

from server.fhir.dates import first_day, last_day
from server.fhir.elements import elements
from server.fhir.extensions import extension, value, values
from server.fhir.systems import coding_key
from server.pas.case import Case, Item
from server.pas.intake import Submission
from server.pas.lines import diagnoses, patient_event
from server.pas.terms import DATA_ABSENT, REVIEW_ACTION, extension_url
from server.pas.verdict import Certified, Modified, Verdict, action, number_of, span_of, tracking_of

Resource = dict[str, Any]
Days = tuple[dt.date, dt.date]


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A checked inquiry. `asking` are the providers it names, `periods` the days it limits itself to: those
    billable, those of the patient event."""

    read: Submission
    client: str
    asking: frozenset[str]

    @classmethod
    def of(cls, read: Submission, client: str) -> Inquiry:
        return cls(read, client, frozenset(providers(read)))

    @property
    def periods(self) -> list[Days]:
        named = (self.read.claim.get("billablePeriod"), *patient_event(self.read.claim))
        return [days for each in named if (days := _days(each))]

    def concerns(self, involved: Set[str], sender: str) -> bool:
        """The sender may ask, and whoever names a provider of the case: `involved` are all of those."""
        known_sender = bool(self.client) and self.client == sender
        return known_sender or not self.asking.isdisjoint(involved)

    def names(self, case: Case) -> bool:
        """Whether the case has one of the inquiry's own Claim.identifiers."""
        asked = set(identifiers(self.read.claim))
        return bool(asked & set(identifiers(case.read.claim)))

    def matches(self, case: Case) -> bool:
        """Whether some item of the case is what some item of the inquiry asks for."""
        asked = self.read.items or [{}]
        return _diagnosed(self.read, case.read) and any(
            self._item_matches(example, item) for example in asked for item in case.items
        )

    @property
    def quotes_numbers(self) -> bool:
        """Whether it asks by number: of the whole inquiry (2.2.1) or of an item."""
        return any(
            extension(element, extension_url(name)) is not None
            for element in (self.read.claim, *self.read.items)
            for name in ("authorizationNumber", "administrationReferenceNumber")
        )

    def _item_matches(self, example: Resource, item: Item) -> bool:
        return (
            all(_overlap(period, _days_of(item)) for period in self.periods)
            and all(test(self.read.claim, item) for test in _AS_A_WHOLE)
            and all(test(example, item) for test in _TESTS)
        )


def providers(read: Submission) -> set[str]:
    """Every name of the providers in a request: identifiers (`system|value`) and URLs of the requester, the
    care team, whoever ordered, and the people and organizations behind them."""
    found: set[str] = set()
    waiting = list(_provider_references(read))
    seen: set[int] = set()
    while waiting:
        reference, source = waiting.pop()
        found |= set(identifiers({"identifier": [reference.get("identifier")]}))
        resource = read.resolve(reference, source)
        if resource is None or id(resource) in seen or resource.get("resourceType") not in PROVIDERS:
            continue
        seen.add(id(resource))
        entry = read.resolver.entry_of(resource)
        found |= {*identifiers(resource), *([entry.full_url] if entry else [])}
        waiting += [(behind, resource) for name in _BEHIND if isinstance(behind := resource.get(name), dict)]
    return found


PROVIDERS = ("Organization", "Practitioner", "PractitionerRole")
_BEHIND = ("practitioner", "organization", "partOf")


def _provider_references(read: Submission) -> Iterator[tuple[Resource, Resource]]:
    """Each with the resource it stands in. Some name a provider by identifier alone."""
    claim = read.claim
    named = [(claim.get("provider"), claim)]
    named += [(member.get("provider"), claim) for member in claim.get("careTeam") or []]
    for item in read.items:
        service = read.resolve(value(extension(item, extension_url("requestedService")))) or {}
        named += [(each, service) for each in (service.get("requester"), *elements(service, "performer"))]
    yield from ((reference, source) for reference, source in named if isinstance(reference, dict))


def identifiers(resource: Resource) -> Iterator[str]:
    """The business identifiers of a resource, `system|value`."""
    for identifier in elements(resource, "identifier"):
        if identifier.get("value"):
            yield f"{identifier.get('system', '')}|{identifier['value']}"


def _diagnosed(asked: Submission, case: Submission) -> bool:
    """Several diagnoses in an inquiry stand for several inquiries. What names none is not ruled out."""
    wanted, known = (
        {code for concept in diagnoses(read.claim, {}, read.resolve) for code in _codes(concept)}
        for read in (asked, case)
    )
    return not wanted or not known or not wanted.isdisjoint(known)


def _same_service(example: Resource, item: Item) -> bool:
    asked = [code for code in _codes(example.get("productOrService")) if code[0] != DATA_ABSENT]
    authorized = item.verdict.code if isinstance(item.verdict, Modified) else None
    known = _codes(item.requested.get("productOrService"))
    return not asked or any(code in known or code[1] == authorized for code in asked)


def _same_modifiers(example: Resource, item: Item) -> bool:
    asked = {code for concept in example.get("modifier") or [] for code in _codes(concept)}
    return asked <= {code for concept in item.requested.get("modifier") or [] for code in _codes(concept)}


def _same_category(example: Resource, item: Item) -> bool:
    asked, known = _codes(example.get("category")), _codes(item.requested.get("category"))
    return not asked or not known or bool(set(asked) & set(known))


def _same_place(example: Resource, item: Item) -> bool:
    asked, known = (_codes(each.get("locationCodeableConcept")) for each in (example, item.requested))
    authorized = item.verdict.place if isinstance(item.verdict, Modified) else None
    return not asked or not known or any(code in known or code[1] == authorized for code in asked)


def _same_days(example: Resource, item: Item) -> bool:
    asked = _serviced(example)
    return asked is None or _overlap(asked, _days_of(item))


def _same_trace(example: Resource, item: Item) -> bool:
    """The number of an earlier version leads to the one that holds, too."""
    asked, known = _told("itemTraceNumber", example, item)
    return not asked or any(_same_identifier(one, other) for one in asked for other in known)


def _same_identifier(one: Any, other: Any) -> bool:
    if not (isinstance(one, dict) and isinstance(other, dict)):
        return False
    return one.get("value") == other.get("value") and one.get("system") in (None, other.get("system"))


def _same_concept(name: str, example: Resource, item: Item) -> bool:
    """What the request left out rules nothing out. What began as a first request is found as one when it was
    revised, prolonged or cancelled since."""
    asked, known = (
        {code for concept in told for code in _codes(concept)} for told in _told(name, example, item)
    )
    return not asked or not known or not asked.isdisjoint(known)


def _told(name: str, example: Resource, item: Item) -> tuple[list[Any], list[Any]]:
    """What an extension says in the inquiry, and in the item as any version of the request had it."""
    url = extension_url(name)
    known = [found for each in (item.requested, *item.before) for found in values(each, url)]
    return values(example, url), known


def _same_number(name: str, own: Callable[[Verdict], str | None], example: Resource, item: Item) -> bool:
    """Whether what is asked for is a number that the item has or had, or that it said it replaces."""
    asked, quoted = (value(extension(each, extension_url(name))) for each in (example, item.requested))
    return asked is None or asked in (own(item.verdict), quoted, *item.earlier)


def _same_action(example: Resource, item: Item) -> bool:
    asked = [
        code for concept in values(example, extension_url("reviewActionCode")) for code in _codes(concept)
    ]
    return not asked or (REVIEW_ACTION, action(item.verdict)) in asked


def _same_date(name: str, own: Callable[[Verdict], dt.date | None], example: Resource, item: Item) -> bool:
    asked, day = _days(value(extension(example, extension_url(name)))), own(item.verdict)
    return asked is None or (day is not None and asked[0] <= day <= asked[1])


def _issued(reached: Verdict) -> dt.date | None:
    return reached.issued if isinstance(reached, Certified | Modified) else None


def _effective(reached: Verdict) -> dt.date | None:
    return span.start if (span := span_of(reached)) else None


def _expires(reached: Verdict) -> dt.date | None:
    return span.end if (span := span_of(reached)) else None


Test = Callable[[Resource, Item], bool]

_AS_A_WHOLE: tuple[Test, ...] = (
    partial(_same_number, "authorizationNumber", number_of),
    partial(_same_number, "administrationReferenceNumber", tracking_of),
    partial(_same_concept, "certificationType"),
)
"""What an inquiry may ask as a whole, too."""

_TESTS: tuple[Test, ...] = (
    *_AS_A_WHOLE,
    _same_service,
    _same_modifiers,
    _same_category,
    _same_place,
    _same_days,
    _same_trace,
    partial(_same_concept, "serviceItemRequestType"),
    _same_action,
    partial(_same_date, "itemCertificationIssueDate", _issued),
    partial(_same_date, "itemCertificationEffectiveDate", _effective),
    partial(_same_date, "itemCertificationExpirationDate", _expires),
)
"""One test an element that an inquiry may supply; each passes where its element is left out."""


def _codes(concept: Any) -> list[tuple[str, str]]:
    listed = concept.get("coding") if isinstance(concept, dict) else None
    return [coding_key(coding) for coding in listed or [] if coding.get("code")]


def _serviced(item: Resource) -> Days | None:
    return _days(item.get("servicedDate") or item.get("servicedPeriod"))


def _days_of(item: Item) -> Days | None:
    """The days of service asked for; where the request named none, those authorized."""
    span = span_of(item.verdict)
    return _serviced(item.requested) or ((span.start, span.end) if span else None)


def _days(when: Any) -> Days | None:
    """First and last day of a date or a Period; an open end is as far away as can be."""
    if isinstance(when, dict):
        start, end = first_day(when.get("start")), last_day(when.get("end"))
        return (start or dt.date.min, end or dt.date.max) if start or end else None
    start, end = first_day(when), last_day(when)
    return (start, end) if start and end else None


def _overlap(asked: Days, known: Days | None) -> bool:
    """A case that names no day is not ruled out by one."""
    return known is None or (asked[0] <= known[1] and known[0] <= asked[1])
