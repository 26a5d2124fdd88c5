"""A denial that is contested by a request (certification type 1 or 2): a person hears it, whatever the rules
would say."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from server.clock import SetClock
from server.fhir.errors import Conflict
from server.fhir.extensions import extension, value
from server.fhir.systems import concept
from server.pas.appealing import APPEAL_DECIDED
from server.pas.terms import extension_url
from server.pas.verdict import Review
from server.report.cms import figures
from server.review.appeals import Appeals
from server.review.desk import Desk
from server.store import events
from tests.pas import builders as a
from tests.pas import charts
from tests.pas.conftest import Answer, Payer
from tests.pas.test_changes import FILM, called, cancelled, error_code, marked, update
from tests.pas.test_decision_clock import WEEK, clock
from tests.report.test_cms import PRIORITY, member
from tests.review.test_desk import DR_KIM, ONE_BASE, decide, waiting

Resource = dict[str, Any]

NOW_ENOUGH = charts.meets_every_criterion()
NOTHING_NEW = [charts.answers(**charts.SHORT_TRIAL), *charts.film_and_examination()]


def contesting(item: Resource, code: str = "2", *more: Resource) -> Resource:
    others = [each for each in item["extension"] if each["url"] != extension_url("certificationType")]
    return {**item, "extension": [*others, a.certified(code), *more]}


def denied(payer: Payer, *items: Resource) -> Answer:
    """A trial of four weeks where six are asked for."""
    answer = payer.submit(a.request(*NOTHING_NEW, claim=a.claim(*items)))
    assert answer.actions[0] == "A3"
    return answer


def appeal(payer: Payer, *chart: Resource, code: str = "2", **changes: Any) -> Answer:
    return payer.submit(update(contesting(a.item(1), code), chart=list(chart), **changes))


def history(payer: Payer, answer: Answer) -> list[tuple[str, str]]:
    with payer.app.state.services.store.reading() as tx:
        return [(event.kind, event.actor) for event in events.of_case(tx, answer.response["id"])]


@pytest.mark.parametrize("chart", [NOW_ENOUGH, NOTHING_NEW], ids=["better evidence", "nothing new"])
def test_an_appeal_waits_for_a_person_whatever_the_rules_would_say(
    payer: Payer, chart: list[Resource]
) -> None:
    denied(payer)
    heard = appeal(payer, *chart)
    item = waiting(payer)

    assert heard.action == "A4"
    assert "appeal" in heard.words
    assert item["recommendation"] == ("review" if chart is NOW_ENOUGH else "deny")
    assert item["due"].startswith("2026-12-02")
    assert payer.on_file().action == "A4"
    assert history(payer, heard) == [("appealed", "provider"), ("pended", "rules")]


@ONE_BASE
def test_an_immediate_appeal_is_due_as_an_expedited_request_is(payer: Payer) -> None:
    denied(payer)
    appeal(payer, code="1")

    assert waiting(payer)["due"].startswith("2026-11-28")
    assert waiting(payer)["expedited"] is True


def test_an_appeal_that_is_won_authorizes_and_is_counted_as_one(payer: Payer) -> None:
    """Of the two standard requests one was approved and one denied, and that denial fell, though urgent by
    then."""
    payer.submit(a.request(*NOW_ENOUGH, **member("M-1")))
    denied(payer)
    heard = appeal(payer, *NOW_ENOUGH, code="1", priority=concept(PRIORITY, "stat"))
    decide(payer, "approve", waiting(payer))
    catalog = payer.app.state.services.catalog
    with payer.app.state.services.store.reading() as tx:
        shares = {
            share.title: (share.row["numerator"], share.row["denominator"])
            for share in figures(tx, catalog, 2026)
        }

    assert payer.on_file().action == "A1"
    assert history(payer, heard)[2:] == [
        ("appeal-decided", "reviewer 1444444444"),
        ("decided", "reviewer 1444444444"),
    ]
    assert shares["Standard requests approved after appeal"] == (1, 1)
    assert shares["Standard requests denied"] == (1, 2)
    assert shares["Expedited requests approved"] == (0, 0)


@ONE_BASE
def test_what_a_person_authorized_the_rules_do_not_take_back_when_the_study_is_moved(payer: Payer) -> None:
    """Moved within its days, and moved again; beyond them it is another study."""
    denied(payer)
    appeal(payer)
    decide(payer, "approve", waiting(payer))
    won = payer.on_file()
    days = ("2026-12-04", "2026-12-10", "2027-03-10")
    moved = [
        payer.submit(
            update(
                a.item(1, servicedDate=day),
                chart=NOTHING_NEW,
                id=f"pa-{number}",
                related=[{"claim": {"reference": f"{a.HOST}/Claim/pa-{number - 1}"}}],
            )
        )
        for number, day in enumerate(days, start=3)
    ]

    assert [each.action for each in moved] == ["A1", "A1", "A3"]
    assert [each.number for each in moved[:2]] == [won.number] * 2


@ONE_BASE
def test_an_appeal_that_is_lost_leaves_the_denial_and_can_be_followed_by_another(payer: Payer) -> None:
    denied(payer)
    heard = appeal(payer)
    decide(payer, "deny", waiting(payer))
    lost = payer.on_file()
    again = appeal(payer, id="pa-3", related=[{"claim": {"reference": f"{a.HOST}/Claim/pa-2"}}])

    assert lost.action == "A3"
    assert "CC-DUR" in lost.words
    with payer.app.state.services.store.reading() as tx:
        (decided,) = [
            each for each in events.of_case(tx, heard.response["id"]) if each.kind == APPEAL_DECIDED
        ]
    assert decided.detail["outcome"] == "upheld"
    assert again.action == "A4"
    # Who denied it has no part in the next one, nor where the number is left out.
    for same in (DR_KIM, {"name": "Dr Kim"}):
        assert decide(payer, "approve", waiting(payer), reviewer=same).status_code == 409
    other = {"name": "Dr Kim", "npi": "1555555556"}
    assert decide(payer, "approve", waiting(payer), reviewer=other).status_code == 200


@ONE_BASE
def test_an_appeal_that_is_withdrawn_is_over(payer: Payer) -> None:
    """What is asked for anew after it is decided by the rules, and what is denied then can be appealed."""
    denied(payer)
    heard = appeal(payer)
    before = [{"claim": {"reference": f"{a.HOST}/Claim/{name}"}} for name in ("pa-2", "pa-3", "pa-4")]
    withdrawn = payer.submit(update(cancelled(a.item(1)), id="pa-3", related=before[:1]))
    anew = payer.submit(
        update(marked(a.item(1), "changed"), chart=NOTHING_NEW, id="pa-4", related=before[1:2])
    )
    again = appeal(payer, id="pa-5", related=before[2:])

    assert (heard.action, withdrawn.action, anew.action, again.action) == ("A4", "C", "A3", "A4")


@ONE_BASE
def test_what_comes_later_is_heard_with_the_appeal(payer: Payer) -> None:
    """An update of a request under appeal is not judged by rules, and nothing that a reviewer asked for and
    did not get is denied by the clock."""
    denied(payer)
    appeal(payer)
    more = payer.submit(
        update(a.item(1), id="pa-3", related=[{"claim": {"reference": f"{a.HOST}/Claim/pa-2"}}])
    )
    item = waiting(payer)
    decide(payer, "ask", item, text="Send the operative note.")
    clock(payer, WEEK).sweep()

    assert more.action == "A4"
    assert "appeal" in more.words
    assert waiting(payer)["id"] == item["id"]
    assert payer.on_file().action == "A4"
    decide(payer, "approve", waiting(payer))
    assert payer.on_file().action == "A1"


@ONE_BASE
def test_our_own_number_of_a_pend_that_ended_in_denial_names_it_too(payer: Payer) -> None:
    pended = payer.submit(a.request())
    tracking = f"{pended.response['id']}-1"
    clock(payer, WEEK).sweep()
    quoted = {"url": extension_url("administrationReferenceNumber"), "valueString": tracking}
    named = [{"system": "https://ehr.example/pa", "value": "PA-7"}]
    claim = a.claim(contesting(a.item(1), "2", quoted), id="pa-7", identifier=named)

    assert payer.submit(a.request(claim=claim)).action == "A4"
    assert len(payer.inquire(a.inquiry())) == 1


@ONE_BASE
@pytest.mark.parametrize("way", ["as a request", "as a later request", "by telephone"])
def test_an_appeal_is_won_by_the_number_that_another_request_got(payer: Payer, way: str) -> None:
    """However much later, when a new number would be good for other days; for days of their own nobody
    grants a second one."""
    services = payer.app.state.services
    case = denied(payer).response["id"]
    better = a.request(*NOW_ENOUGH, claim=a.claim(id="better", identifier=[called("BETTER")]))
    if way == "as a later request":
        payer.submit(better)
    (Appeals(services).receive(case, 1, "member") if way == "by telephone" else appeal(payer))
    granted = payer.submit(better)
    later = replace(services, clock=SetClock(services.clock() + dt.timedelta(days=20)))
    if way == "by telephone":
        Appeals(later).decide(case, 1, Review("Dr Lee"), overturned=True, why="It was authorized.")
    else:
        item = waiting(payer)
        taken = item["id"], item["revision"], Review("Dr Lee")
        with pytest.raises(Conflict, match=granted.number):
            Desk(later).approve(*taken, dt.date(2026, 11, 25), dt.date(2027, 2, 25))
        Desk(later).approve(*taken)

    assert {told.number for told in payer.inquire(a.inquiry())} == {granted.number}


@ONE_BASE
def test_an_appeal_is_won_by_the_number_that_was_good_on_the_day_that_was_asked_for(
    payer: Payer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by one that is over when it comes: or the study of that day would have two."""
    denied(payer)
    better = a.claim(id="better", identifier=[called("BETTER")])
    number = payer.submit(a.request(*NOW_ENOUGH, claim=better)).number
    clock = payer.app.state.services.clock
    monkeypatch.setattr(clock, "_now", clock() + dt.timedelta(days=100))
    appeal(payer)
    decide(payer, "approve", waiting(payer))

    assert {told.number for told in payer.inquire(a.inquiry())} == {number}


@ONE_BASE
@pytest.mark.parametrize("way", ["as a request", "by telephone"])
def test_an_appeal_is_not_won_by_a_number_that_was_over_when_it_was_asked_for(
    payer: Payer, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    services = payer.app.state.services
    undated = {name: told for name, told in a.item().items() if name != "servicedDate"}
    before = payer.submit(a.request(*NOW_ENOUGH, claim=a.claim(undated))).number
    monkeypatch.setattr(services.clock, "_now", services.clock() + dt.timedelta(days=70))
    again = {"identifier": [called("PA-2")], "created": "2027-02-03"}
    asked = payer.submit(a.request(*NOTHING_NEW, claim=a.claim(undated, id="pa-2", **again)))
    if way == "by telephone":
        Appeals(services).receive(asked.response["id"], 1, "member")
        Appeals(services).decide(asked.response["id"], 1, Review("Dr Lee"), overturned=True, why="It helps.")
    else:
        contested = a.claim(contesting(undated), id="pa-3", **again)
        payer.submit(a.request(*NOTHING_NEW, claim=contested))
        decide(payer, "approve", waiting(payer))
    (won,) = (told for told in payer.inquire(a.inquiry()) if told.number != before)

    assert asked.action == "A3"
    assert won.response["preAuthPeriod"]["end"] == "2027-04-04"


@ONE_BASE
def test_an_appeal_of_the_whole_claim_is_one_of_what_was_denied_in_it(payer: Payer) -> None:
    denied(payer, a.item(1), FILM)
    heard = payer.submit(update(a.item(1), FILM, chart=NOTHING_NEW, extension=[a.certified("2")]))

    assert heard.actions == ["A4", "A1"]


@ONE_BASE
@pytest.mark.parametrize("whole", [False, True], ids=["line by line", "as a whole"])
def test_a_denied_line_stays_denied_when_its_request_is_cancelled_and_can_be_appealed(
    payer: Payer, whole: bool
) -> None:
    denied(payer, a.item(1), FILM)
    items = [a.item(1), FILM] if whole else [cancelled(a.item(1)), cancelled(FILM)]
    gone = payer.submit(update(*items, chart=NOTHING_NEW, extension=[a.certified("3")] if whole else []))
    before = [{"claim": {"reference": f"{a.HOST}/Claim/pa-2"}}]

    assert gone.actions == ["A3", "C"]
    assert appeal(payer, id="pa-3", related=before).action == "A4"


@ONE_BASE
def test_an_appeal_is_rehearsed_as_what_it_is(payer: Payer) -> None:
    denied(payer)
    claim = a.claim(contesting(a.item(1)))
    tried = payer.submit(a.request(*NOTHING_NEW, claim=claim), **{"X-Dry-Run": "true"})

    assert tried.action == "A4"
    assert payer.on_file().action == "A3"


def test_an_appeal_of_what_is_authorized_says_so_and_changes_nothing(payer: Payer) -> None:
    granted = payer.submit(a.request(*NOW_ENOUGH))
    refused = appeal(payer, *NOW_ENOUGH)

    assert error_code(refused) == "33"
    assert "was not denied: authorized." in refused.words
    assert payer.on_file().number == granted.number


@pytest.mark.parametrize("names", [{}, {"related": []}], ids=["related", "identifier"])
def test_an_appeal_of_nothing_names_the_element_and_says_what_to_do(
    payer: Payer, names: dict[str, Any]
) -> None:
    refused = appeal(payer, *NOW_ENOUGH, **names)
    error = refused.response["error"][0]

    assert error_code(refused) == "AA"
    path = value(extension(error, extension_url("errorPath")))
    assert path == f"Claim.item[0].extension('{extension_url('certificationType')}')"
    assert "certification type I" in refused.words


@ONE_BASE
def test_a_telephone_call_about_an_appeal_that_came_as_a_request_leads_to_the_desk(payer: Payer) -> None:
    denied(payer)
    case = appeal(payer).response["id"]

    with pytest.raises(Conflict, match="waits at the desk"):
        Appeals(payer.app.state.services).receive(case, 1, "member")


@ONE_BASE
def test_papers_that_follow_a_telephone_call_belong_to_the_same_appeal(payer: Payer) -> None:
    Appeals(payer.app.state.services).receive(denied(payer).response["id"], 1, "provider")
    heard = appeal(payer)

    assert heard.action == "A4"
    assert history(payer, heard) == [("pended", "rules")]


@ONE_BASE
def test_a_letter_may_quote_the_answer_to_an_earlier_version(payer: Payer) -> None:
    quoted = denied(payer, a.item(1), FILM).response["id"]
    payer.submit(update(a.item(1), cancelled(FILM), chart=[]))
    appeals = Appeals(payer.app.state.services)
    appeals.receive(quoted, 1, "member")
    appeals.decide(quoted, 1, Review("Dr Kim"), overturned=True, why="Seen in person.")

    assert payer.on_file().actions == ["A1", "C"]
