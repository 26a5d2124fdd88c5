"""What differs between guide versions, as one table of functions: `v2_0.VERSION` and its successors.

Everything else is shared (`response`, `information`). A difference is a field here with a sentence that says
what it decides; there is no other place where a version is asked for.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from server.pas.case import Case, Item
from server.pas.intake import Demands
from server.pas.verdict import Asked, Verdict

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Service:
    """What was authorized: service, modifiers and place as CodeableConcepts, and how many; no place where
    neither the request nor a reviewer names one by code."""

    code: Resource
    modifiers: list[Resource]
    units: Decimal
    place: Resource | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """
    submit_demands     what a request must hold beyond FHIR's own demands
    inquiry_demands    what an inquiry must hold
    identifier_names   whether the Claim.identifier of an inquiry may name the case that is asked for
    outcome            ClaimResponse.outcome of these verdicts
    response_facts     extensions of the ClaimResponse itself
    partial            ClaimResponse.meta elements of an answer that does not tell of every line
    authorized_detail  extensions of an item that say which service was authorized, where the request does not
    authorized_lines   ClaimResponse.addItem that say so
    error_element      the extension that names the X12 element of an error and the number of its note
    pend_number        extensions that give a pended item the payer's own reference number
    line_on_request    where a CommunicationRequest says which item it is about: (its own, its payload's)
                       extensions
    information        payload contents of a CommunicationRequest about an item
    task_line          extension of a Task.input that says which item it is about
    task_window        extensions of a Task.input for a document that say from when it should date
    task_form          Task.input type code and value[x] for a form that is asked, by tracking number
    no_request         ClaimResponse elements where no Claim is answered
    inquiry_answer     the body of `$inquire` for these cases, each a list of entries with the ClaimResponse
                       first, and for OperationOutcome entries besides
    """

    name: Literal["2.0", "2.2"]
    submit_demands: Demands
    inquiry_demands: Demands
    identifier_names: bool
    outcome: Callable[[Sequence[Verdict]], str]
    authorized_detail: Callable[[Item, Service], list[Resource]]
    authorized_lines: Callable[[Item, Service], list[Resource]]
    response_facts: Callable[[Case], list[Resource]]
    partial: Resource
    error_element: Callable[[str, int], Resource]
    pend_number: Callable[[str], list[Resource]]
    line_on_request: Callable[[int], tuple[list[Resource], list[Resource]]]
    information: Callable[[Asked], list[str]]
    task_line: Callable[[int], Resource]
    task_window: Sequence[Resource]
    task_form: Callable[[Resource], tuple[str, Resource]]
    no_request: Resource
    inquiry_answer: Callable[[list[list[Resource]], list[Resource], dt.datetime], Resource]
