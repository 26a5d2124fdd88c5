"""Cases put to the DTR door, on both bases (`davinci-payer policy test --door dtr`).

The order is signed, and the package asked for with the order alone and the context that CRD gave. An app then
fills its form with nothing but what the package brings and the case's chart; what the case's own forms say is
what the clinician answers to the rest. The response must fit its form, and chart and response together must
come out as the case expects. Where something is unknown, a question must be left open; what is wrong with the
order itself is mended there.

Like `commands`, this stands above the application.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from fastapi import FastAPI

from server import inside
from server.dtr.form import Form, criterion_of
from server.dtr.populate import Engines, Filling, populate
from server.dtr.response import answers_of
from server.dtr.routes import TABLES
from server.dtr.validation import faults
from server.fhir import json
from server.fhir.dates import first_day
from server.fhir.elements import elements
from server.fhir.extensions import extension, value
from server.fhir.references import Resolver
from server.policy.cases import Case, Expected, differences
from server.policy.catalog import Catalog
from server.policy.determination import Decision
from server.policy.reading import readable
from server.policy.request import Chart
from server.rehearsal import FHIR, JSON, Stage, call_of, information_of, on_every_base
from server.services import Services, Version

Resource = dict[str, Any]


def door(catalog: Catalog) -> DtrDoor:
    """The way to put a case to this door, whose policies are those that come with the server."""
    return DtrDoor()


class DtrDoor:
    """`differences` plays a case on r2.0 and on r2.2."""

    def __init__(self) -> None:
        self._stage = Stage()
        self._engines = Engines()

    def differences(self, case: Case, expected: Expected) -> Sequence[str]:
        return on_every_base(lambda version: self._differences_on(version, case, expected))

    def _differences_on(self, version: Version, case: Case, expected: Expected) -> Iterator[str]:
        app = self._stage.set_for(case)
        services: Services = app.state.services
        bundle = package_of(app, version, case)
        filling = self._filled(app, version, bundle, case) if bundle else None
        given: list[Any] = []
        if filling is not None:
            response = {**filling.response("in-progress", case.now), "id": "filled"}
            yield from (issue.diagnostics for issue in faults(filling.form, response))
            given = [{**response, "status": "completed"}]
        if expected.decision is Decision.MORE_INFO and not _asked(filling, expected.unknown):
            yield "what is unknown is not asked"
        with services.store.reading() as tx:
            judged = services.adjudicator.judge(
                tx,
                case.order,
                case.coverage,
                case.patient,
                Chart([*case.chart.resources, *given]),
                case.now,
                hints=False,
            )
        yield from differences(expected, judged.determination)

    def _filled(self, app: FastAPI, version: Version, bundle: Resource, case: Case) -> Filling:
        """The form as an app fills it from the chart, and as the clinician answers what is left."""
        form, draft = (Form(bundle["entry"][0]["resource"]), bundle["entry"][1]["resource"])
        package = [entry["resource"] for entry in bundle["entry"]]
        engine = self._engines.of(version, form, package, lambda url: _expanded(app, version, url))
        filling = populate(form, draft, engine, chart_of(case), case.now, TABLES[version].from_client)
        return filling.answered(said_by_hand(form, case), case.clinician)


def _asked(filling: Filling | None, unknown: Sequence[str]) -> bool:
    """Whether a question is left open, or every criterion unknown was answered in a way that leaves it so."""
    answered = {criterion_of(link_id) for link_id in filling.answers} if filling else set()
    return bool(filling and filling.asked) or answered.issuperset(unknown)


def package_of(app: FastAPI, version: Version, case: Case) -> Resource | None:
    """The bundle for the case's order; None where no form is needed for it."""
    parameters = [
        {"name": "coverage", "resource": case.coverage},
        {"name": "order", "resource": case.order},
        {"name": "context", "valueString": signed(app, version, case)},
        *({"name": "referenced", "resource": each} for each in (*case.parties, *_reasons_of(case))),
    ]
    body = json.encode({"resourceType": "Parameters", "parameter": parameters})
    answer = inside.post(app, f"/r{version}/fhir/Questionnaire/$questionnaire-package", body, FHIR)
    told = json.decode_object(answer.content)
    listed = [told, *(parameter["resource"] for parameter in told.get("parameter", []))]
    return next((each for each in listed if each["resourceType"] == "Bundle"), None)


WHAT_IF = {"davinci-crd.configuration": {"unsolicited-determ": False}}
"""What is granted while ordering would stand in for what the form is to show."""


def signed(app: FastAPI, version: Version, case: Case) -> str:
    """The context that CRD gives for the order, with the whole chart in sight."""
    call = json.encode({**call_of(case), "extension": WHAT_IF})
    answer = inside.post(app, f"/r{version}/cds-services/order-sign", call, JSON)
    information = information_of(json.decode_object(answer.content), case.order)
    return str(value(extension(information, "coverage-assertion-id")))


def _reasons_of(case: Case) -> list[Mapping[str, Any]]:
    """What the order refers to as its reasons, which an app sends along with it."""
    resolver = Resolver.of(case.resources)
    found = (resolver.resolve(reference) for reference in elements(case.order, "reasonReference"))
    return [each for each in found if each is not None]


def chart_of(case: Case) -> list[Resource]:
    """What the EHR holds of the case's patient; forms of before are left to the rules."""
    own = [each for each in own_of(case) if each["resourceType"] != "QuestionnaireResponse"]
    return [dict(each) for each in (case.order, case.coverage, *own)]


def own_of(case: Case) -> Sequence[Mapping[str, Any]]:
    """Of the case's resources the patient's own."""
    return readable(case.order, case.chart, replace(case.member, records=()))


def _expanded(app: FastAPI, version: Version, url: str) -> Resource:
    asked = {"resourceType": "Parameters", "parameter": [{"name": "url", "valueUri": url}]}
    answer = inside.post(app, f"/r{version}/fhir/ValueSet/$expand", json.encode(asked), FHIR)
    return json.decode_object(answer.content)


def said_by_hand(form: Form, case: Case) -> Mapping[str, Any]:
    """What the forms completed for the case's patient on the day answer, as plain values; questions that this
    form does not have left out. Forms of earlier days are part of the chart."""
    told: dict[str, Any] = {}
    for resource in own_of(case):
        if resource["resourceType"] != "QuestionnaireResponse" or resource.get("status") != "completed":
            continue
        if first_day(resource.get("authored")) != case.day_zero:
            continue
        for link_id, answers in answers_of(resource).items():
            given = [_plain(value(answer)) for answer in answers]
            if link_id in form.items:
                told[link_id] = given if form.items[link_id].repeats else given[0]
    return told


def _plain(given: Any) -> Any:
    return given["code"] if isinstance(given, Mapping) else given
