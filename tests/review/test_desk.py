"""The reviewers' side: the queue, the decision, and what the provider is told of it."""

import datetime as dt
import html
import re
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import inspect

from server.clock import SetClock
from server.fhir.errors import Conflict, InvalidRequest
from server.fhir.extensions import extension, value, values
from server.fhir.systems import CPT, LOINC, PLACE_OF_SERVICE, concept
from server.pas.terms import LOINC_UNTIL_SERVICE, PAS_CODES, extension_url
from server.pas.usage import use
from server.pas.verdict import Review
from server.review.desk import Desk
from server.store import authorizations, events, records
from tests.emitted import record
from tests.pas import builders as a
from tests.pas import charts
from tests.pas.conftest import GUIDE, Answer, Payer
from tests.pas.conftest import payer as payer
from tests.pas.conftest import running as running

Resource = dict[str, Any]

ONE_BASE = pytest.mark.parametrize("payer", [("sqlite", "2.2")], ids=["2.2.1"], indirect=True)
"""For what knows no guide versions."""

DR_KIM = {"name": "Dr Kim", "npi": "1444444444", "specialty": "207X00000X"}


def pended(payer: Payer, *more: Resource, **changes: Any) -> Answer:
    """A trial that was too short, under the plan that leaves denials to people."""
    short = a.request(
        charts.answers(**charts.SHORT_TRIAL),
        *charts.film_and_examination(),
        *more,
        coverage=a.coverage("reviewed"),
        **changes,
    )
    return payer.submit(short)


def waiting(payer: Payer) -> Resource:
    (only,) = payer.http.get("/review").json()["items"]
    return dict(only)


def decide(payer: Payer, what: str, item: Resource, **body: Any) -> Any:
    said = {"revision": item["revision"], "reviewer": DR_KIM, **body}
    return payer.http.post(f"/review/{item['id']}/{what}", json=said)


def test_what_the_rules_would_deny_waits_with_their_recommendation(payer: Payer) -> None:
    pended(payer)
    item = waiting(payer)

    assert item["recommendation"] == "deny"
    assert "CC-DUR" in item["reason"]
    assert item["due"].startswith("2026-12-02")


def test_the_evidence_is_there_criterion_by_criterion(payer: Payer) -> None:
    pended(payer)
    shown = payer.http.get(f"/review/{waiting(payer)['id']}").json()
    criteria = {criterion["id"]: criterion for criterion in shown["determination"]["criteria"]}

    assert criteria["CC-DUR"]["value"] == "not-met"
    assert criteria["IMG-XR"]["evidence"]
    assert [event["what"] for event in shown["history"]] == ["pended"]


def test_an_approval_gives_a_number_that_inquiries_find(payer: Payer) -> None:
    pended(payer)
    answered = decide(payer, "approve", waiting(payer))
    found = payer.on_file()

    assert answered.status_code == 200
    assert found.actions == ["A1"]
    with payer.app.state.services.store.reading() as tx:
        granted = authorizations.by_number(tx, found.number)
    assert granted is not None
    assert granted.cpt == "73221"
    why = payer.http.get(f"/why/{found.number}").json()
    assert (why["decision"], why["answered"]["disposition"]) == ("pend", "authorized")
    assert why["answered"]["by"] == "reviewer"
    assert payer.http.get("/review").json()["items"] == []


def test_a_denial_that_follows_the_rules_has_their_words(payer: Payer) -> None:
    pended(payer)
    decide(payer, "deny", waiting(payer))
    found = payer.on_file()

    assert found.actions == ["A3"]
    for owed in ("CC-DUR", "Guideline:", "Looked at:", "What would change this:", "Appeal:"):
        assert owed in found.words


def test_a_denial_of_the_reviewers_own_must_say_all_that_is_owed(payer: Payer) -> None:
    pended(payer)
    item = waiting(payer)
    bare = {"criterion": "MN", "title": "Necessity", "found": "It would not change the treatment."}
    refused = decide(payer, "deny", item, findings=[bare])
    whole = {**bare, "guideline": "ACR-SHO-2024", "looked_at": "the form", "remedy": "A surgical plan."}
    answered = decide(payer, "deny", item, findings=[whole], code="0F")

    assert refused.status_code == 400
    assert refused.json()["issue"][0]["expression"] == ["findings"]
    assert answered.status_code == 200
    assert "A surgical plan." in payer.on_file().words


@ONE_BASE
def test_what_no_rule_would_deny_is_denied_with_a_reviewers_words_or_not_at_all(payer: Payer) -> None:
    """The page asks for them, the refusal names each, and whoever opens it later reads what was said."""
    other = charts.answers(**{"CC-DUR.none": True, "SH-IMM": "other"})
    payer.submit(a.request(*charts.film_and_examination(), other))
    item = waiting(payer)
    browser = {"Accept": "text/html"}
    page = payer.http.get(f"/review/{item['id']}", headers=browser).text
    bare = decide(payer, "deny", item).json()["issue"]
    decide(payer, "modify", item, start="2026-12-07", why="Not before the visit of 4 December.")
    after = payer.http.get(f"/review/{item['id']}", headers=browser).text
    why = payer.http.get(f"/why/{payer.on_file().number}", headers=browser).text

    assert item["recommendation"] == "review"
    assert re.search(r'name="finding.remedy" value="" required', page)
    assert [each["expression"] for each in bare] == [["code"], ["findings"]]
    assert "73221, 1 authorized, 2026-12-07 to 2027-02-05" in after
    assert "Not before the visit of 4 December." in after
    assert "Not before the visit of 4 December." in why


@ONE_BASE
def test_a_reviewer_decides_in_a_browser(payer: Payer) -> None:
    """As the forms of the page have it; no form of another site decides."""
    note = {
        "resourceType": "DocumentReference",
        "id": "note",
        "status": "current",
        "text": {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">A visit</div>'},
        "content": [
            {"attachment": {"contentType": "text/plain", "data": "U2hlIGNhbm5vdCBsaWZ0Lg=="}},
            {"attachment": {"url": "https://ehr.example/scans/7"}},
            {"attachment": {"contentType": "image/png", "url": "Binary/hand"}},
        ],
    }
    hand = {"resourceType": "Binary", "id": "hand", "contentType": "image/png", "data": "aGFuZA=="}
    sent = {
        "sequence": 1,
        "category": concept(PAS_CODES, "additionalInformation"),
        "valueReference": {"reference": "DocumentReference/note"},
    }
    pended(payer, note, hand, claim=a.claim(supportingInfo=[sent]))
    browser = {"Accept": "text/html,*/*;q=0.8"}
    waits = payer.http.get("/review", headers=browser).text
    (address,) = re.findall(r'href="[^"]*(/review/[^"]+)"', waits)
    page = payer.http.get(address, headers=browser).text
    (revision,) = set(re.findall(r'name="revision" value="(\d+)"', page))
    said = {"act": "deny", "revision": revision}
    foreign = payer.http.post(address, data=said, headers={"Sec-Fetch-Site": "cross-site"})
    unnamed = payer.http.post(address, data=said)
    short = payer.http.post(address, data={**said, "name": "Dr Kim", "finding.title": "Necessity"})
    turned = {**said, "act": "approve", "name": "Dr Kim", "start": "2026-12-09", "end": "2026-12-08"}
    backwards = payer.http.post(address, data=turned)
    decided = payer.http.post(address, data={**said, "name": "Dr Kim"}, follow_redirects=False)

    queue = payer.http.get(decided.headers["location"], headers=browser).text
    again = payer.http.post(address, data={**said, "name": "Dr Kim"})

    assert "Nothing waits to be decided." in queue
    assert re.search(r'role="status"><a href="[^"]*">73221 .*: Not Certified\.', queue)
    assert "This changed nothing. This work item was decided or changed" in again.text
    assert 'name="revision"' not in payer.http.get(address, headers=browser).text, "it is decided"
    assert "no treatment of this complaint lasted 6 weeks" in page
    assert "no treatment of this complaint lasted 6 weeks" in waits
    assert "Appeal:" not in waits
    for told in (
        "M75.111",
        "<td>female, 52 years</td>",
        "data:text/plain;base64,U2hlIGNhbm5vdCBsaWZ0Lg==",
        "data:image/png;base64,aGFuZA==",
        "was not sent along: it lies at https://ehr.example/scans/7",
        'id="DiagnosticReport/film"',
        "<summary>DiagnosticReport/film X-ray of the shoulder",
        "<strong>None of these</strong>",
        "2026-12-02 ",
    ):
        assert told in page
    assert "{&#39;" not in page
    assert 'value="Necessity"' in short.text
    assert [each.status_code for each in (foreign, unnamed, short, decided)] == [403, 400, 400, 303]
    assert re.search(r'name="name" value="" required aria-invalid.*This is owed', unnamed.text)
    assert "The finding lacks: criterion, found, guideline, looked at, remedy." in short.text
    assert re.search(
        r'name="end" value="2026-12-08" aria-invalid.*would end before it begins', backwards.text
    )
    assert payer.on_file().actions == ["A3"]


def test_less_than_was_asked_is_a_modification(payer: Payer) -> None:
    two = a.claim(a.item(quantity={"value": 2, "unit": "unit"}))
    pended(payer, claim=two)
    answered = decide(payer, "modify", waiting(payer), units=1, why="One study answers the question.")
    found = payer.on_file()
    (line,) = found.items

    assert answered.status_code == 200, answered.text
    assert found.actions == ["A6"]
    assert "One study answers the question." in found.words
    detail = extension(line, extension_url("itemAuthorizedDetail"))
    assert value(extension(detail, "quantity"))["value"] == (1 if payer.version == "2.0" else 2)
    assert len(found.response.get("addItem", [])) == (0 if payer.version == "2.0" else 1)


def test_another_site_than_was_asked_is_a_modification(payer: Payer) -> None:
    """A hospital's outpatient department was asked for; 2.2.1 has a place for the answer, 2.0.1 the words."""
    at_hospital = a.claim(a.item(locationCodeableConcept=concept(PLACE_OF_SERVICE, "22")))
    pended(payer, claim=at_hospital)
    answered = decide(payer, "modify", waiting(payer), place="11", why="An imaging centre is near.")
    found = payer.on_file()

    assert answered.status_code == 200, answered.text
    assert found.actions == ["A6"]
    assert "An imaging centre is near. Authorized at place of service 11." in found.words
    if payer.version == "2.2":
        (line,) = found.response["addItem"]
        assert line["locationCodeableConcept"] == concept(PLACE_OF_SERVICE, "11")

    nowhere = a.item()
    del nowhere["locationCodeableConcept"]
    again = pended(payer, claim=a.claim(nowhere, **SECOND))
    why = payer.http.get(f"/why/{again.response['id']}-1").json()

    assert (again.actions, again.number) == (["A6"], found.number)
    assert "Authorized at place of service 11." in again.words
    assert "at place of service 11 only" in why["reason"]


FIRST = [{"claim": {"identifier": {"system": "https://ehr.example/pa", "value": "PA-1"}}}]
"""What a change of the first request says it changes."""

SECOND = {"id": "pa-2", "identifier": [{"system": "https://ehr.example/pa", "value": "PA-2"}]}


@ONE_BASE
@pytest.mark.parametrize(
    ("asked", "terms"),
    [
        (a.item(service="73223"), {"code": "73221"}),
        (a.item(quantity={"value": 2, "unit": "unit"}), {"units": 1}),
        (a.item(locationCodeableConcept=concept(PLACE_OF_SERVICE, "22")), {"place": "11"}),
    ],
    ids=["service", "units", "place"],
)
def test_what_was_modified_does_not_pass_by_being_sent_again(
    payer: Payer, asked: Resource, terms: Resource
) -> None:
    """The authorization is for what was granted; the first wish goes to a person again, who may grant it."""
    pended(payer, claim=a.claim(asked))
    decide(payer, "modify", waiting(payer), why="This answers the question.", **terms)

    assert pended(payer, claim=a.claim(asked, **SECOND)).actions == ["A4"]
    assert decide(payer, "approve", waiting(payer)).json()["action"] == "A1"


@ONE_BASE
def test_what_was_granted_instead_is_authorized_when_it_is_ordered(payer: Payer) -> None:
    pended(payer, claim=a.claim(a.item(service="73223")))
    decide(payer, "modify", waiting(payer), code="73221", why="Contrast adds nothing.")
    ordered = pended(payer, claim=a.claim(a.item(service="73221"), **SECOND))

    assert ordered.actions == ["A1"]
    assert ordered.number in [answer.number for answer in payer.inquire(a.inquiry())]


def test_another_service_is_told_by_its_own_code_alone(payer: Payer) -> None:
    """Whatever the clinic calls what it asked for."""
    item = a.item(service="73223")
    local = {"system": "https://ehr.example/orders", "code": "MRSH+C", "display": "MRI shoulder, contrast"}
    item["productOrService"]["coding"].insert(0, local)
    pended(payer, claim=a.claim(item))
    decide(payer, "modify", waiting(payer), code="73221", why="Contrast adds nothing.")
    found = payer.on_file()
    detail = extension(found.items[0], extension_url("itemAuthorizedDetail"))
    told = value(extension(detail, "productOrServiceCode"))
    if payer.version == "2.2":
        told = found.response["addItem"][0]["productOrService"]

    assert told == concept(CPT, "73221")


@ONE_BASE
def test_what_was_done_is_authorized_anew_when_it_is_asked_for_again(payer: Payer) -> None:
    services = payer.app.state.services
    pended(payer)
    decide(payer, "approve", waiting(payer))
    first = payer.on_file().number
    with services.store.transaction() as tx:
        use(tx, first, 1, dt.date(2026, 12, 1), services.clock())
    pended(payer, claim=a.claim(**SECOND))
    second = decide(payer, "approve", waiting(payer)).json()

    assert second["action"] == "A1"
    assert second["number"] != first


@ONE_BASE
@pytest.mark.parametrize(
    ("what", "body", "element"),
    [
        ("modify", {"units": 2}, "units"),
        ("modify", {"units": 0}, "units"),
        ("modify", {"code": "73229"}, "code"),
        ("modify", {"code": "S8042"}, "code"),
        ("modify", {"place": "office"}, "place"),
        ("modify", {"place": "11", "why": " "}, "why"),
        ("modify", {}, "why"),
        ("modify", {"start": "9999-12-31"}, "start"),
        ("approve", {"start": "2027-01-04"}, "start"),
        ("approve", {"end": "2026-11-30"}, "end"),
        ("approve", {"provider": "Organization/nobody"}, "provider"),
        ("approve", {"provider": "Patient/anna"}, "provider"),
        ("approve", {"diagnoses": ["torn cuff"]}, "diagnoses"),
        ("approve", {"reviewer": {"name": "Dr Kim", "npi": "144"}}, "reviewer.npi"),
        ("approve", {"reviewer": {"name": "Dr\x00Kim"}}, "reviewer.name"),
        ("deny", {"provider": "Organization/clinic"}, "provider"),
        ("deny", {"reviewer": {"name": "Dr Kim", "specialty": "surgeon"}}, "reviewer.specialty"),
        ("deny", {"code": "not needed"}, "code"),
        ("ask", {"text": " "}, "text"),
        ("ask", {"text": "A line break\x0bof a word processor."}, "text"),
        ("deny", {"findings": [{"criterion": "MN", "found": "So\x0bis this."}]}, "findings"),
        ("deny", {"findings": [{"criterion": "MN", "opinion": "It is too early."}]}, "findings"),
        ("ask", {"text": "The film.", "documents": ["the film"]}, "documents"),
    ],
)
def test_what_cannot_be_granted_or_told_decides_nothing(
    payer: Payer, what: str, body: Resource, element: str
) -> None:
    pended(payer)
    reason = {"why": "It answers the question."} if what == "modify" else {}
    refused = decide(payer, what, waiting(payer), **{**reason, **body})

    assert refused.status_code == 400, refused.text
    assert refused.json()["issue"][0]["expression"][0].endswith(element)
    assert payer.on_file().actions == ["A4"]


@ONE_BASE
def test_other_days_than_were_asked_for_are_a_modification(payer: Payer) -> None:
    pended(payer)
    decide(payer, "modify", waiting(payer), start="2027-01-04", why="Six weeks are over then.")
    found = payer.on_file()

    assert found.actions == ["A6"]
    assert found.response["preAuthPeriod"] == {"start": "2027-01-04", "end": "2027-03-05"}
    assert "Six weeks are over then." in found.words


@ONE_BASE
def test_what_no_day_was_planned_for_is_authorized_from_the_day_it_was_ordered(payer: Payer) -> None:
    pended(payer, claim=a.claim({name: each for name, each in a.item().items() if name != "servicedDate"}))
    decide(payer, "approve", waiting(payer))

    assert payer.on_file().response["preAuthPeriod"] == {"start": "2026-11-20", "end": "2027-01-24"}


@ONE_BASE
def test_of_one_study_asked_for_twice_no_two_numbers_are_good_on_one_day(payer: Payer) -> None:
    pended(payer, claim=a.claim(a.item(), a.item(2)))
    first, second = payer.http.get("/review").json()["items"]
    january = {"start": "2027-01-04", "end": "2027-01-20", "why": "Six weeks are over then."}
    number = decide(payer, "modify", first, **january).json()["number"]
    longer = decide(payer, "modify", second, **{**january, "end": "2027-01-31"})
    as_asked = decide(payer, "approve", second)
    alike = decide(payer, "modify", second, **january)

    for refused in (longer, as_asked):
        assert refused.status_code == 409
        assert f"{number}, from 2027-01-04 to 2027-01-20" in refused.text
    assert alike.json()["number"] == number


@ONE_BASE
@pytest.mark.parametrize("how", ["approve", "modify"])
def test_what_was_billed_already_is_neither_granted_again_nor_in_the_way(payer: Payer, how: str) -> None:
    pended(payer, claim=a.claim(a.item(), a.item(2)))
    first, second = payer.http.get("/review").json()["items"]
    spent = decide(payer, "approve", first).json()["number"]
    services = payer.app.state.services
    with services.store.transaction() as tx:
        records.put(tx, a.billed(spent), "member:M-ANNA", services.clock())
    longer = {"end": "2027-03-31", "why": "The scanner is out of order."} if how == "modify" else {}
    again = decide(payer, how, second, **longer)

    assert again.status_code == 200, again.text
    assert again.json()["number"] != spent


def test_a_question_reaches_the_provider_as_document_codes(payer: Payer) -> None:
    pended(payer)
    first = waiting(payer)
    decide(payer, "ask", first, text="The surgical consultation.", documents=["11488-4"])
    decide(payer, "ask", waiting(payer), text="The operation note.", documents=["11504-8"])
    found = payer.on_file()
    (task,) = found.of_type("Task")

    assert first["reason"].startswith("Not authorized. Not met: Conservative care long enough (CC-DUR): ")
    assert found.actions == ["A4"]
    assert "The surgical consultation." in found.words
    assert "The operation note." in found.words
    assert len(task["input"]) == 3
    assert task["input"][1]["valueCodeableConcept"]["coding"][0]["code"] == "11488-4"
    if payer.version == "2.2":
        until_service = concept(LOINC, LOINC_UNTIL_SERVICE)
        assert value(extension(task["input"][1], extension_url("contentModifier"))) == until_service


@ONE_BASE
def test_an_answer_by_telephone_is_decided_on_without_waiting_for_papers(payer: Payer) -> None:
    """The reviewer goes on where the question left off, with what the rules recommended at first."""
    pended(payer)
    decide(payer, "ask", waiting(payer), text="Was there a surgical consultation?")
    asked = waiting(payer)
    decided = decide(payer, "deny", asked)

    assert asked["status"] == "asked"
    assert decided.status_code == 200, decided.text
    assert "CC-DUR" in payer.on_file().words
    assert payer.http.get("/review").json()["items"] == []


def test_of_two_reviewers_one_decides(payer: Payer) -> None:
    pended(payer)
    item = waiting(payer)
    first = decide(payer, "approve", item)
    second = decide(payer, "deny", item)

    assert first.status_code == 200
    assert second.status_code == 409
    assert payer.on_file().actions == ["A1"]


def test_a_revision_that_is_not_the_current_one_decides_nothing(payer: Payer) -> None:
    pended(payer)
    item = waiting(payer)

    assert decide(payer, "approve", {**item, "revision": 7}).status_code == 409
    assert payer.on_file().actions == ["A4"]


def test_a_work_item_that_is_not_there_is_404(payer: Payer) -> None:
    assert payer.http.get("/review/none").status_code == 404
    assert decide(payer, "approve", {"id": "none", "revision": 1}).status_code == 404


def test_a_change_of_the_request_takes_it_off_the_queue(payer: Payer) -> None:
    pended(payer)
    item = waiting(payer)
    better = a.claim(related=FIRST, id="pa-2")
    payer.submit(a.request(*charts.meets_every_criterion(), claim=better, coverage=a.coverage("reviewed")))

    assert payer.http.get("/review").json()["items"] == []
    assert decide(payer, "deny", item).status_code == 409
    assert payer.on_file().actions == ["A1"]


def test_who_decided_is_on_record_and_in_2_2_in_the_answer(payer: Payer) -> None:
    asked = pended(payer)
    decide(payer, "approve", waiting(payer))
    with payer.app.state.services.store.reading() as tx:
        told = [(event.kind, event.actor) for event in events.of_case(tx, asked.response["id"])]
    reviewer = extension(payer.on_file().response, extension_url("claimResponseReviewer"))

    assert told == [("pended", "rules"), ("decided", "reviewer 1444444444")]
    if payer.version == "2.2":
        assert value(extension(reviewer, "wasHumanReviewedFlag")) is True
        assert value(extension(reviewer, "reviewerNPI"))["value"] == "1444444444"


def test_a_provider_that_is_authorized_comes_along(payer: Payer) -> None:
    pended(payer)
    decide(payer, "approve", waiting(payer), provider="Organization/clinic")
    found = payer.on_file()
    provider = extension(found.items[0], extension_url("itemAuthorizedProvider"))

    assert value(extension(provider, "provider")) == {"reference": f"{a.HOST}/Organization/clinic"}


def test_a_diagnosis_that_the_reviewer_names_is_communicated(payer: Payer) -> None:
    """The profile wants it on the item; the extension's own context does not allow it there."""
    pended(payer)
    decide(payer, "approve", waiting(payer), diagnoses=["M75.121"])
    body = payer.post("$inquire", a.inquiry()).json()
    bundle = body["parameter"][0]["resource"] if payer.version == "2.2" else body
    codes = values(Answer(bundle).items[0], extension_url("communicatedDiagnosis"))

    assert [concept["coding"][0]["code"] for concept in codes] == ["M75.121"]


def test_the_final_answer_is_what_is_kept_and_read(payer: Payer) -> None:
    asked = pended(payer)
    decide(payer, "approve", waiting(payer))
    read = payer.read(asked.url)

    assert read["outcome"] == "complete"
    assert read["preAuthRef"] == payer.on_file().number
    record(GUIDE[payer.version], read)


def test_a_token_that_is_not_valid_is_refused_even_in_development(payer: Payer) -> None:
    assert payer.http.get("/review", headers={"Authorization": "Bearer guess"}).status_code == 401


@pytest.mark.parametrize("body", [{}, {"revision": 1}, {"revision": 1, "reviewer": {"name": ""}}])
def test_a_decision_without_a_person_is_refused(payer: Payer, body: Resource) -> None:
    pended(payer)
    response = payer.http.post(f"/review/{waiting(payer)['id']}/approve", json=body)

    assert response.status_code == 400
    assert response.json()["resourceType"] == "OperationOutcome"


def test_a_clock_is_extended_once_with_a_reason_that_is_on_record(payer: Payer) -> None:
    asked = pended(payer)
    services = payer.app.state.services
    desk, item = Desk(services), waiting(payer)
    day = dt.date(2026, 12, 10)
    extended = desk.extend(item["id"], item["revision"], Review("Dr Kim"), day, "The member asked for it.")
    with pytest.raises(Conflict, match="extended before"):
        desk.extend(item["id"], extended.item.revision, Review("Dr Kim"), day.replace(day=14), "Again.")
    with services.store.reading() as tx:
        told = [(event.kind, event.detail) for event in events.of_case(tx, asked.response["id"])]

    assert waiting(payer)["due"].startswith("2026-12-10")
    assert told[-1][0] == "clock-extended"
    assert told[-1][1]["why"] == "The member asked for it."
    assert payer.on_file().actions == ["A4"]

    pended(payer, claim=a.claim(id="pa-2", related=FIRST))
    changed = waiting(payer)
    shown = payer.http.get(f"/review/{changed['id']}").json()
    assert changed["due"].startswith("2026-12-10")
    assert [event["what"] for event in shown["history"]] == ["pended", "clock-extended", "pended"]
    with pytest.raises(Conflict, match="extended before"):
        desk.extend(changed["id"], changed["revision"], Review("Dr Kim"), day.replace(day=14), "Again.")


@ONE_BASE
def test_once_the_clock_ran_out_there_is_no_more_time_and_no_more_question(payer: Payer) -> None:
    """A question would be answered by the clock at once: for want of what nobody could send in time."""
    pended(payer)
    services, item = payer.app.state.services, waiting(payer)
    late = Desk(replace(services, clock=SetClock(services.clock() + dt.timedelta(days=7))))
    with pytest.raises(Conflict, match="run out"):
        late.extend(item["id"], item["revision"], Review("Dr Kim"), dt.date(2026, 12, 10), "Late.")
    with pytest.raises(Conflict, match="run out"):
        late.ask(item["id"], item["revision"], Review("Dr Kim"), "The CT report.")

    assert late.approve(item["id"], item["revision"], Review("Dr Kim")).summary["action"] == "A1"


@ONE_BASE
def test_the_queue_is_listed_without_what_was_sent(payer: Payer) -> None:
    """Requests carry attachments of megabytes, and hundreds may wait."""
    pended(payer)
    (listed,) = Desk(payer.app.state.services).queue().shown

    assert inspect(listed.case).unloaded >= {"request", "response"}


@ONE_BASE
def test_a_long_queue_is_read_from_its_top_and_tells_how_long_it_is(payer: Payer) -> None:
    """Whoever lists thousands at once keeps everybody else waiting."""
    pended(payer, claim=a.claim(a.item(), a.item(2), a.item(3)))
    every = payer.http.get("/review").json()["items"]
    pages = [payer.http.get(f"/review?_count=2&_offset={first}").json() for first in (0, 2)]

    assert [item for page in pages for item in page["items"]] == every
    assert ([len(page["items"]) for page in pages], {page["total"] for page in pages}) == ([2, 1], {3})
    assert payer.http.get("/review?_count=1001").status_code == 400
    page = payer.http.get("/review?_count=2", headers={"Accept": "text/html"}).text
    (later,) = re.findall(r'href="[^"]*(/review\?[^"]*)"', page)
    rest = payer.http.get(html.unescape(later), headers={"Accept": "text/html"}).text
    assert "1 to 2 are shown" in page
    assert f"/review/{every[2]['id']}" in rest


@pytest.mark.parametrize("day", [dt.date(2026, 11, 26), dt.date(2026, 12, 30)])
def test_a_clock_is_neither_set_back_nor_extended_without_end(payer: Payer, day: dt.date) -> None:
    pended(payer)
    item = waiting(payer)
    with pytest.raises(InvalidRequest, match="at most"):
        Desk(payer.app.state.services).extend(item["id"], item["revision"], Review("Dr Kim"), day, "x")
