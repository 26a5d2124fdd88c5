"""`davinci-payer policy`: the policies as a person looks at them, and cases run against them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from server.policy.cases import Case, misses, read_cases
from server.policy.catalog import Catalog
from server.policy.determination import Determination
from server.policy.determine import determine

app = typer.Typer(
    name="policy", help="Coverage policies and the cases they are held to.", no_args_is_help=True
)
DAY_ZERO = dt.date(2026, 3, 2)


@app.command("list")
def list_policies() -> None:
    """Every policy in force: id, library, services, guideline."""
    table = Table("Policy", "Library", "Services", "Guideline", "In force from")
    for policy in Catalog.load().policies:
        codes = ", ".join(sorted(policy.codes))
        table.add_row(policy.id, policy.canonical, codes, policy.guideline, policy.start.isoformat())
    Console().print(table)


@app.command()
def show(policy_id: Annotated[str, typer.Argument(help="For example mri-shoulder.")]) -> None:
    """One policy's criteria with theme, guideline and the questions that settle them."""
    found = next((p for p in Catalog.load().policies if p.id == policy_id), None)
    if found is None:
        typer.echo(f"There is no policy {policy_id}: see `davinci-payer policy list`.", err=True)
        raise typer.Exit(2)
    table = Table("Criterion", "Title", "Theme", "Questions", "Guideline", title=found.title)
    for criterion_id in found.themes:
        text = found.criteria.get(criterion_id)
        if text is not None:
            table.add_row(text.id, text.title, text.theme or "", ", ".join(text.questions), text.guideline)
    Console().print(table)


@app.command()
def test(
    files: Annotated[list[Path], typer.Argument(exists=True, help="Files of cases (vignettes).")],
    region: Annotated[str, typer.Option(help="Only these regions, such as SH,LS.")] = "",
) -> None:
    """Run cases; exit 0 when every one comes out as expected."""
    catalog = Catalog.load()
    wanted = {each for each in region.split(",") if each}
    cases = [case for file in files for case in read_cases(file, DAY_ZERO)]
    cases = [case for case in cases if not wanted or case.region in wanted]
    table = Table("Case", "Plan", "Decision", "Difference")
    missed = 0
    for case in cases:
        said = judged(case, catalog)
        differences = list(misses(case, said))
        missed += bool(differences)
        table.add_row(case.id, case.plan, said.decision, "\n".join(differences) or "as expected")
    console = Console()
    console.print(table)
    console.print(f"{len(cases) - missed} of {len(cases)} cases as expected", highlight=False)
    raise typer.Exit(1 if missed else 0)


@app.command()
def explain(
    file: Annotated[Path, typer.Argument(exists=True)],
    case: Annotated[str, typer.Option(help="The id of the case.")],
) -> None:
    """A case's criteria: value, sentence, evidence, and the ways to approval."""
    catalog = Catalog.load()
    found = next((each for each in read_cases(file, DAY_ZERO) if each.id == case), None)
    if found is None:
        typer.echo(f"{file} has no case {case}.", err=True)
        raise typer.Exit(2)
    print_determination(judged(found, catalog), Console())


def judged(case: Case, catalog: Catalog) -> Determination:
    """The determination of a case, on its day zero."""
    now = dt.datetime.combine(case.day_zero, dt.time(12), dt.UTC)
    return determine(case.order, case.member(), case.whole_chart(), catalog.plan(case.plan), now)


def print_determination(said: Determination, console: Console) -> None:
    """Every criterion as a line, then the outcome in words."""
    table = Table("", "Criterion", "Value", "What was found", "Evidence", title=said.title)
    for each in said.criteria:
        mark = "→" if each.in_the_way else ""
        table.add_row(
            mark, each.id, each.value, each.sentence, _references([e.reference for e in each.evidence])
        )
    console.print(table)
    console.print(f"[bold]{said.decision}[/bold]: {said.reason}")
    for way in said.ways:
        console.print(f"Would be approved with: {', '.join(way)}")


def _references(references: Sequence[str]) -> str:
    return ", ".join(references[:4]) + (" …" if len(references) > 4 else "")
