"""`$questionnaire-package`: what it takes, what it selects, what it answers when it cannot."""

from typing import Any

import pytest

from tests.crd.builders import coverage, lumbar, mri, shoulder
from tests.dtr.conftest import Dtr, resource

SHOULDER = "https://payer.example/Questionnaire/mri-shoulder"
LUMBAR = "https://payer.example/Questionnaire/mri-lumbar-spine"


def named(canonical: str) -> dict[str, Any]:
    return {"name": "questionnaire", "valueCanonical": canonical}


def context(text: str) -> dict[str, Any]:
    return {"name": "context", "valueString": text}


def since(instant: str) -> dict[str, Any]:
    return {"name": "changedsince", "valueInstant": instant}


def test_2_0_sends_the_bare_bundle_where_there_is_one_and_nothing_to_say(dtr_2_0: Dtr) -> None:
    answer = dtr_2_0.answer(resource("coverage", coverage()), resource("order", shoulder()))
    assert answer["resourceType"] == "Bundle"


def test_2_2_always_sends_parameters(dtr_2_2: Dtr) -> None:
    answer = dtr_2_2.answer(resource("coverage", coverage()), resource("order", shoulder()))
    assert [parameter["name"] for parameter in answer["parameter"]] == ["packagebundle"]


def test_the_form_comes_first_then_the_draft(dtr: Dtr) -> None:
    package = dtr.package(shoulder())
    assert package.bundle["type"] == "collection"
    assert [found["resourceType"] for found in package.resources[:2]] == [
        "Questionnaire",
        "QuestionnaireResponse",
    ]
    assert package.draft["questionnaire"] == f"{SHOULDER}|1.0.0"
    assert package.draft["status"] == "in-progress"


def test_several_orders_give_each_form_once(dtr: Dtr) -> None:
    orders = [resource("order", order) for order in (shoulder(), lumbar(), shoulder())]
    packages = dtr.packages(resource("coverage", coverage()), *orders)
    assert sorted(package.form.canonical for package in packages) == [f"{LUMBAR}|1.0.0", f"{SHOULDER}|1.0.0"]
    links = [
        extension["valueReference"]["reference"]
        for package in packages
        for extension in package.draft["extension"]
        if extension["url"].endswith("qr-context")
    ]
    assert {f"ServiceRequest/{order['resource']['id']}" for order in orders} <= set(links)


def test_named_questionnaires_limit_the_answer_to_themselves(dtr: Dtr) -> None:
    (package,) = dtr.packages(
        resource("coverage", coverage()), resource("order", shoulder()), named(f"{LUMBAR}|1.0.0")
    )
    assert package.form.canonical == f"{LUMBAR}|1.0.0"


def test_without_a_version_the_current_form_is_meant(dtr: Dtr) -> None:
    (package,) = dtr.packages(resource("coverage", coverage()), named(LUMBAR))
    assert package.form.canonical == f"{LUMBAR}|1.0.0"


def test_an_unknown_questionnaire_is_remarked_on_beside_those_that_are_had(dtr: Dtr) -> None:
    asked = [resource("coverage", coverage()), named(f"{SHOULDER}|9.9.9"), named(f"{LUMBAR}|1.0.0")]
    assert len(dtr.packages(*asked)) == 1
    (issue,) = dtr.outcome(*asked)
    assert (issue["severity"], issue["code"]) == ("warning", "not-found")
    assert "mri-shoulder|9.9.9" in issue["diagnostics"]


def test_where_none_can_be_had_the_remark_goes_alone(dtr: Dtr) -> None:
    asked = [resource("coverage", coverage()), named("https://elsewhere.example/Questionnaire/hip")]
    assert dtr.packages(*asked) == []
    assert dtr.outcome(*asked)[0]["severity"] == "warning"


def test_an_order_that_needs_no_form_is_told_so(dtr: Dtr) -> None:
    asked = [resource("coverage", coverage()), resource("order", mri("80053", "M25.511"))]
    assert dtr.packages(*asked) == []
    (issue,) = dtr.outcome(*asked)
    assert issue["severity"] == "information"


def test_a_plan_without_authorization_asks_for_no_form(dtr: Dtr) -> None:
    asked = [resource("coverage", coverage(plan="no-imaging-pa")), resource("order", shoulder())]
    assert dtr.packages(*asked) == []


def test_what_has_not_changed_is_not_sent_again(dtr: Dtr) -> None:
    asked = [resource("coverage", coverage()), resource("order", shoulder())]
    assert len(dtr.packages(*asked, since("2020-01-01T00:00:00Z"))) == 1
    assert dtr.packages(*asked, since("2099-01-01T00:00:00Z")) == []
    (issue,) = dtr.outcome(*asked, since("2099-01-01T00:00:00Z"))
    assert issue["severity"] == "information"


def test_a_context_of_ours_stands_for_its_order(dtr: Dtr) -> None:
    member = coverage()
    order = shoulder(insurance=[{"reference": "Coverage/cov-1"}])
    assertion = dtr.asserted(order, member)
    (package,) = dtr.packages(resource("coverage", member), context(assertion))
    assert package.form.canonical == f"{SHOULDER}|1.0.0"


def test_a_context_of_nobodys_is_refused_where_there_is_nothing_else_to_go_by(dtr: Dtr) -> None:
    status, (issue,) = dtr.refused(dtr.ask(resource("coverage", coverage()), context("not-ours")))
    assert (status, issue["code"]) == (404, "not-found")
    assert issue["expression"] == ["Parameters.parameter[1]"]


def test_2_0_only_remarks_on_a_foreign_context_beside_an_order(dtr_2_0: Dtr) -> None:
    asked = [resource("coverage", coverage()), resource("order", shoulder()), context("not-ours")]
    assert len(dtr_2_0.packages(*asked)) == 1
    assert dtr_2_0.outcome(*asked)[0]["severity"] == "warning"


def test_2_2_refuses_it(dtr_2_2: Dtr) -> None:
    asked = [resource("coverage", coverage()), resource("order", shoulder()), context("not-ours")]
    assert dtr_2_2.refused(dtr_2_2.ask(*asked))[0] == 404


@pytest.mark.parametrize(
    ("parameters", "expression"),
    [
        ([], "Parameters.parameter"),
        ([resource("order", shoulder())], "Parameters.parameter"),
        ([resource("coverage", coverage())], "Parameters.parameter"),
        ([{"name": "coverage"}, resource("order", shoulder())], "Parameters.parameter[0].resource"),
        (
            [resource("coverage", shoulder()), resource("order", shoulder())],
            "Parameters.parameter[0].resource",
        ),
        (
            [resource("coverage", coverage()), resource("order", coverage())],
            "Parameters.parameter[1].resource",
        ),
        ([resource("coverage", coverage()), {"name": "questionnaire"}], "Parameters.parameter[1].value"),
        (
            [resource("coverage", coverage()), named(LUMBAR), since("yesterday")],
            "Parameters.parameter[2].value",
        ),
    ],
)
def test_a_broken_request_is_told_where(dtr: Dtr, parameters: list[dict[str, Any]], expression: str) -> None:
    status, issues = dtr.refused(dtr.ask(*parameters))
    assert status == 400
    assert expression in [place for issue in issues for place in issue["expression"]]


def test_2_2_takes_one_coverage_2_0_several(dtr: Dtr) -> None:
    response = dtr.ask(
        resource("coverage", coverage()), resource("coverage", coverage()), resource("order", shoulder())
    )
    assert response.status_code == {"2.0": 200, "2.2": 400}[dtr.version]


def test_a_body_that_is_no_parameters_is_refused(dtr: Dtr) -> None:
    status, (issue,) = dtr.refused(dtr.post("Questionnaire/$questionnaire-package", coverage()))
    assert (status, issue["expression"]) == (400, ["Parameters"])


@pytest.mark.parametrize(
    "path",
    [
        "Questionnaire/$questionnaire-package",
        "Questionnaire/%24questionnaire-package",
        "Questionnaire/mri-shoulder/$questionnaire-package",
        "$questionnaire-package",
    ],
)
def test_every_spelling_of_the_address_answers(dtr: Dtr, path: str) -> None:
    asked = [resource("coverage", coverage()), resource("order", shoulder())]
    response = dtr.post(path, {"resourceType": "Parameters", "parameter": asked})
    assert response.status_code == 200, response.text


def test_small_edits_of_the_order_do_not_matter(dtr: Dtr) -> None:
    order = shoulder(status="active", note=[{"text": "please soon"}])
    assert dtr.package(order).form.canonical == f"{SHOULDER}|1.0.0"
