"""`davinci-payer inferno preset GUIDE`: preset files for the Inferno test kits.

A guide takes part with a module `server.inferno.GUIDE` that has `presets(base, day) -> Sequence[Preset]`:
`base` is the server's address without a slash at its end, `day` the day on which the kit will be run.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from server.fhir import json
from server.inferno.preset import Preset
from server.terminal import day_of, stop

app = typer.Typer(name="inferno", help="Presets for the Inferno test kits.", no_args_is_help=True)

GUIDES = ("crd", "dtr", "pas")


@app.callback()
def group() -> None:
    """Presets for the Inferno test kits."""


@app.command("preset")
def write_presets(
    guide: Annotated[str, typer.Argument(help="crd, dtr or pas.")],
    base: Annotated[str, typer.Option(help="Where the kit finds the server.")] = "http://127.0.0.1:8080",
    day: Annotated[str, typer.Option(help="The day of the run; today where left out.")] = "",
    into: Annotated[Path, typer.Option(help="Folder to write to.")] = Path("tests/inferno"),
) -> None:
    """Write the presets of a guide; each payload says what it provokes."""
    presets = presets_of(guide, base.rstrip("/"), day_of(day, "--day") if day else _today())
    into.mkdir(parents=True, exist_ok=True)
    for preset in presets:
        path = into / f"{preset.name}.json"
        path.write_bytes(written(preset))
        typer.echo(f"{path}: {preset.title}, {len(preset.inputs)} inputs")


def presets_of(guide: str, base: str, day: dt.date) -> Sequence[Preset]:
    if guide not in GUIDES:
        stop(f"there are no presets for {guide}: ask for {', '.join(GUIDES)}")
    found: Sequence[Preset] = import_module(f"server.inferno.{guide}").presets(base, day)
    return found


def written(preset: Preset) -> bytes:
    """The file as it is written: laid out for people, the same bytes every time."""
    return msgspec.json.format(json.encode(preset.content), indent=2) + b"\n"


def _today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()
