"""The payer loads its own records, and every door knows them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient
from typer.testing import CliRunner

from server.adjudication import loading
from server.app import create_app
from server.cli import app
from server.clock import wall
from server.fhir import json
from server.fhir.systems import NPI
from server.policy.reading import DISTANCE
from server.policy.rulings import REVIEW_ACTION, REVIEW_ACTION_CODE
from server.settings import Settings
from server.store import Store, records
from tests import databases
from tests.conftest import NewDatabase
from tests.crd import builders as ehr
from tests.crd.conftest import Crd

Resource = dict[str, Any]

MEMBER = {
    "resourceType": "Patient",
    "id": "p-1",
    "name": [{"family": "Berg", "given": ["Anna"]}],
}
ENROLLED = ehr.coverage("M-1", id="c-1", beneficiary={"reference": "Patient/p-1"})
EARLIER = {
    "resourceType": "ClaimResponse",
    "id": "a-1",
    "status": "active",
    "type": ehr.concept("http://terminology.hl7.org/CodeSystem/claim-type", "professional"),
    "use": "preauthorization",
    "patient": {"reference": "Patient/p-1"},
    "created": "2026-11-01",
    "insurer": {"display": "The payer that was"},
    "outcome": "complete",
    "preAuthRef": "OLD-7",
    "preAuthPeriod": {"start": "2026-11-01", "end": "2026-12-31"},
    "addItem": [
        {
            "productOrService": ehr.concept(ehr.CPT, "73221"),
            "modifier": [ehr.concept(ehr.CPT, "RT")],
            "adjudication": [
                {"category": ehr.concept("http://terminology.hl7.org/CodeSystem/adjudication", "submitted")}
            ],
        }
    ],
}

REVERSED = [{"url": "urn:reversed", "valueBoolean": True}]
"""Who does not know it may take what was withdrawn for what holds, and may not act on it (R4)."""


def gold_cards(*holders: Resource) -> Resource:
    return {
        "resourceType": "Group",
        "id": "gold",
        "type": "practitioner",
        "actual": True,
        "name": "Exempt from prior authorization of imaging",
        "member": list(holders),
    }


def holder(npi: str, **member: Any) -> Resource:
    identifier = {"system": "http://hl7.org/fhir/sid/us-npi", "value": npi}
    return {"entity": {"identifier": identifier}, **member}


def site(name: str, far: int | None, code: str = "[mi_i]") -> Resource:
    """A site of the network, so far from whoever asks."""
    distance: Resource = {"value": far} if far is not None else {}
    distance |= {"system": "http://unitsofmeasure.org", "code": code}
    extension = [{"url": DISTANCE, "valueDistance": distance}]
    return {"resourceType": "Location", "id": name, "status": "active", "extension": extension}


class Payer:
    """A server over one database, which `davinci-payer load` fills from outside."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self._settings = {
            "database_url": databases.sqlite(folder),
            "test_clock": f"{ehr.DAY.isoformat()}T12:00:00Z",
        }
        for name, value in self._settings.items():
            monkeypatch.setenv(name.upper(), value)
        self._clients: dict[str, TestClient] = {}

    def load(self, *resources: Resource, lines: bool = False) -> Any:
        file = self.folder / "records.json"
        bundle = {"resourceType": "Bundle", "type": "collection"}
        entries = [{"resource": resource} for resource in resources]
        whole = json.encode({**bundle, "entry": entries})
        file.write_bytes(b"\n".join(map(json.encode, resources)) + b"\n" if lines else whole)
        return CliRunner().invoke(app, ["load", str(file)])

    def ask(self, order: Resource, insurance: Resource, state: str = "", **settings: Any) -> Resource:
        """What CRD says of the order on r2.2; `state` is where the member lives."""
        http = self.http(**settings)
        sent = ehr.prefetch([], insurance)
        if state:
            sent["patient"] = {**ehr.PATIENT, "address": [{"state": state}]}
        return Crd(http, "2.2", http.app)(ehr.sign(order, sent=sent)).information  # type: ignore[arg-type]

    def http(self, **settings: Any) -> TestClient:
        if str(settings) not in self._clients:
            application = create_app(Settings(_env_file=None, **self._settings, **settings))
            self._clients[str(settings)] = TestClient(application)
        return self._clients[str(settings)]

    def unknown(self, order: Resource, insurance: Resource) -> list[str]:
        """Criteria of which the payer knows too little."""
        assertion = self.ask(order, insurance)["coverage-assertion-id"]
        return list(self.http().get(f"/why/{assertion}").json()["unknown"])

    def close(self) -> None:
        for client in self._clients.values():
            client.app.state.services.store.close()  # type: ignore[attr-defined]


@pytest.fixture
def payer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Payer]:
    payer = Payer(tmp_path, monkeypatch)
    yield payer
    payer.close()


@pytest.mark.parametrize("lines", [False, True], ids=["a Bundle", "ndjson"])
def test_an_authorization_of_old_satisfies_the_order(payer: Payer, lines: bool) -> None:
    done = payer.load(EARLIER, MEMBER, ENROLLED, lines=lines)
    assert done.exit_code == 0, done.output
    assert "1 ClaimResponse, 1 Coverage, 1 Patient" in done.output
    said = payer.ask(ehr.shoulder(), ehr.coverage("M-1"))
    assert (said["pa-needed"], said["satisfied-pa-id"]) == ("satisfied", "OLD-7")
    assert payer.ask(ehr.shoulder(), ehr.coverage("M-2"))["pa-needed"] == "auth-needed"


@pytest.mark.parametrize(
    "change", [{"status": "cancelled"}, {"use": "claim"}], ids=["cancelled", "what was paid"]
)
def test_what_is_no_authorization_any_more_or_never_was_satisfies_nothing(
    payer: Payer, change: Resource
) -> None:
    payer.load(MEMBER, ENROLLED, EARLIER)
    assert payer.load({**EARLIER, **change}).exit_code == 0
    assert payer.ask(ehr.shoulder(), ehr.coverage("M-1"))["pa-needed"] == "auth-needed"


@pytest.mark.parametrize(
    ("change", "needed"),
    [({}, "auth-needed"), ({"status": "cancelled"}, "satisfied"), ({"use": "preauthorization"}, "satisfied")],
    ids=["a bill", "a bill that was cancelled", "the authorization told once more"],
)
def test_a_bill_that_quotes_it_has_spent_it(payer: Payer, change: Resource, needed: str) -> None:
    bill = {
        "resourceType": "ExplanationOfBenefit",
        "id": "bill",
        "status": "active",
        "type": EARLIER["type"],
        "use": "claim",
        "patient": {"reference": "Patient/p-1"},
        "created": "2026-11-10",
        "insurer": {"display": "Example Health Plan"},
        "provider": {"display": "Imaging centre"},
        "outcome": "complete",
        "preAuthRef": ["OLD-7"],
        "insurance": [{"focal": True, "coverage": {"reference": "Coverage/c-1"}}],
    }
    payer.load(MEMBER, ENROLLED, EARLIER)
    assert payer.load({**bill, **change}).exit_code == 0, "its Coverage was loaded earlier"
    assert payer.ask(ehr.shoulder(), ehr.coverage("M-1"))["pa-needed"] == needed


def test_bills_prove_the_therapy_that_the_chart_leaves_out(payer: Payer) -> None:
    def billed(number: int, before: int) -> Resource:
        return {
            "resourceType": "ExplanationOfBenefit",
            "id": f"bill-{number}",
            "status": "active",
            "type": ehr.concept("http://terminology.hl7.org/CodeSystem/claim-type", "professional"),
            "use": "claim",
            "patient": {"reference": "Patient/p-1"},
            "created": ehr.day(before),
            "insurer": {"display": "Example Health Plan"},
            "provider": {"display": "Hand clinic"},
            "outcome": "complete",
            "insurance": [{"focal": True, "coverage": {"reference": "Coverage/c-1"}}],
            "item": [
                {
                    "sequence": 1,
                    "productOrService": ehr.concept(ehr.CPT, "97110"),
                    "servicedDate": ehr.day(before),
                }
            ],
        }

    bills = [billed(number, before) for number, before in enumerate(range(63, 6, -7))]
    assert "CC-DUR" in payer.unknown(ehr.shoulder(), ehr.coverage("M-1"))
    assert payer.load(MEMBER, ENROLLED, *bills).exit_code == 0
    assert "CC-DUR" not in payer.unknown(ehr.shoulder(), ehr.coverage("M-1"))
    assert "CC-DUR" in payer.unknown(ehr.shoulder(), ehr.coverage("M-2"))


def test_a_file_loaded_again_replaces_what_it_brought(payer: Payer) -> None:
    payer.load(MEMBER, ENROLLED, EARLIER)
    payer.load({**EARLIER, "preAuthRef": "OLD-8"})
    assert payer.ask(ehr.shoulder(), ehr.coverage("M-1"))["satisfied-pa-id"] == "OLD-8"
    trail = payer.http().get("/r2.2/fhir/AuditEvent", params={"action": "E"}).text
    assert trail.count("davinci-payer load records.json") == 2


def test_a_number_that_is_corrected_takes_along_what_was_loaded_under_the_wrong_one(payer: Payer) -> None:
    """M-1 is somebody else, who is told nothing of it; and both are on the trail of the load."""
    payer.load(MEMBER, ENROLLED, EARLIER)
    somebody = ehr.coverage("M-1", id="c-2", beneficiary={"reference": "Patient/p-2"})
    corrected = {**ENROLLED, "subscriberId": "M-9"}
    assert payer.load(corrected, {**MEMBER, "id": "p-2"}, somebody).exit_code == 0
    assert payer.ask(ehr.shoulder(), ehr.coverage("M-1"), membership="registry")["pa-needed"] == "auth-needed"
    assert payer.ask(ehr.shoulder(), ehr.coverage("M-9"))["satisfied-pa-id"] == "OLD-7"


def test_a_child_whose_coverage_came_before_its_birthday_was_known_has_both(payer: Payer) -> None:
    """A file a type, Coverages first: a family shares a number, and birthdays tell its members apart."""
    child = ehr.concept("http://terminology.hl7.org/CodeSystem/subscriber-relationship", "child")
    born, sent = {"birthDate": ehr.PATIENT["birthDate"]}, ehr.coverage("M-1", relationship=child)
    payer.load({**ENROLLED, "relationship": child, "status": "cancelled"}, lines=True)
    assert payer.load({**MEMBER, **born}, lines=True).exit_code == 0
    assert payer.ask(ehr.shoulder(), sent, membership="registry")["covered"] == "not-covered"


def test_a_patient_whom_bundles_call_by_one_name_has_the_coverage_of_an_earlier_one(payer: Payer) -> None:
    """As exports do that name everybody by `urn:uuid:`."""
    name = "urn:uuid:0d2f8a60-4b5e-4f6e-9a0b-3c1c6f0f2a11"
    born = {"fullUrl": name, "resource": MEMBER}
    covered = {"resource": {**ENROLLED, "beneficiary": {"reference": name}}}
    ruled = {"resource": {**EARLIER, "patient": {"reference": name}}}
    for entries in ([covered], [born, ruled]):
        told = payer.load({"resourceType": "Bundle", "type": "collection", "entry": entries}, lines=True)
        assert told.exit_code == 0, told.output

    assert payer.ask(ehr.shoulder(), ehr.coverage("M-1"))["pa-needed"] == "satisfied"


def test_the_trail_tells_whose_records_were_loaded_and_nobody_elses(payer: Payer) -> None:
    def loads(member: str) -> int:
        asked = {"patient": member, "action": "E"}
        found = payer.http().get("/r2.2/fhir/AuditEvent", params=asked).json()
        return sum("davinci-payer load" in str(entry) for entry in found.get("entry", []))

    payer.load(MEMBER, ENROLLED)
    assert loads("M-1") == 1
    payer.load(
        {**MEMBER, "id": "p-2"}, ehr.coverage("M-2", id="c-2", beneficiary={"reference": "Patient/p-2"})
    )
    assert (loads("M-1"), loads("M-2")) == (1, 1)


def test_a_patient_of_two_numbers_is_known_by_the_one_in_force(payer: Payer) -> None:
    ended = ehr.coverage(
        "M-0", id="c-0", beneficiary={"reference": "Patient/p-1"}, period={"end": "2025-12-31"}
    )
    assert payer.load(MEMBER, ended, ENROLLED, EARLIER).exit_code == 0
    assert payer.ask(ehr.shoulder(), ehr.coverage("M-1"))["satisfied-pa-id"] == "OLD-7"


def test_a_site_that_closed_is_near_nobody(payer: Payer) -> None:
    at_hospital = ehr.shoulder(place="22")
    payer.load(site("near", 3), site("far", 90))
    assert "SOS-SITE" in payer.unknown(at_hospital, ehr.coverage("M-1"))
    payer.load({**site("near", 3), "status": "inactive"})
    assert "SOS-SITE" not in payer.unknown(at_hospital, ehr.coverage("M-1"))


def test_of_a_large_network_the_nearest_sites_are_looked_at(payer: Payer) -> None:
    payer.load(*(site(f"far-{number}", 90 + number) for number in range(30)), site("near", 3))
    with payer.http().app.state.services.store.reading() as tx:  # type: ignore[attr-defined]
        nearest = records.nearest_sites(tx, most=3)
    assert [each["id"] for each in nearest] == ["near", "far-0", "far-1"]
    assert "SOS-SITE" in payer.unknown(ehr.shoulder(place="22"), ehr.coverage("M-1"))


def test_a_registry_knows_whom_it_loaded(payer: Payer) -> None:
    payer.load(MEMBER, ENROLLED)
    assert payer.ask(ehr.shoulder(), ehr.coverage("M-1"), membership="registry")["covered"] == "covered"
    stranger = payer.ask(ehr.shoulder(), ehr.coverage("M-2"), membership="registry")
    assert stranger["covered"] == "not-covered"
    # The year before is on record as well.
    ended = {**ENROLLED, "id": "c-0", "period": {"start": "2025-01-01", "end": "2025-12-31"}}
    payer.load(
        ended,
        {**ENROLLED, "id": "c-2", "period": {"start": "2026-01-01"}},
        {**ENROLLED, **ended, "id": "c-1"},
    )
    assert payer.ask(ehr.shoulder(), ehr.coverage("M-1"), membership="registry")["covered"] == "covered"
    # And the year to come, in which what is ordered this year is done.
    ending = {**ENROLLED, "id": "c-2", "period": {"start": "2026-01-01", "end": "2026-12-31"}}
    coming = {**ENROLLED, "id": "c-3", "period": {"start": "2027-01-01"}}
    january = ehr.shoulder(occurrenceDateTime="2027-01-12")
    payer.load(ending)
    assert payer.ask(january, ehr.coverage("M-1"), membership="registry")["covered"] == "not-covered"
    payer.load(coming)
    assert payer.ask(january, ehr.coverage("M-1"), membership="registry")["covered"] == "covered"
    # Somebody else's number: what is known of its owner is not told, and decides nothing.
    payer.load({**MEMBER, "birthDate": "1951-11-01"}, EARLIER)
    mistaken = payer.ask(ehr.shoulder(), ehr.coverage("M-1"), membership="registry")
    assert (mistaken["covered"], mistaken.get("satisfied-pa-id")) == ("not-covered", None)
    assert "satisfied-pa-id" not in payer.ask(ehr.shoulder(), ehr.coverage("M-1"), membership="open")


def test_two_processes_that_start_together_load_the_same_members(
    new_database: NewDatabase, tmp_path: Path
) -> None:
    file, store = tmp_path / "members.json", Store.open(new_database("postgresql"))
    file.write_bytes(json.encode(gold_cards(holder("1457362880"))))
    with ThreadPoolExecutor(1) as thread:
        with store.transaction() as tx:
            loading.load(tx, loading.read(file.read_bytes()), wall())
            other = thread.submit(loading.load_file, store, file, wall())
            while not other.done() and not tx.scalar(text("select count(*) from pg_locks where not granted")):
                pass
        assert other.result() == {"Group": 1}
    store.close()


def test_members_come_by_setting_too(payer: Payer, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the server starts: a command beside it does not bring back what was replaced since."""
    file = payer.folder / "members.ndjson"
    file.write_bytes(b"\n".join(map(json.encode, [MEMBER, ENROLLED])))
    settings = {"membership": "registry", "members_file": file}
    assert payer.ask(ehr.shoulder(), ehr.coverage("M-1"), **settings)["covered"] == "covered"
    payer.load(MEMBER, {**ENROLLED, "status": "cancelled"})
    monkeypatch.setenv("MEMBERS_FILE", str(file))
    assert CliRunner().invoke(app, ["review", "list"]).exit_code == 0
    assert payer.ask(ehr.shoulder(), ehr.coverage("M-1"), **settings)["covered"] == "not-covered"


@pytest.mark.parametrize(
    ("listed", "needed"),
    [
        ([holder("1457362880")], "no-auth"),
        ([holder("1457362880", period={"end": "2026-11-19"})], "auth-needed"),
        ([holder("1457362880", inactive=True)], "auth-needed"),
        ([holder("1234567893")], "auth-needed"),
        ([], "auth-needed"),
    ],
    ids=["on the list", "until yesterday", "taken off", "another clinician", "an empty list"],
)
def test_a_gold_card_exempts_its_holder_while_it_holds(
    payer: Payer, listed: list[Resource], needed: str
) -> None:
    assert payer.load(gold_cards(*listed)).exit_code == 0
    assert payer.ask(ehr.shoulder(), ehr.coverage("M-1"))["pa-needed"] == needed


def test_a_list_that_is_loaded_again_or_retired_takes_its_gold_cards_back(payer: Payer) -> None:
    card = holder("1457362880")
    for listed in (gold_cards(), {**gold_cards(card), "active": False}):
        payer.load(gold_cards(card, holder("1234567893")))
        assert payer.ask(ehr.shoulder(), ehr.coverage("M-1"))["pa-needed"] == "no-auth"
        payer.load(listed)
        assert payer.ask(ehr.shoulder(), ehr.coverage("M-1"))["pa-needed"] == "auth-needed"


def ruling(number: int, action: str, orderer: Resource) -> Resource:
    """A ruling of ours on the lumbar MRI of somebody else, in the months before; A1 granted, A3 denied."""
    review = {
        "url": REVIEW_ACTION,
        "extension": [
            {
                "url": REVIEW_ACTION_CODE,
                "valueCodeableConcept": ehr.concept("https://codesystem.x12.org/005010/306", action),
            }
        ],
    }
    adjudication = {**EARLIER["addItem"][0]["adjudication"][0], "extension": [review]}
    return {
        **EARLIER,
        "id": f"ruling-{number}",
        "preAuthRef": f"OLD-{number}",
        "created": ehr.day(10 * number),
        "preAuthPeriod": None,
        "insurer": {"identifier": {"system": "https://payer.example/payer-id", "value": "EXAMPLE"}},
        "addItem": [{"productOrService": ehr.concept(ehr.CPT, "72148"), "adjudication": [adjudication]}],
        **orderer,
    }


@pytest.mark.parametrize(
    ("actions", "state", "needed"),
    [
        ("A1 A1 A1 A1 A6", "TX", "no-auth"),
        ("A1 A1 A1 A1", "TX", "auth-needed"),
        ("A1 A1 A1 A1 A3", "TX", "auth-needed"),
        ("A1 A1 A1 A1 A4", "TX", "auth-needed"),
        ("A1 A1 A1 A1 A1", "IL", "auth-needed"),
    ],
)
def test_a_clinician_whose_requests_were_approved_earns_a_gold_card(
    payer: Payer, actions: str, state: str, needed: str
) -> None:
    """The requestor is named by NPI; or the Claim that a ruling answers, and that came in a file before it,
    says who asked, and for what."""
    asked_by = {"identifier": {"system": NPI, "value": "1457362880"}}
    by_claim = {
        "addItem": [],
        "item": [{"itemSequence": 1, "adjudication": []}],
        "request": {"reference": "Claim/asked"},
    }
    claim = {
        "resourceType": "Claim",
        "id": "asked",
        "status": "active",
        "type": EARLIER["type"],
        "use": "preauthorization",
        "patient": {"reference": "Patient/p-1"},
        "created": ehr.day(10),
        "provider": asked_by,
        "priority": ehr.concept("http://terminology.hl7.org/CodeSystem/processpriority", "normal"),
        "insurance": [{"sequence": 1, "focal": True, "coverage": {"reference": "Coverage/c-1"}}],
        "item": [{"sequence": 1, "productOrService": ehr.concept(ehr.CPT, "72149")}],
    }
    first, *others = actions.split()
    rulings = [ruling(n, action, {"requestor": asked_by}) for n, action in enumerate(others, start=2)]
    told_by_claim = {**ruling(1, first, by_claim)}
    told_by_claim["item"][0]["adjudication"] = ruling(1, first, {})["addItem"][0]["adjudication"]
    payer.load(MEMBER, ENROLLED, claim)
    done = payer.load(*map(without_nulls, [told_by_claim, *rulings]))
    assert done.exit_code == 0, done.output
    assert payer.ask(ehr.lumbar(), ehr.coverage("M-2"), state)["pa-needed"] == needed


def without_nulls(resource: Resource) -> Resource:
    return {name: content for name, content in resource.items() if content not in (None, [])}


@pytest.mark.parametrize(("days", "needed"), [(89, "satisfied"), (90, "auth-needed")])
def test_what_a_previous_payer_authorized_is_honoured_for_the_first_days_of_a_coverage(
    payer: Payer, days: int, needed: str
) -> None:
    named = {"identifier": [{"system": "https://payer.example/payer-id", "value": "OTHER"}], "active": True}
    insurer = {"resourceType": "Organization", "id": "o-1", **named}
    told = {
        "insurer": {"reference": "Organization/o-1"},
        "preAuthPeriod": {"start": ehr.day(100), "end": ehr.day(40)},
    }
    assert payer.load(insurer).exit_code == 0
    assert payer.load(MEMBER, ENROLLED, {**EARLIER, **told}).exit_code == 0
    said = payer.ask(ehr.shoulder(), ehr.coverage("M-1", period={"start": ehr.day(days)}))
    assert said["pa-needed"] == needed
    if needed == "satisfied":
        assert said["satisfied-pa-id"] == "OLD-7"
        why = payer.http().get(f"/why/{said['coverage-assertion-id']}").json()
        assert f"honoured until {ehr.day(0)}" in why["reason"]


def test_a_record_of_nobody_stops_the_whole_file(payer: Payer) -> None:
    refused = payer.load(MEMBER, ENROLLED, {**EARLIER, "patient": {"reference": "Patient/other"}})
    assert refused.exit_code == 1
    assert "Bundle.entry[2].resource" in refused.output
    assert payer.ask(ehr.shoulder(), ehr.coverage("M-1"), membership="registry")["covered"] == "not-covered"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b'{"resourceType":"Patient","id":"a"}\n{"resourceType":', "line 2"),
        (b'{"resourceType":"Patient","id":"a","name":"Berg"}', "Patient.name"),
        (b'{"resourceType":"Patient"}', "Patient.id"),
        (json.encode(gold_cards({"entity": {"reference": "Practitioner/lee"}})), "names its holder by NPI"),
        (
            b'{"resourceType":"Group","id":"gold","_type":{"extension":[{"url":"urn:a","valueCode":"unknown"}]},'
            b'"actual":true}',
            "Group.type",
        ),
        (json.encode({**gold_cards(), "member": None}), "Group.member"),
        (json.encode(site("near", 5, "km")), "in miles"),
        (json.encode(site("near", None)), "in miles"),
        (
            json.encode(gold_cards()) + b"\n" + json.encode(gold_cards(holder("1457362880"))),
            "another Group/gold",
        ),
        (
            b'{"resourceType":"Bundle","entry":[{"request":{"method":"DELETE","url":"Group/gold"}}]}',
            "Nothing is deleted here",
        ),
        (json.encode({**EARLIER, "modifierExtension": REVERSED}), "urn:reversed is unknown here"),
        (
            json.encode({**EARLIER, "addItem": [{**EARLIER["addItem"][0], "modifierExtension": REVERSED}]}),
            "ClaimResponse.addItem[0].modifierExtension",
        ),
        (b"members", "not valid JSON"),
    ],
)
def test_a_file_that_is_no_fhir_is_refused_with_the_place(payer: Payer, text: bytes, told: str) -> None:
    file = payer.folder / "records.json"
    file.write_bytes(text)
    refused = CliRunner().invoke(app, ["load", str(file)])
    assert refused.exit_code == 1
    assert told in refused.output
