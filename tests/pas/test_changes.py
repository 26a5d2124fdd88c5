"""Changing, adding to, cancelling and repeating a request, in both guide versions."""

import copy
import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from server.fhir import json
from server.fhir.systems import NPI, concept
from server.pas.judging import Docket
from server.pas.marks import INFO_CANCELLED
from server.pas.submit import Judgement, Submit
from server.pas.terms import extension_url
from server.store import Transaction
from tests.pas import builders as a
from tests.pas import charts
from tests.pas.conftest import Answer, Payer
from tests.spent import spent

Resource = dict[str, Any]

HL7 = "http://terminology.hl7.org/CodeSystem"
FILM = a.item(2, "73030", extension=a.item(2)["extension"][:3])


def update(*items: Resource, chart: list[Resource] | None = None, **changes: Any) -> Resource:
    """The next version of Anna's request. It names the Claim before by its identifier, which both versions
    can."""
    related = [prior("PA-1")]
    claim = a.claim(*items, **{"id": "pa-2", "created": "2026-11-26", "related": related, **changes})
    return a.request(*(charts.meets_every_criterion() if chart is None else chart), claim=claim)


def called(name: str) -> Resource:
    """Claim.identifier."""
    return {"system": "https://ehr.example/pa", "value": name}


def prior(name: str) -> Resource:
    """Claim.related of a change: the Claim before, by its identifier."""
    kinds = "http://terminology.hl7.org/CodeSystem/ex-relatedclaimrelationship"
    return {"claim": {"identifier": called(name)}, "relationship": concept(kinds, "prior")}


def marked(item: Resource, mark: str) -> Resource:
    extension = {"url": extension_url("infoChanged"), "valueCode": mark}
    return {**item, "extension": [*item["extension"], extension]}


def cancelled(item: Resource) -> Resource:
    return {
        **marked(item, "changed"),
        "modifierExtension": [{"url": INFO_CANCELLED, "valueBoolean": True}],
    }


def first_request(payer: Payer, *items: Resource) -> Answer:
    return payer.submit(a.request(*charts.meets_every_criterion(), claim=a.claim(*items)))


def error_code(answer: Answer) -> str:
    return str(answer.response["error"][0]["code"]["coding"][0]["code"])


def test_the_claim_before_may_be_named_as_it_lies_beside_this_one(payer: Payer) -> None:
    first_request(payer, a.item(1))
    before = {**prior("PA-1"), "claim": {"reference": "Claim/pa-1"}}
    moved = payer.submit(update(a.item(1, servicedDate="2026-12-20"), related=[before]))

    assert payer.on_file().url == moved.url


def test_a_billable_period_asks_for_its_days_and_is_revised_where_no_item_names_any(payer: Payer) -> None:
    """PAS, "Updating Authorization Requests": Claim.billablePeriod may be revised."""
    item = {name: content for name, content in a.item(1).items() if name != "servicedDate"}
    year, spring = {"start": "2026-01-01", "end": "2027-12-31"}, {"start": "2027-03-01", "end": "2027-03-31"}
    first = payer.submit(a.request(*charts.meets_every_criterion(), claim=a.claim(item, billablePeriod=year)))
    moved = payer.submit(update(marked(item, "changed"), billablePeriod=spring))
    assert first.response["preAuthPeriod"]["start"] == "2026-11-20"
    assert moved.response["preAuthPeriod"]["start"] == "2027-03-01"


def test_an_item_stands_though_the_billable_period_that_it_was_asked_for_has_begun_since(
    payer: Payer,
) -> None:
    item = {name: content for name, content in a.item(1).items() if name != "servicedDate"}
    days = {"start": "2026-12-01", "end": "2026-12-31"}
    first = payer.submit(a.request(*charts.meets_every_criterion(), claim=a.claim(item, billablePeriod=days)))
    later = payer.submit(update(item, marked(FILM, "added"), billablePeriod=days, created="2026-12-05"))
    assert (later.number, later.actions) == (first.number, ["A1", "A1"])
    assert later.response["preAuthPeriod"] == first.response["preAuthPeriod"]


def test_an_item_that_is_added_is_decided_and_the_others_stand(payer: Payer) -> None:
    first = first_request(payer, a.item(1))
    changed = payer.submit(update(a.item(1), marked(FILM, "added")))

    assert changed.actions == ["A1", "A1"]
    assert changed.number == first.number
    assert [item["itemSequence"] for item in changed.items] == [1, 2]


def test_a_cancelled_item_is_answered_c_and_its_number_is_worth_nothing_more(payer: Payer) -> None:
    """It may point to evidence that is not sent again."""
    first = first_request(payer, a.item(1), FILM)
    changed = payer.submit(update(cancelled(a.item(1, informationSequence=[9])), FILM))
    again = payer.submit(a.request(*charts.meets_every_criterion(), claim=a.claim(created="2026-11-27")))

    assert changed.actions == ["C", "A1"]
    assert again.action == "A1"
    assert again.number != first.number


@pytest.mark.parametrize("payer", [("sqlite", "2.2")], ids=["2.2.1"], indirect=True)
def test_an_item_that_was_never_judged_can_be_cancelled_with_the_others(payer: Payer) -> None:
    nameless = {**FILM, "productOrService": concept(a.DATA_ABSENT, "not-applicable")}
    first = first_request(payer, a.item(1), nameless)
    gone = payer.submit(update(cancelled(a.item(1)), cancelled(nameless)))

    assert error_code(first) == "AG"
    assert gone.actions == ["C", "C"]


def test_a_number_is_good_until_everything_that_it_answers_is_cancelled(payer: Payer) -> None:
    """The same study twice in one request, and again in another that names no place, ends in one number."""
    first = first_request(payer, a.item(1), a.item(2))
    anywhere = {name: content for name, content in a.item().items() if name != "locationCodeableConcept"}
    twin = payer.submit(a.request(claim=a.claim(anywhere, id="twin", identifier=[called("TWIN")])))
    payer.submit(update(a.item(1), cancelled(a.item(2))))
    payer.submit(update(cancelled(a.item(1)), cancelled(a.item(2)), id="pa-3"))
    told = payer.http.get(f"/why/{first.number}").json()
    still = payer.submit(a.request(claim=a.claim(created="2026-11-27", identifier=[called("STILL")])))
    for name in ("TWIN", "STILL"):
        payer.submit(update(cancelled(a.item(1)), id=name, related=[prior(name)]))

    assert first.number == twin.number == still.number
    assert twin.action == told["answered"]["action"] == "A1"
    assert payer.submit(a.request(claim=a.claim(created="2026-11-28"))).action == "A4"


def test_what_is_revised_is_no_further_request(payer: Payer) -> None:
    """2.0.1 has no way to bring the Claim before along: its own name and the certification type say it."""
    trace, kind, _, service = a.item()["extension"]
    revised = a.certified("S")
    twice = a.item(extension=[trace, kind, revised, service], quantity={"value": 2, "unit": "unit"})
    first = first_request(payer, a.item(1))
    second = payer.submit(update(twice, related=[]))
    (found,) = payer.inquire(a.inquiry())

    assert (first.action, second.action, found.action) == ("A1", "A4", "A4")
    unknown = update(twice, id="pa-9", related=[], identifier=[called("PA-9")])
    assert error_code(payer.submit(unknown)) == "AA"


@pytest.mark.parametrize("payer", [("sqlite", "2.2")], ids=["2.2.1"], indirect=True)
@pytest.mark.parametrize("days", [("2026-12-01", "2026-12-20"), ("2026-12-20", "2026-12-01")])
def test_a_study_on_two_days_has_one_number_in_whatever_order_they_are_listed(
    payer: Payer, days: tuple[str, str]
) -> None:
    first, second = (a.item(place, servicedDate=day) for place, day in enumerate(days, start=1))
    answer = first_request(payer, first, second)

    assert answer.actions == ["A1", "A1"]
    assert answer.number


def test_a_claim_that_is_only_associated_with_an_earlier_one_takes_nothing_from_it(payer: Payer) -> None:
    """Its first line took the place of the other's, whose number was given up."""
    first = first_request(payer, a.item(1))
    kinds = "http://terminology.hl7.org/CodeSystem/ex-relatedclaimrelationship"
    beside = {**prior("PA-1"), "relationship": concept(kinds, "associated")}
    film = {**FILM, "sequence": 1}
    payer.submit(update(film, id="pa-film", identifier=[called("PA-2")], related=[beside]))

    told = [case.response.get("preAuthRef") for case in payer.inquire(a.inquiry())]

    assert len(told) == 2
    assert set(told) == {first.number, None}


def test_what_was_cancelled_stays_so_in_later_versions(payer: Payer) -> None:
    first_request(payer, a.item(1), FILM)
    payer.submit(update(cancelled(a.item(1)), FILM))
    third = payer.submit(update(cancelled(a.item(1)), FILM, id="pa-3", created="2026-11-27"))

    assert third.actions == ["C", "A1"]


def test_everything_is_cancelled_by_one_mark_on_the_claim(payer: Payer) -> None:
    first_request(payer, a.item(1), FILM)
    with_items = payer.submit(update(a.item(1), FILM, extension=[a.certified("3")]))

    assert with_items.actions == ["C", "C"]


def test_cancelling_everything_needs_no_list_of_it(payer: Payer) -> None:
    first_request(payer, a.item(1), FILM)
    whole = update(status="cancelled")
    del whole["entry"][0]["resource"]["item"]

    assert payer.submit(whole).actions == ["C", "C"]


def test_a_changed_side_is_judged_anew_under_a_new_number(payer: Payer) -> None:
    first = first_request(payer, a.item(1))
    left = marked(a.item(1, modifier=[a.concept(a.CPT, "LT")]), "changed")
    changed = payer.submit(update(left))

    assert changed.action == "A4"
    assert "COD-LAT" in changed.words
    (found,) = payer.inquire(a.inquiry())
    assert found.actions == ["A4"]
    assert "preAuthRef" not in found.response
    assert first.number


def test_a_change_that_bears_no_mark_is_noticed_all_the_same(payer: Payer) -> None:
    first = first_request(payer, a.item(1))
    moved = a.item(1, servicedDate="2026-12-20")
    changed = payer.submit(update(moved))

    assert changed.action == "A1"
    assert changed.number != first.number
    assert changed.response["preAuthPeriod"]["start"] == "2026-12-20"


IN_ITS_ORDERS_WORDS: dict[str, tuple[Resource, list[Resource]]] = {
    "place": (
        {"locationReference": [{"reference": "Location/office"}]},
        [{"resourceType": "Location", "id": "office", "type": [concept(f"{HL7}/v3-RoleCode", "PROFF")]}],
    ),
    "day": ({"occurrenceTiming": {"event": ["2026-12-01"]}}, []),
    "orderer": (
        {
            "requester": {"reference": "#dr"},
            "contained": [
                {"resourceType": "Practitioner", "id": "dr", "identifier": [{"system": NPI, "value": "1"}]}
            ],
        },
        [],
    ),
    "reason": (
        {"reasonReference": [{"reference": "Condition/pain"}]},
        [{"resourceType": "Condition", "id": "pain", "code": concept(a.ICD, "M25.511")}],
    ),
}


@pytest.mark.parametrize("payer", [("sqlite", "2.2")], ids=["2.2.1"], indirect=True)
@pytest.mark.parametrize("said", IN_ITS_ORDERS_WORDS)
def test_an_order_that_is_read_by_what_came_with_it_is_unchanged_if_that_is(payer: Payer, said: str) -> None:
    """Its number stands, and no second one is granted."""
    ordered, chart = IN_ITS_ORDERS_WORDS[said]
    line = a.item()
    del line[{"place": "locationCodeableConcept"}.get(said, "servicedDate")]
    chart = [*charts.meets_every_criterion(), *chart]
    first = payer.submit(a.request(*chart, claim=a.claim(line), order=a.order(**ordered)))
    again = update(line, chart=chart)
    again["entry"][5]["resource"] = a.order(**ordered)
    second = payer.submit(again)

    assert first.action == second.action == "A1"
    assert second.number == first.number


@pytest.mark.parametrize("payer", [("sqlite", "2.2")], ids=["2.2.1"], indirect=True)
@pytest.mark.parametrize("line", [a.item(1), a.item(1, extension=a.item()["extension"][:3])])
def test_a_version_that_calls_its_resources_by_new_names_leaves_an_untouched_line_its_number(
    payer: Payer, line: Resource
) -> None:
    """Claim, order and parties as they were, under other ids; without an order there is only the Claim's."""
    first = payer.submit(renamed(a.request(*charts.meets_every_criterion(), claim=a.claim(line)), "0001"))
    grown = payer.submit(renamed(update(line, marked(FILM, "added")), "0002"))

    assert (grown.number, grown.actions) == (first.number, ["A1", "A1"])


@pytest.mark.parametrize("payer", [("sqlite", "2.2")], ids=["2.2.1"], indirect=True)
@pytest.mark.parametrize(
    "other",
    [
        lambda name, number: (
            {"performer": [{"reference": f"Organization/{name}"}]},
            [a.organization(name, "Imaging", number, "FA", "requestor")],
        ),
        lambda name, number: (
            {"performer": [{"reference": f"PractitionerRole/{name}"}]},
            [
                {
                    "resourceType": "PractitionerRole",
                    "id": name,
                    "organization": {"reference": f"Organization/{name}"},
                },
                a.organization(name, "Imaging", number, "FA", "requestor"),
            ],
        ),
        lambda name, number: (
            {"requester": {"reference": f"Practitioner/{name}"}},
            [
                {
                    "resourceType": "Practitioner",
                    "id": name,
                    "identifier": [{"system": NPI, "value": number}],
                    "name": [{"family": "Lund"}],
                }
            ],
        ),
    ],
    ids=["performer", "role of the performer", "orderer"],
)
def test_an_order_that_goes_to_another_or_comes_from_another_is_judged_anew(
    payer: Payer, other: Callable[[str, str], tuple[Resource, list[Resource]]]
) -> None:
    """Though the line bears no mark: who is behind a reference counts, not what the version calls them."""

    def version(request: Resource, name: str, number: str) -> Answer:
        ordered, parties = other(name, number)
        request["entry"][5]["resource"] = a.order(**ordered)
        request["entry"] += a.bundle(*parties)["entry"]
        return payer.submit(request)

    line, chart = a.item(1), charts.meets_every_criterion()
    first = version(a.request(*chart, claim=a.claim(line)), "one", "1497758544")
    same = version(update(line), "two", "1497758544")
    another = version(update(line, id="pa-3"), "two", "1003000126")

    assert same.number == first.number
    assert another.action == "A1"
    assert another.number != first.number


def renamed(request: Resource, version: str) -> Resource:
    """The request with a name that only this version has for each of its resources, and no other."""
    named = a.with_uuids(request)
    for entry in named["entry"]:
        del entry["resource"]["id"]
    return json.decode_object(a.raw(named).replace(b"-0000-4000-", f"-{version}-4000-".encode()))


def test_a_study_that_is_moved_within_its_authorization_needs_no_evidence_again(payer: Payer) -> None:
    first = first_request(payer, a.item(1))
    moved = payer.submit(update(a.item(1, servicedDate="2026-12-10"), chart=[]))
    further = payer.submit(update(a.item(1, servicedDate="2027-03-10"), chart=[], id="pa-3"))

    assert moved.action == "A1"
    assert moved.number == first.number
    assert further.action == "A4"


def test_where_the_rules_cannot_be_evaluated_a_change_costs_nobody_the_number(
    payer: Payer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = first_request(payer, a.item(1))
    with monkeypatch.context() as meanwhile:
        spent(meanwhile, "MRIShoulder")
        refused = payer.submit(update(a.item(1, servicedDate="2026-12-10")))
    told = payer.inquire(a.inquiry())[0]
    moved = payer.submit(update(a.item(1, servicedDate="2026-12-10"), chart=[], id="pa-3"))

    assert (refused.action, refused.number, error_code(refused)) == ("A1", first.number, "42")
    assert "could not be evaluated for this change" in refused.words
    assert (told.action, told.number) == ("A1", first.number)
    assert (moved.action, moved.number) == ("A1", first.number)


def test_what_was_missing_arrives_with_the_update(payer: Payer) -> None:
    pended = payer.submit(a.request())
    settled = payer.submit(update(a.item(1)))

    assert pended.action == "A4"
    assert settled.action == "A1"


def test_evidence_that_is_withdrawn_counts_no_more(payer: Payer) -> None:
    form = charts.meets_every_criterion()[-1]
    piece = {
        "sequence": 1,
        "category": concept(a.PAS_CODES, "additionalInformation"),
        "valueReference": {"reference": f"QuestionnaireResponse/{form['id']}"},
    }
    pended = payer.submit(a.request())
    withdrawn = {
        **piece,
        "modifierExtension": [{"url": INFO_CANCELLED, "valueBoolean": True}],
    }
    answer = payer.submit(update(a.item(1), supportingInfo=[withdrawn]))

    assert pended.action == "A4"
    assert answer.action == "A4"
    assert "CC-OUT" in answer.words


def test_the_newest_version_is_what_an_inquiry_tells(payer: Payer) -> None:
    first_request(payer, a.item(1))
    changed = payer.submit(update(a.item(1), marked(FILM, "added")))
    (found,) = payer.inquire(a.inquiry())

    assert found.url == changed.url
    assert found.actions == changed.actions


def test_who_reads_the_answer_to_an_earlier_version_again_learns_what_holds(payer: Payer) -> None:
    first = first_request(payer, a.item(1))
    changed = payer.submit(update(a.item(1, servicedDate="2026-12-20")))
    read = payer.read(first.url)

    assert read["id"] == first.response["id"]
    assert read["preAuthRef"] == changed.number
    assert read["request"] == changed.response["request"]


def test_items_that_an_update_does_not_mention_are_not_lost(payer: Payer) -> None:
    first_request(payer, a.item(1), FILM)
    partial = payer.submit(update(a.item(1)))
    (found,) = payer.inquire(a.inquiry())

    assert [item["itemSequence"] for item in partial.items] == [1]
    assert [item["itemSequence"] for item in found.items] == [1, 2]
    marked_so = [each["code"] for each in partial.response["meta"].get("security", [])]
    assert marked_so == (["SUBSETTED"] if payer.version == "2.0" else [])
    assert "security" not in payer.read(partial.url)["meta"]


def test_a_line_that_is_left_out_with_its_diagnosis_is_told_of_all_the_same(payer: Payer) -> None:
    two = [a.diagnosis(), a.diagnosis("M25.511", 2)]
    line = a.item(2, servicedDate="2026-12-03", diagnosisSequence=[2])
    payer.submit(a.request(claim=a.claim(a.item(1), line, diagnosis=two)))
    payer.submit(update(a.item(1), chart=[]))
    (found,) = payer.inquire(a.inquiry())

    assert found.actions == ["A4", "A4"]


def test_an_update_of_a_claim_that_was_never_seen_changes_nothing(payer: Payer) -> None:
    answer = payer.submit(update(a.item(1)))

    assert answer.response["outcome"] == "error"
    assert error_code(answer) == "AA"
    assert payer.inquire(a.inquiry()) == []


def test_a_change_that_came_before_its_claim_is_done_when_it_is_sent_again(payer: Payer) -> None:
    """The same bytes, within minutes: a clearinghouse's queue had turned the two round. What else it sends
    again is told what it was told."""
    early = a.raw(update(a.item(1), marked(FILM, "added")))
    refused = payer.submit(early)
    first_request(payer, a.item(1))
    beside = a.raw(a.request(claim=a.claim(a.item(service="73030"), identifier=[called("PA-9")], id="pa-9")))
    other = payer.submit(beside)

    assert error_code(refused) == "AA"
    assert payer.submit(early).actions == ["A1", "A1"]
    assert payer.submit(beside).response["id"] == other.response["id"]


def test_a_cancellation_of_a_claim_that_was_never_seen_is_an_error_too(payer: Payer) -> None:
    assert error_code(payer.submit(update(cancelled(a.item(1))))) == "AA"


def test_after_an_update_that_came_to_nothing_the_claim_can_still_be_sent_and_changed(payer: Payer) -> None:
    payer.submit(update(a.item(1)))
    first_request(payer, a.item(1))

    assert payer.submit(update(a.item(1), marked(FILM, "added"), created="2026-11-28")).actions == [
        "A1",
        "A1",
    ]


def test_of_two_updates_that_cross_the_second_is_told_so(payer: Payer) -> None:
    """Both name the first Claim by its URL; when the second comes, another has taken its place."""
    first_request(payer, a.item(1))
    by_url = [
        {
            "claim": {"reference": f"{a.HOST}/Claim/pa-1"},
            "relationship": concept(
                "http://terminology.hl7.org/CodeSystem/ex-relatedclaimrelationship", "prior"
            ),
        }
    ]
    one = payer.submit(update(a.item(1), marked(FILM, "added"), related=by_url))
    other = payer.submit(update(cancelled(a.item(1)), related=by_url, id="pa-2b"))

    assert one.actions == ["A1", "A1"]
    assert error_code(other) == "33"
    (found,) = payer.inquire(a.inquiry())
    assert found.actions == ["A1", "A1"]


@pytest.mark.parametrize("payer", [("sqlite", "2.2")], ids=["2.2.1"], indirect=True)
def test_what_is_cancelled_while_another_request_is_judged_by_it_authorizes_nothing(
    payer: Payer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two processes one judges by what the other takes back."""
    first_request(payer, a.item(1))
    judge, cancelling = Submit._judged, iter([a.raw(update(cancelled(a.item(1))))])

    def slowly(submit: Submit, tx: Transaction, docket: Docket, now: dt.datetime) -> Judgement:
        judged = judge(submit, tx, docket, now)
        for request in cancelling:
            submit.answer(request, "", now)
        return judged

    monkeypatch.setattr(Submit, "_judged", slowly)
    twin = payer.submit(a.request(claim=a.claim(id="twin", identifier=[called("TWIN")])))

    assert twin.action == "A4"


def test_a_denied_request_is_not_changed(payer: Payer) -> None:
    lapsed = a.coverage(period={"end": "2026-06-30"})
    payer.submit(a.request(coverage=lapsed))

    assert error_code(payer.submit(update(marked(a.item(1), "changed")))) == "33"


def test_the_same_bytes_get_the_same_answer_and_no_second_number(payer: Payer) -> None:
    body = a.raw(a.request(*charts.meets_every_criterion()))
    first, again = payer.submit(body), payer.submit(body)

    assert again.bundle == first.bundle
    assert len(payer.inquire(a.inquiry())) == 1


def test_who_asks_again_after_a_cancellation_is_not_told_of_what_was_cancelled(payer: Payer) -> None:
    body = a.raw(a.request(*charts.meets_every_criterion()))
    first = payer.submit(body)
    payer.submit(update(cancelled(a.item(1))))
    anew = payer.submit(body)

    assert anew.action == "A1"
    assert anew.number != first.number
    assert payer.submit(body).bundle == anew.bundle


def test_other_bytes_are_another_request_though_the_names_are_the_same(payer: Payer) -> None:
    """Test kits reuse their identifiers: they are no key."""
    body = a.request()
    other = copy.deepcopy(body)
    other["timestamp"] = "2026-11-25T10:00:01Z"
    first, second = payer.submit(body), payer.submit(other)

    assert first.url != second.url


def test_a_change_is_rehearsed_on_what_stands_and_leaves_it_standing(payer: Payer) -> None:
    dry = {"X-Dry-Run": "true"}
    bare = payer.submit(update(marked(a.item(1), "changed")), **dry)
    first = first_request(payer, a.item(1))
    grown = payer.submit(
        update(a.item(1), marked(a.item(2, modifier=[a.concept(a.CPT, "LT")]), "added")), **dry
    )
    moved = payer.submit(update(marked(a.item(1, servicedDate="2026-12-02"), "changed")), **dry)
    gone = payer.submit(update(cancelled(a.item(1))), **dry)
    (found,) = payer.inquire(a.inquiry())

    assert error_code(bare) == "AA"
    assert (grown.actions[0], gone.action) == ("A1", "C")
    assert moved.response["disposition"] == "Dry run, nothing was stored: would be authorized"
    assert "preAuthRef" not in moved.response
    assert gone.response["disposition"] == "Dry run, nothing was stored: cancelled"
    assert found.number == first.number


def test_a_dry_run_of_bytes_that_were_answered_is_still_a_dry_run(payer: Payer) -> None:
    body = a.raw(a.request(*charts.meets_every_criterion()))
    payer.submit(body)
    rehearsed = payer.submit(body, **{"X-Dry-Run": "true"})

    assert rehearsed.response["disposition"].startswith("Dry run")
