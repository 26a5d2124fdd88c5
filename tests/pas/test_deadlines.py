"""By when a line must be decided: from the table, and at the door."""

import datetime as dt

import msgspec
import pytest

from server.app import the_catalog
from server.pas.deadlines import Clock, Deadlines, Line
from server.policy.residence import state_of
from server.store import cases
from tests.pas import builders as a
from tests.pas.conftest import Payer

TABLE = Deadlines(
    lines_of_business={"commercial": Line(False), "medicare-advantage": Line(True)},
    default="commercial",
    plans={"senior": "medicare-advantage"},
    clocks=(
        Clock(72, 168, "federal"),
        Clock(24, 96, "state", state="WA"),
        Clock(48, 200, "line of business", line="medicare-advantage"),
    ),
)


@pytest.mark.parametrize(
    ("plan", "state", "expedited", "hours"),
    [
        ("any", "", False, 168),
        ("any", "", True, 72),
        ("any", "WA", False, 96),
        ("any", "WA", True, 24),
        ("any", "OR", False, 168),
        ("senior", "WA", True, 48),
        ("senior", "WA", False, 168),
    ],
)
def test_of_the_rows_that_fit_the_strictest_holds(plan: str, state: str, expedited: bool, hours: int) -> None:
    assert TABLE.hours(plan, state, expedited=expedited) == hours


def test_the_table_that_comes_along_binds_every_plan_to_the_federal_days() -> None:
    table = Deadlines.load()

    assert table.hours("evicore", "", expedited=False) == 168
    assert table.hours("evicore", "", expedited=True) == 72
    assert all(clock.source for clock in table.clocks)


def test_every_plan_belongs_to_a_line_of_business_and_each_line_has_a_plan() -> None:
    table = Deadlines.load()

    assert table.plans.keys() == the_catalog().plans.keys()
    assert set(table.plans.values()) == table.lines_of_business.keys()


@pytest.mark.parametrize(
    ("plan", "state", "hours"),
    [
        ("evicore", "WA", 72),
        ("nia", "WA", 72),
        ("carelon", "WA", 168),
        ("nia", "TX", 168),
        ("nia", "CA", 120),
    ],
)
def test_a_states_term_binds_the_lines_that_its_law_is_about(plan: str, state: str, hours: int) -> None:
    assert Deadlines.load().hours(plan, state, expedited=False) == hours


@pytest.mark.parametrize("change", [{"default": "other"}, {"clocks": ()}])
def test_a_table_that_leaves_somebody_without_a_clock_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"line of business"):
        msgspec.structs.replace(TABLE, **change)


def test_a_plan_that_is_misspelt_in_the_table_is_told_of_at_start() -> None:
    """The one that was meant would have the clock of the default line, whatever the law says of its own."""
    with pytest.raises(ValueError, match=r"deadlines\.yaml: there is no plan nia$"):
        Deadlines.load().check_plans(["evicore", "reviewed", "no-imaging-pa", "carelon"])


@pytest.mark.parametrize(
    ("address", "state"),
    [
        ([{"state": "wa"}], "WA"),
        ([{"city": "Salem"}, {"state": "OR"}], "OR"),
        ([{"state": "Washington"}], "WA"),
        ([{"state": "west  virginia "}], "WV"),
        ([{"state": "US-TX"}], "TX"),
        ([{"use": "old", "state": "CA"}, {"use": "home", "state": "WA"}], "WA"),
        ([], ""),
        (None, ""),
        ([3], ""),
    ],
)
def test_the_members_state_is_that_of_the_first_address_with_one(address: object, state: str) -> None:
    assert state_of({"address": address}) == state


@pytest.mark.parametrize(("plan", "hours"), [("evicore", 72), ("carelon", 168)])
def test_a_pended_line_is_due_by_the_members_state_unless_the_plan_is_exempt(
    payer: Payer, plan: str, hours: int
) -> None:
    at_home = a.anna(address=[{"city": "Seattle", "state": "WA"}])
    pended = payer.submit(a.request(patient=at_home, coverage=a.coverage(plan)))
    with payer.app.state.services.store.reading() as tx:
        (line,) = cases.items(tx, pended.response["id"])
    (task,) = pended.of_type("Task")

    due = dt.datetime(2026, 11, 25, 10, tzinfo=dt.UTC) + dt.timedelta(hours=hours)
    assert line.due == due
    assert task["restriction"]["period"]["end"].startswith(due.date().isoformat())
