"""What happens to an authorization after it was granted, and to a denial: in both guide versions."""

import datetime as dt
from getpass import getuser
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from typer.testing import CliRunner

from server.cli import app
from server.fhir.errors import Conflict
from server.fhir.systems import PLACE_OF_SERVICE, concept
from server.pas.terms import extension_url
from server.pas.usage import use
from server.store import authorizations, events, records
from tests.pas import builders as a
from tests.pas import charts
from tests.pas.conftest import Answer, Payer
from tests.pas.test_changes import FILM, called, cancelled, error_code, marked, prior, update
from tests.report.test_cms import member
from tests.review.test_desk import ONE_BASE, decide, pended, waiting

Resource = dict[str, Any]


def quoting(number: str, certification: str, **changes: Any) -> Resource:
    """An item about an authorization that there is already."""
    trace, kind, _, service = a.item()["extension"]
    quoted = {"url": extension_url("authorizationNumber"), "valueString": number}
    return a.item(**{"extension": [trace, kind, a.certified(certification), service, quoted], **changes})


def later(payer: Payer, item: Resource, *chart: Resource, **headers: str) -> Answer:
    """Another request of the same clinic, a day later."""
    claim = a.claim(item, id="pa-9", created="2026-11-26", identifier=[called("PA-9")])
    return payer.submit(a.request(*chart, claim=claim), **headers)


def period_end(answer: Answer) -> str:
    return str(answer.response["preAuthPeriod"]["end"])


def held(payer: Payer) -> dict[str, str]:
    """Anna's authorizations: how each stands, by number."""
    with payer.app.state.services.store.reading() as tx:
        return {row.number: row.status for row in authorizations.of_member(tx, "member:M-ANNA")}


def test_an_extension_keeps_the_number_and_adds_thirty_days_without_new_evidence(payer: Payer) -> None:
    first = payer.granted()
    extended = later(payer, quoting(first.number, "4"))

    assert period_end(first) == "2027-01-30"
    assert extended.action == "A1"
    assert extended.number == first.number
    assert period_end(extended) == "2027-03-01"


def test_the_newest_version_of_what_is_extended_tells_the_new_span_too(payer: Payer) -> None:
    first = payer.granted()
    grown = payer.submit(update(a.item(1), marked(FILM, "added")))
    later(payer, quoting(first.number, "4"))

    assert payer.read(grown.url)["preAuthPeriod"]["end"] == "2027-03-01"
    assert {period_end(found) for found in payer.inquire(a.inquiry())} == {"2027-03-01"}


@ONE_BASE
def test_lines_beside_the_one_that_is_extended_tell_the_new_span_too(payer: Payer) -> None:
    """The same study twice in one request has one number; so has one beside an extension."""
    first = payer.submit(a.request(*charts.meets_every_criterion(), claim=a.claim(a.item(1), a.item(2))))
    extended = payer.submit(update(a.item(1), quoting(first.number, "4", sequence=2)))
    (found,) = payer.inquire(a.inquiry())
    brother = member("M-2")
    other = payer.submit(a.request(*charts.meets_every_criterion(), **brother))
    beside = a.claim(
        a.item(1), quoting(other.number, "4", sequence=2), id="pa-9", identifier=[called("PA-9")]
    )
    both = payer.submit(a.request(claim=beside, **brother))

    assert [period_end(told) for told in (extended, found, both)] == ["2027-03-01"] * 3


def test_an_extension_is_granted_once(payer: Payer) -> None:
    first = payer.granted()
    later(payer, quoting(first.number, "4"))
    again = later(payer, quoting(first.number, "4", servicedDate="2027-02-20"))

    assert again.action == "A3"
    for owed in ("extended before", "Guideline:", "renewal", "Appeal:"):
        assert owed in again.words


@ONE_BASE
def test_nobody_is_denied_more_time_for_what_needs_no_authorization_any_more(
    payer: Payer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The member's plan is another now, and what the old one authorized is over."""
    first, clock = payer.granted(), payer.app.state.services.clock
    monkeypatch.setattr(clock, "_now", clock() + dt.timedelta(days=70))
    claim = a.claim(
        quoting(first.number, "4", servicedDate="2027-02-10"), id="pa-9", identifier=[called("PA-9")]
    )
    spared = payer.submit(a.request(claim=claim, coverage=a.coverage("no-imaging-pa")))
    denied = payer.submit(a.request(claim=claim))
    beside = {"id": "pa-10", "identifier": [called("PA-10")], "created": "2027-02-03"}
    elsewhere = a.coverage("no-imaging-pa")
    payer.submit(a.request(claim=a.claim(FILM, **beside), coverage=elsewhere))
    more = marked(quoting(first.number, "4", servicedDate="2027-02-10"), "added")
    related = {**beside, "id": "pa-11", "related": [prior("PA-10")]}
    added = payer.submit(a.request(claim=a.claim(FILM, more, **related), coverage=elsewhere))

    for told in (spared, added):
        assert told.response["disposition"] == "No authorization required"
    assert denied.action == "A3"


def test_an_extension_that_a_change_asks_for_in_vain_leaves_what_was_authorized(payer: Payer) -> None:
    """Whether the item is marked as changed or says what it is by its certification type alone."""
    first = payer.granted()
    payer.submit(update(quoting(first.number, "4")))
    again = marked(quoting(first.number, "4"), "changed")
    refused = payer.submit(update(again, marked(FILM, "added"), id="pa-3"))
    (found,) = payer.inquire(a.inquiry())

    for told in (refused, found):
        assert told.actions == ["A1", "A1"]
        assert told.number == first.number
        assert period_end(told) == "2027-03-01"
        assert "extended before" in told.words
        assert error_code(told) == "33"


@ONE_BASE
@pytest.mark.parametrize(("last", "told"), [(dt.date(2026, 11, 24), "A1"), (dt.date(2026, 11, 23), "A3")])
def test_an_authorization_can_be_extended_until_its_last_day_is_over_wherever_the_clinic_is(
    payer: Payer, last: dt.date, told: str
) -> None:
    """At 10 in the morning of the 25th, by the server's clock, it is late on the 24th in American Samoa."""
    first = payer.granted()
    with payer.app.state.services.store.transaction() as tx:
        row = authorizations.by_number(tx, first.number)
        assert row is not None
        row.span_end = last
    asked = later(payer, quoting(first.number, "4"))

    assert asked.action == told
    assert ("it ended on 2026-11-23" in asked.words) == (told == "A3")


@pytest.mark.parametrize(("withdrawn", "standing"), [("PA-1", "cancelled"), ("PA-9", "active")])
def test_an_extension_ends_with_what_it_extends_and_not_the_other_way_round(
    payer: Payer, withdrawn: str, standing: str
) -> None:
    first = payer.granted()
    extended = later(payer, quoting(first.number, "4"))
    payer.submit(update(cancelled(a.item(1)), id="pa-10", related=[prior(withdrawn)]))

    assert held(payer) == {first.number: standing}
    read = Answer({"entry": [{"resource": payer.read(extended.url)}]})
    assert read.action == "C"
    assert payer.read(first.url).get("preAuthRef") == (first.number if standing == "active" else None)


def test_what_was_cancelled_is_not_extended(payer: Payer) -> None:
    first = payer.granted()
    payer.submit(update(cancelled(a.item(1))))

    assert "it is cancelled" in later(payer, quoting(first.number, "4")).words


def test_what_was_used_is_not_extended(payer: Payer) -> None:
    first = payer.granted()
    with payer.app.state.services.store.transaction() as tx:
        use(tx, first.number, 1, dt.date(2026, 12, 1), payer.app.state.services.clock())
    denied = later(payer, quoting(first.number, "4"))

    assert denied.action == "A3"
    assert "was done on it" in denied.words


@ONE_BASE
@pytest.mark.parametrize(
    ("asked", "against"),
    [
        ({"modifier": [concept(a.CPT, "LT")]}, "another service or side"),
        ({"quantity": {"value": 2, "unit": "unit"}}, "2 are asked for, and it is for 1"),
        ({"locationCodeableConcept": concept(PLACE_OF_SERVICE, "22")}, "for place of service 11"),
    ],
    ids=["side", "units", "place"],
)
def test_another_or_more_than_was_authorized_is_no_extension(
    payer: Payer, asked: Resource, against: str
) -> None:
    two_at_hospital = a.item(
        quantity={"value": 2, "unit": "unit"}, locationCodeableConcept=concept(PLACE_OF_SERVICE, "22")
    )
    pended(payer, claim=a.claim(two_at_hospital))
    decide(payer, "modify", waiting(payer), units=1, place="11", why="This answers the question.")
    (first,) = payer.inquire(a.inquiry())
    answer = later(payer, quoting(first.number, "4", **asked))

    assert answer.action == "A3"
    assert against in answer.words


@ONE_BASE
def test_an_extension_tells_where_alone_the_study_is_authorized(payer: Payer) -> None:
    pended(payer, claim=a.claim(a.item(locationCodeableConcept=concept(PLACE_OF_SERVICE, "22"))))
    number = decide(payer, "modify", waiting(payer), place="11", why="A centre is near.").json()["number"]
    anywhere = quoting(number, "4")
    del anywhere["locationCodeableConcept"]
    extended = later(payer, anywhere)

    assert (extended.action, period_end(extended)) == ("A6", "2027-03-01")
    assert "Authorized at place of service 11." in extended.words


MOVED = marked(a.item(1, servicedDate="2026-12-15"), "changed")


@ONE_BASE
@pytest.mark.parametrize(
    "change",
    [
        update(MOVED, FILM),
        update(cancelled(a.item(1)), FILM),
        update(FILM, extension=[a.certified("3")]),
    ],
    ids=["moved", "cancelled", "everything-cancelled"],
)
def test_what_was_done_is_neither_changed_nor_cancelled_any_more(payer: Payer, change: Resource) -> None:
    """Or it would be authorized a second time, and the bill for it come to nothing."""
    first = payer.submit(a.request(*charts.meets_every_criterion(), claim=a.claim(a.item(1), FILM)))
    with payer.app.state.services.store.transaction() as tx:
        use(tx, first.number, 1, dt.date(2026, 12, 1), payer.app.state.services.clock())
    refused = payer.submit(change)
    (found,) = payer.inquire(a.inquiry())
    with payer.app.state.services.store.reading() as tx:
        (row,) = authorizations.of_member(tx, "member:M-ANNA")

    assert error_code(refused) == "33"
    assert "neither changed nor cancelled" in refused.words
    assert (found.actions[0], row.status, row.used) == ("A1", "active", 1)


@ONE_BASE
def test_the_number_that_is_extended_may_stand_on_the_claim_itself(payer: Payer) -> None:
    first = payer.granted()
    trace, kind, extended, service, number = quoting(first.number, "4")["extension"]
    item = a.item(extension=[trace, kind, extended, service])
    whole = a.claim(item, id="pa-9", identifier=[called("PA-9")], extension=[number])

    assert period_end(payer.submit(a.request(claim=whole))) == "2027-03-01"


@pytest.mark.parametrize("certification", ["4", "R"])
def test_a_number_that_is_nobodys_cannot_be_extended_or_renewed(payer: Payer, certification: str) -> None:
    answer = later(payer, quoting("PANOBODY", certification), *charts.meets_every_criterion())

    assert answer.response["outcome"] == "error"
    assert answer.response["error"][0]["code"]["coding"][0]["code"] == "AA"


@ONE_BASE
def test_a_renewal_of_no_number_at_all_is_told_to_quote_one(payer: Payer) -> None:
    *bare, _ = quoting("", "R")["extension"]
    answer = later(payer, a.item(extension=bare), *charts.meets_every_criterion())

    assert error_code(answer) == "AA"
    assert "quotes no authorization number" in answer.words


def test_a_change_that_quotes_a_number_of_nobody_leaves_what_was_granted(payer: Payer) -> None:
    first = payer.granted()
    refused = payer.submit(update(marked(quoting("PANOBODY", "4"), "changed")))

    assert error_code(refused) == "AA"
    assert payer.read(first.url)["preAuthRef"] == first.number


def test_an_extension_is_rehearsed_without_being_granted(payer: Payer) -> None:
    first = payer.granted()
    tried = later(payer, quoting(first.number, "4"), **{"X-Dry-Run": "true"})

    assert (tried.action, tried.number) == ("A1", first.number)
    assert period_end(tried) == "2027-03-01"
    assert payer.read(first.url)["preAuthPeriod"]["end"] == "2027-01-30"


def test_a_dry_run_foretells_that_what_another_payer_authorized_is_not_extended(payer: Payer) -> None:
    services = payer.app.state.services
    with services.store.transaction() as tx:
        records.put(tx, a.authorized_before("OLD-1"), "member:M-ANNA", services.clock())
    asked = quoting("OLD-1", "4")

    assert later(payer, asked, **{"X-Dry-Run": "true"}).action == "A3"
    denied = later(payer, asked)
    assert denied.action == "A3"
    assert "it was not issued here" in denied.words
    assert "what was authorized as it was" not in denied.words


@pytest.mark.parametrize("payer", [("postgresql", "2.2")], ids=["2.2.1-postgresql"], indirect=True)
def test_a_study_is_put_on_record_as_done_in_turn_with_changes_of_its_request(payer: Payer) -> None:
    """Each held what the other waited for, and one of them failed."""
    first, store, now = payer.granted(), payer.app.state.services.store, payer.app.state.services.clock()
    with store.transaction() as changing, store.transaction() as using:
        authorizations.alone(changing, "member:M-ANNA")
        using.execute(text("SET LOCAL lock_timeout = 1"))
        with pytest.raises(OperationalError, match="lock timeout"):
            use(using, first.number, 1, dt.date(2026, 12, 1), now)

    with store.transaction() as late:
        authorizations.by_number(late, first.number)
        with store.transaction() as first_in_turn:
            use(first_in_turn, first.number, 1, dt.date(2026, 12, 1), now)
        with pytest.raises(Conflict, match="0 of 1 units left"):
            use(late, first.number, 1, dt.date(2026, 12, 1), now)


def test_a_used_authorization_satisfies_no_further_order(payer: Payer) -> None:
    first = payer.granted()
    with payer.app.state.services.store.transaction() as tx:
        use(tx, first.number, 1, dt.date(2026, 12, 1), payer.app.state.services.clock())
    again = payer.submit(
        a.request(*charts.meets_every_criterion(), claim=a.claim(a.item(servicedDate="2026-12-15")))
    )

    assert again.action == "A1"
    assert again.number != first.number


def test_a_bill_on_the_payers_file_uses_an_authorization_up(payer: Payer) -> None:
    first = payer.granted()
    services = payer.app.state.services
    with services.store.transaction() as tx:
        records.put(tx, a.billed(first.number), "member:M-ANNA", services.clock())
    again = payer.submit(
        a.request(*charts.meets_every_criterion(), claim=a.claim(a.item(servicedDate="2026-12-15")))
    )

    assert again.number != first.number


def test_use_is_recorded_by_command_and_on_record(payer: Payer, monkeypatch: pytest.MonkeyPatch) -> None:
    first = payer.granted()
    done = run(payer, monkeypatch, "pas", "use", first.number, "--on", "2026-12-01")
    too_much = run(payer, monkeypatch, "pas", "use", first.number, "--on", "2026-12-01")
    outside = run(payer, monkeypatch, "pas", "use", first.number, "--on", "2027-12-01")

    assert done.output == f"{first.number}: 1 of 1 units used\n"
    assert too_much.exit_code == outside.exit_code == 1
    assert kinds(payer, first) == ["decided", "used"]
    told = payer.http.get(f"{payer.base}/AuditEvent", params={"agent": getuser(), "action": "E"}).json()
    assert {entry["resource"]["outcome"] for entry in told["entry"]} >= {"0", "4"}
    assert first.number in str(told["entry"])


def test_an_appeal_that_succeeds_authorizes_what_was_denied_however_long_it_took(
    payer: Payer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The study was planned for December; in February it is late, and can still be done."""
    denied = payer.submit(a.request(charts.answers(**charts.SHORT_TRIAL), *charts.film_and_examination()))
    case = denied.response["id"]
    received = run(payer, monkeypatch, "review", "appeal", case)
    standing = payer.read(denied.url)
    why = ("--by", "Dr Kim", "--why", "New film")
    decided = run(
        payer, monkeypatch, "review", "outcome", case, *why, "--overturned", now="2027-02-15T10:00:00Z"
    )
    (found,) = payer.inquire(a.inquiry())

    assert denied.action == "A3"
    assert received.exit_code == 0, received.output
    assert Answer({"entry": [{"resource": standing}]}).action == "A3"
    assert decided.exit_code == 0, decided.output
    assert found.action == "A1"
    assert found.number in decided.output
    assert found.response["preAuthPeriod"] == {"start": "2026-12-01", "end": "2027-04-16"}
    with payer.app.state.services.store.reading() as tx:
        assert authorizations.by_number(tx, found.number) is not None
    assert kinds(payer, denied) == ["decided", "appealed", "appeal-decided", "decided"]


def test_an_appeal_that_fails_leaves_the_denial_and_the_record(
    payer: Payer, monkeypatch: pytest.MonkeyPatch
) -> None:
    denied = payer.submit(a.request(coverage=a.coverage(period={"end": "2026-06-30"})))
    case = denied.response["id"]
    early = run(payer, monkeypatch, "review", "outcome", case, "--by", "K", "--why", "x", "--upheld")
    run(payer, monkeypatch, "review", "appeal", case, "--by", "member")
    twice = run(payer, monkeypatch, "review", "appeal", case)
    run(payer, monkeypatch, "review", "outcome", case, "--by", "K", "--why", "x", "--upheld")

    assert early.exit_code == twice.exit_code == 1
    assert Answer({"entry": [{"resource": payer.read(denied.url)}]}).action == "A3"
    assert kinds(payer, denied) == ["decided", "appealed", "appeal-decided"]


def test_only_a_denial_can_be_appealed(payer: Payer, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = run(payer, monkeypatch, "review", "appeal", payer.granted().response["id"])

    assert refused.exit_code == 1
    assert "Only a denial" in refused.output


def kinds(payer: Payer, answer: Answer) -> list[str]:
    with payer.app.state.services.store.reading() as tx:
        return [event.kind for event in events.of_case(tx, answer.response["id"])]


def run(
    payer: Payer, monkeypatch: pytest.MonkeyPatch, *arguments: str, now: str = "2026-11-25T10:00:00Z"
) -> Any:
    store = payer.app.state.services.store
    monkeypatch.setenv("DATABASE_URL", store.engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("TEST_CLOCK", now)
    return CliRunner().invoke(app, list(arguments))
