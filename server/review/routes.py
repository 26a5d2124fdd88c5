"""`/review`: the reviewers' API. JSON in and out; errors are OperationOutcomes, as everywhere. A browser is
shown pages, whose forms decide the same.

Whoever has the scope `payer/review` may come in; in development whoever sends no token as well.
"""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import HTMLResponse, RedirectResponse, Response

from server.fhir.errors import FhirError, InvalidRequest, Issue, NotFound
from server.fhir.references import local_reference
from server.fhir.responses import JsonResponse
from server.pas.verdict import ACTION_WORDS, Review
from server.review.desk import MOST, PARTS, USUAL, Desk, Waiting, finding
from server.review.shown import answers, whole
from server.review.terms import Terms
from server.security.admission import only_after
from server.security.scopes import REVIEW
from server.services import Services
from server.web.pages import Accept, fields, for_people, templates


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class Reviewer(Body):
    name: str = Field(min_length=1, description="Who decides.")
    npi: str = Field("", description="National provider identifier.")
    specialty: str = Field("", description="NUCC taxonomy code.")


class Decision(Body, ABC):
    revision: int = Field(ge=0, lt=2**31, description="The revision of the work item that was read.")
    reviewer: Reviewer
    diagnoses: list[str] = Field([], description="ICD-10-CM codes to communicate with the decision.")

    @property
    def review(self) -> Review:
        who = self.reviewer
        return Review(who.name, who.npi, who.specialty, tuple(self.diagnoses))

    @abstractmethod
    def decide(self, desk: Desk, item_id: str) -> Waiting:
        """The work item as it stands then. Raises NotFound, Conflict, InvalidRequest."""


class Approval(Decision):
    start: dt.date | None = Field(None, description="First day; the planned day where left out.")
    end: dt.date | None = Field(None, description="Last day; 60 days later where left out, or from today.")
    provider: str = Field("", description="For whom it is authorized: a provider of the request, as sent.")

    @property
    def review(self) -> Review:
        return msgspec.structs.replace(super().review, provider=self.provider)

    def decide(self, desk: Desk, item_id: str) -> Waiting:
        return desk.approve(item_id, self.revision, self.review, self.start, self.end)


class Modification(Approval):
    code: str | None = Field(None, description="The service authorized instead.")
    units: int | None = Field(None, description="How many are authorized, of those asked for.")
    place: str = Field("", description="CMS place of service authorized instead.")
    why: str = Field(min_length=1, description="Why it is not authorized as asked.")

    def decide(self, desk: Desk, item_id: str) -> Waiting:
        terms = Terms(self.start, self.end, self.units, self.code, self.why, self.place)
        return desk.modify(item_id, self.revision, self.review, terms)


class Denial(Decision):
    code: str = Field("", description="Reason code (X12 886); the recommended one where left out.")
    findings: list[dict[str, str]] = Field(
        [],
        description="criterion, title, found, guideline, looked_at, remedy of each; "
        "what the rules recommend where left out.",
    )

    def decide(self, desk: Desk, item_id: str) -> Waiting:
        found = [finding(parts) for parts in self.findings]
        return desk.deny(item_id, self.revision, self.review, found, self.code)


class Question(Decision):
    text: str = Field(min_length=1, description="What the provider is asked.")
    documents: list[str] = Field([], description="LOINC codes of documents that are wanted.")

    def decide(self, desk: Desk, item_id: str) -> Waiting:
        return desk.ask(item_id, self.revision, self.review, self.text, self.documents)


def router(services: Services) -> APIRouter:
    desk = Desk(services)
    routes = APIRouter(
        prefix="/review", tags=["review"], route_class=only_after(services.admission.holding(REVIEW))
    )

    pages, base = templates(), services.settings.base_url

    @routes.get("", summary="What waits for a reviewer")
    def queue(
        count: Annotated[int, Query(alias="_count", ge=0, le=MOST)] = USUAL,
        offset: Annotated[int, Query(alias="_offset", ge=0, lt=2**31)] = 0,
        decided: Annotated[str, Query(include_in_schema=False)] = "",
        accept: Accept = "",
    ) -> Response:
        """So many work items to be decided, the one due first at the top; `total` is how many there are, and
        `asked` are those of which the provider was asked something."""
        found = desk.queue(count, offset)
        if not for_people(accept):
            told = [waiting.summary for waiting in found.shown]
            return JsonResponse({"items": told, "total": found.total})
        written = pages.get_template("review.html").render(
            base=base,
            items=[{**waiting.summary, "gist": waiting.gist} for waiting in found.shown],
            total=found.total,
            count=count,
            offset=offset,
            words=ACTION_WORDS,
            decided=desk.show(decided).summary if decided else None,
        )
        return HTMLResponse(written)

    @routes.get("/{item_id}", summary="One work item with its evidence")
    def show(item_id: str, accept: Accept = "") -> Response:
        """What the rules found, criterion by criterion, the documents that came, what of the request the
        criteria rest on, and what happened so far."""
        return page(item_id) if for_people(accept) else JsonResponse(read(item_id))

    def read(item_id: str) -> dict[str, Any]:
        waiting = desk.show(item_id)
        with services.store.reading() as tx:
            return whole(tx, waiting)

    def page(
        item_id: str, refused: FhirError | None = None, said: Mapping[str, str] | None = None
    ) -> HTMLResponse:
        template = pages.get_template("work-item.html")
        item = read(item_id)
        written = template.render(
            base=base,
            item=item,
            words=ACTION_WORDS,
            shown={local_reference(each) for each in (*item["documents"], *item["relied_on"])},
            summaries={
                each["reference"]: each["summary"]
                for criterion in item["determination"]["criteria"]
                for each in criterion["evidence"]
            },
            answers=lambda sent: answers(sent, services.catalog),
            parts=PARTS,
            problems={field_of(each): each.diagnostics for each in refused.issues} if refused else {},
            said=said or {},
        )
        return HTMLResponse(written, status_code=refused.status if refused else 200)

    @routes.post("/{item_id}/approve", summary="Authorize as asked")
    def approve(item_id: str, body: Approval) -> JsonResponse:
        return JsonResponse(body.decide(desk, item_id).summary)

    @routes.post("/{item_id}/modify", summary="Authorize something else, or less")
    def modify(item_id: str, body: Modification) -> JsonResponse:
        return JsonResponse(body.decide(desk, item_id).summary)

    @routes.post("/{item_id}/deny", summary="Deny, with all that a denial owes")
    def deny(item_id: str, body: Denial) -> JsonResponse:
        return JsonResponse(body.decide(desk, item_id).summary)

    @routes.post("/{item_id}/ask", summary="Ask the provider")
    def ask(item_id: str, body: Question) -> JsonResponse:
        """The line stays pended, and can be decided without the answer, which comes as an attachment or an
        update of the request."""
        return JsonResponse(body.decide(desk, item_id).summary)

    @routes.post("/{item_id}", include_in_schema=False)
    def sent(item_id: str, said: Annotated[dict[str, str], Depends(fields)]) -> Response:
        """A form of the page: decided, the page of what waits, which says so; else its own again, with what
        was said in it and what was wrong."""
        try:
            decision_of(said).decide(desk, item_id)
        except NotFound:
            raise
        except FhirError as refused:
            return page(item_id, refused, said)
        return RedirectResponse(f"{base}/review?decided={item_id}", status_code=303)

    return routes


ACTS: Mapping[str, type[Decision]] = {
    "approve": Approval,
    "modify": Modification,
    "deny": Denial,
    "ask": Question,
}


def decision_of(said: Mapping[str, str]) -> Decision:
    """What the fields of a form decide. Raises InvalidRequest."""
    kind = ACTS.get(said.get("act", ""))
    if kind is None:
        raise InvalidRequest(f"The act must be one of {', '.join(ACTS)}.")
    own = {part: words for part in PARTS if (words := said.get(f"finding.{part}"))}
    body = {
        **{name: said[name] for name in kind.model_fields if name in said},
        **({"findings": [own]} if own else {}),
        "reviewer": {name: said[name] for name in Reviewer.model_fields if name in said},
    }
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        issues = [
            Issue("invalid", ".".join(map(str, fault["loc"])), _plainly(fault))
            for fault in error.errors(include_input=False)
        ]
        raise InvalidRequest(*issues) from None


def field_of(issue: Issue) -> str:
    """The field of the form that an issue is about; "" where of none."""
    element = next(iter(issue.expressions), "")
    return element.removeprefix("reviewer.")


def _plainly(fault: Mapping[str, Any]) -> str:
    """What is wrong with a field, for a person."""
    kind = str(fault["type"])
    if kind.startswith(("missing", "string_too_short")):
        return "This is owed. Fill it in."
    if kind.startswith("int"):
        return "Write a whole number."
    return "Write a day of the calendar." if kind.startswith("date") else f"{fault['msg']}."
