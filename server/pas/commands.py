"""`davinci-payer pas try FILE`: what would be decided about a PAS request Bundle, and why."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from server import inside, logs
from server.audit.command import running
from server.configured import beside_the_server, open_app, the_services
from server.fhir.errors import FhirError
from server.fhir.extensions import extension, value
from server.fhir.responses import FHIR_JSON
from server.pas.terms import extension_url
from server.pas.usage import use
from server.services import GUIDES
from server.terminal import day_of, stop

app = typer.Typer(name="pas", help="Prior authorization requests.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Prior authorization requests."""


@app.command("try")
def try_request(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A PAS request Bundle, JSON.")],
    version: Annotated[str, typer.Option(help="The base that reads it: 2.0 or 2.2.")] = "2.0",
) -> None:
    """Say what would be decided about the request in FILE, and why; store nothing."""
    if version not in GUIDES:
        stop(f"--version {version}: expected {' or '.join(GUIDES)}")
    logs.configure(io.StringIO())
    answer = inside.post(
        open_app(inside.within(beside_the_server())),
        f"/r{version}/fhir/Claim/$submit",
        file.read_bytes(),
        {"Content-Type": FHIR_JSON, "X-Dry-Run": "true"},
    )
    body = answer.json()
    for line in told(body) if answer.is_success else refused(body):
        typer.echo(line)
    if not answer.is_success:
        raise typer.Exit(1)


@app.command("use")
def use_authorization(
    number: Annotated[str, typer.Argument(help="The authorization number.")],
    units: Annotated[int, typer.Option(min=1, help="How many units were done.")] = 1,
    on: Annotated[str, typer.Option(help="The day of service; today where left out.")] = "",
) -> None:
    """Record that the service was done: what is used up satisfies no further order."""
    services = the_services()
    now = services.clock()
    day = day_of(on, "--on") if on else now.date()
    try:
        with running(services.store, services.clock, "pas use"), services.store.transaction() as tx:
            row = use(tx, number, units, day, now)
    except FhirError as refused:
        stop(refused, 1)
    typer.echo(f"{number}: {row.used} of {row.units} units used")


def told(bundle: dict[str, Any]) -> Iterator[str]:
    """A line an item, the words behind it indented below."""
    response = bundle["entry"][0]["resource"]
    notes = {note["number"]: note["text"] for note in response.get("processNote", [])}
    for item in response.get("item", []):
        yield f"item {item['itemSequence']}: would be {_action(item)}"
        yield from (f"    {notes.pop(number)}" for number in item.get("noteNumber", []))
    yield from (f"not processed: {text}" for text in notes.values())
    yield str(response["disposition"])


def refused(outcome: dict[str, Any]) -> Iterator[str]:
    for issue in outcome.get("issue", []):
        yield f"{', '.join(issue.get('expression', ['request']))}: {issue.get('diagnostics', issue['code'])}"


def _action(item: dict[str, Any]) -> str:
    review = extension(item["adjudication"][0], extension_url("reviewAction"))
    code = value(extension(review, extension_url("reviewActionCode"))) or {}
    return str(code["coding"][0]["code"])
