"""`davinci-payer policy …`: the coverage policies, and cases run through them.

`test` runs cases at the core (`determine`) or at the doors. A package that is a door offers a module
`cases` with `door(catalog) -> Door`; it is found by name, so that nothing here knows any guide.
"""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Annotated, Protocol

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from server.elm import ElmError
from server.policy.cases import Case, CaseError, Expected, Vignette, case_of, differences, of_regions, read
from server.policy.catalog import Catalog, CatalogError, Policy
from server.policy.determination import Determination, Met
from server.policy.determine import determine, evaluated
from server.policy.difference import State, changes
from server.policy.document import document
from server.policy.faults import faults
from server.policy.policies import BY_NAME
from server.terminal import console, day_of, stop

app = typer.Typer(name="policy", help="Coverage policies, and cases run through them.", no_args_is_help=True)

DAY_ZERO = "2026-06-15"
CORE = "core"
DOORS = ("crd", "dtr", "pas")
ALL = "all"

Files = Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="Files of cases, JSON.")]
File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A file of cases.")]
CaseId = Annotated[str, typer.Option(help="Id of the case; not needed where the file has but one.")]
Day = Annotated[str, typer.Option(help="Day zero of the cases, on which policies are in force.")]


class Door(Protocol):
    """A way to put a case to the server, and what it answered otherwise than expected."""

    def differences(self, case: Case, expected: Expected) -> Sequence[str]: ...


class Core:
    """The rules themselves, without any door."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def differences(self, case: Case, expected: Expected) -> Sequence[str]:
        return differences(expected, judged(case, self._catalog, hints=False))


@app.callback()
def group() -> None:
    """Coverage policies, and cases run through them."""


@app.command("list")
def list_policies() -> None:
    """The policies, their codes, and the days they are in force."""
    table = Table("Policy", "Version", "Region", "Title", "Codes", "From", "Until", "Guideline")
    for policy in _catalog().policies:
        table.add_row(
            policy.id,
            policy.version,
            policy.region,
            policy.title,
            " ".join(sorted(policy.codes)),
            policy.effective.start.isoformat(),
            policy.effective.end.isoformat() if policy.effective.end else "",
            policy.guideline,
        )
    console().print(table)


@app.command()
def show(
    policy: Annotated[
        str, typer.Argument(help="Id, region or library of a policy; of several versions the last.")
    ],
) -> None:
    """A policy's criteria: what each asks, where it comes from, and what the plans set."""
    catalog = _catalog()
    found = _policy(catalog, policy)
    out = console()
    out.print(f"[bold]{found.title}[/bold]  {found.canonical}, in force {found.effective}")
    out.print(f"Owner: {found.owner}. Guideline: {found.guideline}. Form: {found.questionnaire}")
    table = Table("Criterion", "Title", "Theme", "Guideline", "Met where", "Questions", show_lines=True)
    applied = set(catalog.engine.defines(found.library))
    for criterion in (each.spoken(BY_NAME) for each in found.criteria.values() if each.id in applied):
        table.add_row(
            criterion.id,
            criterion.title,
            criterion.theme or "",
            criterion.guideline,
            criterion.satisfy,
            " ".join(criterion.questions),
        )
    out.print(table)
    plans = Table("Parameter", *catalog.plans)
    told = {name: plan.parameters(found) for name, plan in catalog.plans.items()}
    for parameter in sorted({parameter for each in told.values() for parameter in each}):
        plans.add_row(parameter, *(str(each.get(parameter, "")) for each in told.values()))
    out.print(plans)


@app.command()
def check(
    root: Annotated[
        Path | None, typer.Argument(exists=True, file_okay=False, help="Folder of policy data; ours without.")
    ] = None,
) -> None:
    """Load all policy data and say what does not fit together."""
    try:
        catalog = Catalog.load(root)
    except CatalogError as error:
        stop(error, 1)
    found = list(faults(catalog))
    for fault in found:
        typer.echo(fault)
    typer.echo(f"{len(catalog.policies)} policies, {len(catalog.plans)} plans, {len(found)} faults")
    if found:
        raise typer.Exit(1)


@app.command()
def docs() -> None:
    """All policies as one Markdown page, for those who answer for them."""
    typer.echo(document(_catalog()), nl=False)


@app.command("test")
def run_cases(
    files: Files,
    door: Annotated[str, typer.Option(help="core, crd, dtr, pas or all.")] = CORE,
    region: Annotated[str, typer.Option(help="Only these regions: SH,LS.")] = "",
    day: Day = DAY_ZERO,
) -> None:
    """Run each case against a clean store and compare the outcome with what it expects."""
    vignettes, day_zero = _vignettes(files, region), day_of(day, "--day")
    catalog = _catalog(day_zero)
    doors = _doors(door, catalog)
    table = Table("Case", "Door", "Outcome", "Why", title=f"{len(vignettes)} cases")
    good = 0
    with _progress() as bar:
        for vignette in bar.track(vignettes, description="Cases"):
            for name, way in doors.items():
                found = _tried(way, vignette, day_zero, catalog)
                good += not found
                table.add_row(
                    vignette.id,
                    name,
                    "[green]as expected[/green]" if not found else "[red]" + "\n".join(found) + "[/red]",
                    vignette.why,
                )
    console().print(table)
    total = len(vignettes) * len(doors)
    typer.echo(f"{good} of {total} cases as expected")
    if good < total:
        raise typer.Exit(1)


@app.command()
def diff(
    old: Annotated[str, typer.Argument(help="A folder of policy data, or a date: ours as in force then.")],
    new: Annotated[str, typer.Argument(help="The same, to compare it with.")],
    files: Annotated[
        list[Path] | None, typer.Argument(exists=True, dir_okay=False, help="Files of cases, JSON.")
    ] = None,
    region: Annotated[str, typer.Option(help="Only these regions: SH,LS.")] = "",
    day: Day = DAY_ZERO,
) -> None:
    """All cases under two states of the policies: whose outcome changes.

    Without files the project's own cases are taken.
    """
    vignettes = _vignettes(files or _own_cases(), region)
    try:
        before, after = State.of(old, day_of(day, "--day")), State.of(new, day_of(day, "--day"))
    except (CatalogError, ValueError) as error:
        stop(error)
    table = Table("Case", "Before", "After", "What the case is about")
    changed = 0
    with _progress() as bar:
        compared = changes(before, after, vignettes)
        for change in bar.track(compared, total=len(vignettes), description="Cases"):
            if change is not None:
                changed += 1
                table.add_row(change.vignette.id, str(change.before), str(change.after), change.vignette.why)
    if changed:
        console().print(table)
    typer.echo(f"{changed} of {len(vignettes)} cases come out otherwise")


@app.command()
def compare(file: File, case: CaseId = "", day: Day = DAY_ZERO) -> None:
    """One case under each plan: what it comes to, for want of what."""
    vignette, day_zero = _named(file, case), day_of(day, "--day")
    catalog = _catalog(day_zero)
    table = Table("Plan", "Outcome", "In the way", "Because")
    for plan in catalog.plans:
        under = msgspec.structs.replace(vignette, plan=plan)
        said = judged(_laid_out(under, day_zero, catalog), catalog)
        table.add_row(plan, said.decision, ", ".join(each.id for each in said.in_the_way), said.reason)
    console().print(table)


@app.command()
def explain(
    file: File,
    case: CaseId = "",
    define: Annotated[
        str, typer.Option(help="A define of the policy's CQL, or of its facts: its value, as a tree.")
    ] = "",
    depth: Annotated[int, typer.Option(help="Levels of the tree of a define.")] = 6,
    day: Day = DAY_ZERO,
) -> None:
    """Why a case comes out as it does: its criteria with their evidence, or one define as a tree."""
    vignette, day_zero = _named(file, case), day_of(day, "--day")
    catalog = _catalog(day_zero)
    laid_out = _laid_out(vignette, day_zero, catalog)
    if define:
        for line in _define(laid_out, define, depth, catalog):
            typer.echo(line)
        return
    said = judged(laid_out, catalog)
    out = console()
    out.print(f"[bold]{said.title}[/bold] under {said.plan}: [bold]{said.decision}[/bold]. {said.reason}")
    out.print(_criteria(said))
    for way in said.ways:
        out.print(f"A way to approval: {', '.join(way)}")
    for difference in differences(vignette.expected, said):
        out.print(f"[red]{difference}[/red]")


def _named(file: Path, case: str) -> Vignette:
    """The case of this id; without one the only case of the file."""
    found = [vignette for vignette in _read(file) if case in ("", vignette.id)]
    if not found or (len(found) > 1 and not case):
        told = f"no case {case}" if case else f"{len(found)} cases: name one by --case"
        stop(f"{file.name} has {told}")
    return found[0]


def judged(case: Case, catalog: Catalog, *, hints: bool = True) -> Determination:
    """What the rules say of a case."""
    return determine(case.order, case.member, case.chart, catalog.plan(case.plan), case.now, hints=hints)


def _progress() -> Progress:
    """On the terminal only; a log has no use for it."""
    return Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())


def _vignettes(files: Sequence[Path], region: str) -> list[Vignette]:
    """The cases of these regions, of all where none is named. Where there is none, nothing was tried."""
    regions = [name.strip().upper() for name in region.split(",") if name.strip()]
    found = [vignette for file in files for vignette in of_regions(_read(file), regions)]
    if not found:
        names = ", ".join(file.name for file in files)
        stop(f"{names}: no cases{' of ' if regions else ''}{', '.join(regions)}")
    return found


def _own_cases() -> list[Path]:
    found = sorted((Path(__file__).parents[2] / "tests" / "vignettes").glob("*.json"))
    if not found:
        stop("name the files of cases: this installation carries none")
    return found


def _criteria(said: Determination) -> Table:
    words = {Met.YES: "[green]met[/green]", Met.NO: "[red]not met[/red]", Met.UNKNOWN: "unknown"}
    table = Table("Criterion", "Value", "In the way", "Sentence", "Evidence", "Missing", show_lines=True)
    for criterion in said.criteria:
        table.add_row(
            criterion.id,
            words[criterion.value],
            "yes" if criterion.in_the_way else "",
            criterion.sentence,
            "\n".join(f"{e.reference} {e.summary}" for e in criterion.evidence),
            "\n".join(criterion.missing),
        )
    return table


def _define(case: Case, name: str, depth: int, catalog: Catalog) -> Iterator[str]:
    policy = catalog.policy_for(case.order, case.day_zero)
    if policy is None:
        stop("no policy governs this case")
    own, facts = (catalog.engine.defines(library) for library in (policy.library, policy.prefill))
    if name not in own and name not in facts:
        like = ", ".join(get_close_matches(name, {*own, *facts}))
        stop(f"the policy of this case has no define {name}" + (f"; {like}?" if like else ""))
    run = evaluated(policy, case.order, case.member, case.chart, catalog.plan(case.plan), case.now)
    try:
        yield from run.explain(name if name in own else f"{policy.prefill}.{name}").lines(depth)
    except ElmError as error:
        stop(error, 1)


def _catalog(day: dt.date | None = None) -> Catalog:
    """All policy data. On a day without a policy no case says anything, and the program ends."""
    try:
        catalog = Catalog.load()
    except CatalogError as error:
        stop(error)
    if day and not any(policy.effective.holds(day) for policy in catalog.policies):
        first = min(policy.effective.start for policy in catalog.policies)
        stop(f"--day {day}: no policy is in force then; the first begins on {first}")
    return catalog


def _policy(catalog: Catalog, name: str) -> Policy:
    found = [p for p in catalog.policies if name in (p.id, p.region, p.library, p.canonical)]
    if not found:
        known = ", ".join(policy.id for policy in catalog.policies)
        stop(f"there is no policy {name}; there are {known}")
    return max(found, key=lambda policy: policy.effective.start)


def _read(file: Path) -> Sequence[Vignette]:
    try:
        return read(file)
    except CaseError as error:
        stop(error)


def _laid_out(vignette: Vignette, day: dt.date, catalog: Catalog) -> Case:
    try:
        return _case(vignette, day, catalog)
    except CaseError as error:
        stop(error)


def _case(vignette: Vignette, day: dt.date, catalog: Catalog) -> Case:
    """Raises CaseError."""
    vignette.check_plan(catalog.plans)
    return case_of(vignette, day, catalog.payer)


def _doors(asked: str, catalog: Catalog) -> dict[str, Door]:
    """The ways to put a case, by name; the names asked for must exist."""
    names = (CORE, *DOORS) if asked == ALL else tuple(asked.split(","))
    doors: dict[str, Door] = {}
    for name in names:
        if name == CORE:
            doors[name] = Core(catalog)
        elif name in DOORS:
            doors[name] = import_module(f"server.{name}.cases").door(catalog)
        else:
            stop(f"there is no door {name}: core, crd, dtr, pas or all")
    return doors


def _tried(door: Door, vignette: Vignette, day: dt.date, catalog: Catalog) -> Sequence[str]:
    """Differences; a case that cannot be laid out or judged differs by the reason."""
    try:
        return door.differences(_case(vignette, day, catalog), vignette.expected)
    except CaseError as error:
        return (str(error),)
