"""What subscribers are told of a case: whom it concerns, and what an event is about."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

from server.fhir.extensions import extension, value
from server.pas import casebook
from server.pas.inquiry import identifiers
from server.pas.intake import Submission
from server.pas.response import pas_response_bundle
from server.pas.terms import extension_url
from server.pas.versions import VERSIONS
from server.services import Services
from server.store import Transaction
from server.store import tables as stored
from server.subscriptions.notification import Focus
from server.subscriptions.topic import result_available

SENDERS = ("interchangeSenderID", "applicationSenderCode")


def tell(services: Services, tx: Transaction, row: stored.PaCase, read: Submission, now: dt.datetime) -> None:
    """The subscribers of the case's sender are owed an event; in the transaction of the result."""
    registered = services.admission.registry.organizations(row.client)
    result_available(tx, services.work, row.client, organizations(read, registered), row.id, now)


def organizations(read: Submission, registered: Sequence[str]) -> set[str]:
    """The names by which a filter may call who asked: the requester's identifiers and those of its
    organization, bare and with their system, and the sender of the transmission (2.2.1). Where a client sends
    for somebody else and the request does not name it, as a clearinghouse does, those that it is `registered`
    for too."""
    named, own = _named(read), {*registered, *(name.rpartition("|")[2] for name in registered)}
    return named | own if named.isdisjoint(own) else named


def _named(read: Submission) -> set[str]:
    provider = read.provider
    organization = provider.get("organization") or {}
    behind = read.resolve(organization, provider) or {"identifier": [organization.get("identifier")]}
    named = {name for party in (provider, behind) for name in identifiers(party)}
    transmission = extension(read.claim, extension_url("TransmissionIdentifiers"))
    senders = {value(extension(transmission, name)) for name in SENDERS}
    return {
        *named,
        *(name.rpartition("|")[2] for name in named),
        *(sender for sender in senders if isinstance(sender, str)),
    }


def focus_of(services: Services) -> Callable[[str, Any], Focus]:
    """What an event is about, by case and version: the ClaimResponse, and the whole response Bundle, both as
    they hold when it leaves: what was authorized and has been cancelled since is not told as good."""

    def focus(case_id: str, version: Any) -> Focus:
        base = services.fhir_base(version)
        with services.store.reading() as tx:
            case = casebook.as_it_holds(tx, tx.get_one(stored.PaCase, case_id))
        bundle = pas_response_bundle(VERSIONS[version], case, base, services.clock())
        return Focus(bundle["entry"][0]["fullUrl"], f"{base}/Bundle/{bundle['id']}", bundle)

    return focus
