"""Reading and searching ClaimResponses, in both guide versions."""

from typing import Any
from urllib.parse import urlencode

import pytest

from server.pas import search
from server.pas.intake import stored
from tests.pas import builders as a
from tests.pas import charts
from tests.pas.conftest import Answer, Payer

Resource = dict[str, Any]


def found(payer: Payer, **asked: str) -> list[Resource]:
    names = {name.replace("_identifier", ".identifier"): text for name, text in asked.items()}
    bundle = payer.read(f"{payer.base}/ClaimResponse?{urlencode(names)}")
    assert bundle["type"] == "searchset"
    assert bundle["total"] == len(bundle.get("entry", []))
    return bundle.get("entry", [])


@pytest.mark.parametrize(
    "asked",
    [
        {"identifier": "https://ehr.example/pa|PA-1"},
        {"identifier": "PA-1"},
        {"identifier": "https://ehr.example/trace|T-1"},
        {"patient_identifier": "https://payer.example/member|M-ANNA"},
        {"request": f"{a.HOST}/Claim/pa-1"},
        {"identifier": "other,PA-1", "outcome": "complete"},
        {"identifier": "PA-1", "status": "draft,http://hl7.org/fhir/fm-status|active"},
    ],
    ids=lambda asked: " and ".join(asked),
)
def test_a_decision_is_found_under_every_name_it_has(
    payer: Payer, granted: Answer, asked: dict[str, str]
) -> None:
    (entry,) = found(payer, **asked)

    assert entry["fullUrl"] == granted.url
    assert entry["resource"]["preAuthRef"] == granted.number


def test_a_decision_is_found_by_its_id_and_by_ours(payer: Payer, granted: Answer) -> None:
    identifier = granted.response["identifier"][-1]
    by_name = found(payer, identifier=f"{identifier['system']}|{identifier['value']}")

    assert by_name == found(payer, _id=f"{granted.response['id']},{granted.response['id']}-1")
    assert len(by_name) == 1


@pytest.mark.parametrize(
    "asked",
    [
        {"identifier": "https://ehr.example/other|PA-1"},
        {"patient_identifier": "M-OTHER"},
        {"patient_identifier": "https://ehr.example/other|M-ANNA"},
        {"identifier": "PA-1", "outcome": "error"},
        {"identifier": "PA-1", "patient_identifier": "M-OTHER"},
    ],
    ids=lambda asked: " and ".join(asked),
)
def test_every_parameter_must_match(payer: Payer, granted: Answer, asked: dict[str, str]) -> None:
    assert found(payer, **asked) == []


def test_however_often_a_member_is_named_the_requests_are_read_once(
    payer: Payer, granted: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[bytes] = []
    monkeypatch.setattr(search, "stored", lambda raw: reads.append(raw) or stored(raw))
    systems = [f"https://ehr.example/{number}" for number in range(50)]

    assert not found(payer, patient_identifier=",".join(f"{system}|M-ANNA" for system in systems))
    assert len(reads) == 1


def test_who_is_looked_for_can_be_kept_out_of_the_address(payer: Payer, granted: Answer) -> None:
    asked = {"patient.identifier": "https://payer.example/member|M-ANNA"}
    answered = payer.http.post(f"{payer.base}/ClaimResponse/_search?outcome=complete", data=asked)
    other = payer.http.post(f"{payer.base}/ClaimResponse/_search?outcome=error", data=asked)

    assert [entry["fullUrl"] for entry in answered.json()["entry"]] == [granted.url]
    assert other.json()["total"] == 0
    assert payer.http.post(f"{payer.base}/ClaimResponse/_search", json=asked).status_code == 415
    assert payer.http.get(f"{payer.base}/ClaimResponse/%00").status_code in (400, 404)
    endless = {**asked, "_id": "a," * 30_000}
    assert payer.http.post(f"{payer.base}/ClaimResponse/_search", data=endless).status_code == 413


@pytest.mark.parametrize("query", ["", "?outcome=complete", "?_count=10"])
def test_nobody_lists_everything(payer: Payer, granted: Answer, query: str) -> None:
    refused = payer.http.get(f"{payer.base}/ClaimResponse{query}")

    assert refused.status_code == 400
    assert "search by one of" in refused.json()["issue"][0]["diagnostics"]


def test_no_search_asks_for_any_number_of_cases(payer: Payer, granted: Answer) -> None:
    """Each is looked for by itself, while others wait."""
    ids = ",".join(map(str, range(150)))
    refused = payer.http.get(f"{payer.base}/ClaimResponse?_id={ids}&identifier={ids}")

    assert refused.status_code == 400
    assert refused.json()["issue"][0]["code"] == "too-costly"
    assert payer.http.get(f"{payer.base}/ClaimResponse?_id={ids}").json()["total"] == 0


def test_who_wants_it_strictly_is_told_what_is_not_searched_by(payer: Payer, granted: Answer) -> None:
    """Others read in the self link what counted."""
    url = f"{payer.base}/ClaimResponse?identifier=PA-1&created=lt2020"
    refused = payer.http.get(url, headers={"Prefer": "handling=strict"})
    answered = payer.http.get(url).json()

    assert refused.status_code == 400
    assert "not searched by created" in refused.json()["issue"][0]["diagnostics"]
    assert answered["link"][0]["url"].endswith("/ClaimResponse?identifier=PA-1")


def test_what_a_modifier_asks_is_not_answered_as_if_it_were_not_there(payer: Payer, granted: Answer) -> None:
    refused = payer.http.get(f"{payer.base}/ClaimResponse?identifier=PA-1&outcome:not=complete")
    listed = payer.http.get(f"{payer.base}/Subscription?status:not=off")

    assert (refused.status_code, listed.status_code) == (400, 400)
    assert "outcome takes no modifier" in refused.json()["issue"][0]["diagnostics"]
    assert len(found(payer, **{"patient:Patient_identifier": "M-ANNA"})) == 1


def test_the_version_that_holds_is_what_a_search_tells(payer: Payer, granted: Answer) -> None:
    """By the names of those that it replaced, too."""
    related = [{"claim": {"identifier": {"system": "https://ehr.example/pa", "value": "PA-1"}}}]
    own = [{"system": "https://ehr.example/pa", "value": "PA-2"}]
    moved = a.claim(a.item(1, servicedDate="2026-12-20"), related=related, id="pa-2", identifier=own)
    changed = payer.submit(a.request(*charts.meets_every_criterion(), claim=moved))
    (entry,) = found(payer, identifier="PA-2")

    assert entry["fullUrl"] == changed.url
    assert entry["resource"]["preAuthRef"] == changed.number
    assert [entry] == found(payer, identifier="PA-1") == found(payer, request=f"{a.HOST}/Claim/pa-1")
