"""A request Bundle of `Claim/$submit` or `Claim/$inquire`, checked and ready to be read (PAS, request bundle
rules).

    request = read(raw, version.submit_demands)
    request.claim, request.patient, request.coverage, request.resolve(reference)

What breaks the operation's contract is refused here, every fault an Issue with its place: no Bundle, no
Claim in front, an element that the profile demands, a reference of the Claim that leads nowhere. What is
only missing for a decision is not: the rules ask for it. Resources other than the Claim and its Coverage
are read as they come.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from server.adjudication.orders import quantity_faults
from server.fhir import json
from server.fhir.dates import ends_before_it_begins
from server.fhir.elements import elements
from server.fhir.errors import InvalidRequest, Issue, placed
from server.fhir.extensions import extension, value
from server.fhir.modifiers import unknown_modifiers
from server.fhir.parameters import bundle_in
from server.fhir.references import Resolver, references_of
from server.fhir.structure import faults
from server.pas.marks import INFO_CANCELLED, cancelled, cancels_everything
from server.pas.terms import extension_url

Resource = dict[str, Any]

CLAIM_PATH = "Bundle.entry[0].resource"
KNOWN_MODIFIERS = frozenset({INFO_CANCELLED})


@dataclass(frozen=True, slots=True)
class Demands:
    """Elements that a profile demands beyond what FHIR does, each with its meaning: of the Claim, of an item,
    and extensions of an item by their PAS name; and by which elements an item that is not cancelled points to
    entries of its Claim that have to be there."""

    claim: Mapping[str, str]
    item: Mapping[str, str] = field(default_factory=dict)
    item_extensions: Mapping[str, str] = field(default_factory=dict)
    pointers: Mapping[str, str] = field(default_factory=dict)


_PARTIES = {
    "patient": ("Patient",),
    "insurer": ("Organization",),
    "provider": ("Organization", "PractitionerRole", "Practitioner"),
}
_ORDERS = ("ServiceRequest", "MedicationRequest", "DeviceRequest", "NutritionOrder")
_FIXED = {"use": ("preauthorization",), "status": ("active", "cancelled")}
MOST_LINES = 200
"""Lines of one request: each is judged by itself, which takes some hundredths of a second."""

_QUOTED = ("authorizationNumber", "administrationReferenceNumber")
_NUMBERED = ("item", "diagnosis", "supportingInfo", "careTeam", "insurance")


@dataclass(frozen=True, slots=True)
class Submission:
    """A checked request: the bytes as they came, and what the Claim points to, found by whatever name."""

    raw: bytes
    bundle: Resource
    claim: Resource
    resolver: Resolver

    @property
    def claim_url(self) -> str:
        """The fullUrl under which the client knows its Claim."""
        return self.url_of(self.claim)

    @property
    def items(self) -> list[Resource]:
        """Each with the numbers that the Claim quotes as a whole (2.2), where it quotes none of its own."""
        quoted = [found for name in _QUOTED if (found := extension(self.claim, extension_url(name)))]
        return [_quoting(item, quoted) for item in self.claim.get("item") or []]

    @property
    def patient(self) -> Resource:
        return self._found("patient")

    @property
    def insurer(self) -> Resource:
        return self._found("insurer")

    @property
    def provider(self) -> Resource:
        """Organization, PractitionerRole or Practitioner: who asks."""
        return self._found("provider")

    @property
    def insurance(self) -> Resource:
        """The entry of Claim.insurance that counts. The guide has every one focal: of several it is the one
        whose payor is asked, else the first."""
        listed: list[Resource] = self.claim["insurance"]
        focal = [entry for entry in listed if entry.get("focal")] or listed
        asked = (entry for entry in focal if self._is_by_the_insurer(self._covering(entry)))
        return next(asked, next(iter(focal), {}))

    @property
    def coverage(self) -> Resource:
        return self._covering(self.insurance)

    def resolve(
        self, reference: Mapping[str, Any] | str | None, source: Resource | None = None
    ) -> Resource | None:
        """What a reference of the Claim, or of `source`, points to."""
        return self.resolver.resolve(reference, source=self.claim if source is None else source)

    def _covering(self, insurance: Resource) -> Resource:
        return self.resolve(insurance.get("coverage")) or {}

    def _is_by_the_insurer(self, coverage: Resource) -> bool:
        return any(self.resolve(payor, coverage) is self.insurer for payor in elements(coverage, "payor"))

    def _found(self, element: str) -> Resource:
        return self.resolve(self.claim[element]) or {}

    def url_of(self, resource: Resource) -> str:
        """The fullUrl of the Claim, or of one of its parties."""
        entry = self.resolver.entry_of(resource)
        assert entry is not None, "intake refuses a Claim whose patient, insurer or provider is no entry"
        return entry.full_url


def _quoting(item: Resource, quoted: list[Resource]) -> Resource:
    further = [each for each in quoted if extension(item, each["url"]) is None]
    return {**item, "extension": [*item.get("extension", []), *further]} if further else item


def read(raw: bytes, demands: Demands) -> Submission:
    """A request that just came. Raises InvalidJson, InvalidRequest."""
    bundle, place = _bundle(json.decode_object(raw))
    with placed("Bundle", place):
        _refuse(_envelope_faults(bundle))
        return _checked(_laid_out(raw, bundle), demands)


def stored(raw: bytes, *types: str) -> Submission:
    """A request that was checked when it came. With `types` only resources of those can be found in it: who
    goes through a year of requests needs no more."""
    bundle, _ = _bundle(json.decode_kept(raw.removeprefix(json.BOM)))
    if types:
        wanted = [each for each in bundle["entry"] if each["resource"].get("resourceType") in types]
        bundle = {**bundle, "entry": wanted}
    return _laid_out(raw, bundle)


def _laid_out(raw: bytes, bundle: Resource) -> Submission:
    return Submission(raw, bundle, bundle["entry"][0]["resource"], Resolver.of_bundle(bundle))


def _checked(request: Submission, demands: Demands) -> Submission:
    """Each stage presupposes the one before, so the faults of one stage are told together."""
    _refuse(faults(request.claim, CLAIM_PATH))
    _refuse([*_claim_faults(request.claim, demands), *_dangling(request), *_wish_faults(request)])
    _refuse(_party_faults(request))
    return request


def _refuse(found: Iterable[Issue]) -> None:
    issues = list(found)
    if issues:
        raise InvalidRequest(*issues)


def _bundle(body: Resource) -> tuple[Resource, str]:
    """The Bundle, or the one inside a Parameters wrapper that some clients put around it, and its place."""
    bundle, place = bundle_in(body)
    if bundle.get("resourceType") != "Bundle":
        raise InvalidRequest(
            Issue("structure", "Bundle", "The body is not a Bundle. Send the request Bundle itself.")
        )
    return bundle, place


def _envelope_faults(bundle: Resource) -> Iterator[Issue]:
    if bundle.get("type") != "collection":
        yield Issue("value", "Bundle.type", "The Bundle's type must be collection.")
    for name in ("identifier", "timestamp"):
        if not bundle.get(name):
            yield Issue("required", f"Bundle.{name}", f"The Bundle has no {name}. Add it.")
    entries = bundle.get("entry")
    if not isinstance(entries, list) or not entries:
        yield Issue("required", "Bundle.entry", "The Bundle has no entry. Put the Claim first.")
        return
    for index, entry in enumerate(entries):
        yield from _entry_faults(entry, f"Bundle.entry[{index}]")
    first = entries[0].get("resource") if isinstance(entries[0], dict) else None
    if not isinstance(first, dict) or first.get("resourceType") != "Claim":
        yield Issue("structure", "Bundle.entry[0]", "The first entry is not a Claim. Put the Claim first.")
    urls = [_unversioned(entry) for entry in entries]
    times = Counter(urls)
    for index, url in enumerate(urls):
        if url and times[url] > 1:
            yield Issue(
                "duplicate",
                f"Bundle.entry[{index}].fullUrl",
                "Two entries have this fullUrl, or are versions of one resource. Send each resource once.",
            )


def _unversioned(entry: Any) -> str:
    """The fullUrl without a version; "" where there is none."""
    url = entry.get("fullUrl") if isinstance(entry, dict) else None
    return url.partition("/_history/")[0] if isinstance(url, str) else ""


def _entry_faults(entry: Any, path: str) -> Iterator[Issue]:
    if not isinstance(entry, dict):
        yield Issue("structure", path, "An entry must be an object with fullUrl and resource.")
        return
    if not isinstance(entry.get("resource"), dict):
        yield Issue(
            "required", f"{path}.resource", "The entry has no resource. Add it or leave the entry out."
        )
    if not isinstance(entry.get("fullUrl"), str) or not entry["fullUrl"]:
        yield Issue(
            "required", f"{path}.fullUrl", "The entry has no fullUrl. Add the resource's URL or a urn:uuid."
        )
    for name in ("search", "request", "response"):
        if name in entry:
            yield Issue(
                "structure", f"{path}.{name}", f"A collection has no {name} in its entries. Remove it."
            )


def _claim_faults(claim: Resource, demands: Demands) -> Iterator[Issue]:
    # Who cancels everything need not list it.
    spared = {"item"} if cancels_everything(claim) else set()
    wanted = {name: meaning for name, meaning in demands.claim.items() if name not in spared}
    yield from _missing(claim, wanted, CLAIM_PATH)
    for name, allowed in _FIXED.items():
        if claim.get(name) not in allowed:
            yield Issue("value", f"{CLAIM_PATH}.{name}", f"{name} must be {' or '.join(allowed)} here.")
    for name in _NUMBERED:
        yield from _sequence_faults(claim.get(name) or [], f"{CLAIM_PATH}.{name}")
    yield from unknown_modifiers(claim, CLAIM_PATH, KNOWN_MODIFIERS)
    known = {
        name: {entry.get("sequence") for entry in claim.get(name) or []} for name in demands.pointers.values()
    }
    if len(claim.get("item") or []) > MOST_LINES:
        words = f"More than {MOST_LINES} lines are not decided at once. Send them in several requests."
        yield Issue("too-costly", f"{CLAIM_PATH}.item", words)
    for index, item in enumerate(claim.get("item") or []):
        path = f"{CLAIM_PATH}.item[{index}]"
        yield from _missing(item, demands.item, path)
        yield from _missing_extensions(item, demands.item_extensions, path)
        if spared or cancelled(item):
            continue
        for pointer, name in demands.pointers.items():
            for sequence in item.get(pointer) or []:
                if sequence not in known[name]:
                    words = f"No {name} has sequence {sequence}. Point to one that the Claim lists."
                    yield Issue("value", f"{path}.{pointer}", words)


def _missing(element: Resource, demands: Mapping[str, str], path: str) -> Iterator[Issue]:
    for name, meaning in demands.items():
        if not element.get(name):
            yield Issue("required", f"{path}.{name}", f"{name} is missing: {meaning}. Add it.")


def _missing_extensions(element: Resource, demands: Mapping[str, str], path: str) -> Iterator[Issue]:
    for name, meaning in demands.items():
        if extension(element, extension_url(name)) is None:
            place = f"{path}.extension('{extension_url(name)}')"
            yield Issue("required", place, f"The extension {name} is missing: {meaning}. Add it.")


def _sequence_faults(entries: list[Resource], path: str) -> Iterator[Issue]:
    seen: set[Any] = set()
    for index, entry in enumerate(entries):
        sequence = entry.get("sequence")
        place = f"{path}[{index}].sequence"
        if not isinstance(sequence, int) or sequence is True or sequence < 1:
            yield Issue("value", place, "A sequence is a whole number from 1.")
        elif sequence in seen:
            yield Issue("duplicate", place, f"Sequence {sequence} is used twice. Number the entries apart.")
        seen.add(sequence)


def _dangling(request: Submission) -> Iterator[Issue]:
    """References of the Claim that lead to no entry. Of a prior Claim only the name is needed."""
    for path, text in references_of(request.claim, CLAIM_PATH):
        if not path.startswith(f"{CLAIM_PATH}.related") and request.resolve(text) is None:
            yield Issue(
                "not-found", path, "The reference leads to no entry, or to several. Add the resource once."
            )


def _wish_faults(request: Submission) -> Iterator[Issue]:
    """Of a Claim and of each item that asks for something: its days, and of an item the order it was made
    from, and its own quantity, else that of the order."""
    if cancels_everything(request.claim):
        return
    yield from _period_faults(request.claim, "billablePeriod", CLAIM_PATH)
    for index, piece in enumerate(request.claim.get("supportingInfo") or []):
        if not cancelled(piece):
            yield from _period_faults(piece, "timingPeriod", f"{CLAIM_PATH}.supportingInfo[{index}]")
    for index, item in enumerate(request.items):
        if cancelled(item):
            continue
        order = request.resolve(value(extension(item, extension_url("requestedService"))))
        entry = request.resolver.entry_of(order) if order else None
        if order and entry:
            yield from unknown_modifiers(order, entry.path)
        if order and order.get("resourceType") not in _ORDERS:
            place = f"{CLAIM_PATH}.item[{index}].extension('{extension_url('requestedService')}')"
            yield Issue("value", place, f"This must refer to an order: a {' or '.join(_ORDERS)}.")
        yield from _period_faults(item, "servicedPeriod", f"{CLAIM_PATH}.item[{index}]")
        if "quantity" in item:
            yield from quantity_faults(item["quantity"], f"{CLAIM_PATH}.item[{index}].quantity")
        elif order and entry:
            yield from quantity_faults(order.get("quantityQuantity"), f"{entry.path}.quantityQuantity")


def _period_faults(element: Resource, name: str, path: str) -> Iterator[Issue]:
    if ends_before_it_begins(element.get(name)):
        words = "The period ends before it begins. Send the days on which the service may be done."
        yield Issue("value", f"{path}.{name}", words)


def _party_faults(request: Submission) -> Iterator[Issue]:
    """Patient, insurer, provider and Coverage must be there: a name alone does not do. The Coverage is acted
    upon, so it must be FHIR."""
    for name, kinds in _PARTIES.items():
        yield from _kind_faults(request, request.resolve(request.claim[name]), kinds, f"{CLAIM_PATH}.{name}")
    path = f"{CLAIM_PATH}.insurance.coverage"
    yield from _kind_faults(request, request.coverage, ("Coverage",), path)
    entry = request.resolver.entry_of(request.coverage)
    if entry is not None and request.coverage.get("resourceType") == "Coverage":
        yield from faults(request.coverage, entry.path)
        yield from unknown_modifiers(request.coverage, entry.path)


def _kind_faults(
    request: Submission, found: Resource | None, kinds: tuple[str, ...], path: str
) -> Iterator[Issue]:
    """A contained resource is no entry: the answer could not name it."""
    if found is None or found.get("resourceType") not in kinds or request.resolver.entry_of(found) is None:
        yield Issue("value", path, f"This must refer to an entry of type {' or '.join(kinds)}.")
