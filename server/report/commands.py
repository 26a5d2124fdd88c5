"""`davinci-payer report …`: figures and metric records from the stored decisions and exchanges.

A guide takes part with a module `server.report.GUIDE` that has
`records(services, start, end) -> Iterator[dict]`: its metric records of the exchanges in [start, end), oldest
first, in the shape of the guide's logical model (CRDMetricData, DTRMetricData, PASMetricData).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Any

import typer

from server.app import create_app
from server.fhir import json
from server.services import Services

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
    if guide not in GUIDES or find_spec(f"server.report.{guide}") is None:
        known = [each for each in GUIDES if find_spec(f"server.report.{each}")]
        typer.echo(f"there are no metric records for {guide}: ask for {', '.join(known)}", err=True)
        raise typer.Exit(2)
    services = the_services()
    first = moment(start) if start else dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
    until = (moment(end) if end else services.clock()) + dt.timedelta(days=1)
    found: Iterator[dict[str, Any]] = import_module(f"server.report.{guide}").records(services, first, until)
    for record in found:
        typer.echo(json.encode(record).decode())


def the_services() -> Services:
    """The server's own, over the database that the settings name."""
    # The command line imports this module, so it cannot be imported before it is whole.
    from server.cli import load_settings

    services: Services = create_app(load_settings()).state.services
    return services


def moment(text: str) -> dt.datetime:
    """The beginning of a day, UTC."""
    try:
        return dt.datetime.combine(dt.date.fromisoformat(text), dt.time(), dt.UTC)
    except ValueError:
        typer.echo(f"{text}: expected a date such as 2026-01-31", err=True)
        raise typer.Exit(2) from None
