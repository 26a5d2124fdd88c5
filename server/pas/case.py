"""A prior-authorization case: the request as it came and what is decided about each of its items."""

from __future__ import annotations

import datetime as dt
from collections.abc import Container
from dataclasses import dataclass, replace
from typing import Any

from server.fhir.extensions import values
from server.pas.intake import Submission
from server.pas.rejection import Rejection
from server.pas.terms import extension_url
from server.pas.verdict import Review, Verdict, rehearsed, review_of

Resource = dict[str, Any]

CASE_SYSTEM = "https://payer.example/pas-case"


def tracking(case_id: str, sequence: int) -> str:
    """Our reference number of an item, told where it is pended."""
    return f"{case_id}-{sequence}"


@dataclass(frozen=True, slots=True)
class Item:
    """`requested` is the Claim.item as sent, `before` the same as earlier versions of the request had it;
    `earlier` are numbers, of authorizations or pends, that it had before."""

    requested: Resource
    verdict: Verdict
    earlier: frozenset[str] = frozenset()
    before: tuple[Resource, ...] = ()

    @property
    def sequence(self) -> int:
        return int(self.requested["sequence"])

    @property
    def trace_numbers(self) -> list[Any]:
        """The client's own numbers of this item, to be echoed (X12 2000F-TRN)."""
        return values(self.requested, extension_url("itemTraceNumber"))


@dataclass(frozen=True, slots=True)
class Case:
    """`read` holds the parties (patient, insurer, provider) under the names the asker knows; `decided` is
    when the newest verdict was reached; `dry` that nothing of this is stored; `partial` that other
    lines stand beside these, of which the Claim says nothing.

    `request` is the URL of the Claim that is answered, None where the authorization did not come about by
    one: CRD granted it, or it is on file from of old.
    """

    id: str
    read: Submission
    items: tuple[Item, ...]
    decided: dt.datetime
    rejections: tuple[Rejection, ...] = ()
    request: str | None = None
    dry: bool = False
    partial: bool = False

    def rehearsed(self, fresh: Container[int], granted: Container[str]) -> Case:
        """As a dry run tells it, where these sequences were decided just now and these numbers granted."""
        items = (
            replace(item, verdict=rehearsed(item.verdict, granted)) if item.sequence in fresh else item
            for item in self.items
        )
        return replace(self, items=tuple(items), dry=True)

    @property
    def review(self) -> Review | None:
        """The person who took part, the last one where there were several."""
        reviews = [review for item in self.items if (review := review_of(item.verdict))]
        return reviews[-1] if reviews else None

    @property
    def identifiers(self) -> list[Any]:
        """The client's name for the case, which the answer echoes, and ours."""
        own = {"system": CASE_SYSTEM, "value": self.id}
        return [*(self.read.claim.get("identifier") or []), own] if self.request else [own]
