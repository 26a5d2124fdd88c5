"""The run: kill, start again, kill; then balance the books and print them. Ctrl-C ends the killing early."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from server.store import Store
from tests import postgresql
from tests.crash.books import Line, balanced, undelivered
from tests.crash.clients import Clients
from tests.crash.servers import Victim, crash_database
from tests.pas.conftest import FHIR
from tests.subscriptions.builders import subscription
from tests.subscriptions.endpoint import Endpoint


class Kind(StrEnum):
    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


SETTLING = 300.0
"""Seconds within which everything owed must have arrived once nobody is killed any more."""


def main(
    kills: Annotated[int, typer.Option(help="How often something is killed, on each database.")] = 100,
    database: Annotated[list[Kind] | None, typer.Option(help="Which databases; both by default.")] = None,
    clients: Annotated[int, typer.Option(help="How many submit at a time.")] = 4,
    seed: Annotated[int | None, typer.Option(help="To have the same moments again.")] = None,
) -> None:
    console, kept = Console(), True
    for kind in database or list(Kind):
        with tempfile.TemporaryDirectory(prefix="crash") as folder, opened(kind, Path(folder)) as url:
            lines, figures = run(Path(folder), url, kills, clients, random.Random(seed), kind, console)
        show(console, kind, lines, figures)
        kept = kept and not any(line.broken for line in lines)
    raise typer.Exit(0 if kept else 1)


@contextmanager
def opened(kind: Kind, folder: Path) -> Iterator[str]:
    """The URL of an empty database."""
    if kind is Kind.SQLITE:
        yield f"sqlite:///{folder / 'payer.db'}"
        return
    with postgresql.running() as url:
        yield postgresql.new_database(url, "payer")


def run(
    folder: Path, url: str, kills: int, number: int, chance: random.Random, kind: Kind, console: Console
) -> tuple[list[Line], dict[str, int]]:
    victim = Victim(folder, url)
    with Endpoint() as ids, Endpoint() as whole:
        victim.start()
        victim.ready()
        subscribed(victim.base, {"2.0": ids, "2.2": whole})
        clients = Clients(victim.base, number)
        clients.start()
        with bar(console) as progress:
            task = progress.add_task(f"Kills on {kind}", total=kills)
            with suppress(KeyboardInterrupt):
                while not progress.finished:
                    killed_at_random(victim, url, chance)
                    progress.advance(task)
            done = int(progress.tasks[0].completed)
        victim.kill()
        victim.start()
        victim.ready()
        clients.stop()
        store = Store.open(url)
        settle(store, victim.base)
        lines = list(balanced(victim.base, store, clients.told, [ids, whole]))
        store.close()
        victim.kill()
    lines.append(Line("Every request was answered in the end", len(clients.told), tuple(clients.refused)))
    heard = len(ids.events) + len(whole.events)
    once = len({told.number for told in ids.events}) + len({told.number for told in whole.events})
    return lines, {
        "kills": done + 1,
        "requests answered": len(clients.told),
        "of them sent more than once": sum(1 for told in clients.told if told.tries > 1),
        "notifications": heard,
        "of them heard again": heard - once,
    }


def killed_at_random(victim: Victim, url: str, chance: random.Random) -> None:
    """One time in five while it starts, else while it works. Leaves it starting. PostgreSQL, a server of its
    own, is what dies one time in five."""
    fate = chance.random()
    if fate > 0.8 and url.startswith("postgresql"):
        victim.ready()
        time.sleep(chance.uniform(0.0, 3.0))
        crash_database(url)
        return
    if fate < 0.2:
        time.sleep(chance.uniform(0.0, 2.0))
    else:
        victim.ready()
        time.sleep(chance.uniform(0.0, 3.0))
    victim.kill()
    victim.start()


def subscribed(base: str, inboxes: dict[str, Endpoint]) -> None:
    for version, inbox in inboxes.items():
        wish = subscription(version, inbox.url)
        place = f"{base}/r{version}/fhir/Subscription"
        httpx.post(place, json=wish, headers=FHIR, timeout=60).raise_for_status()
        inbox.wait_for("handshake")


def settle(store: Store, base: str) -> None:
    """Waits until nobody is waited for and nothing is owed, or long enough."""
    end = time.monotonic() + SETTLING
    while time.monotonic() < end:
        if not httpx.get(f"{base}/review", timeout=60).json()["items"] and not undelivered(store):
            return
        time.sleep(0.5)


def bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


def show(console: Console, kind: Kind, lines: list[Line], figures: dict[str, int]) -> None:
    console.print(f"\n{kind}: " + ", ".join(f"{number:,} {name}" for name, number in figures.items()))
    table = Table("Promise", "Tested", "Broken")
    for line in lines:
        table.add_row(line.promise, f"{line.tested:,}", f"{len(line.broken):,}" if line.broken else "none")
    console.print(table)
    for line in lines:
        for what in line.broken[:10]:
            console.print(f"  {line.promise}: {what}")


if __name__ == "__main__":
    typer.run(main)
