"""Profiles as the guides publish them: their examples hold, and planted faults are found."""

from __future__ import annotations

import copy
import os
import statistics
import tarfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from server import cli
from server.app import create_app
from server.fhir import json
from server.services import Version
from server.settings import Settings
from server.validation import guides, invariants
from server.validation.guides import validators
from server.validation.validator import Validator
from tests import databases
from tests.pas import builders as a
from tests.validation.mutants import holder_of, mutants

Resource = dict[str, Any]

FOLDER = os.environ.get("FHIR_PACKAGES", "")
pytestmark = pytest.mark.skipif(
    not FOLDER and os.environ.get("CI") != "true", reason="FHIR_PACKAGES names no packages"
)
PAS = "hl7.fhir.us.davinci-pas-2.0.1.tgz"
BUNDLE = "Bundle-ReferralAuthorizationBundleExample.json"


@pytest.fixture(scope="module")
def pas() -> Validator:
    return validators(Path(FOLDER))["2.0"]


def published(package: str) -> dict[str, Resource]:
    """The examples of a guide by file name."""
    found = {}
    with tarfile.open(Path(FOLDER) / package) as archive:
        for member in archive:
            if "/example/" in member.name and member.name.endswith(".json"):
                file = archive.extractfile(member)
                assert file is not None
                found[member.name.rpartition("/")[2]] = json.decode_object(file.read())
    return found


@pytest.fixture(scope="module")
def examples() -> dict[str, Resource]:
    return published(PAS)


def faults(validator: Validator, resource: Resource) -> list[tuple[str, str]]:
    """Place and rule of each error."""
    return [(each.path, each.rule) for each in validator.check(resource) if each.severity == "error"]


def test_the_published_examples_hold(pas: Validator, examples: dict[str, Resource]) -> None:
    assert {name: faults(pas, resource) for name, resource in examples.items() if faults(pas, resource)} == {}
    assert len(examples) > 30


Change = Callable[[Resource], Any]

FAULTS: dict[str, tuple[Change, str, str]] = {
    "no insurer": (lambda claim: claim.pop("insurer"), "Claim.insurer", "cardinality"),
    "two identifiers": (
        lambda claim: claim["identifier"].append(dict(claim["identifier"][0])),
        "Claim.identifier",
        "cardinality",
    ),
    "an unknown use": (lambda claim: claim.update(use="approval"), "Claim.use", "binding"),
    "another fixed use": (lambda claim: claim.update(use="claim"), "Claim.use", "fixed"),
    "a date that is none": (lambda claim: claim.update(created="2026-13-01"), "Claim.created", "type"),
    "a list that is none": (lambda claim: claim.update(item=claim["item"][0]), "Claim.item", "type"),
    "an unknown property": (lambda claim: claim.update(payor={}), "Claim.payor", "structure"),
    "an empty object": (lambda claim: claim.update(billablePeriod={}), "Claim.billablePeriod", "ele-1"),
    "an address that HL7 does not have": (
        lambda claim: claim["identifier"][0].update(system="http://hl7.org/fhir/sid/us-npi-2"),
        "Claim.identifier[0].system",
        "address",
    ),
    "a code that its system does not have": (
        lambda claim: claim["type"]["coding"][0].update(code="none"),
        "Claim.type.coding[0]",
        "code",
    ),
    "a local reference to nothing": (
        lambda claim: claim.update(insurer={"reference": "#none"}),
        "Claim.insurer",
        "ref-1",
    ),
    "an extension without value": (
        lambda claim: claim.update(extension=[{"url": "https://payer.example/x"}]),
        "Claim.extension[0]",
        "ext-1",
    ),
    "a period that ends before it starts": (
        lambda claim: claim.update(billablePeriod={"start": "2026-02-01", "end": "2026-01-01"}),
        "Claim.billablePeriod",
        "per-1",
    ),
    "a number for a text": (
        lambda claim: claim["item"][0].update(sequence="1"),
        "Claim.item[0].sequence",
        "type",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_at_its_place(
    pas: Validator, examples: dict[str, Resource], fault: str
) -> None:
    change, place, rule = FAULTS[fault]
    claim = copy.deepcopy(examples["Claim-MedicalServicesAuthorizationExample.json"])
    change(claim)

    found = faults(pas, claim)
    assert any(path == place and kind in (rule, "fixed", "pattern", "binding") for path, kind in found), found


def test_every_fault_is_told_with_rule_profile_and_remedy(
    pas: Validator, examples: dict[str, Resource]
) -> None:
    claim = copy.deepcopy(examples["Claim-MedicalServicesAuthorizationExample.json"])
    del claim["insurer"], claim["patient"]
    issues = [finding.issue() for finding in pas.check(claim)]

    assert {issue.expression for issue in issues} >= {"Claim.insurer", "Claim.patient"}
    for issue in issues:
        assert "davinci-pas/StructureDefinition/profile-claim" in issue.diagnostics
        assert "Add it." in issue.diagnostics


def test_a_bundle_s_references_are_held_to_the_profiles_of_their_targets(
    pas: Validator, examples: dict[str, Resource]
) -> None:
    bundle = copy.deepcopy(examples[BUNDLE])
    claim = bundle["entry"][0]["resource"]
    claim["insurer"], claim["patient"] = claim["patient"], claim["insurer"]

    places = {path for path, rule in faults(pas, bundle) if rule == "reference"}
    assert {"Bundle.entry[0].resource.insurer", "Bundle.entry[0].resource.patient"} <= places


def test_a_slice_that_must_be_there_is_missed_by_name(pas: Validator, examples: dict[str, Resource]) -> None:
    bundle = copy.deepcopy(examples[BUNDLE])
    bundle["entry"] = [each for each in bundle["entry"] if each["resource"]["resourceType"] != "Claim"]
    words = " ".join(finding.words for finding in pas.check(bundle))

    assert "slice Claim" in words


@pytest.mark.parametrize("version", ["2.0", "2.2"])
def test_whatever_is_sent_the_validator_answers(version: Version) -> None:
    """Types, lists and objects in each other's places, and whatever else the mutants do."""
    package = {"2.0": PAS, "2.2": "hl7.fhir.us.davinci-pas-2.2.1.tgz"}[version]
    sent = {name: each for name, each in published(package).items() if each["resourceType"] == "Bundle"}
    for mutant in mutants(sent, 50, seed=7):
        validators(Path(FOLDER))[version].check(mutant.resource)


@pytest.mark.parametrize(
    ("path", "planted"),
    [
        (("item", 0, "productOrService", "coding"), 5),
        (("contained",), 5),
        (("resourceType",), {"a": 1}),
    ],
)
def test_a_value_of_the_wrong_kind_is_told_wherever_the_validator_follows_it(
    pas: Validator, path: tuple[str | int, ...], planted: Any
) -> None:
    """A value set that nobody can list, a reference into what is contained, the type that tells a slice."""
    bundle = published(PAS)["Bundle-HomecareAuthorizationBundleExample.json"]
    claim = bundle["entry"][0]["resource"]
    claim["provider"] = {"reference": "#none"}
    holder_of(claim, path)[path[-1]] = planted

    assert [each for each in faults(pas, bundle) if each[0].startswith("Bundle.entry[0]")]


def test_an_attachment_that_was_cut_off_is_told_at_once(pas: Validator) -> None:
    """Base64 in lines, as mail has it: each line end could be read in two ways, sixty in more than there is
    time for."""
    lines = "JVBERi0xLjQK\r\n" * 60
    whole = {"resourceType": "Binary", "contentType": "application/pdf", "data": lines}

    assert "Binary.data" not in [finding.path for finding in pas.check(whole)]
    assert "Binary.data" in [finding.path for finding in pas.check({**whole, "data": f"{lines}JV"})]


def test_what_callers_make_up_is_not_remembered(pas: Validator, examples: dict[str, Resource]) -> None:
    packages = pas._compiler.packages
    validator = Validator(packages)
    claim = copy.deepcopy(examples["Claim-MedicalServicesAuthorizationExample.json"])
    validator.check(claim)
    told = len(packages._decoded), len(validator._compiler._shapes), len(validator._compiler._trees)
    for number in range(3):
        claim["extension"] = [{"url": f"https://ehr.example/{number}", "valueString": "x"}]
        claim["meta"] = {"profile": [f"https://ehr.example/profile/{number}"]}
        claim["priority"]["coding"] = [{"system": f"https://ehr.example/codes/{number}", "code": "x"}]
        validator.check(claim)
        if not number:  # a value's type and the base of the resource are met for the first time
            told = len(packages._decoded), len(validator._compiler._shapes), len(validator._compiler._trees)

    assert (len(packages._decoded), len(validator._compiler._shapes), len(validator._compiler._trees)) == told


def test_threads_that_meet_a_profile_first_together_find_the_same(
    pas: Validator, examples: dict[str, Resource]
) -> None:
    claim = examples["Claim-MedicalServicesAuthorizationExample.json"]
    validator = Validator(pas._compiler.packages)
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: faults(validator, claim), range(16)))

    assert found == [[]] * 16


def test_items_within_items_are_items(pas: Validator) -> None:
    form = {
        "resourceType": "Questionnaire",
        "status": "active",
        "item": [{"linkId": "1", "type": "group", "item": [{"linkId": "1.1", "type": "string"}]}],
    }
    assert faults(pas, form) == []
    form["item"][0]["item"][0]["type"] = "text-ish"  # type: ignore[index]
    assert faults(pas, form) == [("Questionnaire.item[0].item[0].type", "binding")]


def test_a_profile_of_a_choice_leaves_each_type_its_own_elements() -> None:
    """The base questionnaire of DTR 2.2 puts an extension on answerOption.value[x], whatever its type."""
    validator = validators(Path(FOLDER))["2.2"]
    sent = published("hl7.fhir.us.davinci-dtr-2.2.0-local.tgz")
    answers = sent["QuestionnaireResponse-home-o2-adaptive-questionnaireresponse.json"]
    assert faults(validator, answers) == []
    items = answers["contained"][0]["item"]
    option = next(each["answerOption"][0] for each in items if "answerOption" in each)
    option["valueCoding"]["codes"] = "misspelt"

    assert any(place.endswith("valueCoding.codes") for place, _ in faults(validator, answers))


def test_an_order_parameter_may_be_any_of_the_orders_and_must_be_one() -> None:
    sent = published("hl7.fhir.us.davinci-dtr-2.0.1.tgz")[
        "Parameters-QuestionnairePackageInputParamsExample.json"
    ]
    validator = validators(Path(FOLDER))["2.0"]
    assert faults(validator, sent) == []
    number = next(n for n, each in enumerate(sent["parameter"]) if each["name"] == "order")
    sent["parameter"][number]["resource"] = {"resourceType": "Basic", "code": {"text": "no order"}}
    assert (f"Parameters.parameter[{number}].resource", "type") in faults(validator, sent)


def test_an_extension_stands_where_its_definition_says(pas: Validator, examples: dict[str, Resource]) -> None:
    claim = copy.deepcopy(examples["Claim-MedicalServicesAuthorizationExample.json"])
    birth = {
        "url": "http://hl7.org/fhir/StructureDefinition/patient-birthTime",
        "valueDateTime": "1980-01-01",
    }
    claim["extension"] = [*claim.get("extension", []), birth]

    assert (f"Claim.extension[{len(claim['extension']) - 1}]", "context") in faults(pas, claim)


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        (
            "http://hl7.org/fhir/5.0/StructureDefinition/extension-CommunicationRequest.payload.content[x]",
            False,
        ),
        ("http://hl7.org/fhir/5.0/StructureDefinition/extension-CommunicationRequest.payload%5Bx%5D", True),
    ],
)
def test_an_element_of_another_fhir_version_is_called_by_its_name(
    pas: Validator, examples: dict[str, Resource], url: str, wrong: bool
) -> None:
    claim = copy.deepcopy(examples["Claim-MedicalServicesAuthorizationExample.json"])
    claim["extension"] = [*claim.get("extension", []), {"url": url, "valueString": "x"}]

    assert any(rule == "address" for _, rule in faults(pas, claim)) is wrong


def test_what_only_begins_like_a_code_system_is_none(pas: Validator, examples: dict[str, Resource]) -> None:
    claim = copy.deepcopy(examples["Claim-MedicalServicesAuthorizationExample.json"])
    claim["item"][0]["programCode"] = [{"coding": [{"system": "http://snomed.info/sct-us", "code": "1"}]}]

    assert ("Claim.item[0].programCode[0].coding[0].system", "address") in faults(pas, claim)


def test_a_rule_traces_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    held = invariants.compiled(
        "own-1", "name.trace('told').exists() implies name.given.trace('given', $this).exists()"
    )
    assert held is not None
    assert held({"name": [{"given": ["Anna"]}]}, {}) is True
    assert held({"name": [{"family": "Roth"}]}, {}) is False
    assert held({"birthDate": "1980-01-01"}, {}) is True
    assert not capsys.readouterr().out


def test_one_element_where_a_truth_value_is_wanted_is_true_and_several_are_none() -> None:
    """FHIRPath, "Singleton evaluation of collections"; crd-ci-q4 is of this kind."""
    held = invariants.compiled(
        "own-2",
        "part.where(of = 'a') and part.where(of = 'b').exists() implies part.where(of = 'c').exists()",
    )
    assert held is not None
    told = {
        names: held({"part": [{"of": name} for name in names]}, {}) for names in ("ab", "abc", "a", "aab")
    }
    assert told == {"ab": False, "abc": True, "a": True, "aab": None}


def test_a_bundle_takes_a_few_milliseconds(pas: Validator, examples: dict[str, Resource]) -> None:
    bundle = examples[BUNDLE]
    pas.check(bundle)
    spent = []
    for _ in range(20):
        began = time.thread_time()
        pas.check(bundle)
        spent.append(time.thread_time() - began)
    assert statistics.median(spent) < 0.02  # on a machine that does other things; 5 ms is the aim


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    settings = Settings(
        _env_file=None,
        database_url=databases.sqlite(tmp_path_factory.mktemp("validation")),
        fhir_packages=FOLDER,
        profiles="refuse",
    )
    app = create_app(settings)
    yield TestClient(app)
    app.state.services.store.close()


def test_who_would_refuse_by_profiles_that_are_not_there_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"lacks hl7.fhir.r4.core 4.0.1, hl7.fhir.us.davinci-pas 2.0.1"):
        guides.demand(tmp_path, refusing=True)


def test_a_tester_asks_what_is_wrong(http: TestClient, examples: dict[str, Resource]) -> None:
    claim = copy.deepcopy(examples["Claim-MedicalServicesAuthorizationExample.json"])
    headers = {"Content-Type": "application/fhir+json"}
    right = http.post("/r2.0/fhir/Claim/$validate", content=json.encode(claim), headers=headers)
    assert right.json()["issue"][0]["severity"] == "information"

    profile = claim["meta"].pop("profile")[0]
    del claim["insurer"]
    wrapped = {
        "resourceType": "Parameters",
        "parameter": [{"name": "resource", "resource": claim}, {"name": "profile", "valueUri": profile}],
    }
    told = http.post("/r2.0/fhir/Claim/$validate", content=json.encode(wrapped), headers=headers).json()
    assert told["issue"][0]["severity"] == "error"
    assert any(issue["expression"] == ["Claim.insurer"] for issue in told["issue"])
    other = http.post("/r2.0/fhir/Patient/$validate", content=json.encode(claim), headers=headers)
    assert other.status_code == 400


def test_a_request_that_breaks_its_profiles_hears_of_every_fault_at_once(
    http: TestClient, examples: dict[str, Resource]
) -> None:
    headers = {"Content-Type": "application/fhir+json"}
    bundle = copy.deepcopy(examples[BUNDLE])
    whole = http.post("/r2.0/fhir/Claim/$submit", content=json.encode(bundle), headers=headers)
    claim = bundle["entry"][0]["resource"]
    del claim["priority"], claim["insurer"]
    told = http.post("/r2.0/fhir/Claim/$submit", content=json.encode(bundle), headers=headers)

    assert whole.status_code == 200, whole.text
    assert told.status_code == 400
    places = {place for issue in told.json()["issue"] for place in issue["expression"]}
    assert {"Bundle.entry[0].resource.priority", "Bundle.entry[0].resource.insurer"} <= places
    wrapped = {"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": bundle}]}
    again = http.post("/r2.0/fhir/Claim/$submit", content=json.encode(wrapped), headers=headers)
    where = "Parameters.parameter[0].resource."
    within = {place for issue in again.json()["issue"] for place in issue["expression"]}
    assert within == {place.replace("Bundle.", where) for place in places}
    hollow = json.encode({**bundle, "entry": 1})
    assert http.post("/r2.0/fhir/Claim/$submit", content=hollow, headers=headers).status_code == 400


def test_what_is_no_profile_is_said(http: TestClient) -> None:
    body = json.encode({"resourceType": "Patient", "gender": "female"})
    told = http.post(
        "/r2.2/fhir/Patient/$validate?profile=https://payer.example/none",
        content=body,
        headers={"Content-Type": "application/fhir+json"},
    ).json()
    assert "https://payer.example/none" in told["issue"][-1]["diagnostics"]


def test_files_are_validated_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FHIR_PACKAGES", FOLDER)
    (tmp_path / "right.json").write_bytes(json.encode(a.anna()))
    (tmp_path / "wrong.json").write_bytes(json.encode({**a.anna(), "gender": "woman"}))
    strange = {**a.anna(), "meta": {"profile": ["https://ehr.example/profile"]}}
    (tmp_path / "strange.json").write_bytes(json.encode(strange))
    told = CliRunner().invoke(cli.app, ["validate", str(tmp_path)])

    assert told.exit_code == 1
    assert "1 of 3 with errors" in told.output
    assert "Patient.gender" in told.output
    assert "Not checked" in told.output
    assert "profile https://ehr.example/profile" in told.output


def test_what_a_file_has_in_it_steers_no_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever wrote it chose the names of its members."""
    monkeypatch.delenv("FHIR_PACKAGES", raising=False)
    (tmp_path / "sent.json").write_bytes(json.encode({"resourceType": "Patient", "\x1b[2J[/bold]": 1}))
    told = CliRunner().invoke(cli.app, ["validate", str(tmp_path)])

    assert "[2J[/bold]" in told.output
    assert "\x1b" not in told.output


def test_packages_are_installed_and_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FHIR_PACKAGES", str(tmp_path))
    broken = tmp_path.parent / "broken.tgz"
    broken.write_bytes(b"no archive")

    assert CliRunner().invoke(cli.app, ["ig", "install", str(Path(FOLDER) / PAS)]).exit_code == 0
    assert "hl7.fhir.us.davinci-pas" in CliRunner().invoke(cli.app, ["ig", "list"]).output
    assert CliRunner().invoke(cli.app, ["ig", "install", str(broken)]).exit_code == 1
