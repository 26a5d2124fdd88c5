"""The PAS presets: every payload does what its comment says, on the base that its suite speaks to."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.fhir.references import Resolver, references_of
from server.inferno import pas
from server.inferno.commands import written
from server.inferno.preset import Preset
from tests.emitted import record
from tests.pas.conftest import GUIDE, Answer, Payer
from tests.pas.conftest import payer as payer
from tests.pas.conftest import running as running

Resource = dict[str, Any]

DAY = dt.date(2026, 11, 25)


@pytest.fixture
def preset(payer: Payer) -> Preset:
    of_version = dict(zip(("2.0", "2.2"), pas.presets("http://payer.test", DAY), strict=True))
    return of_version[payer.version]


def sent(payer: Payer, preset: Preset, name: str) -> list[Answer]:
    answers = []
    for payload in pas.payloads(preset, name):
        # The validator cannot choose between the two Claim profiles that an update's Bundle allows.
        if "related" not in payload["entry"][0]["resource"]:
            record(GUIDE[payer.version], payload)
        answers.append(payer.submit(payload))
    return answers


def requests_of(preset: Preset) -> Iterator[tuple[str, Resource]]:
    for each in preset.inputs:
        if each.name.endswith("_payload"):
            yield from ((each.name, one) for one in pas.payloads(preset, each.name))


@pytest.mark.parametrize(("kind", "action"), [("approval", "A1"), ("denial", "A3"), ("pended", "A4")])
def test_f26_a_payload_is_decided_as_its_name_says(
    payer: Payer, preset: Preset, kind: str, action: str
) -> None:
    (answer,) = sent(payer, preset, f"{kind}_pa_submit_request_payload")

    assert answer.action == action, answer.words


def test_what_is_pended_a_reviewer_can_approve(payer: Payer, preset: Preset) -> None:
    (answer,) = sent(payer, preset, "pended_pa_submit_request_payload")
    (item,) = payer.http.get("/review").json()["items"]

    assert item["recommendation"] == "review"
    assert "REV-OTHER" in answer.words or "reviewer" in answer.words


@pytest.fixture
def unjudged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thorough request is not held to the official validator: see `Request.thorough`."""
    monkeypatch.delenv("EMITTED_DIR", raising=False)


@pytest.mark.usefixtures("unjudged")
def test_the_payloads_that_say_everything_bring_out_an_approval_a_question_and_an_error(
    payer: Payer, preset: Preset
) -> None:
    full, asking, unnamed = sent(payer, preset, "must_support_pa_submit_request_payload")

    assert full.actions == ["A1", "A1"], full.words
    assert asking.action == "A4"
    assert asking.of_type("CommunicationRequest")
    assert asking.of_type("Task")
    assert unnamed.response["outcome"] == "error"


@pytest.mark.usefixtures("unjudged")
def test_the_inquiries_find_what_the_requests_brought_about(payer: Payer, preset: Preset) -> None:
    for name in ("approval", "denial", "pended", "must_support"):
        sent(payer, preset, f"{name}_pa_submit_request_payload")
    inquiries = pas.payloads(preset, "must_support_pa_inquire_request_payload")
    for each in inquiries:
        record(GUIDE[payer.version], each)
    (full,), (asking,), (denied,) = (payer.inquire(each) for each in inquiries)

    assert full.actions == ["A1", "A1"]
    assert asking.action == "A4"
    assert denied.action == "A3"
    if payer.version == "2.0":
        (pended,) = pas.payloads(preset, "pended_pa_inquire_request_payload")
        assert [found.action for found in payer.inquire(pended)] == ["A4"]


def test_the_changes_follow_one_another(payer: Payer, preset: Preset) -> None:
    if payer.version == "2.0":
        pytest.skip("the suite of 2.0.1 has no updates")
    names = ("initial", "add_item", "modify_cancel", "cancel_all")
    chain = [sent(payer, preset, f"claim_update_{name}_submit_payload")[0] for name in names]

    assert [answer.actions for answer in chain] == [["A1"], ["A1", "A1"], ["A1", "C"], ["C", "C"]]
    for answer, name in zip(chain, names, strict=True):
        (payload,) = pas.payloads(preset, f"claim_update_{name}_submit_payload")
        lines = payload["entry"][0]["resource"]["item"]
        assert [item["itemSequence"] for item in answer.items] == [item["sequence"] for item in lines]


def test_every_payload_has_a_member_of_its_own(preset: Preset) -> None:
    members = [
        resource["subscriberId"]
        for name, payload in requests_of(preset)
        if "inquire" not in name and "update" not in name
        for resource in (entry["resource"] for entry in payload["entry"])
        if resource["resourceType"] == "Coverage"
    ]

    assert len(set(members)) == len(members)


def test_every_reference_leads_to_an_entry_and_every_entry_is_led_to(preset: Preset) -> None:
    """The kit's closure check: from the first entry, by references, to each entry once, and without end
    where resources refer to each other in a circle."""
    for name, payload in requests_of(preset):
        resolver = Resolver.of_bundle(payload)
        reached = {id(one) for one in reachable(payload["entry"][0]["resource"], resolver, ())}
        missed = [
            f"{one['resourceType']}/{one['id']}"
            for one in resolver
            if id(one) not in reached and one["resourceType"] != "Claim"
        ]
        assert not missed, name


def reachable(resource: Resource, resolver: Resolver, above: tuple[int, ...]) -> Iterator[Resource]:
    """The resource and all it leads to; what a Claim was before is left out, as the kit does."""
    assert id(resource) not in above, f"{resource['resourceType']}/{resource['id']} leads back to itself"
    yield resource
    own = {key: content for key, content in resource.items() if key != "related"}
    for path, text in references_of(own, resource["resourceType"]):
        target = resolver.resolve(text, resource)
        assert target is not None, f"{path} {text}"
        yield from reachable(target, resolver, (*above, id(resource)))


def test_f26_each_payload_says_what_it_provokes(preset: Preset) -> None:
    assert [each.name for each in preset.inputs if not each.comment] == []


def test_no_address_has_a_port_and_no_primitive_an_extension(preset: Preset) -> None:
    """Either breaks the kit's own resolver."""
    for _, payload in requests_of(preset):
        assert all(":" not in entry["fullUrl"].partition("://")[2] for entry in payload["entry"])
        assert not list(siblings(payload))


def siblings(element: Any) -> Iterator[str]:
    if isinstance(element, dict):
        yield from (name for name in element if name.startswith("_"))
        for content in element.values():
            yield from siblings(content)
    elif isinstance(element, list):
        for content in element:
            yield from siblings(content)


@pytest.mark.parametrize(
    "written_preset", pas.presets("http://127.0.0.1:8080", DAY), ids=lambda one: one.name
)
def test_the_files_beside_this_are_what_the_command_writes(written_preset: Preset) -> None:
    path = Path(__file__).parent / f"{written_preset.name}.json"

    assert path.read_bytes() == written(written_preset), "davinci-payer inferno preset pas --day 2026-11-25"


def test_the_payloads_between_them_say_all_that_a_client_must_be_able_to_say(preset: Preset) -> None:
    """The kit pools the elements of all requests of a session. Race, ethnicity and birth sex of 2.0.1 are
    left out: nothing in the policy is about them, and a made-up patient has none to tell."""
    resources = [entry["resource"] for _, payload in requests_of(preset) for entry in payload["entry"]]
    said = {path for resource in resources for path in paths(resource, resource["resourceType"])}
    listed = (Path(__file__).parent / "pas-elements.txt").read_text(encoding="utf-8").splitlines()
    newer = preset.name.endswith("v221")
    wanted = [path.lstrip("^") for path in listed if not path.startswith("#" if newer else ("#", "^"))]

    assert len(wanted) > 100
    assert [path for path in wanted if path not in said] == []


def paths(element: Any, path: str) -> Iterator[str]:
    """Every element by its path, extensions by the end of their URL."""
    for name, content in element.items():
        for one in content if isinstance(content, list) else [content]:
            if name in ("extension", "modifierExtension") and isinstance(one, dict):
                tail = one["url"].rpartition("/")[2]
                yield f"{path}.{name}:{tail}"
                yield f"{path}.{name}:{tail.partition('-')[2]}"
            yield f"{path}.{name}"
            if isinstance(one, dict):
                yield from paths(one, f"{path}.{name}")
