"""On which terms a reviewer authorizes a line: for which days, and how it may differ from what was asked.

What the provider is told and what is on file come of the same terms, so they are checked before anything is
decided: nobody is granted more than was asked, a service that there is not, or for somebody who is not in the
request.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from server.fhir.errors import InvalidRequest, Issue
from server.pas.inquiry import PROVIDERS
from server.pas.intake import Submission
from server.pas.standing import Standing
from server.pas.verdict import Review, Span
from server.policy.line import day_of_service
from server.policy.rulings import SPAN

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_ICD = re.compile(r"[A-Z][0-9][0-9A-Z](\.[0-9A-Z]{1,4})?")
_NPI = re.compile(r"([0-9]{10})?")
_SPECIALTY = re.compile(r"([0-9]{3}[0-9A-Z]{6}X)?")
_LOINC = re.compile(r"[0-9]{1,7}-[0-9]")
_REASON = re.compile(r"[0-9A-Z]{0,4}")
_PLACE = re.compile(r"([0-9]{2})?")


@dataclass(frozen=True, slots=True)
class Terms:
    """What a reviewer may change about an authorization; what is left out is as asked."""

    start: dt.date | None = None
    end: dt.date | None = None
    units: int | None = None
    code: str | None = None
    why: str = ""
    place: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """The terms of one line, worked out. `place` is "" where it may be done anywhere; `as_asked` says that
    nothing is another, or less, than was asked."""

    span: Span
    code: str
    units: int
    place: str
    as_asked: bool


def grant_of(line: Standing, terms: Terms, today: dt.date, services: Collection[str]) -> Grant:
    """`services` are the codes that can be authorized. Raises InvalidRequest."""
    said = line.determination
    code, asked = terms.code or line.cpt, int(said["units"])
    units = asked if terms.units is None else terms.units
    place = "" if terms.place == said["line"]["place_of_service"] else terms.place
    faults = list(_faults(code if code != line.cpt else "", units, asked, place, services))
    if faults:
        raise InvalidRequest(*faults)
    span = span_of(line, terms, today)
    planned = _planned(line)
    on_time = planned is None or span.start <= planned <= span.end
    as_asked = (code, units, place) == (line.cpt, asked, "") and on_time
    return Grant(span, code, units, place, as_asked)


def span_of(line: Standing, terms: Terms, today: dt.date) -> Span:
    """From the planned day, for `SPAN`; where that day has passed already, for `SPAN` from today. Raises
    InvalidRequest."""
    start = terms.start or _planned(line) or dt.date.fromisoformat(line.determination["day_zero"])
    try:
        end = terms.end or max(start, today) + dt.timedelta(days=SPAN)
    except OverflowError:
        raise InvalidRequest(Issue("value", "start", "No authorization begins that late.")) from None
    if end < start:
        raise InvalidRequest(Issue("value", "end", "The authorization would end before it begins."))
    return Span(start, end)


def check_review(review: Review, read: Submission) -> None:
    """Raises InvalidRequest for what cannot be told with a decision."""
    faults = []
    if not review.name.strip():
        faults.append(Issue("required", "reviewer.name", "Say who decides."))
    speakable(review.name, "reviewer.name")
    if not _NPI.fullmatch(review.npi):
        faults.append(Issue("value", "reviewer.npi", "An NPI has ten digits."))
    if not _SPECIALTY.fullmatch(review.specialty):
        faults.append(Issue("value", "reviewer.specialty", "Write a NUCC code, such as 207X00000X."))
    if not all(_ICD.fullmatch(code) for code in review.diagnoses):
        faults.append(Issue("value", "diagnoses", "Write ICD-10-CM codes, such as M75.121."))
    named = read.resolve(review.provider) if review.provider else None
    if review.provider and (named or {}).get("resourceType") not in PROVIDERS:
        words = "The request has no provider of this name: quote one as it was sent, such as Organization/1."
        faults.append(Issue("value", "provider", words))
    if faults:
        raise InvalidRequest(*faults)


def check_documents(documents: Sequence[str]) -> None:
    """Raises InvalidRequest for a kind of document that cannot be asked for."""
    if not all(_LOINC.fullmatch(code) for code in documents):
        raise InvalidRequest(Issue("value", "documents", "Write LOINC codes, such as 11488-4."))


def check_reason(code: str) -> None:
    """Raises InvalidRequest for what is no reason code."""
    if not _REASON.fullmatch(code):
        raise InvalidRequest(Issue("value", "code", "Write a reason code of X12 886, such as 0F."))


def owed(words: str, element: str) -> None:
    """Raises InvalidRequest where a decision comes without the words that it owes, or with some that no
    answer can hold."""
    if not words.strip():
        raise InvalidRequest(Issue("required", element, "This is owed in words. Add them."))
    speakable(words, element)


def speakable(words: str, element: str) -> None:
    """Raises InvalidRequest for what a FHIR string may not have in it, such as the line break of a word
    processor (U+000B)."""
    if found := _CONTROL.search(words):
        told = f"The words have the control character U+{ord(found[0]):04X}. Leave it out."
        raise InvalidRequest(Issue("value", element, told))


def _faults(other: str, units: int, asked: int, place: str, services: Collection[str]) -> Iterator[Issue]:
    if other and other not in services:
        yield Issue("value", "code", "The plan covers no service of this code: it cannot be authorized.")
    if not 0 < units <= asked:
        yield Issue("value", "units", f"{asked} asked for: authorize from 1 to {asked}.")
    if not _PLACE.fullmatch(place):
        yield Issue("value", "place", "A place of service has two digits (CMS).")


def _planned(line: Standing) -> dt.date | None:
    """The day of service that was asked for; None where none was planned."""
    return day_of_service(line.order, line.received.date()) if line.determination["planned"] else None
