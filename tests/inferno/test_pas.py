"""The PAS presets: what the kit asks of the payloads themselves. `test_pas_suite` plays them."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.fhir.elements import nodes
from server.fhir.references import Resolver, references_of
from server.inferno import pas
from server.inferno.commands import written
from server.inferno.preset import Preset
from tests.pas.conftest import Payer
from tests.pas.conftest import payer as payer
from tests.pas.conftest import running as running

Resource = dict[str, Any]

DAY = dt.date(2026, 11, 25)


@pytest.fixture
def preset(payer: Payer) -> Preset:
    of_version = dict(zip(("2.0", "2.2"), pas.presets("http://payer.test", DAY), strict=True))
    return of_version[payer.version]


def requests_of(preset: Preset) -> Iterator[tuple[str, Resource]]:
    for each in preset.inputs:
        if each.name.endswith("_payload"):
            yield from ((each.name, one) for one in preset.payloads(each.name))


def test_what_is_pended_a_reviewer_can_approve(payer: Payer, preset: Preset) -> None:
    (payload,) = preset.payloads("pended_pa_submit_request_payload")
    answer = payer.submit(payload)
    (item,) = payer.http.get("/review").json()["items"]

    assert item["recommendation"] == "review"
    assert "REV-OTHER" in answer.words or "reviewer" in answer.words


def test_every_first_request_has_a_member_of_its_own(preset: Preset) -> None:
    members = [
        resource["subscriberId"]
        for name, payload in requests_of(preset)
        if "inquire" not in name and "related" not in payload["entry"][0]["resource"]
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
        assert not [name for each in nodes(payload) for name in each if name.startswith("_")]


@pytest.mark.parametrize(
    "written_preset", pas.presets("http://127.0.0.1:8080", DAY), ids=lambda one: one.name
)
def test_the_files_beside_this_are_what_the_command_writes(written_preset: Preset) -> None:
    path = Path(__file__).parent / f"{written_preset.name}.json"

    assert path.read_bytes() == written(written_preset), "davinci-payer inferno preset pas --day 2026-11-25"


@pytest.mark.parametrize("operation", ["submit", "inquire"])
def test_the_payloads_between_them_say_all_that_a_client_must_be_able_to_say(
    preset: Preset, operation: str
) -> None:
    """The kit pools the elements of all submissions of a session, and those of its inquiries."""
    resources = [
        entry["resource"]
        for name, payload in requests_of(preset)
        for entry in payload["entry"]
        if ("inquire" in name) == (operation == "inquire")
    ]
    said = {path for resource in resources for path in paths(resource, resource["resourceType"])}
    wanted = elements("pas-elements", "2.2" if preset.name.endswith("v221") else "2.0", operation)

    assert len(wanted) > 80
    assert [path for path in wanted if path not in said] == []


def elements(name: str, version: str, operation: str) -> list[str]:
    """What a list beside this asks for of a version and an operation: the lines whose marks are among
    theirs."""
    marks = {"2.0": "~", "2.2": "^"}[version] + {"submit": "-", "inquire": "+"}[operation]
    lines = (Path(__file__).parent / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    named = [line for line in lines if line and not line.startswith("#")]
    return [path for line in named if not (path := line.lstrip(marks)).startswith(("^", "~", "-", "+"))]


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
