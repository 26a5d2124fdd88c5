"""`davinci-payer load FILE…`: the payer's own records, into the store."""

from pathlib import Path
from typing import Annotated

import typer

from server.adjudication import loading
from server.audit.command import running
from server.configured import load_settings
from server.fhir.errors import FhirError
from server.store import Store

app = typer.Typer()


@app.command()
def load(
    files: Annotated[
        list[Path], typer.Argument(exists=True, dir_okay=False, help="FHIR Bundles or ndjson files.")
    ],
) -> None:
    """Load members, claims history, authorizations of old, network locations and gold cards; a file is loaded
    whole or not at all, and may be loaded again."""
    settings = load_settings()
    store, clock = Store.open(settings.database_url), settings.clock()
    try:
        for file in files:
            with running(store, clock, f"load {file.name}"):
                loaded = loading.load_file(store, file, clock())
            typer.echo(
                f"{file.name}: " + (", ".join(f"{many} {kind}" for kind, many in loaded.items()) or "nothing")
            )
    except FhirError as error:
        for issue in error.issues:
            typer.echo(f"{file.name}: {issue.line}", err=True)
        raise typer.Exit(1) from None
    finally:
        store.close()
