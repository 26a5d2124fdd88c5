"""Numbers, quantities, text, lists, codes: the operators that policies lean on."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.elm.errors import EvaluationError
from server.elm.operators.aggregate import (
    average,
    count,
    largest,
    median,
    mode,
    smallest,
    standard_deviation,
    total,
)
from server.elm.operators.arithmetic import (
    add,
    divided,
    modulo,
    multiplied,
    negated,
    power,
    rounded,
    subtract,
    truncated_divide,
)
from server.elm.operators.comparison import equal, greater, less, order
from server.elm.operators.conversion import (
    convert_quantity,
    to_boolean,
    to_concept,
    to_decimal,
    to_integer,
    to_list,
    to_long,
    to_quantity,
    to_ratio,
    to_string,
)
from server.elm.operators.equivalence import equivalent
from server.elm.operators.lists import children, descendents, distinct, flatten, index_of, slice_, times
from server.elm.operators.logical import and_, implies, not_, or_, xor
from server.elm.operators.membership import (
    contains,
    except_,
    in_,
    includes,
    intersect,
    proper_includes,
    union,
)
from server.elm.operators.messages import message
from server.elm.operators.precision import high_boundary, low_boundary
from server.elm.operators.registry import OPERATORS, operator
from server.elm.operators.steps import predecessor, successor
from server.elm.operators.string import (
    combine,
    length,
    matches,
    replace_matches,
    split,
    split_on_matches,
    substring,
)
from server.elm.values import Code, Concept, Date, Interval, Long, Quantity, Ratio, Uncertainty

LOINC = "http://loinc.org"


def of(value: int | str, unit: str = "1") -> Quantity:
    return Quantity(Decimal(value), unit)


# Three values

VALUES = (True, False, None)


@pytest.mark.parametrize("a", VALUES)
@pytest.mark.parametrize("b", VALUES)
def test_logic_answers_only_what_every_possibility_agrees_on(a: bool | None, b: bool | None) -> None:
    def settled(function: Any) -> bool | None:
        answers = {function(x, y) for x in possible(a) for y in possible(b)}
        return answers.pop() if len(answers) == 1 else None

    assert and_(a, b) is settled(lambda x, y: x and y)
    assert or_(a, b) is settled(lambda x, y: x or y)
    assert xor(a, b) is settled(lambda x, y: x is not y)
    assert implies(a, b) is settled(lambda x, y: not x or y)
    assert not_(a) is (None if a is None else not a)


def possible(value: bool | None) -> tuple[bool, ...]:
    return (True, False) if value is None else (value,)


# Numbers


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (add(2**31 - 1, 1), None),
        (add(Long(2**31 - 1), Long(1)), Long(2**31)),
        (negated(-(2**31)), None),
        (multiplied(Long(2**62), 2), None),
        (divided(10, 4), Decimal("2.5")),
        (divided(1, 0), None),
        (modulo(-7, 3), -1),
        (truncated_divide(-7, 2), -3),
        (truncated_divide(Long(7), 0), None),
        (power(2, 10), 1024),
        (power(2, -2), Decimal("0.25")),
        (power(10, 10), None),
        (power(-1, 2**31 - 1), -1),
        (power(Decimal(0), Decimal(-1)), None),
        (rounded(Decimal("-0.5")), Decimal(-1)),
        (rounded(Decimal("3.14159"), 2), Decimal("3.14")),
        (rounded(Decimal("3.14159"), 10**9), Decimal("3.14159")),
        (subtract(Uncertainty(16, 44), Uncertainty(4, 16)), Uncertainty(0, 40)),
        (divided(to_decimal(Uncertainty(17, 44)), Decimal(2)), Uncertainty(Decimal("8.5"), Decimal(22))),
        (multiplied(Uncertainty(1, 3), 0), 0),
        (divided(6, Uncertainty(0, 3)), None),
        (low_boundary(Decimal("1.587"), 8), Decimal("1.58700000")),
        (high_boundary(Decimal("1.587"), 8), Decimal("1.58799999")),
        (high_boundary(Date.of(2026), 6), Date.of(2026, 12)),
        (high_boundary(Date.of(2026), 17), None),
    ],
)
def test_a_number_that_does_not_fit_is_null(result: Any, expected: Any) -> None:
    assert result == expected
    assert type(result) is type(expected)


def test_the_ends_of_a_type_have_no_further_neighbour() -> None:
    assert successor(Decimal("1.0")) == Decimal("1.00000001")
    assert predecessor(of("1.0", "cm")) == of("0.99999999", "cm")
    with pytest.raises(EvaluationError, match="no successor"):
        successor(2**31 - 1)


decimals = st.decimals(-(10**12), 10**12, places=8)


@given(decimals, decimals)
def test_decimal_sums_are_exact(a: Decimal, b: Decimal) -> None:
    assert subtract(add(a, b), b) == a


# Quantities


def test_quantities_compare_and_add_across_units() -> None:
    assert equal(of(1, "m"), of(100, "cm")) is True
    assert greater(of(6, "weeks"), of(41, "days")) is True
    assert order(of(1, "year"), of(365, "days")) is None
    assert equivalent(of(1, "year"), of(365, "days")) is True
    assert equivalent(of(1, "year"), of(1, "a")) is True
    assert add(of(1, "m"), of(5, "cm")) == of(105, "cm")
    assert add(of(1, "m"), of(1, "kg")) is None
    assert multiplied(of(12, "cm"), of(3, "cm")) == of(36, "cm2")
    assert divided(of(70, "kg"), of("3.24", "m2")).unit == "kg/m2"
    assert divided(of(1, "m"), of(1, "cm")) == of(100, "1")
    assert convert_quantity(of("5", "mg"), "g") == of("0.005", "g")
    assert convert_quantity(of("5", "mg"), "mL") is None


def test_decimals_are_equivalent_at_the_coarser_precision() -> None:
    assert equivalent(Decimal("1.5"), Decimal("1.50")) is True
    assert equivalent(Decimal("1.5"), Decimal("1.55")) is False
    assert equivalent(Decimal("1.0"), Decimal("1.04")) is True
    assert equal(Decimal("1.0"), Decimal("1.04")) is False


def test_ratios_are_equal_as_written_and_equivalent_by_proportion() -> None:
    one, ten = Ratio(of(1), of(100)), Ratio(of(10), of(1000))
    assert equal(one, ten) is False
    assert equivalent(one, ten) is True


def test_intervals_are_equivalent_where_the_same_is_unknown_of_them() -> None:
    since = Interval(1, None, high_closed=False)
    assert equivalent(since, Interval(0, None, low_closed=False, high_closed=False)) is True
    assert equivalent(since, Interval(2, None, high_closed=False)) is False
    assert equivalent(since, Interval(1, 7)) is False
    assert equivalent(since, Interval(1, None)) is False
    assert equal(since, since) is None


# Codes


def test_a_code_is_its_system_and_its_code() -> None:
    named, bare = Code("8480-6", LOINC, display="Systolic"), Code("8480-6", LOINC)
    assert equivalent(named, bare) is True
    assert equal(named, bare) is None
    assert equivalent(named, Concept((Code("x"), bare))) is True
    assert equivalent(Concept((bare,)), Concept((Code("x"),))) is False
    assert to_concept(named) == Concept((named,), "Systolic")


# Lists


def test_lists_are_compared_with_nulls_equal() -> None:
    assert equal([1, None], [1, None]) is True
    assert equal([1, 2], [2, 1]) is False
    assert equal([Date.of(2026)], [Date.of(2026, 1)]) is None
    assert contains([1, None], None) is True
    assert contains([1], None) is False
    assert in_(1, None) is False
    assert distinct([1, None, 1, None, Decimal("1.0")]) == [1, None]


def test_whether_a_partial_date_is_among_others_may_not_be_known() -> None:
    assert in_(Date.of(2026, 3), [Date.of(2026, 3, 10)]) is None
    assert in_(Date.of(2026, 3), [Date.of(2026, 3, 10), Date.of(2026, 3)]) is True
    assert in_(Date.of(2026, 3), [Date.of(2025, 3, 10)]) is False


def test_set_operations_keep_each_item_once() -> None:
    assert union([1, 2, 2], [2, 3]) == [1, 2, 3]
    assert union(None, [1]) == [1]
    assert union(None, None, resultTypeSpecifier={"type": "ListTypeSpecifier"}) == []
    assert union(None, None, resultTypeSpecifier={"type": "IntervalTypeSpecifier"}) is None
    assert intersect([1, 2, 2, 3], [2, 3, 4]) == [2, 3]
    assert except_([1, 2, None], [2]) == [1, None]
    assert except_([1, 1], None) == [1]
    six, same, weeks = {"value": 6}, {"value": Decimal("6.0")}, {"value": Decimal(6), "code": "wk"}
    assert (intersect([six], [same]), except_([six], [same]), union([six], [same])) == ([six], [], [six])
    assert except_([six], [weeks]) == [six]
    assert includes([1, 2, 3], [3, 1]) is True
    assert proper_includes([1, 2], [2, 1]) is False


@given(st.lists(st.integers(-3, 3)), st.lists(st.integers(-3, 3)))
def test_list_operators_behave_as_sets(a: list[int], b: list[int]) -> None:
    assert set(union(a, b)) == {*a} | {*b}
    assert set(intersect(a, b)) == {*a} & {*b}
    assert set(except_(a, b)) == {*a} - {*b}
    assert includes(a, b) is ({*b} <= {*a})
    assert proper_includes(a, b) is ({*b} < {*a})


def test_pieces_of_lists() -> None:
    assert slice_([1, 2, 3], 1, None) == [2, 3]
    assert slice_([1, 2, 3], 0, 2) == [1, 2]
    assert slice_([1, 2, 3], -1, None) == []
    assert index_of(["a", "b"], "b") == 1
    assert index_of(["a"], "z") == -1
    assert flatten([[1], None, [2, None]]) == [1, 2, None]
    assert descendents({"a": [{"b": 1}], "c": None}) == [{"b": 1}, 1]
    assert children([{"a": 1}, {"a": [2, 3]}]) == [1, 2, 3]
    assert children(of(5, "mg")) == [Decimal(5), "mg"]
    assert descendents({"rate": Ratio(of(1, "mg"), of(2, "mL"))})[-4:] == [1, "mg", 2, "mL"]


# Aggregates


def test_every_pair_of_tuples_is_one() -> None:
    sides, levels = [{"side": "left"}, {"side": "right"}], [{"level": 4}, {"level": 5}]
    assert times(sides, levels) == [
        {"side": "left", "level": 4},
        {"side": "left", "level": 5},
        {"side": "right", "level": 4},
        {"side": "right", "level": 5},
    ]
    assert times(sides, []) == []


def test_aggregates_leave_nulls_out() -> None:
    scores = [of(40), None, of(60)]
    assert count(scores) == 2
    assert total(scores) == of(100)
    assert average(scores) == of(50)
    assert median([1, 5, 3]) == Decimal(3)
    assert largest([of(1, "m"), of(150, "cm")]) == of(150, "cm")
    assert smallest(["b", "a"]) == "a"
    assert mode([1, 2, 2, 3]) == 2
    assert standard_deviation([1, 2, 3, 4, 5]) == Decimal("1.58113883")
    assert total([2**31 - 1, 1]) is None
    assert average([]) is None


# Text


def test_patterns_match_anywhere_and_across_lines() -> None:
    assert matches("1,2three", r"\d,\d\w+") is True
    assert matches("a\nb", "a.b") is True
    assert matches("1,2three", r"^\w+$") is False
    with pytest.raises(EvaluationError, match="no regular expression"):
        matches("a", "(")


def test_substitutions_name_groups() -> None:
    assert replace_matches("2026-01-05", r"(\d+)-(\d+)-(\d+)", "$3.$2.$1") == "05.01.2026"
    assert replace_matches("a1", r"(?<letter>\w)\d", "${letter}") == "a"
    assert replace_matches("5", r"\d", r"\$5") == "$5"
    with pytest.raises(EvaluationError, match="no group 2"):
        replace_matches("a", "(a)", "$2")


def test_text_is_cut_and_joined() -> None:
    assert substring("abc", 1) == "bc"
    assert substring("abc", 3) is None
    assert split("a,b", ",") == ["a", "b"]
    assert split_on_matches("a1b22c", r"\d+") == ["a", "b", "c"]
    assert combine(["a", None, "b"], "-") == "a-b"
    assert length(None) is None
    assert length(None, signature=[{"type": "ListTypeSpecifier"}]) == 0


# Conversions


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (to_boolean("Y"), True),
        (to_boolean("falsetto"), None),
        (to_boolean(Decimal("0.0")), False),
        (to_integer("+12"), 12),
        (to_integer("12.0"), None),
        (to_integer(Long(2**31)), None),
        (to_integer("9" * 10_000), None),
        (to_long("9223372036854775807"), Long(2**63 - 1)),
        (to_decimal("-0.1"), Decimal("-0.1")),
        (to_decimal("1e5"), None),
        (to_decimal(True), Decimal("1.0")),
        (to_quantity("5.4 'mg'"), of("5.4", "mg")),
        (to_quantity("4 days"), of(4, "days")),
        (to_quantity("444 'cm"), None),
        (to_quantity("4 furlongs"), None),
        (to_quantity("4 mg"), None),  # units of UCUM stand in quotes
        (to_integer("\u0664"), None),  # the digits are 0 to 9
        (to_decimal("\uff11.5"), None),
        (to_quantity("\u0664 'mg'"), None),
        (to_ratio("1 'mg':2 'mL'"), Ratio(of(1, "mg"), of(2, "mL"))),
        (to_ratio("1;2"), None),
        (to_string(of(4, "days")), "4 days"),
        (to_string(of("-0.1", "mg")), "-0.1 'mg'"),
        (to_string(Decimal(5)), "5.0"),
        (to_list(None), []),
        (to_list(1), [1]),
    ],
)
def test_conversions(result: Any, expected: Any) -> None:
    assert result == expected
    assert type(result) is type(expected)


# Messages


class Listener:
    def __init__(self) -> None:
        self.heard: list[tuple[str, str | None, str | None]] = []

    def message(self, severity: str, code: str | None, text: str | None, source: Any) -> None:
        self.heard.append((severity, code, text))


def test_a_message_passes_its_source_on_and_only_an_error_stops() -> None:
    listener = Listener()
    assert message(7, True, "400", None, "Look", context=listener) == 7  # type: ignore[arg-type]
    assert message(7, False, "400", "Error", "Stop", context=listener) == 7  # type: ignore[arg-type]
    assert listener.heard == [("Message", "400", "Look")]
    with pytest.raises(EvaluationError, match="400: Stop"):
        message(7, True, "400", "Error", "Stop", context=listener)  # type: ignore[arg-type]


# The table


def test_an_operator_has_one_home() -> None:
    with pytest.raises(ValueError, match="already registered"):
        operator("Add", nulls="propagate")(add)


def test_every_operator_says_what_it_does() -> None:
    assert [
        name for name, row in OPERATORS.items() if name[:10] != "ConvertsTo" and not row.function.__doc__
    ] == []


def test_types_that_have_no_order_are_refused() -> None:
    with pytest.raises(TypeError, match="has no order"):
        less(Interval(1, 2), Interval(3, 4))
