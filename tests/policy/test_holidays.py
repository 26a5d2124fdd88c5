"""The federal holidays, as the Office of Personnel Management lists them."""

import datetime as dt

import pytest

from server.policy.holidays import around, kept_for


@pytest.mark.parametrize(
    ("year", "days"),
    [
        (2026, "01-01 01-19 02-16 05-25 06-19 07-03 09-07 10-12 11-11 11-26 12-25"),
        (2027, "01-01 01-18 02-15 05-31 06-18 07-05 09-06 10-11 11-11 11-25 12-24"),
    ],
)
def test_a_year_has_eleven_each_on_the_weekday_on_which_it_is_kept(year: int, days: str) -> None:
    assert [f"{day:%m-%d}" for day in kept_for(year)] == days.split()
    assert all(day.year == year and day.weekday() < 5 for day in kept_for(year))


def test_new_years_day_on_a_saturday_is_kept_in_the_old_year() -> None:
    assert kept_for(2028)[0] == dt.date(2027, 12, 31)


def test_the_turn_of_the_year_is_covered_and_no_year_is_too_far() -> None:
    told = [str(day) for day in around([dt.date(2027, 12, 30), None, dt.date.max])]

    assert "@2027-12-31" in told
    assert "@9999-11-11" in told
