"""`davinci-payer report …`: figures and metric records from the stored decisions and exchanges."""

from __future__ import annotations

import csv
import datetime as dt
import sys
from collections.abc import Iterator
from importlib import import_module
from typing import Annotated, Any

import typer
from rich.table import Table

from server.configured import the_services
from server.fhir import json
from server.process import settled
from server.report.cms import figures
from server.services import Services
from server.terminal import console, day_of, stop

app = typer.Typer(name="report", help="Figures and metric records.", no_args_is_help=True)

GUIDES = ("crd", "dtr", "pas")


@app.callback()
def group() -> None:
    """Figures and metric records."""


@app.command("metrics")
def metrics(
    guide: Annotated[str, typer.Option(help="crd, dtr or pas.")],
    start: Annotated[str, typer.Option(help="First day; the beginning of all where left out.")] = "",
    end: Annotated[str, typer.Option(help="Last day; today where left out.")] = "",
) -> None:
    """Write one metric record an exchange, as ndjson, in the shape that the guide asks for."""
    if guide not in GUIDES:
        stop(f"there are no metric records for {guide}: ask for {', '.join(GUIDES)}")
    first, last = moment(start or "2000-01-01"), moment(end) if end else None
    if last is not None and last < first:
        stop(f"--end {end} comes before --start {start}")
    services = the_services()
    settled()
    until = (last or services.clock()) + dt.timedelta(days=1)
    found: Iterator[dict[str, Any]] = import_module(f"server.report.{guide}").records(services, first, until)
    for record in found:
        typer.echo(json.encode(record).decode())


@app.command("cms")
def cms(
    year: Annotated[int, typer.Option(min=2000, max=9998, help="The calendar year of the decisions, UTC.")],
    plan: Annotated[str, typer.Option(help="One plan; all where left out.")] = "",
    form: Annotated[str, typer.Option("--format", help="table, csv or json.")] = "table",
) -> None:
    """The yearly public metrics of CMS-0057-F, each figure with numerator and denominator."""
    if form not in FORMS:
        stop(f"--format {form}: expected one of {', '.join(FORMS)}")
    services = the_services()
    settled()
    if plan and plan not in services.catalog.plans:
        stop(f"there is no plan {plan}: ask for {', '.join(services.catalog.plans)}")
    with services.store.reading() as tx:
        rows = [figure.row for figure in figures(tx, services.catalog, year, plan)]
    needing = services_that_need(services, plan)
    FORMS[form](year, plan or "all plans", rows, needing)


def services_that_need(services: Services, plan: str) -> list[dict[str, Any]]:
    """Metric 1: what requires prior authorization, under a plan or under any."""
    return [
        {"code": service.code, "title": service.title}
        for service, plans in services.catalog.needing_authorization()
        if not plan or plan in plans
    ]


def _as_table(year: int, level: str, rows: list[dict[str, Any]], needing: list[dict[str, Any]]) -> None:
    table = Table("Figure", "Numerator", "Denominator", "Value", title=f"Prior authorization {year}, {level}")
    for row in rows:
        shown = "-" if row["value"] is None else f"{row['value']} {row['unit']}"
        numerator = "-" if row["numerator"] is None else str(row["numerator"])
        table.add_row(row["figure"], numerator, str(row["denominator"]), shown)
    out = console(140)
    out.print(table)
    codes = sorted({each["code"] for each in needing})
    out.print(f"Services that require prior authorization ({len(codes)}): {' '.join(codes)}")


def _as_csv(year: int, level: str, rows: list[dict[str, Any]], needing: list[dict[str, Any]]) -> None:
    """The figures, then a row a service."""
    written = csv.writer(sys.stdout, lineterminator="\n")
    written.writerow(["year", "level", "figure", "numerator", "denominator", "value", "unit"])
    for row in rows:
        written.writerow([year, level, *row.values()])
    for each in needing:
        written.writerow(
            [year, level, f"Requires authorization: {each['title']}", "", "", each["code"], "code"]
        )


def _as_json(year: int, level: str, rows: list[dict[str, Any]], needing: list[dict[str, Any]]) -> None:
    told = {"year": year, "level": level, "figures": rows, "services": needing}
    typer.echo(json.encode(told).decode())


FORMS = {"table": _as_table, "csv": _as_csv, "json": _as_json}


def moment(text: str) -> dt.datetime:
    """The beginning of a day, UTC."""
    return dt.datetime.combine(day_of(text), dt.time(), dt.UTC)
