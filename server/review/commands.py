"""`davinci-payer review …`: the reviewers' desk on the command line.

It works on the store that the settings name, as the API does: a running server over the same store sends the
notifications. Of two who decide at once one does; `--revision` says what was read, and where it is left out,
what stands there now is meant. Who reads or decides here is on the audit trail, by the account that runs the
command.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from server.audit.command import running
from server.configured import the_services
from server.fhir.errors import FhirError
from server.fhir.references import local_reference
from server.pas import verdict
from server.pas.verdict import Review
from server.review.appeals import Appeals
from server.review.desk import MOST, PARTS, USUAL, Desk, Waiting, finding
from server.review.shown import answers, whole
from server.review.terms import Terms
from server.terminal import console, day_of, plain

app = typer.Typer(name="review", help="What waits for a reviewer, and deciding it.", no_args_is_help=True)

ItemId = Annotated[str, typer.Argument(help="Id of the work item, as `review list` shows it.")]
CaseId = Annotated[str, typer.Argument(help="Id of the ClaimResponse.")]
Sequence = Annotated[int, typer.Option(help="Sequence of the item.")]
By = Annotated[str, typer.Option("--by", help="Name of the reviewer who decides.")]
Npi = Annotated[str, typer.Option(help="National provider identifier of the reviewer.")]
Specialty = Annotated[str, typer.Option(help="NUCC taxonomy code of the reviewer.")]
Diagnoses = Annotated[list[str] | None, typer.Option("--diagnosis", help="ICD-10-CM code to communicate.")]
Provider = Annotated[str, typer.Option(help="For whom it is authorized: a provider of the request.")]
Revision = Annotated[
    int, typer.Option(min=0, max=2**31 - 1, help="The revision that was read; 0: the one that stands now.")
]
Day = Annotated[str, typer.Option(help="A day such as 2026-11-25.")]


@app.callback()
def group() -> None:
    """What waits for a reviewer, and deciding it."""


@app.command("list")
def list_waiting(
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="How many at most.")] = USUAL,
) -> None:
    """What waits for a reviewer, the one due first at the top."""
    with _desk("list", shows=True) as desk:
        queue = desk.queue(limit)
    table = Table("Work item", "Revision", "Service", "Plan", "Due", "Expedited", "Rules recommend", "Why")
    for waiting in queue.shown:
        told = waiting.summary
        asked = "The provider was asked. " if told["status"] == "asked" else ""
        table.add_row(
            told["id"],
            str(told["revision"]),
            f"{told['service']} {told['title']}",
            told["plan"],
            _moment(waiting.item.due),
            "yes" if told["expedited"] else "",
            told["recommendation"],
            plain(f"{asked}{waiting.gist}"),
        )
    _console().print(table)
    typer.echo(f"{queue.total} waiting")


@app.command()
def show(item: ItemId) -> None:
    """One work item: what the rules found, criterion by criterion, which documents came, and what happened so
    far."""
    with _desk("show", shows=True) as desk:
        waiting = desk.show(item)
        with desk.services.store.reading() as tx:
            told = whole(tx, waiting)
    out = _console()
    said = {
        **waiting.summary,
        "expedited": "yes" if waiting.line.expedited else "no",
        "received": _moment(waiting.line.received),
        "due": _moment(waiting.item.due),
    }
    for name, content in said.items():
        if content is not None:
            out.print(plain(f"{name}: {content}"))
    out.print(plain(f"patient: {told['patient']}"))
    out.print(_criteria(waiting.line.determination))
    for words in told["told"]:
        out.print(plain(f"told: {words}"))
    for document in told["documents"]:
        out.print(plain(f"document: {local_reference(document) or document['text']}"))
    for resource in (*told["documents"], *told["relied_on"]):
        for question, answer in answers(resource, desk.services.catalog):
            out.print(plain(f"{question} {answer}"))
    for event in told["history"]:
        at = _moment(dt.datetime.fromisoformat(event["at"]))
        out.print(plain(f"{at} item {event['item']}: {event['what']} by {event['by']}"))


@app.command()
def approve(
    item: ItemId,
    by: By,
    npi: Npi = "",
    specialty: Specialty = "",
    diagnosis: Diagnoses = None,
    provider: Provider = "",
    start: Day = "",
    end: Day = "",
    revision: Revision = 0,
) -> None:
    """Authorize as asked; --start and --end say for which days."""
    review = Review(by, npi, specialty, tuple(diagnosis or ()), provider)
    first, last = _day(start), _day(end)
    _decide("approve", item, revision, lambda desk, seen: desk.approve(item, seen, review, first, last))


@app.command()
def modify(
    item: ItemId,
    by: By,
    why: Annotated[str, typer.Option(help="Why it is not authorized as asked.")],
    code: Annotated[str, typer.Option(help="The service authorized instead.")] = "",
    units: Annotated[int | None, typer.Option(help="How many are authorized, of those asked for.")] = None,
    place: Annotated[str, typer.Option(help="CMS place of service authorized instead.")] = "",
    npi: Npi = "",
    specialty: Specialty = "",
    diagnosis: Diagnoses = None,
    provider: Provider = "",
    start: Day = "",
    end: Day = "",
    revision: Revision = 0,
) -> None:
    """Authorize something else, or less."""
    review = Review(by, npi, specialty, tuple(diagnosis or ()), provider)
    terms = Terms(_day(start), _day(end), units, code or None, why, place)
    _decide("modify", item, revision, lambda desk, seen: desk.modify(item, seen, review, terms))


@app.command()
def deny(
    item: ItemId,
    by: By,
    criterion: Annotated[str, typer.Option(help="Id of the criterion that is not met.")] = "",
    title: Annotated[str, typer.Option(help="What the criterion asks.")] = "",
    found: Annotated[str, typer.Option(help="What was found instead.")] = "",
    guideline: Annotated[str, typer.Option(help="The guideline it rests on.")] = "",
    looked_at: Annotated[str, typer.Option(help="What was looked at.")] = "",
    remedy: Annotated[str, typer.Option(help="What would change it.")] = "",
    code: Annotated[str, typer.Option(help="Reason code (X12 886).")] = "",
    npi: Npi = "",
    specialty: Specialty = "",
    revision: Revision = 0,
) -> None:
    """Deny: for what the rules recommend, or for a finding of the reviewer's own, whole."""
    parts = dict(zip(PARTS, (criterion, title, found, guideline, looked_at, remedy), strict=True))
    review = Review(by, npi, specialty)

    def denied(desk: Desk, seen: int) -> Waiting:
        return desk.deny(item, seen, review, [finding(parts)] if any(parts.values()) else [], code)

    _decide("deny", item, revision, denied)


@app.command()
def ask(
    item: ItemId,
    by: By,
    text: Annotated[str, typer.Option(help="What the provider is asked.")],
    document: Annotated[
        list[str] | None, typer.Option(help="LOINC code of a document that is wanted.")
    ] = None,
    npi: Npi = "",
    specialty: Specialty = "",
    revision: Revision = 0,
) -> None:
    """Ask the provider; the line stays pended and its clock runs on."""
    review, documents = Review(by, npi, specialty), tuple(document or ())
    _decide("ask", item, revision, lambda desk, seen: desk.ask(item, seen, review, text, documents))


@app.command()
def extend(
    item: ItemId,
    by: By,
    until: Annotated[str, typer.Option(help="The day by whose end it will be decided.")],
    why: Annotated[str, typer.Option(help="The reason, for the record.")],
    npi: Npi = "",
    revision: Revision = 0,
) -> None:
    """Let the decision clock of a line run on, once, by 14 days at most."""
    day, review = _day(until) or dt.date.min, Review(by, npi)
    _decide("extend", item, revision, lambda desk, seen: desk.extend(item, seen, review, day, why))


@app.command()
def appeal(
    case: CaseId,
    item: Sequence = 1,
    by: Annotated[str, typer.Option(help="Who appeals: provider or member.")] = "provider",
) -> None:
    """Record that a denial is contested; it stands until `outcome` says otherwise."""
    with _desk("appeal") as desk:
        Appeals(desk.services).receive(case, item, by)
    typer.echo(f"{case} item {item}: appeal received")


@app.command()
def outcome(
    case: CaseId,
    by: By,
    why: Annotated[str, typer.Option(help="The reason, for the record.")],
    overturned: Annotated[bool, typer.Option("--overturned/--upheld", help="Does the denial fall?")],
    item: Sequence = 1,
    npi: Npi = "",
) -> None:
    """Decide an appeal: overturned, the line is authorized and the provider is told."""
    with _desk("outcome") as desk:
        line = Appeals(desk.services).decide(case, item, Review(by, npi), overturned=overturned, why=why)
    number = verdict.number_of(line.item.verdict) or ""
    typer.echo(f"{case} item {item}: {verdict.action(line.item.verdict)} {number}".rstrip())


def _decide(what: str, item: str, revision: int, decision: Callable[[Desk, int], Waiting]) -> None:
    with _desk(what) as desk:
        decided = decision(desk, revision or desk.show(item).item.revision)
    told = decided.summary
    typer.echo(f"{told['id']}: {told['action']} {told['number'] or ''}".rstrip())


@contextmanager
def _desk(command: str, *, shows: bool = False) -> Iterator[Desk]:
    """The desk, for that command; `shows` says that it decides nothing."""
    services = the_services()
    with _refusals(), running(services.store, services.clock, f"review {command}", shows=shows):
        yield Desk(services)


@contextmanager
def _refusals() -> Iterator[None]:
    """What the desk refuses, said in lines a person reads."""
    try:
        yield
    except FhirError as refused:
        for issue in refused.issues:
            typer.echo(issue.diagnostics, err=True)
        raise typer.Exit(1) from None


def _criteria(said: dict[str, Any]) -> Table:
    table = Table("Criterion", "Value", "In the way", "Sentence", "Evidence", show_lines=True)
    for criterion in sorted(said["criteria"], key=lambda each: not each["in_the_way"]):
        table.add_row(
            f"{criterion['id']} {criterion['title']}",
            criterion["value"],
            "yes" if criterion["in_the_way"] else "",
            plain(criterion["sentence"]),
            plain("\n".join(f"{piece['reference']} {piece['summary']}" for piece in criterion["evidence"])),
        )
    return table


def _moment(at: dt.datetime) -> str:
    return f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"


def _day(text: str) -> dt.date | None:
    return day_of(text) if text else None


def _console() -> Console:
    """Brackets and colons are what they are: much of what is shown was written by whoever asks."""
    return console(200, markup=False, emoji=False, highlight=False)
