"""Dates in the precision they were written in."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from server.fhir.dates import first_day, full_years, instant, last_day, moment


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2026", date(2026, 1, 1), date(2026, 12, 31)),
        ("2024-02", date(2024, 2, 1), date(2024, 2, 29)),
        ("2026-11-25", date(2026, 11, 25), date(2026, 11, 25)),
        ("2026-11-25T23:30:00-06:00", date(2026, 11, 25), date(2026, 11, 25)),
        ("2026-11-25T10:00:00.123Z", date(2026, 11, 25), date(2026, 11, 25)),
    ],
)
def test_a_partial_date_is_a_span_of_days(text: str, first: date, last: date) -> None:
    assert (first_day(text), last_day(text)) == (first, last)


@pytest.mark.parametrize(
    ("born", "years"),
    [
        ("1974-11-25", 52),
        ("1974-11-26", 51),
        ("2024-02-29", 2),
        ("1974-10", 52),
        ("1974-11", None),
        ("1974", None),
        ("unknown", None),
    ],
)
def test_an_age_is_told_where_the_date_of_birth_tells_it(born: str, years: int | None) -> None:
    assert full_years(born, date(2026, 11, 25)) == years


@pytest.mark.parametrize(
    "text",
    ["", "2026-13", "2026-02-30", "0000", "25.11.2026", "2026-1-1", "2026-11-25T25", None, 2026, ["2026"]],
)
def test_what_is_no_date_is_no_day(text: object) -> None:
    assert first_day(text) is None
    assert last_day(text) is None


def test_a_moment_keeps_its_offset() -> None:
    assert moment("2026-11-25T10:00:00-06:00") == datetime(
        2026, 11, 25, 10, tzinfo=timezone(timedelta(hours=-6))
    )
    assert moment("2026-11-25T10:00:00") == datetime(2026, 11, 25, 10, tzinfo=UTC)
    assert moment("2026-11-25") is None
    assert moment("2026-11-25T24:61:00Z") is None
    assert moment("0001-01-01T00:00:00+14:00") is None


def test_an_instant_is_written_in_utc() -> None:
    assert instant(datetime(2026, 11, 25, 10, tzinfo=UTC)) == "2026-11-25T10:00:00+00:00"
