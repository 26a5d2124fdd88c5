"""What is said of a request that a reader tripped over."""

from __future__ import annotations

from typing import Any

import pytest

from server.fhir import json
from server.fhir.malformed import malformed
from tests.crd import builders as hook
from tests.pas import builders as a


@pytest.mark.parametrize("body", [a.request(), a.inquiry(), hook.sign(hook.shoulder(), sent=hook.prefetch())])
def test_a_sound_request_has_no_faults(body: dict[str, Any]) -> None:
    assert malformed(json.encode(body)) == []


def test_null_means_something_in_prefetch_and_nothing_in_a_resource() -> None:
    call = hook.sign(hook.shoulder(bodySite=[{"coding": None}]), sent={**hook.prefetch(), "conditions": None})
    places = [issue.expression for issue in malformed(json.encode(call))]

    assert places == ["context.draftOrders.entry[0].resource.bodySite[0].coding"]


@pytest.mark.parametrize("coding", [[None], "text", [7], [{"code": 5}]])
def test_every_fault_has_its_place(coding: Any) -> None:
    bundle = a.request()
    bundle["entry"][0]["resource"]["type"] = {"coding": coding}

    found = malformed(json.encode(bundle))
    assert any("type.coding" in str(issue.expression) for issue in found)


def test_what_is_no_json_is_said_as_such() -> None:
    assert "not valid JSON" in malformed(b"{")[0].diagnostics
