"""The CRD preset, played as the kit plays it: every body against a fresh server, and on each answer what the
suite's tests look for. A test here bears the number of the kit's test it stands for; the six hooks are groups
3.1 to 3.6. The kit itself needs Ruby and is run elsewhere; what validates resources is `make conformance`,
which gets every request and answer from here with the profile it has to meet.
"""

import datetime as dt
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.testclient import TestClient

from server.adjudication.order_lines import COVERAGE_INFORMATION
from server.app import create_app
from server.fhir import json
from server.fhir.extensions import extension, value
from server.inferno import crd
from server.inferno.commands import written
from server.inferno.preset import Preset
from server.settings import Settings
from tests import databases
from tests.crd.shape import held, profiled
from tests.emitted import record

Resource = dict[str, Any]

DAY = dt.date(2026, 11, 25)
BASE = "https://127.0.0.1:8080"
PRIMARY = ("appointment_book", "order_sign", "order_dispatch")
ORDERING = ("order_select", "order_sign")
FOCUS = {
    "appointment_book": {"Appointment"},
    "encounter_start": {"Encounter"},
    "encounter_discharge": {"Encounter"},
}
ORDERS = {"DeviceRequest", "MedicationRequest", "NutritionOrder", "ServiceRequest", "VisionPrescription"}
CONTEXT = {
    "appointment_book": {"userId": str, "patientId": str, "appointments": dict},
    "encounter_start": {"userId": str, "patientId": str, "encounterId": str},
    "encounter_discharge": {"userId": str, "patientId": str, "encounterId": str},
    "order_select": {"userId": str, "patientId": str, "selections": list, "draftOrders": dict},
    "order_dispatch": {"patientId": str, "order": str, "performer": str},
    "order_sign": {"userId": str, "patientId": str, "draftOrders": dict},
}


@pytest.fixture(scope="module")
def preset() -> Preset:
    older, _ = crd.presets(BASE, DAY)
    return older


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A server just started, and nothing loaded into it."""
    folder = tmp_path_factory.mktemp("inferno")
    app = create_app(
        Settings(
            _env_file=None,
            database_url=databases.sqlite(folder),
            public_base_url=BASE,
            test_clock=f"{DAY.isoformat()}T12:00:00Z",
        )
    )
    yield TestClient(app)
    app.state.services.store.close()


Answers = Callable[[str], list[Resource]]


@pytest.fixture(scope="module")
def answers(kit: TestClient, preset: Preset) -> Answers:
    """The answers to the bodies of a hook, each asked once."""
    kept: dict[str, list[Resource]] = {}

    def of(hook: str) -> list[Resource]:
        if hook not in kept:
            kept[hook] = [posted(kit, preset, hook, body) for body in requests(preset, hook)]
        return kept[hook]

    return of


def posted(kit: TestClient, preset: Preset, hook: str, body: Resource) -> Resource:
    service = preset.value(f"{hook}_service_ids")
    base = urlsplit(preset.value("base_url")).path
    answer = kit.post(
        f"{base}/cds-services/{service}",
        content=json.encode(body),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 200, answer.text
    return held(json.decode_object(answer.content), base.removeprefix("/r"))


def requests(preset: Preset, hook: str) -> list[Resource]:
    return preset.payloads(f"{hook}_request_bodies")


def cards(found: list[Resource]) -> list[Resource]:
    return [card for answer in found for card in answer["cards"]]


def suggested(card: Resource) -> list[list[Resource]]:
    """The actions of each suggestion; every suggestion must have some."""
    return [suggestion["actions"] for suggestion in card.get("suggestions", [])]


def of_links(found: list[Resource], kind: str) -> list[Resource]:
    return [
        card
        for card in cards(found)
        if card.get("links") and {link["type"] for link in card["links"]} == {kind}
    ]


def informed(found: list[Resource], hook: str) -> list[Resource]:
    types = FOCUS.get(hook, ORDERS)
    return [
        action
        for answer in found
        for action in answer["systemActions"]
        if action["resource"]["resourceType"] in types
        and extension(action["resource"], COVERAGE_INFORMATION) is not None
    ]


def is_form(action: Resource) -> bool:
    task = action.get("resource", {})
    asked = [
        entry["valueCanonical"]
        for entry in task.get("input", [])
        if entry["type"].get("text") == "questionnaire"
    ]
    return (
        action["type"] == "create"
        and task["resourceType"] == "Task"
        and task["code"]["coding"][0]["code"] == "complete-questionnaire"
        and bool(asked)
        and all(re.fullmatch(r"https?://[^|\s]+", address) for address in asked)
    )


every_hook = pytest.mark.parametrize("hook", crd.HOOKS)

# ---- 1 Discovery, 2 a hook response


def test_1_01_the_base_is_https(preset: Preset) -> None:
    assert urlsplit(preset.value("base_url")).scheme == "https"


def test_1_02_and_1_03_discovery_lists_all_six_hooks(kit: TestClient, preset: Preset) -> None:
    answer = kit.get(urlsplit(preset.value("base_url")).path + "/cds-services")
    assert answer.status_code == 200
    services = answer.json()["services"]
    assert {service["hook"] for service in services} == {hook.replace("_", "-") for hook in crd.HOOKS}
    for service in services:
        assert all(isinstance(service[name], str) and service[name] for name in ("hook", "id", "description"))


def test_2_any_hook_has_one_body_and_an_answer(kit: TestClient, preset: Preset) -> None:
    (body,) = preset.payloads("any_hook_request_body")
    service = preset.value("any_hook_service_ids")
    headers = {"Content-Type": "application/json"}
    answer = kit.post(f"/r2.0/cds-services/{service}", content=json.encode(body), headers=headers)
    assert answer.status_code == 200
    held(json.decode_object(answer.content), "2.0")


# ---- 3.1 to 3.6


@every_hook
def test_01_every_body_is_answered_200_in_json(answers: Answers, hook: str) -> None:
    assert answers(hook)


@every_hook
def test_02_the_request_has_its_required_fields(preset: Preset, hook: str) -> None:
    for body in requests(preset, hook):
        assert body["hook"] == hook.replace("_", "-")
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", body["hookInstance"])
        assert isinstance(body["context"], dict)


@every_hook
def test_03_the_context_is_the_hooks_own(preset: Preset, hook: str) -> None:
    for body in requests(preset, hook):
        context = body["context"]
        assert {name: type(content) for name, content in context.items()} == CONTEXT[hook]
        assert "/" not in context["patientId"]
        assert context.get("userId", "Practitioner/").startswith(("Practitioner/", "PractitionerRole/"))
        for name in {"appointments", "draftOrders"} & context.keys():
            resources = [entry["resource"] for entry in context[name]["entry"]]
            assert all(resource["id"] for resource in resources)
            for resource in resources:
                assert resource["status"] == {"Appointment": "proposed"}.get(
                    resource["resourceType"], "draft"
                )
                record("crd-2.0.1", profiled(resource, "2.0"))
        if "selections" in context:
            drafts = {
                f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
                for entry in context["draftOrders"]["entry"]
            }
            assert set(context["selections"]) <= drafts


@every_hook
def test_04_optional_fields_are_filled_where_they_are(preset: Preset, hook: str) -> None:
    for body in requests(preset, hook):
        assert body["prefetch"]
        assert all(body["prefetch"].values())
        assert ("fhirAuthorization" in body) <= ("fhirServer" in body)


@every_hook
def test_05_the_answer_is_valid(answers: Answers, hook: str) -> None:
    """Cards and actions as the JSON shape has them (`held`), and what the kit asks for beyond."""
    for answer in answers(hook):
        assert isinstance(answer["systemActions"], list) or hook not in PRIMARY
        for card in answer["cards"]:
            assert 0 < len(card["summary"]) < 140
            assert {"code", "system"} <= card["source"]["topic"].keys()
        for action in answer["systemActions"]:
            assert action["description"]
            assert action["type"] in ("create", "update")


@every_hook
def test_06_optional_fields_of_cards_are_filled(answers: Answers, hook: str) -> None:
    for card in cards(answers(hook)):
        assert all(card.get(name, True) for name in ("uuid", "detail", "suggestions", "links"))
        assert ("suggestions" in card) <= (card.get("selectionBehavior") in ("at-most-one", "any"))
        for link in card.get("links", []):
            assert link["label"]
            assert link["url"].startswith(("http://", "https://"))
            assert ("appContext" in link) <= (link["type"] == "smart")
        for suggestion in card.get("suggestions", []):
            assert suggestion["label"]
            assert suggestion["actions"]
            for action in suggestion["actions"]:
                assert action["description"]
                assert ("resourceId" in action) == (action["type"] == "delete")


@every_hook
def test_07_an_external_reference_card_is_there(answers: Answers, hook: str) -> None:
    assert of_links(answers(hook), "absolute")


@every_hook
def test_08_a_card_that_launches_a_smart_app_is_there(answers: Answers, hook: str, kit: TestClient) -> None:
    found = of_links(answers(hook), "smart")
    assert found
    for card in found:
        for link in card["links"]:
            assert link["url"].startswith(f"{BASE}/")
            assert kit.get(urlsplit(link["url"]).path).status_code == 200


@every_hook
def test_09_an_instructions_card_is_there(answers: Answers, hook: str) -> None:
    assert [card for card in cards(answers(hook)) if not {"links", "suggestions"} & card.keys()]


@every_hook
def test_10_coverage_information_comes_by_system_action(answers: Answers, hook: str) -> None:
    assert len(informed(answers(hook), hook)) == len(answers(hook))


@every_hook
def test_11_coverage_information_is_valid(answers: Answers, hook: str) -> None:
    """One assertion id a Coverage and resource; the profiles are the validator's affair."""
    seen: dict[str, set[str]] = {}
    for action in informed(answers(hook), hook):
        assert action["type"] == "update"
        information = extension(action["resource"], COVERAGE_INFORMATION)
        coverage = value(extension(information, "coverage"))["reference"]
        assertion = value(extension(information, "coverage-assertion-id"))
        assert assertion not in set().union(*(seen[other] for other in seen if other != coverage))
        seen.setdefault(coverage, set()).add(assertion)


@pytest.mark.parametrize("hook", ORDERING)
def test_12_an_alternate_request_is_proposed(preset: Preset, answers: Answers, hook: str) -> None:
    drafts = {
        f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
        for body in requests(preset, hook)
        for entry in body["context"]["draftOrders"]["entry"]
    }
    proposals = [
        actions
        for card in cards(answers(hook))
        for actions in suggested(card)
        if [action["type"] for action in actions] in (["update"], ["delete", "create"])
        and actions[-1]["resource"]["resourceType"] in ORDERS
    ]
    assert {tuple(action["type"] for action in actions) for actions in proposals} >= {("delete", "create")}
    for actions in proposals:
        touched = actions[0].get("resourceId") or "/".join(
            (actions[0]["resource"]["resourceType"], actions[0]["resource"]["id"])
        )
        assert touched in drafts
        if len(actions) == 2:
            assert actions[1]["resource"]["resourceType"] == touched.partition("/")[0]


@pytest.mark.parametrize("hook", ORDERING)
def test_13_additional_orders_are_offered(answers: Answers, hook: str) -> None:
    assert [
        card
        for card in cards(answers(hook))
        if suggested(card)
        and all(
            action["type"] == "create" and action["resource"]["resourceType"] in ORDERS
            for actions in suggested(card)
            for action in actions
        )
    ]


@every_hook
def test_14_a_form_is_asked_for(answers: Answers, hook: str) -> None:
    """12 in the groups without proposals."""
    assert [
        card
        for card in cards(answers(hook))
        if suggested(card) and all(len(actions) == 1 and is_form(actions[0]) for actions in suggested(card))
    ]


@every_hook
def test_15_a_coverage_is_updated(answers: Answers, hook: str) -> None:
    """13 in the groups without proposals."""
    by_action = [
        action
        for answer in answers(hook)
        for action in answer["systemActions"]
        if action["resource"]["resourceType"] == "Coverage"
    ]
    by_card = [
        actions[0]
        for card in cards(answers(hook))
        for actions in suggested(card)
        if len(card["suggestions"]) == len(actions) == 1
        and actions[0]["resource"]["resourceType"] == "Coverage"
    ]
    assert by_action or by_card
    for action in (*by_action, *by_card):
        assert action["type"] == "update"
        assert action["resource"]["subscriberId"]
        assert "costToBeneficiary" not in action["resource"]


# ---- 3.7: each kind somewhere, which the groups show above


def test_3_7_every_required_kind_of_response_was_seen(answers: Answers) -> None:
    for hook in crd.HOOKS:
        found = answers(hook)
        assert of_links(found, "absolute")
        assert informed(found, hook)


# ---- the file


def test_a_second_run_ends_like_the_first(kit: TestClient, preset: Preset) -> None:
    """Testers run a group again; what was answered before changes no kind of card."""
    for hook in crd.HOOKS:
        for body in requests(preset, hook):
            topics = [
                [card["source"]["topic"]["code"] for card in posted(kit, preset, hook, body)["cards"]]
                for _ in range(2)
            ]
            assert topics[0] == topics[1]


def test_bodies_come_out_as_their_comments_say(answers: Answers) -> None:
    def said(hook: str) -> list[str]:
        return [
            value(extension(extension(action["resource"], COVERAGE_INFORMATION), "pa-needed"))
            for action in informed(answers(hook), hook)
        ]

    assert said("order_sign") == ["auth-needed", "auth-needed", "satisfied", "no-auth"]
    assert said("order_dispatch") == ["auth-needed", "auth-needed", "satisfied"]
    assert said("appointment_book") == ["auth-needed", "auth-needed"]
    assert said("encounter_start") == ["no-auth", "no-auth"]


def test_no_two_bodies_of_a_hook_share_a_member(preset: Preset) -> None:
    for hook in crd.HOOKS:
        members = [
            body["prefetch"]["coverage"]["entry"][0]["resource"]["subscriberId"]
            for body in requests(preset, hook)
        ]
        assert len(set(members)) == len(members)


@pytest.mark.parametrize("made", crd.presets(BASE, DAY), ids=lambda made: made.name)
def test_the_file_that_is_kept_is_the_one_that_is_made(made: Preset) -> None:
    path = Path(__file__).with_name(f"{made.name}.json")
    assert path.read_bytes() == written(made)


# ---- 2.2


def test_the_suite_of_2_2_finds_every_kind_of_response_at_every_hook(kit: TestClient) -> None:
    """It has the tests of 2.0.1, and the context of order-dispatch that its version has."""
    _, preset = crd.presets(BASE, DAY)
    for hook in crd.HOOKS:
        found = [posted(kit, preset, hook, body) for body in requests(preset, hook)]
        plain = [card for card in cards(found) if not {"links", "suggestions"} & card.keys()]

        assert of_links(found, "absolute"), hook
        assert of_links(found, "smart"), hook
        assert plain, hook
        assert len(informed(found, hook)) == len(found), hook
