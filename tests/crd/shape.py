"""What every answer of the CRD door is held to, whichever test provoked it."""

import json as plain_json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

from server.adjudication.order_lines import COVERAGE_INFORMATION
from server.fhir import json
from tests.emitted import record

Information = dict[str, Any]


@cache
def _schema() -> jsonschema.Draft202012Validator:
    text = Path(__file__).with_name("response.schema.json").read_text()
    return jsonschema.Draft202012Validator(plain_json.loads(text))


def held(response: dict[str, Any], version: str = "2.0") -> dict[str, Any]:
    """The response, after it was found to have the shape of CDS Hooks and coverage information that keeps
    the guide's rules; saved for the official validator."""
    faults = [
        f"{error.json_path}: {error.message}" for error in _schema().iter_errors(_digits_aside(response))
    ]
    assert not faults, "\n".join(faults)
    uuids = [thing["uuid"] for card in response["cards"] for thing in (card, *card.get("suggestions", []))]
    assert len(uuids) == len(set(uuids)), "two cards or suggestions share a uuid"
    for action in response["systemActions"]:
        if action["resource"]["resourceType"] == "Coverage":
            continue
        informations = coverage_informations(action["resource"])
        assert informations, "a system action without coverage information"
        for information in informations:
            keeps_the_rules(information)
    for resource in _resources(response):
        record({"2.0": "crd-2.0.1", "2.2": "crd-2.2.1"}[version], profiled(resource, version))
    return response


CRD = "http://hl7.org/fhir/us/davinci-crd/StructureDefinition"
NEEDED = {
    "ServiceRequest": {"code", "subject", "authoredOn", "requester"},
    "DeviceRequest": {"codeCodeableConcept", "subject", "authoredOn", "requester"},
    "NutritionOrder": {"patient", "dateTime", "orderer"},
    "Appointment": {"start", "end", "requestedPeriod"},
    "Encounter": {"class", "type", "subject"},
    "Coverage": {"beneficiary", "relationship", "payor"},
    "Task": {"for", "input"},
}
"""What a profile of the guide asks of a client: an order sent without it cannot come back with it."""

NAMES = {"Task": "profile-taskquestionnaire"}


def profiled(resource: dict[str, Any], version: str) -> dict[str, Any]:
    """The resource with the profile of the guide that it has to meet; without one where the client's own
    part of it falls short of the profile."""
    kind = resource["resourceType"]
    met = kind in NEEDED and NEEDED[kind] <= resource.keys()
    draft = resource.get("status") in ("draft", "proposed") or kind in ("Coverage", "Encounter", "Task")
    if not met or not (draft or version == "2.2") or (version == "2.2" and kind == "Appointment"):
        return resource
    name = NAMES.get(kind, f"profile-{kind.lower()}")
    return {**resource, "meta": {**resource.get("meta", {}), "profile": [f"{CRD}/{name}"]}}


def coverage_informations(resource: dict[str, Any]) -> list[Information]:
    """Each coverage-information extension: sub-extension url to its value, or list of values."""
    return [_by_url(found) for found in resource.get("extension", []) if found["url"] == COVERAGE_INFORMATION]


MANY = {
    "info-needed",
    "reason",
    "questionnaire",
    "detail",
    "billingCode",
    "dependency",
    "contact",
    "doc-purpose",
}


def _by_url(found: dict[str, Any]) -> Information:
    information: Information = {}
    for part in found["extension"]:
        value = next((part[name] for name in part if name.startswith("value")), part.get("extension"))
        assert value not in (None, "", [], {}), f"{part['url']} holds nothing"
        if part["url"] in MANY:
            information.setdefault(part["url"], []).append(value)
        else:
            assert part["url"] not in information, f"{part['url']} appears twice"
            information[part["url"]] = value
    return information


def keeps_the_rules(information: Information) -> None:
    """crd-ci-q1 to q9 as both guides mean them, each true, not merely not false."""
    states = {information.get(name) for name in ("covered", "pa-needed", "doc-needed")}
    assert {"coverage", "covered", "date", "coverage-assertion-id"} <= information.keys()
    assert ("questionnaire" in information) <= ("doc-needed" in information), "q1"
    assert ("pa-needed" in information) == (information["covered"] != "not-covered"), "q2"
    assert ("info-needed" in information) == ("conditional" in states), "q3"
    assert "doc-purpose" not in information, "q4 rejects the plain case: see the guide's expression"
    assert ("satisfied-pa-id" in information) == (information.get("pa-needed") == "satisfied"), "q5"
    assert all(reason["text"].strip() for reason in information["reason"]), "q6, q7, q9"


def reasons(information: Information) -> str:
    return " ".join(reason["text"] for reason in information["reason"])


def texts(response: dict[str, Any]) -> str:
    """Everything a clinician may read in the answer."""
    cards = [f"{card['summary']} {card['detail']}" for card in response["cards"]]
    said = [
        reasons(information)
        for action in response["systemActions"]
        for information in coverage_informations(action["resource"])
    ]
    return " ".join([*cards, *said])


def _resources(response: dict[str, Any]) -> list[dict[str, Any]]:
    actions = [
        *response["systemActions"],
        *(
            action
            for card in response["cards"]
            for suggestion in card.get("suggestions", [])
            for action in suggestion["actions"]
        ),
    ]
    return [action["resource"] for action in actions if "resource" in action]


def _digits_aside(response: dict[str, Any]) -> Any:
    """jsonschema knows numbers as Python's json reads them."""
    return plain_json.loads(json.encode(response))
