"""Two clinics at one payer: each sees its own, and nothing of the other's."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from server import background
from server.adjudication.order_lines import COVERAGE_INFORMATION
from server.fhir import json
from server.fhir.extensions import extension, value
from server.review.demo import REVIEWER
from server.review.desk import Desk
from server.store import subscriptions
from server.subscriptions.delivery import NOT_REGISTERED
from tests.crd import builders as hook
from tests.pas import builders as a
from tests.pas import charts
from tests.security.conftest import BASE, NPI, Build, Town, clinic
from tests.security.signing import Signer

Resource = dict[str, Any]
PAS = "/r2.0/fhir"
SINCE_START = "events-since-subscription-start"


@pytest.fixture
def two(found_town: Build) -> Town:
    return found_town()


def submitted(town: Town, token: str) -> Resource:
    answer = town.post(f"{PAS}/Claim/$submit", a.request(), token)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["entry"][0])


def inquired(town: Town, token: str) -> list[str]:
    """The numbers that an inquiry tells."""
    answer = town.post(f"{PAS}/Claim/$inquire", a.inquiry(), token)
    assert answer.status_code == 200, answer.text
    resources = [entry["resource"] for entry in answer.json()["entry"]]
    return [each["id"] for each in resources if each["resourceType"] == "ClaimResponse"]


def test_an_inquiry_tells_the_sender_and_not_another_who_names_its_provider(two: Town) -> None:
    response = submitted(two, two.token("harbour"))["resource"]

    assert inquired(two, two.token("harbour")) == [response["id"]]
    assert inquired(two, two.token("hillside")) == []


def test_a_second_system_of_the_same_clinic_sees_its_cases(two: Town) -> None:
    response = submitted(two, two.token("harbour"))["resource"]
    portal = Signer("harbour-portal")
    two.register(clinic(two.signers["harbour"], "1992999999"), clinic(portal, "1992999999"))
    two.signers["harbour-portal"] = portal

    assert inquired(two, two.token("harbour-portal")) == [response["id"]]


def test_a_clinic_that_is_a_provider_of_the_case_sees_it_whoever_sent_it(two: Town) -> None:
    house = Signer("clearinghouse")
    two.register(clinic(house, "1003000126"), clinic(two.signers["harbour"], "1992999999"))
    two.signers["clearinghouse"] = house
    response = submitted(two, two.token("clearinghouse"))["resource"]

    assert inquired(two, two.token("harbour")) == [response["id"]]


def test_what_was_tried_out_before_production_is_no_clinics_there(found_town: Build) -> None:
    """Nobody had to say who they are then: in production that would be told to every client, and to whatever
    address was named."""
    trial = found_town(environment="development", cds_jwt="off", trusted_proxies="")
    response = submitted(trial, "")["resource"]
    town = found_town(database_url=trial.app.state.services.settings.database_url)

    assert inquired(trial, trial.token("hillside")) == [response["id"]]
    assert inquired(town, town.token("hillside")) == []
    assert inquired(town, town.token("harbour")) == [response["id"]], "it is a provider of the case"
    told = [
        each.app.state.services.admission.registry.reaches("", "https://x.example/") for each in (trial, town)
    ]
    assert told == [True, False]


def test_a_decision_is_read_again_by_its_client_alone(two: Town) -> None:
    url = submitted(two, two.token("harbour"))["fullUrl"].removeprefix(BASE)

    assert two.get(url, two.token("harbour")).status_code == 200
    assert two.get(url, two.token("hillside")).status_code == 404


def called(town: Town, client: str, body: Any, path: str = "order-sign") -> Any:
    """What a CDS Hooks call of a client is answered."""
    path = f"/r2.0/cds-services/{path}"
    signed = town.signers[client].assertion(BASE + path, town.now[0], iss=f"https://{client}.example")
    sent = {"Authorization": f"Bearer {signed}", "Content-Type": "application/json"}
    answer = town.post(path, body, **sent)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_feedback_is_taken_from_whom_the_card_was_shown_to(two: Town) -> None:
    """Another's is passed over, as of a card that nobody was shown: nobody finds out which there are."""
    (card, *_) = called(two, "harbour", hook.sign(hook.shoulder(), sent=hook.prefetch()))["cards"]
    told = {"feedback": [{"card": card["uuid"], "outcome": "overridden"}]}

    assert called(two, "hillside", told, "order-sign/feedback") == {"kept": 0}
    assert called(two, "harbour", told, "order-sign/feedback") == {"kept": 1}


def test_an_assertion_and_the_reasons_behind_it_are_its_clients(two: Town) -> None:
    answer = called(two, "harbour", hook.sign(hook.shoulder(), sent=hook.prefetch()))
    returned = [action["resource"] for action in answer["systemActions"]]
    order = next(each for each in returned if each["resourceType"] == "ServiceRequest")
    information = extension(order, COVERAGE_INFORMATION)
    assertion = value(extension(information, "coverage-assertion-id"))
    ask = {
        "resourceType": "Parameters",
        "parameter": [{"name": "context", "valueString": assertion}],
    }
    package = f"{PAS}/Questionnaire/$questionnaire-package"

    assert two.get(f"/why/{assertion}", two.token("harbour")).status_code == 200
    assert two.get(f"/why/{assertion}", two.token("hillside")).status_code == 404
    ours, theirs = (two.post(package, ask, two.token(name)) for name in ("harbour", "hillside"))
    assert theirs.status_code == 404 or b"Anna" not in theirs.content
    assert ours.status_code != 404


def test_a_client_subscribes_for_its_own_organizations_only(two: Town) -> None:
    wish = json.encode(subscription("1992999999"))

    refused = two.post(f"{PAS}/Subscription", wish, two.token("hillside"))
    assert refused.status_code == 403
    assert refused.json()["issue"][0]["expression"]
    made = two.post(f"{PAS}/Subscription", wish, two.token("harbour"))
    assert made.status_code == 201, made.text
    path = f"{PAS}/Subscription/{made.json()['id']}"
    assert two.get(path, two.token("harbour")).status_code == 200
    assert two.get(path, two.token("hillside")).status_code == 404
    assert two.get(f"{PAS}/Subscription", two.token("hillside")).json()["total"] == 0


def test_whoever_sends_for_others_is_told_by_its_own_name(two: Town) -> None:
    """A clearinghouse is in none of the requests it sends; a client of two clinics that subscribed for the
    other one is not told of this one's."""
    house, both = Signer("clearinghouse"), two.signers["harbour"]
    two.register(
        clinic(house, "1003000126"),
        clinic(both, "1992999999", organizations=[f"{NPI}|1992999999", f"{NPI}|1457362880"]),
    )
    two.signers["clearinghouse"] = house

    def told(client: str, npi: str) -> str:
        """How many results it is told of that subscribes by that name, of one that it sent."""
        token = two.token(client)
        made = two.post(f"{PAS}/Subscription", json.encode(subscription(npi)), token).json()
        pended = a.request(
            charts.answers(**charts.SHORT_TRIAL),
            *charts.film_and_examination(),
            coverage=a.coverage("reviewed", subscriberId=f"M-{client}"),
        )
        assert two.post(f"{PAS}/Claim/$submit", pended, token).status_code == 200
        desk = Desk(two.app.state.services)
        for waiting in desk.queue().shown:
            desk.approve(waiting.item.id, waiting.item.revision, REVIEWER)
        events = two.get(f"{PAS}/Subscription/{made['id']}/$events", token).json()
        said = events["entry"][0]["resource"]["parameter"]
        return next(each["valueString"] for each in said if each["name"] == SINCE_START)

    assert told("clearinghouse", "1003000126") == "1"
    assert told("harbour", "1457362880") == "0"


@pytest.mark.parametrize("where", ["notify-me-elsewhere", "notify/../admin", "notify/%2e%2e/admin"])
def test_notifications_go_to_registered_endpoints_only(two: Town, where: str) -> None:
    wish = subscription("1992999999")
    wish["channel"]["endpoint"] = f"https://ehr.example/{where}"
    refused = two.post(f"{PAS}/Subscription", json.encode(wish), two.token("harbour"))

    assert refused.status_code == 403
    assert refused.json()["issue"][0]["expression"] == ["Subscription.channel.endpoint"]


def test_who_is_taken_out_is_told_nothing_more(two: Town) -> None:
    """Neither a client that left, nor an address that it gave up, nor one that may not subscribe any more."""
    wish = json.encode(subscription("1992999999"))
    made = two.post(f"{PAS}/Subscription", wish, two.token("harbour")).json()
    registry = two.app.state.services.admission.registry
    assert registry.reaches("harbour", "https://ehr.example/notify")

    two.register(clinic(two.signers["harbour"], "1992999999", endpoints=["https://ehr.example/new"]))
    assert not registry.reaches("harbour", "https://ehr.example/notify")
    two.register(clinic(two.signers["harbour"], "1992999999", scopes="system/Claim.cruds system/*.read"))
    assert not registry.reaches("harbour", "https://ehr.example/notify")
    two.register(clinic(two.signers["hillside"], "1457362880"))
    background.delivery(two.app.state.services).flush(made["id"])
    with two.app.state.services.store.reading() as tx:
        told = subscriptions.by_id(tx, made["id"])

    assert told is not None
    assert told.fault == NOT_REGISTERED


@pytest.mark.parametrize("version", ["2.0", "2.2"])
def test_charts_are_read_from_the_clients_own_servers_only(found_town: Build, version: str) -> None:
    """Whoever could name any server would have us call it, and decide by what it says."""
    town = found_town()
    harbour = town.signers["harbour"]
    town.register(clinic(harbour, "1992999999", fhir_servers=["https://127.0.0.1:4443/fhir/"]))
    path = f"/r{version}/cds-services/order-sign"

    def called(server: str) -> httpx.Response:
        claims = harbour.claims(f"{BASE}{path}", town.now[0], sub=None)
        proof = harbour.sign({**claims, "iss": "https://harbour.example"})
        body = {**hook.sign(hook.lumbar(), sent=hook.prefetch()), "fhirServer": server}
        return town.post(path, body, proof)

    refused = called("https://elsewhere.example/fhir")
    assert refused.status_code == 403
    assert refused.json()["issue"][0]["expression"] == ["fhirServer"]
    assert called("https://127.0.0.1:4443/fhir").status_code == 200


def subscription(npi: str) -> Resource:
    backport = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"
    return {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "Results of prior authorization",
        "criteria": "http://hl7.org/fhir/us/davinci-pas/SubscriptionTopic/PASSubscriptionTopic",
        "_criteria": {
            "extension": [
                {"url": f"{backport}/backport-filter-criteria", "valueString": f"orgIdentifier={npi}"}
            ]
        },
        "channel": {
            "type": "rest-hook",
            "endpoint": "https://ehr.example/notify",
            "payload": "application/fhir+json",
            "_payload": {
                "extension": [{"url": f"{backport}/backport-payload-content", "valueCode": "id-only"}]
            },
        },
    }


def test_the_page_of_a_card_opens_from_registered_ehrs_only(found_town: Build) -> None:
    """Where one is registered; else a link could lead from our address to whatever sign-in it names."""
    town, page = found_town(), "/r2.2/appropriateness/launch?launch=1&iss="
    harbour = town.signers["harbour"]
    town.register(clinic(harbour, "1992999999", fhir_servers=[]))
    assert town.get(f"{page}https://any.example/fhir").status_code == 200

    town.register(clinic(harbour, "1992999999", fhir_servers=["https://ehr.example/fhir/"]))
    assert town.get(f"{page}https://ehr.example/fhir").status_code == 200
    assert town.get(f"{page}https://any.example/fhir").status_code == 403
    assert town.get(f"{page}https://any.example&iss=https://ehr.example/fhir").status_code == 403
