"""`davinci-payer validate FILE…`, `davinci-payer ig install|list`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from server.configured import load_settings
from server.fhir import json
from server.fhir.errors import FhirError
from server.services import GUIDES
from server.settings import Settings
from server.terminal import on_one_line, plain, stop
from server.validation.guides import validator_of
from server.validation.packages import Package, found_in
from server.validation.routes import outcome

app = typer.Typer()
packages = typer.Typer(no_args_is_help=True, help="FHIR packages whose profiles are checked.")
app.add_typer(packages, name="ig")

Found = TypeVar("Found")

COLOURS = {"fatal": "red", "error": "red", "warning": "yellow", "information": "dim"}


def _folder(settings: Settings) -> Path:
    if settings.fhir_packages is None:
        stop("Set FHIR_PACKAGES to the folder that holds the packages.")
    return settings.fhir_packages


def _read(packages: Callable[[], Found]) -> Found:
    """What is among the packages, or the end of the program with what is wrong with them."""
    try:
        return packages()
    except (OSError, ValueError) as refused:
        stop(refused)


@app.command()
def validate(
    files: Annotated[list[Path], typer.Argument(help="Resources as JSON, or folders of them.")],
    version: Annotated[str, typer.Option(help="2.0 or 2.2: whose guides count.")] = "2.0",
    profile: Annotated[list[str] | None, typer.Option(help="A profile besides those claimed.")] = None,
) -> None:
    """Say what is wrong with resources; exits 1 when something is."""
    known = next((each for each in GUIDES if each == version), None)
    if known is None:
        stop(f"There is no version {version}: 2.0 or 2.2.")
    listed = [file for path in files for file in (sorted(path.rglob("*.json")) if path.is_dir() else [path])]
    if not listed:
        stop(f"{', '.join(map(str, files))}: no resources (.json)")
    folder, console, wrong = load_settings().fhir_packages, Console(), 0
    validator = _read(lambda: validator_of(folder, known))
    for file in listed:
        try:
            issues = outcome(validator, json.decode_object(file.read_bytes()), profile or [])
        except (FhirError, OSError) as error:
            typer.echo(f"{file}: {error}", err=True)
            wrong += 1
            continue
        wrong += any(issue.severity in ("error", "fatal") for issue in issues)
        console.print(Text(plain(file.name), "bold"))
        for issue in issues:
            place = on_one_line(", ".join(issue.expressions))
            console.print(Text.assemble("  ", (issue.severity, COLOURS[issue.severity]), f"  {place}"))
            console.print(Text(f"      {plain(issue.diagnostics)}"))
    if validator is not None and validator.unchecked:
        console.print("Not checked, since the packages do not tell:", style="dim")
        for each in validator.unchecked:
            console.print(Text(f"  {on_one_line(each)}", "dim"))
    console.print(f"{wrong} of {len(listed)} with errors")
    raise typer.Exit(1 if wrong else 0)


@packages.command("list")
def list_packages() -> None:
    """The packages that are installed."""
    table = Table("Package", "Version", "Definitions")
    folder = _folder(load_settings())
    for package in _read(lambda: found_in(folder)):
        table.add_row(package.name, package.version, str(len(package.definitions)))
    Console().print(table)


@packages.command("install")
def install(
    source: Annotated[Path, typer.Argument(help="A package (.tgz), or a folder of packages.")],
) -> None:
    """Put packages into FHIR_PACKAGES; each is read first, so that none is installed broken."""
    folder = _folder(load_settings())
    listed = sorted(source.glob("*.tgz")) if source.is_dir() else [source]
    for path in listed:
        try:
            package = Package.read(path)
        except (OSError, ValueError) as error:
            stop(f"{path}: {error}", 1)
        target = folder / f"{package.name}-{package.version}.tgz"
        if not target.exists() or not target.samefile(path):
            shutil.copyfile(path, target)
        typer.echo(f"{package.name} {package.version}: {len(package.definitions)} definitions")
    if not listed:
        stop(f"{source} holds no packages (.tgz).", 1)
