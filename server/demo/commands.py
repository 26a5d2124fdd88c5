"""`davinci-payer demo`: one MRI order after another through all three doors."""

from __future__ import annotations

import asyncio
import datetime as dt
import io
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import httpx
import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from server import inside, logs
from server.app import the_catalog
from server.clock import wall
from server.configured import load_settings, open_app
from server.demo.ehr import Ehr, Refused
from server.demo.stories import Story, laid_out, play, stories
from server.demo.tell import Step, told
from server.services import GUIDES
from server.settings import Settings
from server.terminal import console, stop

app = typer.Typer()

NAMES = ", ".join(story.case.id for story in stories())

PATIENCE = 30.0
"""Seconds to wait for an answer; the probe whether a server runs waits one."""


@app.command()
def demo(
    version: Annotated[str, typer.Option(help="The base to speak to: 2.0 or 2.2.")] = "2.0",
    story: Annotated[
        str, typer.Option(help="Only this one: " + ", ".join(s.case.id for s in stories()))
    ] = "",
    token: Annotated[str, typer.Option(help="Bearer token, where the server asks for one.")] = "",
) -> None:
    """Play orders through CRD, DTR and PAS, against the running server or, if none runs, one inside."""
    if version not in GUIDES:
        stop(f"--version {version}: expected {' or '.join(GUIDES)}")
    chosen = [each for each in stories() if story in ("", each.case.id)]
    if not chosen:
        stop(f"there is no story {story}: {NAMES}")
    try:
        asyncio.run(_played(chosen, version, token, load_settings()))
    except (Refused, httpx.TransportError) as error:
        stop(f"The server did not play along: {error}", 1)


async def _played(chosen: list[Story], version: str, token: str, settings: Settings) -> None:
    out = console(140)
    run, payer = uuid4().hex[:8], the_catalog().payer
    async with _server(settings, token) as http:
        now = await time_of(http)
        where = (
            http.base_url if str(http.base_url) != inside.BASE else "a server inside, nothing of it is kept"
        )
        out.print(f"Against {where}, base r{version}\n")
        for number, story in enumerate(chosen, start=1):
            out.rule(f"[bold]{number}. {story.title}", align="left")
            ehr = Ehr(http, version)
            played = await play(story, laid_out(story, now.date(), payer, run), ehr)
            for step in told(played, await ehr.why(played.decided)):
                _print(step, out)


async def time_of(http: httpx.AsyncClient) -> dt.datetime:
    """The server's, which a tester may have set and moved on."""
    answered = await http.get("/clock")
    return dt.datetime.fromisoformat(answered.json()["now"]) if answered.is_success else wall()


def _print(step: Step, out: Console) -> None:
    out.print(Text(f"  {step.title}", style="bold cyan"))
    for shown in step.shown:
        if shown.lead:
            out.print(Padding(Text(shown.lead), (0, 0, 0, 6)))
        table = Table(*shown.columns, box=None, pad_edge=False, show_header=bool(shown.columns))
        table.header_style = "dim"
        if not shown.columns:
            table.add_column(style="dim", no_wrap=True)
            table.add_column(overflow="fold")
        for row in shown.rows:
            table.add_row(*row)
        if shown.rows:
            out.print(Padding(table, (0, 0, 0, 6)))
    out.print()


@asynccontextmanager
async def _server(settings: Settings, token: str) -> AsyncIterator[httpx.AsyncClient]:
    """The running server, or an application over a database that ends with it."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    # What runs on this machine with a certificate of its own is spoken to as it is.
    own_certificate = settings.tls and settings.tls_cert is None
    async with httpx.AsyncClient(
        base_url=settings.base_url, headers=headers, timeout=PATIENCE, verify=not own_certificate
    ) as http:
        if await _answers(http):
            yield http
            return
    with tempfile.TemporaryDirectory() as folder:
        logs.configure(io.StringIO())
        application = open_app(
            inside.within(settings).model_copy(
                update={"database_url": f"sqlite:///{Path(folder) / 'demo.db'}"}
            )
        )
        async with inside.client(application, headers) as http:
            yield http
        application.state.services.store.close()


async def _answers(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/health", timeout=1.0)).is_success
    except httpx.TransportError:
        return False
