"""Forms, libraries and value sets can be read and searched, and the base says what it does."""

import datetime as dt
from base64 import b64decode
from copy import copy
from hashlib import sha1

import pytest

from server.dtr.artefacts import Artefacts, digest_of
from server.dtr.routes import TABLES
from server.fhir import json
from server.policy.catalog import Catalog
from server.store import questionnaire_errors
from tests.crd.builders import DAY, shoulder
from tests.dtr.conftest import GUIDES, Dtr
from tests.emitted import record

DTR = "http://hl7.org/fhir/us/davinci-dtr"
KINDS = ["Questionnaire", "Library", "ValueSet"]


def test_e_what_a_package_names_by_address_is_there(dtr: Dtr) -> None:
    package = dtr.package(shoulder())
    for entry in package.bundle["entry"]:
        if not entry["fullUrl"].startswith("urn:"):
            path = entry["fullUrl"].split("/fhir/")[1]
            assert json.decode_object(dtr.get(path).content) == entry["resource"]


def test_each_artefact_has_a_digest_in_the_package_and_on_its_own(dtr: Dtr) -> None:
    for resource in dtr.package(shoulder()).resources:
        if resource["resourceType"] in KINDS:
            digest = resource["meta"]["versionId"]
            assert digest == digest_of(resource)
            read = dtr.get(f"{resource['resourceType']}/{resource['id']}")
            tag = read.headers["etag"]
            assert tag == f'W/"{digest}"'
            again = dtr.get(
                f"{resource['resourceType']}/{resource['id']}", {"If-None-Match": f'W/"1", {tag}'}
            )
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)


def test_the_digest_changes_with_any_part_of_what_it_stands_for(dtr: Dtr) -> None:
    form = dtr.package(shoulder()).of_type("Questionnaire")[0]
    assert digest_of({**form, "title": "Another"}) != digest_of(form)
    assert digest_of(dict(reversed(form.items()))) == digest_of(form)


def test_the_content_of_a_library_carries_its_own_hash(dtr: Dtr) -> None:
    for library in dtr.package(shoulder()).libraries:
        for content in library["content"]:
            assert b64decode(content["hash"]) == sha1(b64decode(content["data"])).digest()


@pytest.mark.parametrize("kind", KINDS)
def test_e_each_is_found_by_url_and_version(dtr: Dtr, kind: str) -> None:
    everything = json.decode_object(dtr.get(kind).content)
    assert everything["total"] == len(everything["entry"]) > 0
    first = everything["entry"][0]["resource"]
    found = json.decode_object(dtr.get(kind, url=first["url"], version=first["version"]).content)
    # A form read by itself would make the validator run its CQL conditions over recorded responses, which
    # it cannot; packages carry the forms that are judged.
    if kind != "Questionnaire":
        record(GUIDES[dtr.version], found)
    assert [entry["resource"]["url"] for entry in found["entry"]] == [first["url"]]
    assert found["link"][0]["url"].startswith(f"http://127.0.0.1:8080/r{dtr.version}/fhir/{kind}?url=")
    by_canonical = dtr.get(kind, url=f"https://other.example/none,{first['url']}|{first['version']}")
    assert json.decode_object(by_canonical.content)["entry"] == found["entry"]
    for asked in ({"url": first["url"], "version": "0.0.1"}, {"url": f"{first['url']}|0.0.1"}):
        nothing = json.decode_object(dtr.get(kind, **asked).content)
        assert (nothing["total"], "entry" in nothing) == (0, False)


def test_e_a_parameter_nobody_knows_is_passed_over_or_refused_as_the_client_prefers(dtr: Dtr) -> None:
    assert dtr.get("Library", colour="blue").status_code == 200
    strict = dtr.get("Library", headers={"Prefer": "handling=strict"}, colour="blue")
    assert dtr.refused(strict)[0] == 400
    assert dtr.refused(dtr.get("Library", **{"name:exact": "MRIOrder"}))[0] == 400
    active = {"status": "http://hl7.org/fhir/publication-status|active", "name": "none,mriORD"}
    assert json.decode_object(dtr.get("Library", **active).content)["total"] == 1


def test_e_who_asks_for_pages_is_led_through_all_and_never_given_more(dtr: Dtr) -> None:
    everything = json.decode_object(dtr.get("Questionnaire").content)
    entries, page = [], json.decode_object(dtr.get("Questionnaire", status="active", _count="5").content)
    for following in ("next", "next", None):
        links = {link["relation"]: link["url"] for link in page["link"]}
        assert json.decode_object(dtr.http.get(links["self"]).content) == page
        assert (page["total"], len(page["entry"]) <= 5) == (everything["total"], True)
        entries += page["entry"]
        if following:
            page = json.decode_object(dtr.http.get(links[following]).content)
    assert "next" not in links
    assert entries == everything["entry"]
    for alone in ({"_count": "0"}, {"_summary": "count"}):
        counted = json.decode_object(dtr.get("Questionnaire", **alone).content)
        assert (counted["total"], "entry" in counted, len(counted["link"])) == (len(entries), False, 1)
    assert dtr.refused(dtr.get("Questionnaire", _count="many"))[0] == 400


@pytest.mark.parametrize("kind", KINDS)
def test_e_what_is_not_there_is_not_found(dtr: Dtr, kind: str) -> None:
    assert dtr.refused(dtr.get(f"{kind}/nothing"))[0] == 404


def test_e_expansion_by_query_by_body_and_by_id_are_the_same(dtr: Dtr) -> None:
    listed = json.decode_object(dtr.get("ValueSet").content)["entry"][0]["resource"]
    url, by_id = listed["url"], f"ValueSet/{listed['id']}/$expand"
    asked = {"resourceType": "Parameters", "parameter": [{"name": "url", "valueUri": url}]}
    by_body = json.decode_object(dtr.post("ValueSet/$expand", asked).content)
    record(GUIDES[dtr.version], by_body)
    assert json.decode_object(dtr.get("ValueSet/$expand", url=url).content) == by_body
    assert json.decode_object(dtr.get(by_id).content) == by_body
    assert json.decode_object(dtr.post(by_id, {"resourceType": "Parameters"}).content) == by_body
    assert dtr.refused(dtr.get("ValueSet/nothing/$expand"))[0] == 404


def test_e_an_expansion_is_of_one_set_by_its_url_as_of_today(dtr: Dtr) -> None:
    assert dtr.refused(dtr.get("ValueSet/$expand"))[0] == 400
    assert dtr.refused(dtr.get("ValueSet/$expand", url="https://payer.example/ValueSet/none"))[0] == 404
    found = dtr.get("ValueSet/$expand", url="https://payer.example/ValueSet/dx-shoulder", filter="M75.111")
    told = json.decode_object(found.content)
    assert told["resourceType"] == "ValueSet"
    assert [code["code"] for code in told["expansion"]["contains"]] == ["M75.111"]
    said = {each["name"]: each.get("valueDateTime") for each in told["expansion"]["parameter"]}
    assert said["date"] == DAY.isoformat()
    assert {"activeOnly", "filter"} <= said.keys()


def test_e_the_base_says_what_it_does(dtr: Dtr) -> None:
    statement = json.decode_object(dtr.get("metadata").content)
    record({"2.0": "pas-2.0.1", "2.2": "pas-2.2.1"}[dtr.version], statement)
    assert f"{DTR}/CapabilityStatement/dtr-payer-service" in statement["instantiates"]
    assert "json" in statement["format"]
    listed = {
        (found["type"], operation["name"]): operation["definition"]
        for found in statement["rest"][0]["resource"]
        for operation in found.get("operation", [])
    }
    own = f"{DTR}/OperationDefinition"
    next_question = {
        "2.0": "http://hl7.org/fhir/uv/sdc/OperationDefinition/Questionnaire-next-question",
        "2.2": f"{own}/DTR-Questionnaire-next-question",
    }
    assert listed["Questionnaire", "questionnaire-package"] == f"{own}/questionnaire-package"
    assert listed["Questionnaire", "log-questionnaire-errors"] == f"{own}/log-questionnaire-errors"
    assert listed["Questionnaire", "next-question"] == next_question[dtr.version]
    assert listed["ValueSet", "expand"].endswith("/OperationDefinition/ValueSet-expand")


@pytest.mark.parametrize(
    ("form", "outcome"),
    [("questionnaire", "operationOutcome"), ("Questionnaire", "OperationOutcome")],
)
@pytest.mark.parametrize("forms", [["mri-shoulder"], ["mri-knee", "mri-hip"]])
def test_v19_e_a_report_of_errors_is_kept(dtr: Dtr, form: str, outcome: str, forms: list[str]) -> None:
    """The operation of 2.0.1 writes its parameters in capitals and takes one of each; here any number. That
    of 2.2.0 has them in one parameter, which is sent bare or, as some read it, wrapped."""
    named = [f"https://payer.example/Questionnaire/{name}|1.0.0" for name in forms]
    issue = {"severity": "error", "code": "processing", "diagnostics": "Patient/anna: crash"}
    report = {
        "resourceType": "Parameters",
        "parameter": [
            *({"name": form, "valueCanonical": canonical} for canonical in named),
            {"name": outcome, "resource": {"resourceType": "OperationOutcome", "issue": [issue]}},
        ],
    }
    wrapped = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": report}]}
    answer = dtr.post("Questionnaire/$log-questionnaire-errors", report if len(forms) > 1 else wrapped)
    assert (answer.status_code, answer.content) == (204, b"")
    with dtr.app.state.services.store.reading() as tx:
        kept = questionnaire_errors.newest(tx)[: len(named)]
    assert {each.questionnaire for each in kept} == set(named)
    assert {each.version for each in kept} == {dtr.version}
    assert [each.content["issue"][0]["diagnostics"] for each in kept] == ["…: crash"] * len(named)
    assert (
        dtr.refused(dtr.post("Questionnaire/$log-questionnaire-errors", {**report, "parameter": []}))[0]
        == 400
    )


def test_two_versions_of_a_form_are_each_packed_as_they_are_and_one_is_current(catalog: Catalog) -> None:
    """The new version is of a day to come, and stands in a file that comes before the old one."""
    old = next(each for each in catalog.questionnaires if each["id"] == "mri-knee")
    change = {"id": "mri-knee-2", "version": "2.0.0", "effectivePeriod": {"start": "2026-12-15"}}
    changed = copy(catalog)
    changed.questionnaires = ({**old, **change}, *catalog.questionnaires)
    artefacts = Artefacts(changed, TABLES["2.2"], "https://payer.example/fhir", without_version=False)

    def packed(asked: str, day: str) -> str:
        package = artefacts.package(asked, dt.date.fromisoformat(day))
        assert package is not None
        return str(json.decode(bytes(package.head))["resource"]["id"])

    assert packed(old["url"], "2026-12-14") == packed(f"{old['url']}|1.0.0", "2026-12-15") == "mri-knee"
    assert packed(old["url"], "2026-12-15") == packed(f"{old['url']}|2.0.0", "2026-12-14") == "mri-knee-2"
    assert {"mri-knee", "mri-knee-2"} <= {each["id"] for each in artefacts.of_type("Questionnaire").values()}
