"""What `$questionnaire-package` selects and brings. What it takes and refuses is in test_package_requests."""

from typing import Any

import pytest

from server.dtr.response import answers_of, origin_of
from server.fhir.extensions import extension, value, values
from server.store import records
from tests.crd.builders import (
    CPT,
    PATIENT,
    PHYSICIAN,
    answered,
    concept,
    coverage,
    film,
    lumbar,
    mri,
    nsaid,
    ref,
    shoulder,
)
from tests.dtr.conftest import Dtr, context, named, resource
from tests.spent import spent

SHOULDER = "https://payer.example/Questionnaire/mri-shoulder"
LUMBAR = "https://payer.example/Questionnaire/mri-lumbar-spine"
DTR = "http://hl7.org/fhir/us/davinci-dtr/StructureDefinition"
ANSWER = "https://payer.example/CodeSystem/mri-answer"
GOLD = {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1888888884"}


def test_v1_2_0_sends_the_bare_bundle_where_there_is_one_and_nothing_to_say(dtr_2_0: Dtr) -> None:
    answer = dtr_2_0.answer(resource("coverage", coverage()), resource("order", shoulder()))
    assert answer["resourceType"] == "Bundle"


def test_v1_2_2_always_sends_parameters(dtr_2_2: Dtr) -> None:
    answer = dtr_2_2.answer(resource("coverage", coverage()), resource("order", shoulder()))
    assert [parameter["name"] for parameter in answer["parameter"]] == ["packagebundle"]


def test_v1_v2_several_bundles_and_remarks_are_named_as_the_version_has_it(dtr: Dtr) -> None:
    answer = dtr.answer(resource("coverage", coverage()), named(SHOULDER), named(LUMBAR), named("urn:x:none"))
    assert [parameter["name"] for parameter in answer["parameter"]] == {
        "2.0": ["PackageBundle", "PackageBundle", "operationOutcome"],
        "2.2": ["packagebundle", "packagebundle", "outcome"],
    }[dtr.version]
    assert answer["meta"]["profile"] == [f"{DTR}/dtr-qpackage-output-parameters"]


def test_v1_where_there_is_nothing_to_send_2_0_has_the_remark_alone(dtr: Dtr) -> None:
    """The profile of 2.0.1 wants a bundle in Parameters, that of 2.2.0 any parameter."""
    asked = [resource("coverage", coverage()), named("https://elsewhere.example/Questionnaire/hip")]
    kind = {"2.0": "OperationOutcome", "2.2": "Parameters"}[dtr.version]
    assert dtr.answer(*asked)["resourceType"] == kind
    assert [issue["severity"] for issue in dtr.outcome(*asked)] == ["warning"]


def test_v3_2_2_takes_one_coverage_and_2_0_ties_the_form_to_each_of_several(dtr: Dtr) -> None:
    cards = [coverage("M-first"), coverage("M-second", id="cov-2")]
    asked = [*(resource("coverage", card) for card in cards), resource("order", shoulder())]
    if dtr.version == "2.2":
        assert dtr.refused(dtr.ask(*asked))[0] == 400
    else:
        (package,) = dtr.packages(*asked)
        tied = [reference["reference"] for reference in values(package.draft, f"{DTR}/qr-context")]
        assert tied == ["Coverage/cov-1", "Coverage/cov-2", ref(asked[2]["resource"])["reference"]]


def test_v4_what_comes_along_as_referenced_is_used(dtr: Dtr) -> None:
    """The clinician who orders is exempt, which only the resource sent along tells."""
    order = shoulder()
    assert dtr.package(order, resource("referenced", PHYSICIAN))
    exempt = resource("referenced", {**PHYSICIAN, "identifier": [GOLD]})
    (issue,) = dtr.outcome(resource("coverage", coverage()), resource("order", order), exempt)
    assert "exempt from prior authorization" in issue["diagnostics"]


def test_v5_a_a_bundle_has_one_form_first_one_draft_and_what_they_need_each_once(dtr: Dtr) -> None:
    package = dtr.package(shoulder())
    assert package.bundle["type"] == "collection"
    first, second, *rest = package.resources
    assert (first["resourceType"], second["resourceType"]) == ("Questionnaire", "QuestionnaireResponse")
    assert {found["resourceType"] for found in rest} == {"Library", "ValueSet"}
    named_once = [(found["url"], found["version"]) for found in rest]
    assert len(named_once) == len(set(named_once))
    assert second["questionnaire"] == f"{first['url']}|{first['version']}" == f"{SHOULDER}|1.0.0"
    assert second["status"] == "in-progress"


def test_a_several_orders_give_each_form_once(dtr: Dtr) -> None:
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


def test_a_named_questionnaires_limit_the_answer_to_themselves(dtr: Dtr) -> None:
    (package,) = dtr.packages(
        resource("coverage", coverage()), resource("order", shoulder()), named(f"{LUMBAR}|1.0.0")
    )
    assert package.form.canonical == f"{LUMBAR}|1.0.0"


def test_a_without_a_version_the_current_form_is_meant(dtr: Dtr) -> None:
    (package,) = dtr.packages(resource("coverage", coverage()), named(LUMBAR))
    assert package.form.canonical == f"{LUMBAR}|1.0.0"


def test_a_an_unknown_questionnaire_is_remarked_on_beside_those_that_are_had(dtr: Dtr) -> None:
    asked = [resource("coverage", coverage()), named(f"{SHOULDER}|9.9.9"), named(f"{LUMBAR}|1.0.0")]
    assert len(dtr.packages(*asked)) == 1
    (issue,) = dtr.outcome(*asked)
    assert (issue["severity"], issue["code"]) == ("warning", "not-found")
    assert "mri-shoulder|9.9.9" in issue["diagnostics"]


def test_a_an_order_that_needs_no_form_is_told_so(dtr: Dtr) -> None:
    asked = [resource("coverage", coverage()), resource("order", mri("80053", "M25.511"))]
    assert dtr.packages(*asked) == []
    (issue,) = dtr.outcome(*asked)
    assert issue["severity"] == "information"


def test_a_a_plan_without_authorization_asks_for_no_form(dtr: Dtr) -> None:
    asked = [resource("coverage", coverage(plan="no-imaging-pa")), resource("order", shoulder())]
    assert dtr.packages(*asked) == []


def test_a_a_context_of_ours_stands_for_its_order(dtr: Dtr) -> None:
    member = coverage()
    order = shoulder(insurance=[{"reference": "Coverage/cov-1"}])
    assertion = dtr.asserted(order, member)
    (package,) = dtr.packages(resource("coverage", member), context(assertion))
    assert package.form.canonical == f"{SHOULDER}|1.0.0"


def test_a_of_what_crd_left_to_a_person_no_form_is_needed_until_the_order_changes(dtr: Dtr) -> None:
    """CRD saw the answer that a person has to read, and asked for nothing more."""
    member, order = coverage(f"M-left-{dtr.version}"), shoulder()
    other = {"valueCoding": {"system": ANSWER, "code": "other"}}
    chart = [answered(**{"SH-IMM": other, "CC-DUR.none": {"valueBoolean": True}})]
    told = dtr.informed(order, member, chart)
    assert "doc-needed" not in told
    asked = [resource("coverage", member), context(told["coverage-assertion-id"])]
    for sent in ([], [resource("order", order)]):
        (issue,) = dtr.outcome(*asked, *sent)
        assert "needs no form. A person will review" in issue["diagnostics"]
    (package,) = dtr.packages(*asked, resource("order", mri("73221", "M75.112", side="LT")))
    assert package.form.canonical == f"{SHOULDER}|1.0.0"


def test_a_after_crd_everything_it_knew_may_come_along(dtr: Dtr) -> None:
    """Context, order, who ordered, and the form that CRD named."""
    member, order = coverage(), shoulder()
    told = dtr.informed(order, member)
    (package,) = dtr.packages(
        resource("coverage", member),
        resource("order", order),
        resource("referenced", PHYSICIAN),
        named(told["questionnaire"]),
        context(told["coverage-assertion-id"]),
    )
    assert package.form.canonical == told["questionnaire"]
    assert told["pa-needed"] == "auth-needed"
    assert purpose(package.draft) == "withpa"


def test_a_v9_a_form_asked_for_without_need_of_an_authorization_is_for_the_record(dtr: Dtr) -> None:
    package = dtr.package(shoulder(), named(SHOULDER), coverage=coverage(plan="no-imaging-pa"))
    assert purpose(package.draft) == "retain-doc"


def purpose(response: dict[str, Any]) -> str:
    """What the answers are for."""
    (coding,) = value(extension(response, f"{DTR}/intendedUse"))["coding"]
    return str(coding["code"])


def test_a_a_form_that_is_named_is_tied_to_the_orders_that_need_it(dtr: Dtr) -> None:
    member, orders = coverage(), [shoulder(), lumbar()]
    asked = [resource("coverage", member), *(resource("order", order) for order in orders)]
    for canonical, order in zip((SHOULDER, LUMBAR), orders, strict=True):
        (package,) = dtr.packages(*asked, named(canonical))
        assert ref(order) in values(package.draft, f"{DTR}/qr-context")
        assert len(package.draft["extension"]) == 3
    (package,) = dtr.packages(asked[0], named(SHOULDER), context(dtr.asserted(orders[0], member)))
    assert ref(orders[0]) in values(package.draft, f"{DTR}/qr-context")


def test_a_what_crd_asked_for_and_is_needed_no_more_is_said(dtr: Dtr) -> None:
    """Another study was ordered since."""
    member, order = coverage(), shoulder()
    now = {**order, "code": concept(CPT, "80053")}
    asked = [resource("coverage", member), resource("order", now), context(dtr.asserted(order, member))]
    assert dtr.packages(*asked) == []
    (issue,) = dtr.outcome(*asked)
    assert "needs no form" in issue["diagnostics"]


@pytest.mark.parametrize(
    ("told", "news"),
    [
        ({"valueInstant": "2020-01-01T00:00:00Z"}, True),
        ({"valueInstant": "2099-01-01T00:00:00Z"}, False),
        ({"valueDateTime": "2020-01-01"}, True),
        ({"valueDateTime": "2099-01-01"}, False),
    ],
)
def test_a_what_has_not_changed_since_is_not_sent_again(dtr: Dtr, told: dict[str, str], news: bool) -> None:
    """The operation of 2.0.1 calls it a dateTime, its profile an instant."""
    asked = [
        resource("coverage", coverage()),
        resource("order", shoulder()),
        {"name": "changedsince", **told},
    ]
    assert len(dtr.packages(*asked)) == (1 if news else 0)
    if not news:
        assert [issue["severity"] for issue in dtr.outcome(*asked)] == ["information"]


def test_a_v7_v8_what_the_payers_own_records_say_is_answered_by_nobody(dtr: Dtr) -> None:
    member = coverage(f"M-known-{dtr.version}")
    services = dtr.app.state.services
    with services.store.transaction() as tx:
        records.put(tx, film("73030", 10), f"member:M-known-{dtr.version}", services.clock())
    for how in (resource("order", shoulder()), resource("order", lumbar())):
        (package,) = dtr.packages(resource("coverage", member), how, named(SHOULDER))
        given = answers_of(package.draft)
        assert given["IMG-XR"][0]["valueCoding"]["code"] == "normal"
        for answers in given.values():
            for answer in answers:
                assert origin_of(answer) == {"2.0": "auto", "2.2": "auto-server"}[dtr.version]
                assert [part["url"] for part in answer["extension"][0]["extension"]] == ["source"]
    of_ben = resource("order", shoulder(subject={"reference": "Patient/ben"}))
    (package,) = dtr.packages(resource("coverage", member), of_ben, named(SHOULDER))
    assert answers_of(package.draft) == {}


def test_a_what_the_payer_knows_of_one_side_is_not_told_of_the_other(dtr: Dtr) -> None:
    """One form for both shoulders holds what is true of each; what the client sent beside is no record of
    ours."""
    number = f"M-sides-{dtr.version}"
    services = dtr.app.state.services
    right, left = (mri("73221", code, side=side) for side, code in (("RT", "M75.111"), ("LT", "M75.112")))
    filmed, drug = film("73030", 10), nsaid(60, 50)
    filmed["code"] = concept(CPT, "73030", "73030-RT")
    with services.store.transaction() as tx:
        for record in (filmed, drug):
            records.put(tx, record, f"member:{number}", services.clock())

    def known(*orders: dict[str, Any], beside: dict[str, Any] = PATIENT) -> set[str]:
        asked = [resource("order", order) for order in orders]
        (package,) = dtr.packages(
            resource("coverage", coverage(number)), *asked, resource("referenced", beside)
        )
        return set(answers_of(package.draft))

    drugs = {"CC-DUR.start", "CC-DUR.end", "CC-DUR.modalities"}
    assert known(right) == {*drugs, "IMG-XR", "IMG-XR.date"}
    assert known(left) == known(left, right) == known(right, left) == drugs
    undated = {name: content for name, content in left.items() if name != "authoredOn"}
    assert known(undated, beside=right) == known(left, beside=film("73030", 5)) == drugs


def test_a_forms_libraries_and_value_sets_are_named_with_their_versions(dtr: Dtr) -> None:
    """But for the libraries that a form of 2.0 names, where the test kit compares (test_field_reports)."""
    package = dtr.package(shoulder())
    held = {f"{each['url']}|{each['version']}" for each in (*package.libraries, *package.value_sets)}
    needed = {found["resource"] for each in package.libraries for found in each.get("relatedArtifact", [])}
    assert needed <= held
    sets = {
        code_filter["valueSet"]
        for library in package.libraries
        for requirement in library.get("dataRequirement", [])
        for code_filter in requirement.get("codeFilter", [])
    }
    assert sets
    assert all(name.endswith("|1.0.0") for name in sets)
    if dtr.version == "2.0":
        assert sets <= held


def test_a_form_whose_cql_cannot_be_evaluated_comes_unfilled(
    dtr: Dtr, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = coverage(f"M-spent-{dtr.version}")
    services = dtr.app.state.services
    with services.store.transaction() as tx:
        records.put(tx, film("73030", 10), f"member:M-spent-{dtr.version}", services.clock())
    spent(monkeypatch, "MRIShoulderPrefill")
    assert answers_of(dtr.package(shoulder(), coverage=member).draft) == {}
    spent(monkeypatch, "MRIShoulder")
    (remark,) = dtr.outcome(resource("coverage", member), resource("order", shoulder()))
    assert remark["severity"] == "warning"
    assert "could not be evaluated" in remark["diagnostics"]
