"""`davinci-payer dtr errors`: what apps reported about our forms, for their authors.

Reports come by `$log-questionnaire-errors` and were scrubbed before they were kept (`server.dtr.complaints`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from server.configured import of_the_server
from server.fhir import json
from server.store import Store, questionnaire_errors
from server.store.tables import QuestionnaireError
from server.terminal import on_one_line

app = typer.Typer(name="dtr", help="Forms, and what apps report about them.", no_args_is_help=True)

Limit = Annotated[int, typer.Option(min=1, max=2**31 - 1, help="How many reports, the newest first.")]


@app.callback()
def group() -> None:
    """Forms, and what apps report about them."""


@app.command("errors")
def show_errors(
    questionnaire: Annotated[
        str, typer.Option(help="Only reports about this form: its canonical, or a part of it.")
    ] = "",
    limit: Limit = 100,
    ndjson: Annotated[bool, typer.Option("--ndjson", help="One report a line, for other programs.")] = False,
) -> None:
    """Errors that apps met in our forms, the newest first."""
    store = Store.open(of_the_server().database_url)
    try:
        with store.reading() as tx:
            found = questionnaire_errors.newest(tx, limit, questionnaire)
            if ndjson:
                for error in found:
                    typer.echo(json.encode(_record(error)).decode())
                return
            for line in (line for error in found for line in _lines(error)):
                typer.echo(on_one_line(line))
            typer.echo(f"{len(found)} reports")
    finally:
        store.close()


def _record(error: QuestionnaireError) -> dict[str, Any]:
    return {
        "received": error.received.isoformat(),
        "questionnaire": error.questionnaire,
        "base": f"r{error.version}",
        "client": error.client,
        **error.content,
    }


def _lines(error: QuestionnaireError) -> Iterator[str]:
    client = f" from {error.client}" if error.client else ""
    received = error.received.isoformat(timespec="seconds")
    yield f"{received} r{error.version} {error.questionnaire}{client}"
    for issue in error.content.get("issue", []):
        yield f"    {': '.join(_parts(issue))}"


def _parts(issue: Mapping[str, Any]) -> Iterator[str]:
    details = issue.get("details", {})
    yield f"{issue.get('severity', '')} {issue.get('code', '')}".strip()
    yield from (str(coding["code"]) for coding in details.get("coding", []) if "code" in coding)
    yield from (str(text) for text in (details.get("text"), issue.get("diagnostics")) if text)
    yield from issue.get("expression", [])
