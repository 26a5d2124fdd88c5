"""The guides' rules on forms and libraries one by one, over everything there is: 0 what the versions say
differently, B profiles, C rules of CQL. What a package does as a whole is in test_package, what an adaptive
form does under way in test_adaptive, what the Inferno kit looks for in tests/inferno."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import pytest

from server.dtr.form import CQF_LIBRARY, Form
from server.fhir import json
from server.fhir.extensions import extension, value, values
from tests.crd.builders import shoulder
from tests.dtr.conftest import Dtr, elm_of
from tests.dtr.forms import FOLDER

Json = dict[str, Any]

NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
STANDARD = [name for name in NAMES if name != "mri-adaptive"]
CORE = "http://hl7.org/fhir/StructureDefinition"
SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition"
DTR = "http://hl7.org/fhir/us/davinci-dtr/StructureDefinition"
LANGUAGES = {"2.0": "text/cql", "2.2": "text/cql-identifier"}


@pytest.fixture(params=STANDARD)
def shown(request: pytest.FixtureRequest, dtr: Dtr) -> Json:
    """A standard form as the base gives it."""
    return json.decode_object(dtr.get(f"Questionnaire/{request.param}").content)


@pytest.fixture
def libraries(dtr: Dtr) -> list[Json]:
    (package,) = dtr.packages(
        {"name": "coverage", "resource": COVERAGE},
        {"name": "questionnaire", "valueCanonical": "https://payer.example/Questionnaire/mri-adaptive"},
    )
    return package.libraries


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


def test_v9_what_the_answers_are_for_is_coded_in_the_system_of_the_guide(dtr: Dtr) -> None:
    draft = dtr.package(shoulder()).draft
    (coding,) = value(extension(draft, f"{DTR}/intendedUse"))["coding"]
    assert coding["code"] == "withpa"
    assert coding["system"].endswith(
        {"2.0": "CodeSystem/temp", "2.2": "coverage-information-codes"}[dtr.version]
    )


def test_v11_v12_an_expression_is_in_the_language_of_the_guide_with_its_elm_where_it_has_a_place(
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


def test_b2_adaptive_questions_are_had_at_the_base(dtr: Dtr) -> None:
    found = json.decode_object(dtr.get("Questionnaire/mri-adaptive").content)
    address = value(extension(found, f"{SDC}/sdc-questionnaire-questionnaireAdaptive"))
    assert address.endswith(f"/r{dtr.version}/fhir")
    assert ("item" in found) == (dtr.version == "2.0")


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
    names = [each["name"] for each in libraries]
    assert len(names) == len(set(names))
    for each in libraries:
        contents = {content["contentType"]: b64decode(content["data"]) for content in each["content"]}
        assert set(contents) == {"text/cql", "application/elm+json"}
        identifier = elm_of(each)["library"]["identifier"]
        assert (identifier["id"], identifier["version"]) == (each["name"], each["version"])
        assert f"library {each['name']} version '{each['version']}'" in contents["text/cql"].decode()


def test_c_all_logic_is_about_the_patient_and_needs_nothing_handed_in(libraries: list[Json]) -> None:
    """Functions apart, which look at what they are given."""
    for each in libraries:
        elm = elm_of(each)["library"]
        defines = elm.get("statements", {}).get("def", [])
        assert {d["context"] for d in defines if d.get("type") != "FunctionDef"} <= {"Patient"}, each["name"]
        assert all("default" in parameter for parameter in elm.get("parameters", {}).get("def", []))


def test_c_every_library_that_an_expression_names_is_listed_by_the_form(shown: Json) -> None:
    listed = {name.rpartition("/")[2].partition("|")[0] for name in values(shown, CQF_LIBRARY)}
    assert {
        expression["expression"].split(".")[0].strip('"') for expression in expressions(Form(shown))
    } <= listed
