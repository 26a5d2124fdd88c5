"""The CQL engine: a policy's criteria, a whole Determination, growth with the chart, what-ifs, against
cql-execution, and what loading costs."""

from __future__ import annotations

import gc
import os
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from server import process
from server.demo.stories import stories
from server.elm import Engine
from server.policy.cases import case_of, read
from server.policy.catalog import Catalog, Plan
from server.policy.determine import determine, evaluated
from server.policy.request import Chart, Member, Resource
from tests.bench import Line, Times, below, milliseconds, times
from tests.crd import builders as ehr
from tests.elm.charts import DAY_ZERO, NOW, Drawer, libraries, value_sets
from tests.oracle import Oracle, available

OWN = Path(__file__).parents[1] / "vignettes"
SIZES = (10, 100, 1_000, 10_000)


def lines() -> Iterator[Line]:
    catalog = Catalog.load()
    process.settled()  # as `davinci-payer serve` does
    yield from criteria(catalog)
    yield from growth(catalog)
    yield from determinations(catalog)
    yield from what_ifs(catalog)
    yield from oracle(catalog)
    gc.unfreeze()
    yield from loading()


def order() -> dict[str, Any]:
    return {**ehr.shoulder(), "authoredOn": DAY_ZERO.isoformat()}


def chart(size: int, seed: int = 1) -> list[dict[str, Any]]:
    return Drawer(seed, value_sets()).chart(size)


def criteria(catalog: Catalog) -> Iterator[Line]:
    """A patient's record, of which the policy concerns a fifth; then a chart of which it reads everything."""
    told = next(each for each in stories() if each.title.startswith("A documented trial"))
    case = case_of(told.case, DAY_ZERO, catalog.payer)
    rest = Drawer(1, value_sets()).record(100 - len(case.chart.resources))
    subject = case.order["subject"]
    record = [*case.chart.resources, *({**each, _subject_of(each): subject} for each in rest)]
    plan = catalog.plan(case.plan)
    for name, asked, member, resources in (
        ("evidence on, a record of 100", case.order, case.member, record),
        ("evidence on, 100 all read", order(), Member(key="m", coverage=ehr.coverage()), chart(100)),
    ):
        taken = _criteria_times(catalog, plan, asked, member, resources, repeat=200)
        yield below(f"shoulder criteria, {name}", taken.median, 0.002, str(taken))


def _subject_of(resource: dict[str, Any]) -> str:
    return "patient" if "patient" in resource else "subject"


def _criteria_times(
    catalog: Catalog,
    plan: Plan,
    asked: Resource,
    member: Member,
    resources: Sequence[Resource],
    repeat: int,
) -> Times:
    policy = catalog.policy_for(asked, DAY_ZERO)
    assert policy is not None
    held = Chart(resources)

    def evaluate() -> None:
        run = evaluated(policy, asked, member, held, plan, NOW)
        for name in policy.criteria:
            if name in run:
                _ = run[name].value, run[name].evidence

    return times(evaluate, repeat=repeat)


def growth(catalog: Catalog) -> Iterator[Line]:
    for size in SIZES:
        member, plan = Member(key="m", coverage=ehr.coverage()), catalog.plan("evicore")
        taken = _criteria_times(catalog, plan, order(), member, chart(size), repeat=max(5, 2_000 // size))
        each = taken.median / size * 1e6
        yield Line(f"{size:,} resources, all read", f"{milliseconds(taken.median)}, {each:.1f} µs each")


def determinations(catalog: Catalog) -> Iterator[Line]:
    files = [Path(path) for path in filter(None, [os.environ.get("EXAMPLE_CASES")])] or sorted(
        OWN.glob("*.json")
    )
    cases = [case_of(each, DAY_ZERO, catalog.payer) for file in files for each in read(file)]
    medians = []
    for case in cases:
        plan = catalog.plan(case.plan)
        taken = times(
            lambda: determine(case.order, case.member, case.chart, plan, case.now),  # noqa: B023
            repeat=10,
            warm=2,
        )
        medians.append(taken.median)
    all_of_them = Times(tuple(medians))
    shown = f"median {milliseconds(all_of_them.median)}, worst {milliseconds(max(medians))}"
    yield below(f"determine() over {len(cases)} cases", all_of_them.median, 0.004, shown)


def what_ifs(catalog: Catalog) -> Iterator[Line]:
    plan, asked = catalog.plan("evicore"), order()
    policy = catalog.policy_for(asked, DAY_ZERO)
    assert policy is not None
    member, held = Member(key="m", coverage=ehr.coverage()), Chart(chart(100))

    def once() -> Any:
        run = evaluated(policy, asked, member, held, plan, NOW)
        _ = run["Decision"].value, run["Unmet"].value, run["Unknown"].value
        return run

    def sixteen() -> None:
        run = once()
        for name in list(policy.criteria)[:16]:
            _ = run.assume({name: True}, evidence=False)["Decision"].value

    one, all_of_them = times(once, repeat=100), times(sixteen, repeat=100)
    ratio = (all_of_them.median - one.median) / one.median
    yield Line(
        "16 what-ifs of one case, against one evaluation", f"{ratio:.2f} times", "< 2 times", ratio < 2
    )


def oracle(catalog: Catalog) -> Iterator[Line]:
    if not available():
        yield Line("against cql-execution", "not measured: run `make elm` first, which brings it")
        return
    asked, resources = order(), chart(100)
    policy = catalog.policy_for(asked, DAY_ZERO)
    assert policy is not None
    defines = [name for name in policy.criteria if name in catalog.engine.defines(policy.library)]
    parameters = {**catalog.plan("evicore").parameters(policy), "goldCards": []}
    ours = times(lambda: _ours(catalog, policy.library, defines, parameters, asked, resources), repeat=100)
    with Oracle(libraries(), value_sets()) as other:
        answer = other.evaluate(
            policy.library.partition("|")[0],
            {"one": resources},
            now=NOW.isoformat(),
            defines=defines,
            parameters={**parameters, "Order": asked, "Coverage": ehr.coverage(), "memberKnown": True},
            repeat=30,
        )
    theirs = Times(tuple(each / 1000 for each in answer.milliseconds["one"][5:]))
    ratio = theirs.median / ours.median
    shown = f"{ratio:.1f} times ({milliseconds(ours.median)} to {milliseconds(theirs.median)})"
    yield Line(
        f"against cql-execution, {len(defines)} defines, 100 resources", shown, "≥ 10 times", ratio >= 10
    )


def _ours(
    catalog: Catalog, library: str, defines: list[str], parameters: dict[str, Any], asked: Any, data: Any
) -> None:
    given = {**parameters, "Order": asked, "Coverage": ehr.coverage(), "memberKnown": True}
    run = catalog.engine.evaluate(library, data=data, parameters=given, now=NOW, evidence=True)
    for name in defines:
        _ = run[name].value


def loading() -> Iterator[Line]:
    started = time.perf_counter()
    Catalog.load()
    taken = time.perf_counter() - started
    yield below("loading and compiling every library, with all policy data", taken, 1.0)
    compiled, sets = libraries(), value_sets()
    tracemalloc.start()
    engine = Engine(libraries=compiled, value_sets=sets)
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    yield Line("memory a library", f"{used / len(compiled) / 1024:.0f} KiB, {len(compiled)} libraries")
    del engine
