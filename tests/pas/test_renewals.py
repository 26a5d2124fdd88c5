"""An authorization is renewed: judged like a first request, and what there is stays good meanwhile."""

import datetime as dt
from typing import Any

import pytest

from server.pas.terms import extension_url
from server.pas.usage import use
from tests.pas import builders as a
from tests.pas import charts
from tests.pas.conftest import Answer, Payer
from tests.pas.test_changes import FILM, called, cancelled, error_code, marked, prior, update
from tests.pas.test_lifecycle import held, later, quoting
from tests.review.test_desk import ONE_BASE, decide, pended, waiting

Resource = dict[str, Any]


def test_a_renewal_is_judged_anew_and_tells_the_number_before(payer: Payer) -> None:
    first = payer.granted()
    with payer.app.state.services.store.transaction() as tx:
        use(tx, first.number, 1, dt.date(2026, 12, 1), payer.app.state.services.clock())
    bare = later(payer, quoting(first.number, "R", servicedDate="2026-12-20"))
    renewed = later(
        payer,
        quoting(first.number, "R", servicedDate="2026-12-21"),
        *charts.meets_every_criterion(),
    )

    assert bare.action == "A4"
    assert renewed.action == "A1"
    assert renewed.number != first.number
    quoted = [e for e in renewed.items[0]["extension"] if e["url"] == extension_url("authorizationNumber")]
    assert quoted[0]["valueString"] == first.number


def test_a_renewal_that_a_change_asks_for_in_vain_leaves_what_was_authorized(payer: Payer) -> None:
    first = payer.granted()
    too_short = [charts.answers(**charts.SHORT_TRIAL), *charts.film_and_examination()]
    asked = quoting(first.number, "R", servicedDate="2027-02-20")
    refused = payer.submit(update(asked, marked(FILM, "added"), chart=too_short))
    (found,) = payer.inquire(a.inquiry())

    for told in (refused, found):
        assert told.actions == ["A1", "A1"]
        assert told.number == first.number
        assert "CC-DUR" in told.words
        assert "stands as it was" in told.words
        assert error_code(told) == "33"
    assert held(payer) == {first.number: "active"}


@ONE_BASE
def test_of_what_is_over_nothing_is_left_to_stand_beside_a_renewal_in_vain(
    payer: Payer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = payer.granted()
    monkeypatch.setattr(payer.app.state.services.clock, "_now", dt.datetime(2027, 2, 1, 10, tzinfo=dt.UTC))
    too_short = [charts.answers(**charts.SHORT_TRIAL), *charts.film_and_examination()]
    asked = quoting(first.number, "R", servicedDate="2027-02-20")
    refused = payer.submit(update(asked, chart=too_short, created="2027-02-01"))

    assert refused.action == "A3"
    assert "stands as it was" not in refused.words


@ONE_BASE
def test_while_a_renewal_is_pended_the_number_is_good_until_the_line_is_cancelled(payer: Payer) -> None:
    two = {"quantity": {"value": 2, "unit": "unit"}}
    pended(payer, claim=a.claim(a.item(**two)))
    number = decide(payer, "approve", waiting(payer)).json()["number"]
    asked = quoting(number, "R", servicedDate="2027-02-20", **two)
    pending = payer.submit(update(asked, chart=[]))
    told = payer.inquire(a.inquiry())
    meanwhile = [(each.action, each.response.get("preAuthRef")) for each in told]
    good = held(payer)
    payer.submit(update(cancelled(asked), id="pa-3", chart=[]))

    assert pending.action == "A4"
    assert meanwhile == [("A4", None), ("A1", number)]
    assert told[1].response["addItem"][0]["quantity"]["value"] == 2
    assert (good, held(payer)) == ({number: "active"}, {number: "cancelled"})


@ONE_BASE
def test_a_renewal_that_a_person_grants_takes_the_place_of_what_is_renewed(payer: Payer) -> None:
    """As one that the rules grant does: or the study could be done on each."""
    pended(payer)
    before = decide(payer, "approve", waiting(payer)).json()["number"]
    asked = quoting(before, "R", servicedDate="2027-02-20")
    pended(payer, claim=a.claim(asked, id="pa-2", related=[prior("PA-1")]))
    good = held(payer)
    renewed = decide(payer, "approve", waiting(payer)).json()["number"]

    assert (good, held(payer)) == ({before: "active"}, {before: "cancelled", renewed: "active"})


@ONE_BASE
def test_a_reviewer_grants_a_renewal_days_that_what_is_renewed_has_too(payer: Payer) -> None:
    """It is asked for with a unit more, so that the number there is does not answer it."""
    pended(payer)
    before = decide(payer, "approve", waiting(payer)).json()["number"]
    asked = quoting(before, "R", quantity={"value": 2, "unit": "unit"})
    pended(payer, claim=a.claim(asked, id="pa-2", related=[prior("PA-1")]))
    until_march = {"units": 1, "end": "2027-03-20", "why": "One shoulder hurts."}
    renewed = decide(payer, "modify", waiting(payer), **until_march).json()["number"]

    assert held(payer) == {before: "cancelled", renewed: "active"}


@ONE_BASE
@pytest.mark.parametrize("how", ["approve", "modify"])
def test_what_is_over_keeps_no_reviewer_from_granting_the_order_anew(
    payer: Payer, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """An order without a day is good from the day it was written, long ago by now."""
    undated = {name: told for name, told in a.item().items() if name != "servicedDate"}
    pended(payer, claim=a.claim(undated))
    before = decide(payer, "approve", waiting(payer)).json()["number"]
    clock = payer.app.state.services.clock
    monkeypatch.setattr(clock, "_now", clock() + dt.timedelta(days=70))
    pended(payer, claim=a.claim(undated, id="pa-9", identifier=[called("PA-9")]))
    place = {"place": "22", "why": "The hospital is near."} if how == "modify" else {}
    answered = decide(payer, how, waiting(payer), **place)

    assert answered.status_code == 200, answered.text
    assert held(payer) == {before: "active", answered.json()["number"]: "active"}


@ONE_BASE
def test_a_renewal_that_is_denied_says_that_what_there_is_stays_good(payer: Payer) -> None:
    """Whether the rules deny it or a person does."""
    pended(payer)
    number = decide(payer, "approve", waiting(payer)).json()["number"]
    asked, short = quoting(number, "R", servicedDate="2027-02-20"), charts.answers(**charts.SHORT_TRIAL)
    at_once = later(payer, asked, short, *charts.film_and_examination())
    renewal = pended(payer, claim=a.claim(asked, id="pa-2", related=[prior("PA-1")]))
    decide(payer, "deny", waiting(payer))
    by_a_person = Answer({"entry": [{"resource": payer.read(renewal.url)}]})

    assert at_once.action == by_a_person.action == "A3"
    for denied in (at_once, by_a_person):
        assert denied.words.endswith(
            f"This leaves what was authorized as it was: {number}, until 2027-01-30."
        )
    assert held(payer) == {number: "active"}


@ONE_BASE
@pytest.mark.parametrize("beside", ["in a first request", "in a change"])
def test_a_renewal_that_is_denied_tells_the_end_that_an_extension_beside_it_gives(
    payer: Payer, beside: str
) -> None:
    first = payer.granted()
    renewal = quoting(first.number, "R", sequence=2, servicedDate="2027-02-20")
    extension = quoting(first.number, "4", sequence=3, servicedDate="2027-02-25")
    short = [charts.answers(**charts.SHORT_TRIAL), *charts.film_and_examination()]
    if beside == "in a change":
        told = payer.submit(
            update(a.item(1), marked(renewal, "added"), marked(extension, "added"), chart=short)
        )
    else:
        both = a.claim(renewal, extension, id="pa-9", identifier=[called("PA-9")])
        told = payer.submit(a.request(*short, claim=both))

    assert told.actions[-2:] == ["A3", "A1"]
    assert told.words.endswith(
        f"This leaves what was authorized as it was: {first.number}, until 2027-03-01."
    )
