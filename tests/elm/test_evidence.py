"""Why a define came to its value: the resources that decided it, and what was looked for in vain."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from server.elm import Engine, Result
from server.elm.evidence import Only, Unfolded
from tests.elm import stories
from tests.elm.test_engine_stories import CHART, EARLY, LATE, LENGTH, VALUE_SETS, run, therapy


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(libraries=stories.libraries(), value_sets=VALUE_SETS)


def because(result: Result) -> list[str]:
    assert result.resources == tuple(item.resource for item in result.evidence)
    return [str(item) for item in result.evidence]


def lacking(result: Result) -> list[str]:
    return [str(item) for item in result.missing]


def test_an_existence_rests_on_what_was_found_and_on_what_was_read_in_it(engine: Engine) -> None:
    # The late session is recent: it is not why six weeks are reached.
    assert because(run(engine, evidence=True)["Long enough"]) == [
        "Procedure/early (status, performed)",
        "ServiceRequest/order (authoredOn)",
    ]


def test_a_true_or_rests_on_the_true_side(engine: Engine) -> None:
    result = run(engine, evidence=True)["Either"]
    assert because(result) == because(run(engine, evidence=True)["Long enough"])
    assert lacking(result) == []


def test_a_false_and_rests_on_the_false_side(engine: Engine) -> None:
    result = run(engine, evidence=True)["Both"]
    assert because(result) == []
    assert lacking(result) == ["no Procedure with code in Injection"]


def test_an_unknown_says_what_is_missing(engine: Engine) -> None:
    result = run(engine, evidence=True)["Unknown and true"]
    assert result.value is None
    assert because(result) == []
    (missing,) = result.missing
    assert (missing.kind, missing.type, missing.path) == ("resource", "Observation", "code")
    assert (missing.named, missing.url) == ("pain-score", "https://example.org/findings")


def test_an_empty_retrieve_says_what_it_looked_for(engine: Engine) -> None:
    result = run(engine, evidence=True)["Not injected"]
    assert result.value is True
    (missing,) = result.missing
    assert missing.url == "https://example.org/ValueSet/injection"
    assert str(missing) == "no Procedure with code in Injection"


def test_candidates_that_did_not_qualify_are_named(engine: Engine) -> None:
    result = run(engine, [therapy("soon", "2026-02-28")], evidence=True)["Long enough"]
    assert result.value is False
    (missing,) = result.missing
    assert [item.reference for item in missing.considered] == ["Procedure/soon"]
    assert because(result) == []


def test_an_absent_element_is_named_where_it_left_the_value_open(engine: Engine) -> None:
    undated = therapy("undated", "2026-01-01")
    del undated["performedDateTime"]
    result = run(engine, [undated], evidence=True)["Long enough"]
    assert "Procedure/undated has no performed" in lacking(result)


def test_picking_one_item_rests_on_that_item(engine: Engine) -> None:
    result = run(engine, evidence=True)["Newest"]
    assert [item.resource for item in result.evidence if item.reference.startswith("Procedure")] == [LATE]


def test_a_count_rests_on_all_it_counts(engine: Engine) -> None:
    result = run(engine, evidence=True)["How many"]
    found = [item.resource for item in result.evidence if item.reference.startswith("Procedure")]
    assert found == [EARLY, LATE]


def test_resources_handed_in_are_evidence_too(engine: Engine) -> None:
    assert because(run(engine, evidence=True)["Right"]) == ["ServiceRequest/order (bodySite)"]
    assert because(run(engine, evidence=True)["Day zero"]) == ["ServiceRequest/order (authoredOn)"]


def test_a_relation_rests_on_both_ends(engine: Engine) -> None:
    assert because(run(engine, evidence=True)["Before any therapy"]) == [
        "Condition/pain (recordedDate, id)",
        "Procedure/early (status, performed)",
    ]


def test_a_comparison_rests_on_what_it_read(engine: Engine) -> None:
    (evidence,) = run(engine, evidence=True)["Length in cm"].evidence
    assert evidence.resource is LENGTH
    assert evidence.paths == ("value",)


def test_the_order_of_the_chart_does_not_change_what_counts(engine: Engine) -> None:
    for define in ("Long enough", "Newest", "Painful knee", "Both", "Either"):
        forth = run(engine, CHART, evidence=True)[define]
        back = run(engine, CHART[::-1], evidence=True)[define]
        assert forth.value == back.value
        assert set(because(forth)) == set(because(back))


def test_without_asking_there_is_none(engine: Engine) -> None:
    result = run(engine)["Long enough"]
    assert result.evidence == ()
    assert result.missing == ()


def test_evidence_may_nest_deeper_than_calls() -> None:
    """A thousand defines, each resting on the one before and asked for in that order."""
    condition = {"resourceType": "Condition", "id": "pain"}
    log: list[Any] = [(condition, "onset", True)]
    for _ in range(5000):
        log = [log, Only([log]), (condition, "code", True)]
    assert [str(item) for item in Unfolded().evidence(log)] == ["Condition/pain (onset, code)"]


def test_what_each_of_many_quotes_is_not_kept_for_each() -> None:
    """Of a thousand findings each is compared with all: a million entries, if each kept what it quotes."""
    findings = [{"resourceType": "Observation", "id": f"o{number}"} for number in range(1000)]
    everyone: list[Any] = [(finding, "code", True) for finding in findings]
    log: list[Any] = [[(finding, "value", True), Only([everyone]), everyone] for finding in findings]

    tracemalloc.start()
    try:
        told = Unfolded().evidence(log)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert [set(item.paths) for item in told] == [{"code", "value"}] * 1000
    assert most < 15_000_000


def test_an_assumption_has_no_evidence_and_keeps_that_of_the_rest(engine: Engine) -> None:
    result = run(engine, evidence=True, assuming={"Injected": True})["Both"]
    assert result.value is True
    assert [item.reference for item in result.evidence] == ["Procedure/early", "ServiceRequest/order"]


def test_an_explanation_is_a_tree_with_places_values_and_evidence(engine: Engine) -> None:
    root = run(engine).explain("Either")
    steps: list[Any] = [root]
    for step in steps:
        steps.extend(step.children)
    either = next(step for step in steps if step.kind == "Or")
    assert either.value is True
    assert either.locator is not None
    assert either.library == "Therapy|1.0.0"
    assert [child.name for child in either.children] == ["Injected", "Long enough"]
    text = "\n".join(root.lines())
    assert text.startswith('define "Either" = true')
    assert "no Procedure with code in Injection" in text
    assert "<- Procedure/early (status, performed)" in text


def test_an_explanation_can_be_kept_short(engine: Engine) -> None:
    root = run(engine).explain("Either")
    assert len(list(root.lines(depth=1))) == 2
    many = [therapy(f"t{n}", "2026-01-05") for n in range(50)]
    assert any("more" in line for line in run(engine, many).explain("Done").lines(width=10))
