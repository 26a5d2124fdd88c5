"""The guides' rules on forms and libraries one by one, over everything there is: 0 what the versions say
differently (V), B profiles, C rules of CQL. A test bears the rule it stands for. Where the others are:

V1 to V5, V7  the package: test_package          V6, V7, V8  a response filled: test_stories
V14           a form under way: test_adaptive    V18         value sets in a package: test_field_reports
V19           reports of errors: test_artefacts  V20         the next question: test_adaptive, test_validation
V21           what a form need not ask: test_form
A  the package: test_package, test_package_requests, test_field_reports
B  the forms as data: test_questionnaires        D  the next question: test_adaptive, test_pended
E  expansion, reports, capability: test_artefacts, test_complaints, test_terminology; tokens and endpoints:
   tests/security
F  the Inferno suite under its numbers: tests/inferno/test_dtr
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from server.dtr.form import CQF_LIBRARY, Form, define_of
from server.dtr.populate import elm_of
from server.dtr.response import answers_of, items_of
from server.fhir import json
from server.fhir.elements import nodes
from server.fhir.extensions import extension, value, values
from tests.crd.builders import DAY, PHYSICIAN, ref, shoulder
from tests.dtr.conftest import FHIR_JSON, Dtr
from tests.dtr.forms import FOLDER

Json = dict[str, Any]

NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
STANDARD = [name for name in NAMES if name != "mri-adaptive"]
CORE = "http://hl7.org/fhir/StructureDefinition"
SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition"
DTR = "http://hl7.org/fhir/us/davinci-dtr/StructureDefinition"
LANGUAGES = {"2.0": "text/cql", "2.2": "text/cql-identifier"}
SUPPORTED = {
    f"{SDC}/sdc-questionnaire-initialExpression",
    f"{SDC}/sdc-questionnaire-enableWhenExpression",
    f"{CORE}/questionnaire-itemControl",
    f"{CORE}/questionnaire-supportLink",
    f"{CORE}/questionnaire-supportHyperlink",
    f"{CORE}/questionnaire-optionExclusive",
    f"{CORE}/rendering-xhtml",
}
"""Extensions of items that a client must support and our forms use."""
LIMITS = {f"{CORE}/minValue", f"{CORE}/maxValue", f"{CORE}/minLength"}
US_CORE = {
    *(
        "AllergyIntolerance",
        "CarePlan",
        "Condition",
        "Coverage",
        "Device",
        "DeviceRequest",
        "DiagnosticReport",
    ),
    *("Encounter", "Goal", "Location", "Medication", "MedicationDispense", "MedicationRequest"),
    *("Observation", "Organization"),
    *("Patient", "Practitioner", "PractitionerRole", "Procedure", "QuestionnaireResponse", "ServiceRequest"),
}
"""Types with a profile in US Core 7, and the orders."""
BESIDE = {"ImagingStudy"}
"""Read where there are any, as where no report is."""


@pytest.fixture(params=STANDARD)
def shown(request: pytest.FixtureRequest, dtr: Dtr) -> Json:
    """A standard form as the base gives it."""
    return json.decode_object(dtr.get(f"Questionnaire/{request.param}").content)


@pytest.fixture(scope="module")
def packed() -> dict[str, list[Json]]:
    """Kept, since it is long: the libraries by version."""
    return {}


@pytest.fixture
def libraries(dtr: Dtr, packed: dict[str, list[Json]]) -> list[Json]:
    """Those of all forms; the adaptive one brings them."""
    if dtr.version not in packed:
        (package,) = dtr.packages(
            {"name": "coverage", "resource": COVERAGE},
            {"name": "questionnaire", "valueCanonical": "https://payer.example/Questionnaire/mri-adaptive"},
        )
        packed[dtr.version] = package.libraries
    return packed[dtr.version]


COVERAGE: Json = {
    "resourceType": "Coverage",
    "id": "cov-1",
    "status": "active",
    "subscriberId": "M-RULES",
    "beneficiary": {"reference": "Patient/anna"},
    "payor": [{"identifier": {"system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567893"}}],
}


def expressions(form: Form) -> Iterator[Json]:
    for item in form.items.values():
        for found in item.node.get("extension", []):
            if "valueExpression" in found:
                yield found["valueExpression"]


def extensions(node: Json) -> Iterator[Json]:
    """Those of an item, of its text and of its options."""
    for part in (node, node.get("_text", {}), *node.get("answerOption", [])):
        yield from part.get("extension", [])


def test_v9_what_the_answers_are_for_is_coded_in_the_system_of_the_guide(dtr: Dtr) -> None:
    draft = dtr.package(shoulder()).draft
    (coding,) = value(extension(draft, f"{DTR}/intendedUse"))["coding"]
    assert coding["code"] == "withpa"
    assert coding["system"].endswith(
        {"2.0": "CodeSystem/temp", "2.2": "coverage-information-codes"}[dtr.version]
    )


def test_v10_b3_a_draft_has_the_profile_that_it_keeps(dtr: Dtr) -> None:
    """A response of 2.0.1 must have items, and the questions of an adaptive form are not yet known."""
    package = dtr.package(shoulder())
    assert package.draft["meta"]["profile"] == [f"{DTR}/dtr-questionnaireresponse"]
    assert package.draft["item"]
    name = {"name": "questionnaire", "valueCanonical": "https://payer.example/Questionnaire/mri-adaptive"}
    adaptive = dtr.package(shoulder(), name)
    assert "item" not in adaptive.draft
    claimed = adaptive.draft.get("meta", {}).get("profile")
    assert claimed == {"2.0": None, "2.2": [f"{DTR}/dtr-questionnaireresponse-adapt"]}[dtr.version]


def test_v11_v12_c_an_expression_is_in_the_language_of_the_guide_with_its_elm_where_it_has_a_place(
    dtr: Dtr, shown: Json
) -> None:
    for expression in expressions(Form(shown)):
        assert expression["language"] == LANGUAGES[dtr.version]
        beside = value(extension(expression, f"{DTR}/alternativeExpression"))
        assert (beside is not None) == (dtr.version == "2.2")
        if beside:
            assert beside["language"] == "application/elm+json"
            (define,) = json.decode_object(beside["expression"].encode())["library"]["statements"]["def"]
            assert define["name"] in expression["expression"]


def test_v15_what_has_a_version_says_how_versions_are_compared_in_2_2(
    dtr: Dtr, shown: Json, libraries: list[Json]
) -> None:
    for each in (shown, *libraries):
        said = value(extension(each, f"{CORE}/artifact-versionAlgorithm"))
        assert (said or {}).get("code") == ("semver" if dtr.version == "2.2" else None)


def test_v16_dtrq_6_a_form_for_clinicians_says_how_long_it_takes_them(dtr_2_2: Dtr) -> None:
    for name in STANDARD:
        found = json.decode_object(dtr_2_2.get(f"Questionnaire/{name}").content)
        assert value(extension(found, f"{DTR}/questionnaireAudience")) in ("clinical", "patient")
        assert value(extension(found, f"{DTR}/request-specific")) is True
        parts = {
            p["url"]: p["valueCode"]
            for p in extension(found, f"{DTR}/estimated-completion-time")["extension"]
        }
        assert {"clinicalTime", "totalTime"} <= parts.keys()


def test_v17_every_item_has_words_and_a_2_0_form_a_narrative(dtr: Dtr, shown: Json) -> None:
    assert all(item.node["text"].strip() for item in Form(shown).items.values())
    assert ("text" in shown) == (dtr.version == "2.0")


def test_b1_a_form_is_about_one_patient_in_force_for_a_time_and_whole(shown: Json) -> None:
    urls = {found["url"] for found in shown["extension"]}
    assert shown["subjectType"] == ["Patient"]
    assert {"start", "end"} <= shown["effectivePeriod"].keys()
    assert not urls & {f"{SDC}/sdc-questionnaire-assemble-expectation", f"{SDC}/sdc-questionnaire-endpoint"}


def test_b1_dtrq_2_sdc_base_2_a_choice_has_options_and_an_option_a_system(shown: Json) -> None:
    for item in Form(shown).questions():
        if item.type == "choice":
            assert item.options or "answerValueSet" in item.node, item.link_id
        assert all(option["system"] for option in item.options), item.link_id


def test_b1_dtrq_3_dtrq_4_nothing_is_asked_that_needs_units_or_resources(shown: Json) -> None:
    """Numbers have the unit in their words, and no answer is a reference."""
    assert not {item.type for item in Form(shown).questions()} & {"quantity", "reference"}


def test_b1_what_is_not_clinical_comes_last_and_is_announced(shown: Json) -> None:
    form = Form(shown)
    order = list(form.items)
    if "SOS-SITE" in form.items:
        (intro,) = [
            name
            for name in order
            if name.startswith("SOS-SITE")
            and form.items[name].type == "display"
            and not form.items[name].parents
        ]
        later = order[order.index(intro) :]
        assert "clinical part ends" in form.items[intro].node["text"]
        assert {name.partition(".")[0] for name in later} == {"SOS-SITE"}


def test_b1_nothing_is_used_that_a_client_need_not_know(shown: Json) -> None:
    """Neither optionalDisplay nor styles; a client that passes over the limits of a number is told by us."""
    used = {each["url"] for item in Form(shown).items.values() for each in extensions(item.node)}
    assert used - LIMITS <= SUPPORTED


def test_v13_b2_adaptive_questions_are_had_at_the_base(dtr: Dtr) -> None:
    found = json.decode_object(dtr.get("Questionnaire/mri-adaptive").content)
    (address,) = values(found, f"{SDC}/sdc-questionnaire-questionnaireAdaptive")
    assert address.endswith(f"/r{dtr.version}/fhir")
    assert ("item" in found) == (dtr.version == "2.0")
    assert found["meta"]["profile"] == [f"{DTR}/dtr-questionnaire-adapt-search"]
    assert (found["status"], found["subjectType"]) == ("active", ["Patient"])
    assert {"url", "version", "title", "effectivePeriod"} <= found.keys()
    operation = f"{urlsplit(address).path}/Questionnaire/$next-question"
    asked = dtr.http.post(operation, content=b"{}", headers=FHIR_JSON)
    assert asked.status_code == 400


def test_b3_a_draft_refers_to_what_the_client_has_and_to_nothing_else(dtr: Dtr) -> None:
    order = shoulder()
    draft = dtr.package(order, {"name": "referenced", "resource": PHYSICIAN}).draft
    assert not {"basedOn", "partOf", "author", "contained"} & draft.keys()
    assert draft["authored"].startswith(DAY.isoformat())
    told = [draft["subject"], *(e["valueReference"] for e in draft["extension"] if "valueReference" in e)]
    assert [each["reference"] for each in told] == ["Patient/anna", "Coverage/cov-1", ref(order)["reference"]]
    assert answers_of(draft) == {}
    listed = [item["linkId"] for item, _ in items_of(draft)]
    assert len(listed) == len(set(listed))


def test_b4_a_library_is_logic_and_says_of_each_that_it_needs_what_and_where_it_is(
    libraries: list[Json],
) -> None:
    urls = {f"{each['url']}|{each['version']}" for each in libraries}
    for each in libraries:
        (coding,) = each["type"]["coding"]
        assert (coding["code"], coding["display"]) == ("logic-library", "Logic Library")
        for needed in each.get("relatedArtifact", []):
            assert needed["type"] == "depends-on"
            assert needed["display"]
            assert needed["url"]
            assert needed["resource"] in urls


def test_c_a_library_has_cql_and_elm_under_one_name_and_version(libraries: list[Json]) -> None:
    """And ELM says which translator made it."""
    for each in libraries:
        contents = {content["contentType"]: b64decode(content["data"]) for content in each["content"]}
        assert set(contents) == {"text/cql", "application/elm+json"}
        elm = elm_of(each)["library"]
        assert (elm["identifier"]["id"], elm["identifier"]["version"]) == (each["name"], each["version"])
        cql = contents["text/cql"].decode()
        assert f"library {each['name']} version '{each['version']}'" in cql
        assert elm["annotation"][0]["translatorVersion"]


def test_c_names_of_libraries_are_theirs_alone_and_plain_words(dtr: Dtr, libraries: list[Json]) -> None:
    everywhere = [entry["resource"]["name"] for entry in dtr.get("Library").json()["entry"]]
    assert len(everywhere) == len(set(everywhere))
    names = [each["name"] for each in libraries]
    assert len(names) == len(set(names))
    assert set(names) <= set(everywhere)
    assert all(name.isalnum() for name in names)


def test_c_all_logic_is_about_the_patient_and_needs_nothing_handed_in(libraries: list[Json]) -> None:
    """Functions apart, which look at what they are given."""
    for each in libraries:
        elm = elm_of(each)["library"]
        defines = elm.get("statements", {}).get("def", [])
        assert {d["context"] for d in defines if d.get("type") != "FunctionDef"} <= {"Patient"}, each["name"]
        assert all("default" in parameter for parameter in elm.get("parameters", {}).get("def", []))


def test_c_what_a_library_reads_is_listed_and_has_a_profile(libraries: list[Json]) -> None:
    """An app has to fetch what is listed: not the bills, which the payer has and no EHR."""
    for each in libraries:
        listed = {needed["type"] for needed in each.get("dataRequirement", [])}
        retrieves = (node for node in nodes(elm_of(each)) if node.get("type") == "Retrieve")
        read = {node["dataType"].partition("}")[2] for node in retrieves}
        assert listed >= read - {"ExplanationOfBenefit"}, each["name"]
        assert listed - BESIDE <= US_CORE


def test_c_an_expression_fills_or_opens_an_item_by_a_define_of_a_library_that_the_form_lists(
    shown: Json,
) -> None:
    """`"Library"."Define"`: neither inline logic, nor variables, nor queries."""
    listed = {name.rpartition("/")[2].partition("|")[0] for name in values(shown, CQF_LIBRARY)}
    assert not {found["url"] for found in shown["extension"] if "valueExpression" in found}
    for expression in expressions(Form(shown)):
        assert expression["expression"].startswith('"')
        assert define_of(expression)[0] in listed


def test_c_an_empty_chart_leaves_the_form_empty_and_is_no_error(dtr: Dtr) -> None:
    filling = dtr.package(shoulder()).filled([])
    assert filling.answers == {}
    assert "SH-IMM" in filling.asked
