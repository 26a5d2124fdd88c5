"""What a client may wish for, and what is refused with its place. No database has a say in this, so one is
enough."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from server.fhir.dates import instant
from server.security.outbound import Outbound
from server.subscriptions import routes
from server.subscriptions.resource import headers, wish
from tests.pas.conftest import FHIR, Payer
from tests.pas.conftest import payer as payer
from tests.pas.conftest import running as running
from tests.subscriptions.builders import BACKPORT, NOBODY, content, filtered, subscription

Resource = dict[str, Any]

INBOX = "http://clinic.example/inbox"
NOW = dt.datetime(2026, 11, 25, 10, tzinfo=dt.UTC)

pytestmark = pytest.mark.parametrize(
    "payer", [("sqlite", "2.0"), ("sqlite", "2.2")], ids=["2.0.1", "2.2.1"], indirect=True
)


def ask(payer: Payer, body: Resource) -> Any:
    return payer.http.post(f"{payer.base}/Subscription", json=body, headers=FHIR)


REFUSED: dict[str, tuple[Resource, str]] = {
    "another topic": ({"criteria": "https://other.example/topic"}, "Subscription.criteria"),
    "another filter": (
        {"_criteria": filtered("patient=Patient/1")},
        f"Subscription.criteria.extension('{BACKPORT}/backport-filter-criteria')",
    ),
    "no filter": (
        {"_criteria": None},
        f"Subscription.criteria.extension('{BACKPORT}/backport-filter-criteria')",
    ),
    "an empty filter": (
        {"_criteria": filtered("orgIdentifier=")},
        f"Subscription.criteria.extension('{BACKPORT}/backport-filter-criteria')",
    ),
    "another channel": ({"channel": {"type": "email"}}, "Subscription.channel.type"),
    "another payload": ({"channel": {"payload": "application/fhir+xml"}}, "Subscription.channel.payload"),
    "another FHIR": (
        {"channel": {"payload": "application/fhir+json; fhirVersion=4.3"}},
        "Subscription.channel.payload",
    ),
    "a channel of its own": (
        {
            "channel": {
                "_type": {
                    "extension": [
                        {"url": f"{BACKPORT}/backport-channel-type", "valueCoding": {"code": "queue"}}
                    ]
                }
            }
        },
        "Subscription.channel.type",
    ),
    "empty notifications": (
        {"channel": {"_payload": content("empty")}},
        f"Subscription.channel.payload.extension('{BACKPORT}/backport-payload-content')",
    ),
    "no endpoint": ({"channel": {"endpoint": None}}, "Subscription.channel.endpoint"),
    "no address": ({"channel": {"endpoint": "http://[1::2/inbox"}}, "Subscription.channel.endpoint"),
    "a blank in it": (
        {"channel": {"endpoint": "http://clinic .example/inbox"}},
        "Subscription.channel.endpoint",
    ),
    "a password in it": ({"channel": {"endpoint": "http://a:b@c.example/"}}, "Subscription.channel.endpoint"),
    "a file": ({"channel": {"endpoint": "file:///etc/passwd"}}, "Subscription.channel.endpoint"),
    "no header line": ({"channel": {"header": ["Bearer x"]}}, "Subscription.channel.header[0]"),
    "two lines in one": ({"channel": {"header": ["A: b\r\nC: d"]}}, "Subscription.channel.header[0]"),
    "an extension for a topic": ({"criteria": None}, "Subscription.criteria"),
    "an extension for a status": (
        {"status": None, "_status": {"extension": [{"url": "https://ehr.example/x", "valueCode": "on"}]}},
        "Subscription.status",
    ),
    "a status that there is not": ({"status": "please"}, "Subscription.status"),
    "a filter beside ours": (
        {"_criteria": filtered("orgIdentifier=1992999999&status=active")},
        f"Subscription.criteria.extension('{BACKPORT}/backport-filter-criteria')",
    ),
    "an end that is past": ({"end": "2026-11-25T09:00:00Z"}, "Subscription.end"),
    "the host": ({"channel": {"header": ["A: b", "Host: inside"]}}, "Subscription.channel.header[1]"),
    "a payload that is no header line": (
        {"channel": {"payload": "application/fhir+json;\u00e9=1"}},
        "Subscription.channel.payload",
    ),
    "a wait in words": (
        {"channel": {"extension": [{"url": f"{BACKPORT}/backport-timeout", "valueString": "soon"}]}},
        f"Subscription.channel.extension('{BACKPORT}/backport-timeout')",
    ),
    "no time at all": (
        {"channel": {"extension": [{"url": f"{BACKPORT}/backport-timeout", "valueInteger": -5}]}},
        f"Subscription.channel.extension('{BACKPORT}/backport-timeout')",
    ),
    "a sign of life with every breath": (
        {"channel": {"extension": [{"url": f"{BACKPORT}/backport-heartbeat-period", "valueDecimal": 0.2}]}},
        f"Subscription.channel.extension('{BACKPORT}/backport-heartbeat-period')",
    ),
    "the framing": (
        {"channel": {"header": ["Transfer-Encoding: chunked"]}},
        "Subscription.channel.header[0]",
    ),
}


def without_nothing(element: Resource) -> Resource:
    """Elements that are None are left out."""
    return {
        name: without_nothing(content) if isinstance(content, dict) else content
        for name, content in element.items()
        if content is not None
    }


@pytest.mark.parametrize("what", REFUSED)
def test_f22_what_cannot_be_honoured_is_refused_with_its_place(payer: Payer, what: str) -> None:
    changes, place = REFUSED[what]
    body = without_nothing(subscription(payer.version, INBOX, **changes))
    answered = ask(payer, body)

    assert answered.status_code == 422, answered.text
    assert place in [issue["expression"][0] for issue in answered.json()["issue"]]


def test_ids_are_enough_in_2_0_only(payer: Payer) -> None:
    """2.2.1 sends the whole Bundle, always."""
    answered = ask(payer, subscription(payer.version, INBOX, channel={"_payload": content("id-only")}))

    assert answered.status_code == (201 if payer.version == "2.0" else 422)


def test_what_is_no_subscription_is_refused(payer: Payer) -> None:
    assert ask(payer, {"resourceType": "Patient"}).status_code == 400
    assert ask(payer, {"resourceType": "Subscription", "status": "requested"}).status_code == 400


def test_production_calls_https_only(payer: Payer) -> None:
    body = subscription(payer.version, INBOX)
    with pytest.raises(Exception, match="not https"):
        wish(body, payer.version, Outbound(lenient=False), NOW)


@pytest.mark.parametrize(
    ("text", "organizations"),
    [
        ("orgIdentifier=1992999999", ("1992999999",)),
        ("identifier=1992999999", ("1992999999",)),
        ("org-identifier=1992999999,1555555551", ("1992999999", "1555555551")),
        (
            "orgIdentifier=http%3A%2F%2Fhl7.org%2Ffhir%2Fsid%2Fus-npi%7C1",
            ("http://hl7.org/fhir/sid/us-npi|1",),
        ),
        ("ClaimResponse?orgIdentifier=1992999999", ("1992999999",)),
        ("orgIdentifier=1992999999&orgIdentifier=A%26B", ("1992999999", "A&B")),
    ],
)
def test_every_way_to_write_the_filter_is_understood(
    payer: Payer, text: str, organizations: tuple[str, ...]
) -> None:
    body = subscription(payer.version, INBOX, _criteria=filtered(text))

    assert wish(body, payer.version, Outbound(lenient=True), NOW).organizations == organizations


def test_the_answer_is_what_was_sent_with_an_id_and_status_requested(payer: Payer) -> None:
    sent = subscription(payer.version, INBOX, status="active")
    profiles = sent["meta"]["profile"]
    sent["meta"] = {**sent["meta"], "versionId": "77", "lastUpdated": "2001-01-01T00:00:00Z"}
    answered = ask(payer, sent)
    made = answered.json()

    assert answered.status_code == 201
    assert answered.headers["location"].endswith(f"{payer.base}/Subscription/{made['id']}")
    # FHIR: the server SHALL ignore the client's version and day, and say the day itself.
    dated = {"profile": profiles, "lastUpdated": instant(payer.app.state.services.clock())}
    assert made == {**sent, "id": made["id"], "status": "requested", "meta": dated}


def test_header_lines_keep_their_case_and_colons(payer: Payer) -> None:
    body = subscription(payer.version, INBOX, channel={"header": ["X-Route: night: 2", "Empty:"]})

    assert headers(body) == [("X-Route", "night: 2"), ("Empty", "")]


def test_subscriptions_are_listed_by_status_and_id(payer: Payer) -> None:
    one = ask(payer, subscription(payer.version, INBOX)).json()["id"]
    ask(payer, subscription(payer.version, INBOX, status="off"))
    found = payer.http.get(f"{payer.base}/Subscription?status=off").json()
    every = payer.http.get(f"{payer.base}/Subscription").json()
    named = payer.http.get(f"{payer.base}/Subscription?_id={one}").json()
    # FHIR has no empty lists.
    assert "entry" not in payer.http.get(f"{payer.base}/Subscription?_id={one}&status=off").json()
    assert "entry" not in payer.http.get(f"{payer.base}/Subscription/$status?id={one}x").json()

    assert [entry["resource"]["id"] for entry in named["entry"]] == [one]
    assert [entry["resource"]["status"] for entry in found["entry"]] == ["off"]
    assert every["total"] == 2


def test_subscriptions_are_listed_by_where_they_lead(payer: Payer) -> None:
    """The backport guide: a server SHALL support url. What was searched by is told."""
    one = ask(payer, subscription(payer.version, INBOX)).json()["id"]
    ask(payer, subscription(payer.version, f"{INBOX}/other"))
    found = payer.http.get(f"{payer.base}/Subscription", params={"url": INBOX, "colour": "red"}).json()
    assert [entry["resource"]["id"] for entry in found["entry"]] == [one]
    assert parse_qs(urlsplit(found["link"][0]["url"]).query) == {"url": [INBOX]}


def test_how_some_of_them_stand_can_be_asked(payer: Payer) -> None:
    one, other, off = (
        ask(payer, subscription(payer.version, INBOX, status=status)).json()["id"]
        for status in ("requested", "requested", "off")
    )

    def standing(query: str) -> set[str]:
        bundle = payer.http.get(f"{payer.base}/Subscription/$status?{query}").json()
        (itself,) = bundle["link"]
        told = urlsplit(itself["url"])
        assert told.path == f"{payer.base}/Subscription/$status"
        assert (itself["relation"], parse_qs(told.query)) == ("self", parse_qs(query))
        found = (entry["resource"]["parameter"][0] for entry in bundle.get("entry", ()))
        return {each["valueReference"]["reference"].rpartition("/")[2] for each in found}

    assert standing("") == {one, other, off}
    assert standing(f"id={one}&id={off}") == standing(f"id={one},{off}") == {one, off}
    assert standing("status=off") == {off}
    assert standing(f"id={one}&status=off") == set()

    wanted = [{"name": "id", "valueId": one}, {"name": "id", "valueId": other}]
    posted = payer.http.post(
        f"{payer.base}/Subscription/$status",
        json={"resourceType": "Parameters", "parameter": wanted},
        headers=FHIR,
    )
    assert len(posted.json()["entry"]) == 2
    assert len(payer.http.post(f"{payer.base}/Subscription/$status").json()["entry"]) == 3


def test_one_that_is_not_there_is_404(payer: Payer) -> None:
    for path in ("none", "none/$status", "none/$events"):
        assert payer.http.get(f"{payer.base}/Subscription/{path}").status_code == 404


def test_what_is_not_there_is_deleted_already(payer: Payer) -> None:
    made = ask(payer, subscription(payer.version, INBOX)).json()
    path = f"{payer.base}/Subscription/{made['id']}"

    assert [payer.http.delete(path).status_code for _ in range(2)] == [204, 204]
    assert payer.http.get(path).status_code == 404


def test_the_id_of_a_change_is_that_of_the_address(payer: Payer) -> None:
    made = ask(payer, subscription(payer.version, INBOX)).json()
    path = f"{payer.base}/Subscription/{made['id']}"

    assert payer.http.put(path, json={**made, "id": "other"}, headers=FHIR).status_code == 400


def test_who_is_told_for_many_may_have_as_many_for_each(
    payer: Payer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a filter may name is one result's, not all that it names together."""
    monkeypatch.setattr(routes, "MOST_SUBSCRIPTIONS", 2)
    filters = ("orgIdentifier=1", "orgIdentifier=2", "orgIdentifier=1,2", "orgIdentifier=2,3")
    asked = [ask(payer, subscription(payer.version, NOBODY, _criteria=filtered(each))) for each in filters]

    assert [each.status_code for each in asked] == [201, 201, 201, 422]


def test_a_result_is_not_told_any_number_of_times(payer: Payer, monkeypatch: pytest.MonkeyPatch) -> None:
    """All are told in the transaction of the decision, for which others wait."""
    monkeypatch.setattr(routes, "MOST_SUBSCRIPTIONS", 2)
    sent = subscription(payer.version, NOBODY, _criteria=filtered("orgIdentifier=1234567893"))
    first, second, third = (ask(payer, sent) for _ in range(3))
    changed = {**first.json(), "reason": "Results, too"}
    assert (first.status_code, second.status_code, third.status_code) == (201, 201, 422)
    assert third.json()["issue"][0]["code"] == "too-costly"

    url = f"{payer.base}/Subscription/{first.json()['id']}"
    assert payer.http.put(url, json=changed, headers=FHIR).status_code == 200
    assert payer.http.put(url, json={**changed, "status": "off"}, headers=FHIR).status_code == 200
    assert ask(payer, sent).status_code == 201
    assert payer.http.put(url, json=changed, headers=FHIR).status_code == 422
