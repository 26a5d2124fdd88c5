"""Units convert as UCUM defines them, and calendar durations as CQL does."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.elm.ucum import UnknownUnit, common, convert, divide, known, multiply, unit

CONVERSIONS = [
    ("1", "m", "cm", "100"),
    ("25.4", "mm", "[in_i]", "1"),
    ("1", "[lb_av]", "kg", "0.45359237"),
    ("1", "[oz_av]", "g", "28.349523125"),
    ("1", "[mi_i]", "m", "1609.344"),
    ("1", "[gal_us]", "L", "3.785411784"),
    ("98.6", "[degF]", "Cel", "37"),
    ("0", "Cel", "K", "273.15"),
    ("1", "mg/dL", "g/L", "0.01"),
    ("1", "kg/m2", "g/cm2", "0.1"),
    ("5", "10*3/uL", "/L", "5000000000"),
    ("5", "10*9/L", "10*3/uL", "5"),
    ("760", "mm[Hg]", "kPa", "101.324720"),
    ("1", "mmol/L", "mol/m3", "1"),
    ("50", "%", "1", "0.5"),
    ("60", "{beats}/min", "/s", "1"),
    ("1", "kcal", "kJ", "4.184"),
    ("2", "[iU]/mL", "[iU]/L", "2000"),
    ("6", "weeks", "d", "42"),
    ("6", "wk", "days", "42"),
    ("1", "d", "h", "24"),
    ("3", "years", "months", "36"),
    ("1", "a", "d", "365.25"),
    ("1", "m/s2", "[g]", str(Fraction(1) / Fraction("9.80665"))),
]


@pytest.mark.parametrize(("value", "source", "target", "expected"), CONVERSIONS)
def test_a_quantity_converts_exactly(value: str, source: str, target: str, expected: str) -> None:
    assert convert(Decimal(value), source, target) == Fraction(expected)


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("cm", "cm2"),
        ("mg", "mL"),
        ("year", "d"),  # no year has a fixed number of days
        ("month", "d"),
        ("year", "a"),
        ("[iU]", "mg"),
        ("[pH]", "1"),
        ("fortnight", "d"),
    ],
)
def test_what_measures_something_else_does_not_convert(source: str, target: str) -> None:
    assert convert(Decimal(1), source, target) is None


@pytest.mark.parametrize(("left", "right"), [("year", "a"), ("month", "mo"), ("year", "d")])
def test_equivalence_lets_calendar_and_definite_durations_meet(left: str, right: str) -> None:
    assert common(left, right) is None
    assert common(left, right, equivalence=True) is not None


@pytest.mark.parametrize(
    "text", ["", "m/", "m.", "(m", "m)", "m 2", "{open", "xyz", "m2000", "kmin", "/", "10²", "٣"]
)
def test_text_that_is_no_unit_is_refused(text: str) -> None:
    assert not known(text)
    with pytest.raises(UnknownUnit):
        unit(text)


def test_units_multiply_and_divide() -> None:
    assert multiply("cm", "cm2") == "cm3"
    assert divide("g/cm3", "g/cm3") == "1"
    assert divide("mg", "dL") == "mg/dL"
    assert multiply("mg/kg", "kg") == "mg"
    assert divide("1", "s") == "/s"
    assert multiply("Cel", "m") is None  # a temperature has no true zero to multiply from


LENGTHS, MASSES = ["m", "cm", "[in_i]", "km"], ["kg", "g", "[lb_av]"]
TIMES, TEMPERATURES = ["s", "min", "h", "day"], ["Cel", "K", "[degF]"]


@given(
    st.sampled_from([LENGTHS, MASSES, TIMES, TEMPERATURES]).flatmap(
        lambda units: st.tuples(st.sampled_from(units), st.sampled_from(units))
    ),
    st.decimals(-1000, 1000, places=4),
)
def test_there_and_back_is_where_one_was(pair: tuple[str, str], value: Decimal) -> None:
    source, target = pair
    there = convert(value, source, target)
    assert there is not None
    one, other = unit(source), unit(target)
    back = (there * other.factor + other.zero - one.zero) / one.factor
    assert back == Fraction(value)
