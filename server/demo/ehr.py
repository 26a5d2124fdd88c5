"""An EHR's side of the three guides: what it sends, and what it does with what comes back.

    ehr = Ehr(http, "2.0")
    answered = await ehr.sign(case)                 CRD, order-sign
    form = await ehr.form(case)                     DTR, the package for the order, filled from the chart
    decided = await ehr.submit(case, responses)     PAS
    found = await ehr.inquire(case)                 PAS

The form is filled with nothing but the package: its ELM, its value sets, and `$expand` for the sets that it
only names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from server.crd.sight import CHART
from server.dtr.form import Form
from server.dtr.populate import Filling, Logic, populate
from server.fhir import json
from server.fhir.extensions import value, values
from server.fhir.responses import FHIR_JSON
from server.pas.cases import Told, claim_of, request_of
from server.pas.terms import profile
from server.policy.case_draft import EHR
from server.policy.cases import Case
from server.rehearsal import call_of, information_of

Resource = dict[str, Any]

AUTOMATIC = {"2.0": "auto", "2.2": "auto-client"}
"""The version's code for an answer that software took from the chart."""


class Refused(Exception):
    """The server answered with an error; the message is what it said."""


@dataclass(frozen=True)
class Ehr:
    """A client of one version's base."""

    http: httpx.AsyncClient
    version: str

    async def sign(self, case: Case) -> Resource:
        """The CDS Hooks response to signing the order."""
        call = call_of(case)
        # An EHR that looked and found nothing says so: an empty answer, not a missing one.
        nothing = {kind: {"resourceType": "Bundle", "type": "searchset"} for kind in CHART}
        call["prefetch"] = {**nothing, **call["prefetch"]}
        return await self._post("cds-services/order-sign", call, "application/json")

    async def form(self, case: Case) -> Filling:
        """The one form for the order, as far as the chart fills it."""
        asked = {
            "resourceType": "Parameters",
            "parameter": [
                {"name": "coverage", "resource": case.coverage},
                {"name": "order", "resource": case.order},
            ],
        }
        answered = await self._post("fhir/Questionnaire/$questionnaire-package", asked)
        bundles = _of_type(_answers(answered), "Bundle")
        if not bundles:
            raise Refused(f"there is no form for the order: {_said(answered)}")
        package = [entry["resource"] for entry in bundles[0]["entry"]]
        (questionnaire,), (draft,) = (
            _of_type(package, "Questionnaire"),
            _of_type(package, "QuestionnaireResponse"),
        )
        logic = Logic.of(package)
        engine = logic.engine([await self._get("fhir/ValueSet/$expand", url=url) for url in logic.named])
        chart = [dict(resource) for resource in case.resources]
        return populate(Form(questionnaire), draft, engine, chart, case.now, AUTOMATIC[self.version])

    async def submit(self, case: Case, responses: Sequence[Resource] = ()) -> Resource:
        """The response Bundle to the request, the filled forms in it. Raises Refused where the request was
        not processed."""
        decided = await self._post("fhir/Claim/$submit", self.request(case, responses))
        response = decided["entry"][0]["resource"]
        if response["outcome"] == "error":
            notes = "; ".join(note["text"] for note in response["processNote"])
            raise Refused(f"the request was not processed: {notes}")
        return decided

    def request(self, case: Case, responses: Sequence[Resource] = ()) -> Resource:
        bundle = request_of(case)
        more = [
            {"fullUrl": f"{EHR}/QuestionnaireResponse/{number}", "resource": response}
            for number, response in enumerate(responses, start=1)
        ]
        return {**bundle, "entry": [*bundle["entry"], *more]}

    async def inquire(self, case: Case) -> list[Resource]:
        """The ClaimResponses on file for the order's service."""
        answered = await self._post("fhir/Claim/$inquire", inquiry_of(case))
        return [
            entry["resource"]
            for bundle in _of_type(_answers(answered), "Bundle")
            for entry in bundle["entry"]
            if entry["resource"]["resourceType"] == "ClaimResponse"
        ]

    async def why(self, decided: Resource | None) -> Resource | None:
        """The determination behind the number of a response Bundle, where it has one."""
        number = Told(decided).response.get("preAuthRef") if decided else None
        answered = await self.http.get(f"/why/{number}") if number else None
        return answered.json() if answered is not None and answered.is_success else None

    async def _post(self, path: str, body: Resource, kind: str = FHIR_JSON) -> Resource:
        content = json.encode(body)
        url = f"/r{self.version}/{path}"
        return _read(await self.http.post(url, content=content, headers={"Content-Type": kind}))

    async def _get(self, path: str, **query: str) -> Resource:
        return _read(await self.http.get(f"/r{self.version}/{path}", params=query))


@dataclass(frozen=True)
class CoverageInformation:
    """What CRD put on the order."""

    extension: Mapping[str, Any]

    @classmethod
    def of(cls, answered: Resource, case: Case) -> CoverageInformation:
        found = information_of(answered, case.order)
        if found is None:
            raise Refused("the order came back without coverage information")
        return cls(found)

    def __getitem__(self, url: str) -> Any:
        return next((value(each) for each in self.extension["extension"] if each["url"] == url), None)

    @property
    def reasons(self) -> list[str]:
        return [str(reason.get("text", "")) for reason in values(self.extension, "reason")]


def inquiry_of(case: Case) -> Resource:
    """A Bundle that asks after whatever was decided on the order's service."""
    bundle = request_of(case)
    claim = claim_of(case, [case.order])
    about = {key: claim["item"][0][key] for key in ("sequence", "productOrService")}
    asked = {
        **{key: content for key, content in claim.items() if key != "diagnosis"},
        "meta": {"profile": [profile("claim-inquiry")]},
        "item": [about],
    }
    kept = ("Patient", "Organization", "Coverage")
    others = [entry for entry in bundle["entry"] if entry["resource"]["resourceType"] in kept]
    return {
        **bundle,
        "meta": {"profile": [profile("pas-inquiry-request-bundle")]},
        "entry": [{**bundle["entry"][0], "resource": asked}, *others],
    }


def _read(answered: httpx.Response) -> Resource:
    body = json.decode_object(answered.content)
    if not answered.is_success:
        raise Refused(f"{answered.request.url.path} answered {answered.status_code}: {_said(body)}")
    return body


def _answers(answered: Resource) -> list[Resource]:
    """What an operation returned: a resource, or the resources of its parameters."""
    if answered.get("resourceType") != "Parameters":
        return [answered]
    return [each["resource"] for each in answered.get("parameter", []) if "resource" in each]


def _said(answered: Resource) -> str:
    outcomes = _of_type(_answers(answered), "OperationOutcome")
    return "; ".join(str(issue.get("diagnostics")) for each in outcomes for issue in each["issue"])


def _of_type(resources: Sequence[Resource], kind: str) -> list[Resource]:
    return [resource for resource in resources if resource.get("resourceType") == kind]
