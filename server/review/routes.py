"""`/review`: the reviewers' API. JSON in and out; errors are OperationOutcomes, as everywhere.

Whoever has the scope `payer/review` may come in; in development whoever sends no token as well.
"""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from server.fhir.responses import JsonResponse
from server.pas import casebook
from server.pas.verdict import Review
from server.policy.denial import Finding
from server.review.desk import MOST, USUAL, Desk, Waiting, finding, history
from server.review.terms import Terms
from server.security.admission import only_after
from server.security.scopes import REVIEW
from server.services import Services


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class Reviewer(Body):
    name: str = Field(min_length=1, description="Who decides.")
    npi: str = Field("", description="National provider identifier.")
    specialty: str = Field("", description="NUCC taxonomy code.")


class Decision(Body):
    revision: int = Field(ge=0, lt=2**31, description="The revision of the work item that was read.")
    reviewer: Reviewer
    diagnoses: list[str] = Field([], description="ICD-10-CM codes to communicate with the decision.")

    @property
    def review(self) -> Review:
        who = self.reviewer
        return Review(who.name, who.npi, who.specialty, tuple(self.diagnoses))


class Approval(Decision):
    start: dt.date | None = Field(None, description="First day; the planned day where left out.")
    end: dt.date | None = Field(None, description="Last day; 60 days later where left out, or from today.")
    provider: str = Field("", description="For whom it is authorized: a provider of the request, as sent.")

    @property
    def review(self) -> Review:
        return msgspec.structs.replace(super().review, provider=self.provider)


class Modification(Approval):
    code: str | None = Field(None, description="The service authorized instead.")
    units: int | None = Field(None, description="How many are authorized, of those asked for.")
    place: str = Field("", description="CMS place of service authorized instead.")
    why: str = Field(min_length=1, description="Why it is not authorized as asked.")


class Denial(Decision):
    code: str = Field("", description="Reason code (X12 886); the recommended one where left out.")
    findings: list[dict[str, str]] = Field(
        [],
        description="criterion, title, found, guideline, looked_at, remedy of each; "
        "what the rules recommend where left out.",
    )

    def parts(self) -> list[Finding]:
        return [finding(parts) for parts in self.findings]


class Question(Decision):
    text: str = Field(min_length=1, description="What the provider is asked.")
    documents: list[str] = Field([], description="LOINC codes of documents that are wanted.")


def router(services: Services) -> APIRouter:
    desk = Desk(services)
    routes = APIRouter(
        prefix="/review", tags=["review"], route_class=only_after(services.admission.holding(REVIEW))
    )

    @routes.get("", summary="What waits for a reviewer")
    def queue(
        count: Annotated[int, Query(alias="_count", ge=0, le=MOST)] = USUAL,
        offset: Annotated[int, Query(alias="_offset", ge=0, lt=2**31)] = 0,
    ) -> JsonResponse:
        """So many work items to be decided, the one due first at the top; `total` is how many there are, and
        `asked` are those of which the provider was asked something."""
        found = desk.queue(count, offset)
        return JsonResponse({"items": [waiting.summary for waiting in found.shown], "total": found.total})

    @routes.get("/{item_id}", summary="One work item with its evidence")
    def show(item_id: str) -> JsonResponse:
        """What the rules found, criterion by criterion, the documents that came, and what happened so far."""
        waiting = desk.show(item_id)
        with services.store.reading() as tx:
            told = {"documents": casebook.handed_in(tx, waiting.case), "history": history(tx, waiting.case)}
        return JsonResponse({**waiting.details, **told})

    @routes.post("/{item_id}/approve", summary="Authorize as asked")
    def approve(item_id: str, body: Approval) -> JsonResponse:
        return _decided(desk.approve(item_id, body.revision, body.review, body.start, body.end))

    @routes.post("/{item_id}/modify", summary="Authorize something else, or less")
    def modify(item_id: str, body: Modification) -> JsonResponse:
        terms = Terms(body.start, body.end, body.units, body.code, body.why, body.place)
        return _decided(desk.modify(item_id, body.revision, body.review, terms))

    @routes.post("/{item_id}/deny", summary="Deny, with all that a denial owes")
    def deny(item_id: str, body: Denial) -> JsonResponse:
        return _decided(desk.deny(item_id, body.revision, body.review, body.parts(), body.code))

    @routes.post("/{item_id}/ask", summary="Ask the provider")
    def ask(item_id: str, body: Question) -> JsonResponse:
        """The line stays pended, and can be decided without the answer, which comes as an attachment or an
        update of the request."""
        return _decided(desk.ask(item_id, body.revision, body.review, body.text, body.documents))

    return routes


def _decided(waiting: Waiting) -> JsonResponse:
    return JsonResponse(waiting.summary)
