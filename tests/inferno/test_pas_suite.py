"""The PAS presets, played as the kit plays them: one session a suite, from the subscription to the errors.

On each piece of traffic is looked for what the suite's tests look for. A test here bears the number of the
kit's test it stands for, 2.0.1 before 2.2.1 where they differ. What the kit holds to profiles, `make
conformance` gets from here; its rules about payloads alone (closure, ports, elements of requests) are in
`test_pas`.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from server.clock import SetClock
from server.fhir import json
from server.inferno import pas
from server.inferno.preset import Preset
from tests.conftest import Payers, empty
from tests.emitted import record
from tests.inferno.test_pas import DAY, elements, paths
from tests.pas.conftest import FHIR, GUIDE, Answer, Payer
from tests.subscriptions.builders import TOPIC
from tests.subscriptions.conftest import Office
from tests.subscriptions.endpoint import Endpoint, Told

Resource = dict[str, Any]

LISTENER = "Authorization: Bearer preset-notifications"
ORDERS = {"DeviceRequest", "MedicationRequest", "NutritionOrder", "ServiceRequest"}
UPDATES = ("initial", "add_item", "modify_cancel", "cancel_all")
VERSIONS = {"2.0": "2.0.1", "2.2": "2.2.1"}


@dataclass
class Session:
    """What went to and fro, by the name of the input that it was made of."""

    version: str
    preset: Preset
    wish: Resource
    created: httpx.Response
    submitted: dict[str, list[tuple[Resource, httpx.Response]]] = field(default_factory=dict)
    inquired: dict[str, list[tuple[Resource, httpx.Response]]] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)
    refused: dict[str, httpx.Response] = field(default_factory=dict)

    def answers(self, name: str) -> list[Answer]:
        return [Answer(answered.json()) for _, answered in self.submitted[f"{name}_submit_request_payload"]]

    @property
    def event(self) -> Told:
        (only,) = [told for told in self.told if told.kind == "event-notification"]
        return only


@pytest.fixture(scope="module", params=VERSIONS, ids=VERSIONS.values())
def session(request: pytest.FixtureRequest, payers: Payers) -> Session:
    http = payers("sqlite")
    app = http.app
    assert isinstance(app, FastAPI)
    empty(app.state.services.store)
    presets = dict(zip(VERSIONS, pas.presets("http://payer.test", DAY), strict=True))
    payer, preset = Payer(http, app, request.param), presets[request.param]
    now = app.state.services.clock()
    with Endpoint() as kit:
        return played(Office(payer, SetClock(now), SetClock(now)), preset, kit)


def played(office: Office, preset: Preset, kit: Endpoint) -> Session:
    payer = office.payer
    (wish,) = preset.payloads("subscription_resource")
    channel = {"endpoint": kit.url, "payload": "application/fhir+json", "header": [LISTENER]}
    wish = {**wish, "channel": {**wish["channel"], **channel}}
    created = payer.http.post(f"{payer.base}/Subscription", json=wish, headers=FHIR)
    run = Session(payer.version, preset, wish, created)
    office.deliver()
    for name in ("approval_pa", "denial_pa", "pended_pa"):
        submit(run, payer, f"{name}_submit_request_payload")
    reviewed(payer)
    office.deliver()
    if payer.version == "2.0":
        inquire(run, payer, "pended_pa_inquire_request_payload")
    else:
        for name in UPDATES:
            submit(run, payer, f"claim_update_{name}_submit_payload")
    submit(run, payer, "must_support_pa_submit_request_payload")
    inquire(run, payer, "must_support_pa_inquire_request_payload")
    for operation in ("$submit", "$inquire"):
        nothing = {"resourceType": "Bundle", "type": "collection", "entry": []}
        run.refused[operation] = payer.post(operation, nothing)
    run.told = list(kit.told)
    return run


def reviewed(payer: Payer) -> None:
    """Somebody decides while the kit waits, and says all that only a person can say."""
    (item,) = payer.http.get("/review").json()["items"]
    said = {
        "revision": item["revision"],
        "reviewer": {"name": "Dr Kim"},
        "code": "72146",
        "why": "The signs point to the thoracic spine.",
        "diagnoses": ["M54.14"],
        "provider": "Practitioner/clinician",
    }
    answered = payer.http.post(f"/review/{item['id']}/modify", json=said)
    assert answered.status_code == 200, answered.text


def submit(run: Session, payer: Payer, name: str) -> None:
    sent = [(one, payer.post("$submit", one)) for one in run.preset.payloads(name)]
    run.submitted[name] = sent


def inquire(run: Session, payer: Payer, name: str) -> None:
    run.inquired[name] = [(one, payer.post("$inquire", one)) for one in run.preset.payloads(name)]


def found(answered: httpx.Response) -> Answer:
    """The one case that an inquiry found."""
    body = answered.json()
    if body["resourceType"] == "Bundle":
        return Answer(body)
    (told,) = body["parameter"]
    return Answer(told["resource"])


def kept(session: Session, resource: Resource) -> None:
    """For the official validator. The thorough request and its answer are not held to it: see
    `Request.thorough`. Nor is an update: the validator cannot choose between the two Claim profiles that its
    Bundle allows."""
    record(GUIDE[session.version], resource)


# ---- 1 Subscription


def test_1_01_the_subscription_filters_by_organization_and_asks_for_what_its_version_has(
    session: Session,
) -> None:
    (criterion,) = session.wish["_criteria"]["extension"]
    (content,) = session.wish["channel"]["_payload"]["extension"]

    assert session.wish["criteria"] == TOPIC
    assert criterion["url"].endswith("/backport-filter-criteria")
    assert content["valueCode"] == {"2.0": "id-only", "2.2": "full-resource"}[session.version]
    if session.version == "2.2":
        assert criterion["valueString"].startswith("org-identifier=")
        assert " " not in criterion["valueString"]


def test_1_03_or_1_02_the_subscription_is_created(session: Session) -> None:
    assert session.created.status_code == 201


def test_1_04_or_1_03_the_answer_says_requested_and_echoes_the_header(session: Session) -> None:
    body = session.created.json()

    assert (body["resourceType"], body["status"]) == ("Subscription", "requested")
    assert body["id"]
    assert body["channel"]["type"] == "rest-hook"
    assert body["channel"]["header"] == [LISTENER]


def test_1_05_or_1_04_the_handshake_arrives_as_the_guide_has_it(session: Session) -> None:
    handshake = session.told[0]

    assert handshake.kind == "handshake"
    assert handshake.status["status"] == "requested"
    assert "notification-event" not in handshake.status
    well_formed(session, handshake)


def well_formed(session: Session, told: Told) -> None:
    """G3: history, request and response in every entry, the status first, our lines in the header."""
    identifier = session.created.json()["id"]
    first = told.body["entry"][0]

    assert told.body["type"] == "history"
    assert all(entry["request"] and entry["response"] for entry in told.body["entry"])
    assert first["request"]["url"].endswith(f"Subscription/{identifier}/$status")
    assert first["resource"]["resourceType"] == "Parameters"
    assert told.status["subscription"].endswith(identifier)
    assert told.status["topic"] == TOPIC
    assert told.headers["authorization"] == LISTENER.partition(": ")[2]
    assert told.headers["content-type"].startswith(session.wish["channel"]["payload"])
    kept(session, told.body)


# ---- 2 Workflows

WORKFLOWS = pytest.mark.parametrize(
    ("kind", "action"),
    [("approval_pa", "A1"), ("denial_pa", "A3"), ("pended_pa", "A4")],
    ids=["2.1", "2.2", "2.3"],
)


@WORKFLOWS
def test_2_x_1_01_to_03_the_request_is_answered_with_a_bundle(
    session: Session, kind: str, action: str
) -> None:
    ((sent, answered),) = session.submitted[f"{kind}_submit_request_payload"]
    bundle = answered.json()

    assert answered.status_code == 200
    assert answered.headers["content-type"].startswith("application/fhir+json")
    assert answered.elapsed < dt.timedelta(seconds=15)
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "collection")
    assert bundle["entry"][0]["resource"]["resourceType"] == "ClaimResponse"
    kept(session, sent)
    kept(session, bundle)


@WORKFLOWS
def test_2_x_1_04_f26_the_payload_is_decided_as_its_name_says(
    session: Session, kind: str, action: str
) -> None:
    (answer,) = session.answers(kind)

    assert answer.action == action, answer.words


def test_2_3_2_02_the_decision_arrives_as_an_event(session: Session) -> None:
    event = session.event

    assert event.status["status"] == "active"
    assert isinstance(parameter(event, "event-number"), str)
    assert dt.datetime.fromisoformat(str(parameter(event, "timestamp")))
    well_formed(session, event)


def parameter(told: Told, name: str) -> Any:
    """A part of the notification's one event, as it stands in JSON."""
    listed = told.body["entry"][0]["resource"]["parameter"]
    (parts,) = [each["part"] for each in listed if each["name"] == "notification-event"]
    (part,) = [each for each in parts if each["name"] == name]
    return next(content for key, content in part.items() if key.startswith("value"))


def test_2_3_2_03_the_focus_comes_with_its_resource_in_2_2_and_without_in_2_0(session: Session) -> None:
    focus = parameter(session.event, "focus")["reference"]
    others = session.event.body["entry"][1:]
    (answer,) = session.answers("pended_pa")

    assert [entry["fullUrl"] for entry in others] == [focus]
    if session.version == "2.0":
        assert focus == answer.url
        assert all("resource" not in entry for entry in others)
    else:
        assert focus.endswith(f"Bundle/{others[0]['resource']['id']}")


def test_2_3_2_04_of_2_2_the_focus_is_the_response_bundle_with_the_decision(session: Session) -> None:
    """In 2.0.1 the kit inquires instead, and finds it so."""
    if session.version == "2.0":
        ((sent, answered),) = session.inquired["pended_pa_inquire_request_payload"]
        decided = found(answered)
        kept(session, sent)
        kept(session, answered.json())
    else:
        bundle = session.event.body["entry"][1]["resource"]
        assert bundle["type"] == "collection"
        decided = Answer(bundle)

    assert decided.action == "A6"


@pytest.mark.parametrize(
    ("number", "name", "actions"),
    [
        (1, "initial", ["A1"]),
        (2, "add_item", ["A1", "A1"]),
        (3, "modify_cancel", ["A1", "C"]),
        (4, "cancel_all", ["C", "C"]),
    ],
)
def test_2_4_x_02_and_2_4_5_an_update_is_answered_with_every_line_as_it_stands(
    session: Session, number: int, name: str, actions: list[str]
) -> None:
    if session.version == "2.0":
        pytest.skip("the suite of 2.0.1 has no updates")
    ((sent, answered),) = session.submitted[f"claim_update_{name}_submit_payload"]
    answer = Answer(answered.json())
    lines = sent["entry"][0]["resource"]["item"]

    assert answer.actions == actions
    assert [item["itemSequence"] for item in answer.items] == [item["sequence"] for item in lines]


# ---- 3 Must support


def test_3_1_1_the_requests_that_say_everything_bring_out_an_approval_a_question_an_error_and_a_review(
    session: Session,
) -> None:
    full, asking, unnamed, pended = session.answers("must_support_pa")

    assert full.actions == ["A1", "A1"], full.words
    assert asking.action == "A4"
    assert (unnamed.action, unnamed.response["outcome"]) == ("A1", "error")
    assert pended.action == "A6"
    for answer in (asking, unnamed, pended):
        kept(session, answer.bundle)


def test_3_1_2_01_an_order_comes_with_the_requests(session: Session) -> None:
    kinds = {
        entry["resource"]["resourceType"]
        for sent in session.submitted.values()
        for request, _ in sent
        for entry in request["entry"]
    }

    assert kinds & ORDERS


def test_3_1_3_the_answers_between_them_have_every_element_that_has_an_honest_cause(session: Session) -> None:
    answers = [answered.json() for sent in session.submitted.values() for _, answered in sent]

    assert missed(session, "submit", answers) == []


def test_3_2_1_the_inquiries_find_what_the_requests_brought_about(session: Session) -> None:
    sent = session.inquired["must_support_pa_inquire_request_payload"]
    full, *others = (found(answered) for _, answered in sent)

    assert full.actions == ["A1", "A1"]
    assert [answer.action for answer in others] == ["A4", "A1", "A3", "A6"]
    assert {answered.json()["resourceType"] for _, answered in sent} == {
        {"2.0": "Bundle", "2.2": "Parameters"}[session.version]
    }
    for inquiry, _ in sent[1:]:  # the first is thorough
        kept(session, inquiry)


def test_3_2_3_what_inquiries_tell_has_every_element_too(session: Session) -> None:
    answers = [found(answered).bundle for sent in session.inquired.values() for _, answered in sent]

    assert missed(session, "inquire", answers) == []


def missed(session: Session, operation: str, answers: list[Resource]) -> list[str]:
    """Elements of `pas-answers.txt` that no answer of this operation has; the kit pools them all."""
    said = {path for bundle in answers for path in told_paths(bundle)}
    wanted = elements("pas-answers", session.version, operation)
    assert len(wanted) > 60
    return [path for path in wanted if path not in said]


def told_paths(bundle: Resource) -> Iterator[str]:
    yield from (f"Bundle.{name}" for name in bundle)
    for entry in bundle["entry"]:
        yield from (f"Bundle.entry.{name}" for name in entry)
        yield from paths(entry["resource"], entry["resource"]["resourceType"])


# ---- 4 Errors


@pytest.mark.parametrize("operation", ["$submit", "$inquire"], ids=["4.01", "4.02"])
def test_4_an_empty_bundle_is_refused_with_an_outcome(session: Session, operation: str) -> None:
    refused = session.refused[operation]
    outcome = json.decode_object(refused.content)

    assert refused.status_code == 400
    assert outcome["resourceType"] == "OperationOutcome"
    assert all(issue["diagnostics"] for issue in outcome["issue"])
    kept(session, outcome)
