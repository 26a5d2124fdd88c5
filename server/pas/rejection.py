"""A request that cannot be decided for a business reason (X12 AAA): no such member, no service named.

It is answered 200 with a ClaimResponse whose outcome is `error`: what is wrong is for the provider's office
to mend, not for the client's programmer. The reject codes (901) and follow-up codes (889) are the table
below, to be checked against the licensed lists.
"""

from __future__ import annotations

from typing import NamedTuple

from server.pas.terms import extension_url
from server.policy.words import NO_MEMBER


class Rejection(NamedTuple):
    """`code` (X12 901), `follow_up` (889), the X12 segment and element, the FHIRPath, and the words for a
    processNote."""

    code: str
    follow_up: str
    element: str
    path: str
    text: str


def member_not_found(coverage_index: int) -> Rejection:
    return Rejection(
        code="75",
        follow_up="C",
        element="2010C-NM109",
        path=f"Claim.insurance[{coverage_index}].coverage",
        text=NO_MEMBER,
    )


def other_beneficiary() -> Rejection:
    return Rejection(
        code="64",
        follow_up="C",
        element="2010D-NM109",
        path="Claim.patient",
        text="The Coverage belongs to another patient than the Claim. Send the patient's own Coverage.",
    )


def of_another_patient(index: int) -> Rejection:
    return Rejection(
        code="64",
        follow_up="C",
        element="2000F-SV1",
        path=_extension(index, "requestedService"),
        text="The order that the item is made from is for another patient than the Claim. Send the order of "
        "this patient.",
    )


def withdrawn(index: int) -> Rejection:
    return Rejection(
        code="33",
        follow_up="C",
        element="2000F-SV1",
        path=_extension(index, "requestedService"),
        text="The order that the item is made from was withdrawn, or says that it is not to be carried out. "
        "Send the order that stands, or cancel the item.",
    )


def no_service(index: int) -> Rejection:
    return Rejection(
        code="AG",
        follow_up="C",
        element="2000F-SV1",
        path=f"Claim.item[{index}].productOrService",
        text="The item names no CPT or HCPCS code, and no order that would. Send the code of the service.",
    )


def several_services(index: int) -> Rejection:
    return Rejection(
        code="33",
        follow_up="C",
        element="2000F-SV1",
        path=_extension(index, "productOrServiceCodeEnd"),
        text="The item asks for a range of codes, and each of them is decided by itself. Send an item for "
        "each code.",
    )


def unknown_claim() -> Rejection:
    return Rejection(
        code="AA",
        follow_up="C",
        element="2000E-REF",
        path="Claim.related.claim",
        text="No request of this member and sender is known under the name of the earlier Claim. "
        "Send it as a new request.",
    )


def unknown_number(index: int) -> Rejection:
    return Rejection(
        code="AA",
        follow_up="C",
        element="2000F-REF",
        path=_extension(index, "authorizationNumber"),
        text="The item is to be extended or renewed, and quotes no authorization number of this member's. "
        "Quote the number of the authorization that is to go on, and send again.",
    )


def not_extended(index: int, against: str) -> Rejection:
    """`against` is the sentence that says what speaks against it."""
    return _stands(
        index,
        f"{against} What was authorized stands as it was. Where more time is needed, ask for a renewal "
        "(certification type R) with the findings as they are now.",
    )


def not_renewed(index: int, against: str) -> Rejection:
    """`against` are the sentences that say what speaks against it."""
    return _stands(
        index,
        f"The renewal is not authorized. {against} What was authorized stands as it was. Asked for by a "
        "request of its own, a renewal is denied so that it can be appealed.",
    )


def _stands(index: int, text: str) -> Rejection:
    """An authorization is not prolonged, and stays as it is."""
    return Rejection(
        code="33",
        follow_up="N",
        element="2000F-UM",
        path=_extension(index, "certificationType"),
        text=text,
    )


def done(index: int | None, number: str) -> Rejection:
    return Rejection(
        code="33",
        follow_up="N",
        element="2000F-UM" if index is not None else "2000E-UM",
        path=f"Claim.item[{index}]" if index is not None else "Claim",
        text=f"The service was done on authorization {number}, which stands as it is: it is neither changed "
        "nor cancelled any more. Ask for a further service with a new request.",
    )


def not_evaluated(index: int) -> Rejection:
    return Rejection(
        code="42",
        follow_up="P",
        element="2000F-UM",
        path=f"Claim.item[{index}]",
        text="The policy could not be evaluated for this change, so it is not made: what was authorized "
        "stands as it was. Send the change again later, or ask for it with a new request.",
    )


def stale() -> Rejection:
    return Rejection(
        code="33",
        follow_up="C",
        element="2000E-REF",
        path="Claim.related.claim",
        text="The earlier Claim was changed already. Inquire for the version that holds and change that.",
    )


def denied_before() -> Rejection:
    return Rejection(
        code="33",
        follow_up="N",
        element="2000E-UM",
        path="Claim.related.claim",
        text="The earlier request was denied, and a denial is not changed. Appeal it (certification type 2, "
        "or 1 where it cannot wait), or send a new request.",
    )


def nothing_to_appeal(index: int | None) -> Rejection:
    return Rejection(
        code="AA",
        follow_up="C",
        element="2000F-UM" if index is not None else "2000E-UM",
        path=_extension(index, "certificationType"),
        text="No denied request of this member and sender is known under the names that this appeal gives. "
        "Name the denied Claim (related.claim, or its own identifier) or our reference number, and keep the "
        "item's sequence; what was never denied is a first request (certification type I).",
    )


def not_denied(index: int | None, standing: str) -> Rejection:
    """`standing` is what holds of the item, or of the items where the whole Claim appeals."""
    return Rejection(
        code="33",
        follow_up="C",
        element="2000F-UM" if index is not None else "2000E-UM",
        path=_extension(index, "certificationType"),
        text=f"What is appealed was not denied: {standing}. Only a denial is appealed. Send a change as an "
        "update, under another certification type.",
    )


def _extension(index: int | None, name: str) -> str:
    """Where an extension of the guide is, on an item or on the Claim."""
    element = f"Claim.item[{index}]" if index is not None else "Claim"
    return f"{element}.extension('{extension_url(name)}')"
