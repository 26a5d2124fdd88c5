"""What was asked for comes by itself, under our tracking number; in both guide versions."""

from functools import partial
from typing import Any

import pytest
from fhirpathpy import evaluate

from server.fhir import json
from server.fhir.systems import LOINC, concept
from server.pas.attachment import SubmitAttachment
from server.pas.settling import settle
from server.pas.terms import PAS_CODES
from server.store import Transaction, authorizations, cases
from server.store.tables import PaCase
from tests.pas import builders as a
from tests.pas import charts
from tests.pas.conftest import FHIR, Payer
from tests.pas.test_changes import FILM, cancelled, marked, prior, update
from tests.pas.test_decision_clock import WEEK, clock, history
from tests.review.test_desk import ONE_BASE, decide, pended, waiting

Resource = dict[str, Any]


def parameters(
    tracking: str, *contents: Resource, final: bool = True, line: str = "1", **changed: Any
) -> Resource:
    named = {
        "TrackingId": {
            "valueIdentifier": {"system": "https://payer.example/pas-tracking", "value": tracking}
        },
        "AttachTo": {"valueCode": "preauthorization"},
        "PayerId": {"valueIdentifier": {"value": "1234567893"}},
        "MemberId": {"valueIdentifier": {"value": "M-ANNA"}},
        "Final": {"valueBoolean": final},
        **changed,
    }
    attachments = [
        {
            "name": "Attachment",
            "part": [
                *([{"name": "LineItem", "valueString": line}] if line else []),
                {"name": "Code", "valueCodeableConcept": concept(LOINC, "11506-3")},
                {"name": "Content", "resource": content},
            ],
        }
        for content in contents
    ]
    listed = [{"name": name, **content} for name, content in named.items() if content]
    return {"resourceType": "Parameters", "parameter": [*listed, *attachments]}


def send(payer: Payer, body: Resource, status: int = 200) -> str:
    answered = payer.http.post(f"{payer.base}/$submit-attachment", content=json.encode(body), headers=FHIR)
    outcome = json.decode_object(answered.content)
    assert answered.status_code == status, outcome
    assert outcome["resourceType"] == "OperationOutcome"
    there = [issue.get("expression", ()) for issue in outcome["issue"] if issue["code"] != "required"]
    assert all(evaluate(body, place, []) for places in there for place in places), outcome
    return " ".join(issue["diagnostics"] for issue in outcome["issue"])


def scan() -> Resource:
    return {
        "resourceType": "DocumentReference",
        "id": "scan",
        "status": "current",
        "type": concept(LOINC, "11506-3"),
        "subject": charts.ANNA,
        "content": [{"attachment": {"contentType": "application/pdf", "data": "JVBERi0="}}],
    }


def test_the_filled_form_and_the_chart_settle_what_was_pended(payer: Payer) -> None:
    pended = payer.submit(a.request())
    told = send(payer, parameters(pended.tracking, *charts.meets_every_criterion()))
    found = payer.on_file()

    assert pended.action == "A4"
    assert "now A1" in told
    assert found.action == "A1"
    assert found.url == pended.url
    assert payer.read(pended.url)["preAuthRef"] == found.number


def test_a_bundle_of_evidence_counts_as_its_entries(payer: Payer) -> None:
    pended = payer.submit(a.request())
    send(payer, parameters(pended.tracking, a.bundle(*charts.meets_every_criterion())))

    assert payer.on_file().action == "A1"


def test_where_more_is_missing_the_answer_says_what(payer: Payer) -> None:
    pended = payer.submit(a.request())
    told = send(payer, parameters(pended.tracking, charts.film()))
    found = payer.on_file()

    assert "more is needed" in told
    assert found.action == "A4"
    assert "IMG-XR" in pended.words
    assert "IMG-XR" not in found.words
    assert "CC-DUR" in found.words


def test_pieces_may_come_one_after_the_other(payer: Payer) -> None:
    pended = payer.submit(a.request())
    *most, form = charts.meets_every_criterion()
    send(payer, parameters(pended.tracking, *most, final=False))
    send(payer, parameters(pended.tracking, form))

    assert payer.on_file().action == "A1"


@pytest.mark.parametrize("plan", ["evicore", "reviewed"])
def test_nobody_is_denied_by_the_first_of_several_pieces(payer: Payer, plan: str) -> None:
    """The form tells of one treatment, and the record that follows of another."""
    *record, form = charts.meets_every_criterion()
    later = {**form, "id": "later", "authored": f"{charts.day(0)}T10:00:00Z"}
    pended = payer.submit(a.request(coverage=a.coverage(plan=plan)))
    told = send(payer, parameters(pended.tracking, charts.answers(**charts.SHORT_TRIAL), final=False))
    waits = payer.on_file()
    send(payer, parameters(pended.tracking, *record, later))

    assert "more is needed" in told
    assert (waits.action, waits.words) == ("A4", pended.words)
    assert payer.http.get("/review").json()["items"] == []
    assert payer.on_file().action == "A1"


def test_the_last_piece_decides_all_of_them(payer: Payer) -> None:
    pended = payer.submit(a.request())
    send(payer, parameters(pended.tracking, charts.answers(**charts.SHORT_TRIAL), final=False))
    send(payer, parameters(pended.tracking, *charts.film_and_examination()))

    assert payer.on_file().action == "A3"


def test_what_came_is_not_lost_when_the_request_is_updated(payer: Payer) -> None:
    pended = payer.submit(a.request())
    *most, form = charts.meets_every_criterion()
    send(payer, parameters(pended.tracking, *most, final=False))
    related = [{"claim": {"identifier": {"system": "https://ehr.example/pa", "value": "PA-1"}}}]
    updated = payer.submit(a.request(form, claim=a.claim(related=related, id="pa-2")))

    assert updated.action == "A1"


@ONE_BASE
def test_of_two_shoulders_each_is_judged_by_the_form_that_was_sent_for_it(payer: Payer) -> None:
    *rest, _ = a.item()["extension"]
    left = a.item(2, modifier=[concept(a.CPT, "LT")], diagnosisSequence=[2], extension=rest)
    both = a.claim(a.item(1), left, diagnosis=[a.diagnosis(), a.diagnosis("M75.112", 2)])
    pended = payer.submit(a.request(claim=both))
    of_right = parameters(
        f"{pended.response['id']}-1", charts.answers(**{"SH-IMM": "none", "CC-DUR.none": True})
    )
    send(payer, of_right)
    after_one = payer.on_file().actions
    of_left = parameters(
        f"{pended.response['id']}-2", {**charts.answers(**{"SH-IMM": "SH-IMM.2"}), "id": "2"}
    )
    of_left["parameter"][-1]["part"] = [
        part for part in of_left["parameter"][-1]["part"] if part["name"] != "LineItem"
    ]
    send(payer, of_left)

    assert (after_one, payer.on_file().actions) == (["A3", "A4"], ["A3", "A1"])


@ONE_BASE
def test_what_an_update_corrects_is_read_as_corrected_and_what_it_repeats_as_attached(payer: Payer) -> None:
    """Sent once more are an old film, of which a new one came meanwhile, and the score without its slip."""
    *most, form = charts.meets_every_criterion()
    rest = [each for each in most if each["id"] not in ("quickdash", "film")]
    pended = payer.submit(a.request(*rest, charts.film(400)))
    send(payer, parameters(pended.tracking, charts.film(), charts.quickdash(2)))
    sent_once_more = [*rest, charts.film(400), charts.quickdash(), form]

    assert payer.submit(update(a.item(1), chart=sent_once_more)).action == "A1"


def test_a_scan_goes_to_a_person_once_all_is_there(payer: Payer) -> None:
    pended = payer.submit(a.request())
    send(payer, parameters(pended.tracking, scan(), final=False))
    waiting_still = payer.http.get("/review").json()["items"]
    send(payer, parameters(pended.tracking, charts.film()))
    (item,) = payer.http.get("/review").json()["items"]
    shown = payer.http.get(f"/review/{item['id']}").json()

    assert waiting_still == []
    assert payer.on_file().action == "A4"
    assert "a person must read" in item["reason"]
    assert "scan" in [event.get("resource", {}).get("id") for event in shown["history"]]


@ONE_BASE
def test_a_report_that_is_only_a_paper_goes_to_a_person_too(payer: Payer) -> None:
    """A finding that is coded is read by the rules."""
    pended = payer.submit(a.request())
    coded = charts.film()
    report = {name: content for name, content in coded.items() if name != "conclusionCode"}
    paper = {**report, "presentedForm": [{"contentType": "application/pdf", "data": "JVBERi0="}]}
    send(payer, parameters(pended.tracking, coded))
    none_yet = payer.http.get("/review").json()["items"]
    send(payer, parameters(pended.tracking, paper))
    (item,) = payer.http.get("/review").json()["items"]

    assert none_yet == []
    assert "a person must read" in item["reason"]


@ONE_BASE
def test_a_scan_that_a_person_has_answers_for_its_line_and_stays_there_when_another_is_cancelled(
    payer: Payer,
) -> None:
    knee = a.item(2, "73721", extension=a.item(2)["extension"][:3])
    pended = payer.submit(a.request(claim=a.claim(a.item(1), knee)))
    shoulder, _ = pended.of_type("CommunicationRequest")
    send(payer, parameters(shoulder["identifier"][0]["value"], scan()))
    assert waiting(payer)["item"] == 1

    payer.submit(update(a.item(1), cancelled(knee), chart=[]))
    clock(payer, WEEK).sweep()

    assert payer.on_file().actions == ["A4", "C"]
    assert waiting(payer)["item"] == 1


@ONE_BASE
def test_a_scan_that_names_no_line_is_for_the_whole_request(payer: Payer) -> None:
    """CDex: if LineItem is absent, the attachment is associated with the entire prior authorization."""
    knee = a.item(2, "73721", extension=a.item(2)["extension"][:3])
    shoulder, _ = payer.submit(a.request(claim=a.claim(a.item(1), knee))).of_type("CommunicationRequest")
    send(payer, parameters(shoulder["identifier"][0]["value"], scan(), line=""))
    assert {item["item"] for item in payer.http.get("/review").json()["items"]} == {1, 2}


@ONE_BASE
def test_a_scan_that_comes_with_an_update_goes_to_a_person_and_so_does_the_next_one_asked_for(
    payer: Payer,
) -> None:
    consultation = {**scan(), "id": "consultation"}
    handed_in = [
        {
            "sequence": sequence,
            "category": concept(PAS_CODES, "additionalInformation"),
            "valueReference": {"reference": a.name(paper)},
        }
        for sequence, paper in enumerate((scan(), consultation), start=1)
    ]
    payer.submit(a.request())
    payer.submit(update(a.item(1), chart=[scan()], supportingInfo=handed_in[:1]))
    first = waiting(payer)
    decide(payer, "ask", first, text="The consultation.", documents=["11488-4"])
    before = [{"claim": {"reference": f"{a.HOST}/Claim/pa-2"}}]
    further = update(
        a.item(1), id="pa-3", related=before, chart=[scan(), consultation], supportingInfo=handed_in
    )
    payer.submit(further)
    clock(payer, WEEK).sweep()

    assert first["status"] == "open"
    assert "a person must read" in first["reason"]
    assert "while a person had it" in waiting(payer)["reason"]
    assert payer.on_file().action == "A4"


def test_the_clock_is_not_set_back(payer: Payer) -> None:
    pended = payer.submit(a.request())
    with payer.app.state.services.store.reading() as tx:
        (before,) = cases.items(tx, pended.response["id"])
    send(payer, parameters(pended.tracking, charts.film()))
    with payer.app.state.services.store.reading() as tx:
        (now,) = cases.items(tx, pended.response["id"])

    assert (now.received, now.due) == (before.received, before.due)


def test_what_a_reviewer_asked_for_goes_back_to_the_reviewers(payer: Payer) -> None:
    short = a.request(
        charts.answers(**charts.SHORT_TRIAL), *charts.film_and_examination(), coverage=a.coverage("reviewed")
    )
    asked = payer.submit(short)
    (item,) = payer.http.get("/review").json()["items"]
    question = {
        "revision": item["revision"],
        "reviewer": {"name": "Dr Kim"},
        "text": "The consultation.",
        "documents": ["11488-4"],
    }
    payer.http.post(f"/review/{item['id']}/ask", json=question)
    send(payer, parameters(f"{asked.response['id']}-1", scan()))
    (again,) = payer.http.get("/review").json()["items"]

    assert again["id"] == item["id"]
    assert "reviewer asked for has come" in again["reason"]
    assert (again["recommendation"], "CC-DUR" in again["reason"]) == ("deny", True)


@ONE_BASE
def test_whoever_read_the_case_before_a_paper_came_reads_it_again(payer: Payer) -> None:
    asked = pended(payer)
    read = waiting(payer)
    send(payer, parameters(f"{asked.response['id']}-1", scan()))

    assert decide(payer, "deny", read).status_code == 409
    assert decide(payer, "deny", waiting(payer)).status_code == 200


@ONE_BASE
def test_what_a_reviewer_grants_is_for_the_side_that_was_told_later(payer: Payer) -> None:
    sideless = a.item()
    del sideless["modifier"]
    either = a.claim(sideless, diagnosis=[a.diagnosis("M75.110")])
    asked = payer.submit(a.request(claim=either, order=a.order(bodySite=[concept(a.SNOMED, a.SHOULDER)])))
    send(payer, parameters(asked.tracking, a.order(), scan()))
    decide(payer, "approve", waiting(payer))
    with payer.app.state.services.store.reading() as tx:
        (granted,) = authorizations.of_member(tx, "member:M-ANNA")

    assert "COD-LAT" in asked.words
    assert granted.side == "RT"


@ONE_BASE
def test_what_a_reviewer_asked_for_in_vain_is_off_the_queue_once_the_clock_has_decided(payer: Payer) -> None:
    asked = payer.submit(a.request())
    send(payer, parameters(asked.tracking, scan()))
    decide(payer, "ask", waiting(payer), text="The consultation.", documents=["11488-4"])
    clock(payer, WEEK).sweep()
    denied = payer.on_file()

    assert denied.action == "A3"
    assert "What would change this: What was asked for, with an appeal or a new request." in denied.words
    assert payer.http.get("/review").json()["items"] == []


def test_a_reviewer_reads_what_came_with_the_request_and_for_any_version_of_it(payer: Payer) -> None:
    note = {**scan(), "id": "note"}
    sent = [
        {
            "sequence": 1,
            "category": concept(PAS_CODES, "additionalInformation"),
            "valueReference": {"reference": "DocumentReference/note"},
        },
        {
            "sequence": 2,
            "category": concept(PAS_CODES, "freeFormMessage"),
            "valueString": "She cannot lift her arm.",
        },
    ]
    chart = (charts.answers(**charts.SHORT_TRIAL), *charts.film_and_examination(), note)
    insured = a.coverage("reviewed")
    asked = payer.submit(a.request(*chart, claim=a.claim(supportingInfo=sent), coverage=insured))
    told = send(payer, parameters(f"{asked.response['id']}-1", scan()))
    send(payer, parameters(f"{asked.response['id']}-1", scan()))
    changed = update(a.item(servicedDate="2026-12-02"), chart=chart, supportingInfo=sent)
    changed["entry"] = [
        {**entry, "resource": insured} if entry["resource"]["resourceType"] == "Coverage" else entry
        for entry in changed["entry"]
    ]
    payer.submit(changed)
    (item,) = payer.http.get("/review").json()["items"]

    assert "A reviewer has the case" in told
    assert payer.http.get(f"/review/{item['id']}").json()["documents"] == [
        note,
        {"text": "She cannot lift her arm."},
        scan(),
    ]


def test_what_comes_after_the_decision_is_kept_and_changes_nothing(payer: Payer) -> None:
    pended = payer.submit(a.request())
    number = pended.tracking
    send(payer, parameters(number, *charts.meets_every_criterion()))
    told = send(payer, parameters(number, charts.film()))

    assert "Nothing waits for it" in told
    assert payer.on_file().action == "A1"


@pytest.mark.parametrize(
    ("changed", "status", "words"),
    [
        ({"TrackingId": {"valueString": "nobody-asked"}}, 422, "tracking number"),
        ({"TrackingId": {"valueString": "0" * 36 + "-²"}}, 422, "tracking number"),
        ({"TrackingId": {}}, 400, "TrackingId is missing"),
        ({"AttachTo": {"valueCode": "claim"}}, 400, "preauthorization only"),
        ({"MemberId": {"valueIdentifier": {"value": "M-OTHER"}}}, 422, "another member"),
        ({"Final": {"valueString": "false"}}, 400, "Final is no boolean"),
        ({"line": "7"}, 422, "no item 7"),
        ({"line": "one"}, 400, "LineItem is the sequence"),
    ],
)
def test_what_cannot_be_attached_is_refused(payer: Payer, changed: Resource, status: int, words: str) -> None:
    pended = payer.submit(a.request())
    told = send(payer, parameters(pended.tracking, *charts.meets_every_criterion(), **changed), status)

    assert words in told
    assert payer.on_file().action == "A4"


@ONE_BASE
def test_what_comes_for_an_item_that_could_not_be_judged_is_kept_for_its_correction(payer: Payer) -> None:
    """It names the good item too, which it settles."""
    nameless = {**a.item(2), "productOrService": concept(a.DATA_ABSENT, "not-applicable")}
    nameless["extension"] = nameless["extension"][:3]
    pended = payer.submit(a.request(claim=a.claim(a.item(1), nameless)))
    for_both = parameters(pended.tracking, *charts.meets_every_criterion())
    for attachment in for_both["parameter"][-4:]:
        attachment["part"].append({"name": "LineItem", "valueString": "2"})
    told = send(payer, for_both)
    corrected = payer.submit(update(a.item(1), marked(a.item(2, modifier=[]), "changed"), chart=[]))

    assert pended.actions == ["A4"]
    assert "Item 1: now A1" in told
    assert "Item 2 was not judged" in told
    assert corrected.actions == ["A1", "A1"]


@ONE_BASE
def test_who_is_not_known_by_a_number_is_not_taken_for_another(payer: Payer) -> None:
    card, anna = a.coverage(), a.anna(identifier=[{"system": "https://ehr.example/mrn", "value": "7"}])
    del card["subscriberId"]
    asked = payer.submit(a.request(coverage=card, patient=anna))

    assert "now A1" in send(payer, parameters(asked.tracking, *charts.meets_every_criterion()))


def test_an_attachment_must_have_content(payer: Payer) -> None:
    pended = payer.submit(a.request())
    empty = parameters(pended.tracking)
    empty["parameter"].append({"name": "Attachment", "part": [{"name": "Code"}]})

    assert "no resource in Content" in send(payer, empty, 400)


def test_the_operation_is_where_the_request_for_information_says(payer: Payer) -> None:
    """Task.input payer-url is the operation's address, as in CDex; who takes it for a base is heard too."""
    pended = payer.submit(a.request())
    (task,) = pended.of_type("Task")
    url = next(part["valueUrl"] for part in task["input"] if "valueUrl" in part)
    body = json.encode(parameters(pended.tracking, *charts.meets_every_criterion()))
    for address in (url, f"{url}/$submit-attachment"):
        assert payer.http.post(address, content=body, headers=FHIR).status_code == 200
    assert payer.on_file().action == "A1"


@ONE_BASE
def test_who_reads_a_task_that_is_done_with_is_told_where_the_decision_stands(payer: Payer) -> None:
    pended = payer.submit(a.request())
    url = f"{payer.base}/Task/{pended.of_type('Task')[0]['id']}"
    asked = payer.read(url)
    send(payer, parameters(pended.tracking, *charts.meets_every_criterion()))
    over = payer.http.get(url)

    assert asked["status"] == "requested"
    assert over.status_code == 404
    assert f"ClaimResponse/{pended.response['id']}" in over.json()["issue"][0]["diagnostics"]


def with_a_scan() -> Resource:
    """A first request that says in a scan what the rules would ask for."""
    paper = {
        "sequence": 1,
        "category": concept(PAS_CODES, "additionalInformation"),
        "valueReference": {"reference": a.name(scan())},
    }
    return a.request(scan(), claim=a.claim(supportingInfo=[paper]))


@ONE_BASE
def test_a_scan_that_comes_with_the_request_can_be_read_while_the_form_is_asked_for(payer: Payer) -> None:
    asked = payer.submit(with_a_scan())
    listed = waiting(payer)
    decide(payer, "approve", listed)

    assert asked.action == "A4"
    assert asked.of_type("Task")
    assert (listed["status"], listed["recommendation"]) == ("asked", "review")
    assert "a person must read" in listed["reason"]
    assert payer.on_file().action == "A1"


@ONE_BASE
def test_a_reviewer_who_asks_for_more_takes_no_form_back(payer: Payer) -> None:
    asked = payer.submit(with_a_scan())
    decide(payer, "ask", waiting(payer), text="The consultation.", documents=["11488-4"])
    told = payer.on_file()

    assert asked.of_type("Task")[0]["input"] in [task["input"] for task in told.of_type("Task")]


@ONE_BASE
@pytest.mark.parametrize("with_the_request", [True, False])
def test_the_clock_denies_nobody_whose_papers_are_unread(payer: Payer, with_the_request: bool) -> None:
    """They came with the request, or later, as the first of more that never came."""
    if with_the_request:
        payer.submit(with_a_scan())
    else:
        send(payer, parameters(payer.submit(a.request()).tracking, scan(), final=False))
    clock(payer, WEEK).sweep()
    overdue = waiting(payer)

    assert payer.on_file().action == "A4"
    assert (overdue["status"], overdue["recommendation"]) == ("open", "deny")


@ONE_BASE
@pytest.mark.parametrize(("plan", "action"), [("evicore", "A3"), ("reviewed", "A4")])
def test_where_the_rest_never_comes_the_clock_goes_by_the_part_that_came(
    payer: Payer, plan: str, action: str
) -> None:
    """That a treatment was asked for and had not come is not true of one that the part tells of."""
    pended = payer.submit(a.request(*charts.film_and_examination(), coverage=a.coverage(plan)))
    send(payer, parameters(pended.tracking, charts.answers(**charts.SHORT_TRIAL), final=False))
    waits = payer.on_file()
    assert [kind for kind, *_ in history(payer, pended)] == ["pended", "attached"]
    clock(payer, WEEK).sweep()
    found = payer.on_file()
    said = found.words if plan == "evicore" else waiting(payer)["reason"]

    assert (waits.action, found.action) == ("A4", action)
    assert "had not come" not in said
    assert "CC-DUR" in said
    assert "2026-10-23" in said


@ONE_BASE
def test_the_clock_denies_nobody_who_answered_a_reviewer_in_part(payer: Payer) -> None:
    payer.submit(with_a_scan())
    decide(payer, "ask", waiting(payer), text="The consultation.", documents=["11488-4"])
    send(payer, parameters(f"{payer.on_file().response['id']}-1", {**scan(), "id": "letter"}, final=False))
    clock(payer, WEEK).sweep()

    assert payer.on_file().action == "A4"
    assert waiting(payer)["status"] == "open"


@ONE_BASE
def test_what_answers_the_form_takes_the_scan_off_the_desk(payer: Payer) -> None:
    pended = payer.submit(with_a_scan())
    send(payer, parameters(pended.tracking, charts.answers(), *charts.meets_every_criterion()))

    assert payer.on_file().action == "A1"
    assert payer.http.get("/review").json()["items"] == []


@ONE_BASE
def test_a_line_that_an_update_leaves_out_keeps_its_reader_and_what_there_is_to_read(payer: Payer) -> None:
    payer.submit(with_a_scan())
    payer.submit(update(FILM, chart=[]))
    listed = waiting(payer)
    decide(payer, "ask", listed, text="The consultation.", documents=["11488-4"])
    payer.submit(update(FILM, chart=[], id="pa-3", related=[prior("PA-1")]))
    asked = waiting(payer)

    assert (listed["item"], listed["status"]) == (1, "asked")
    assert (asked["item"], asked["status"]) == (1, "asked")
    assert payer.http.get(f"/review/{asked['id']}").json()["documents"] == [scan()]


@ONE_BASE
def test_what_is_asked_of_a_line_can_be_sent_though_an_update_left_the_line_out(payer: Payer) -> None:
    """Under the number by which it was asked for at first."""
    number = payer.submit(a.request()).tracking
    payer.submit(update(FILM, chart=[]))
    send(payer, parameters(number, charts.film()))
    (task,) = payer.on_file().of_type("Task")
    send(payer, parameters(number, *charts.meets_every_criterion()))

    assert [named["value"] for named in task["identifier"]] == [number]
    assert payer.on_file().actions == ["A1", "A1"]


@pytest.mark.parametrize("payer", [("postgresql", "2.2")], ids=["2.2.1-postgresql"], indirect=True)
def test_of_two_that_come_at_once_the_second_finds_what_became_of_the_first(
    payer: Payer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both found the request pended, and one waited while the other was judged."""
    services, now = payer.app.state.services, payer.app.state.services.clock()
    use = SubmitAttachment(services.store, services.adjudicator, partial(settle, services))
    pended = payer.submit(a.request())
    enough = parameters(pended.tracking, *charts.meets_every_criterion())
    hold, quicker = cases.hold_current, iter([json.encode(enough)])

    def waiting_longer(tx: Transaction, row: PaCase) -> PaCase:
        for body in quicker:
            use.answer(body, "", now)
        return hold(tx, row)

    monkeypatch.setattr(cases, "hold_current", waiting_longer)
    told = send(payer, parameters(pended.tracking, charts.film()))

    assert "decided" in told
    assert payer.on_file().action == "A1"
