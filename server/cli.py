"""`davinci-payer`: one door for people.

A package adds commands with a `commands` module that has `app: typer.Typer`: named
(`typer.Typer(name="policy")`) it becomes a group, unnamed its commands join the top level. Such modules
stand above everything, like this one: they may import the app; nothing imports them.
"""

import atexit
import pkgutil
import signal
import socket
import sys
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import structlog
import typer
import uvicorn
from alembic.util import CommandError
from fastapi import FastAPI
from rich.console import Console
from rich.table import Table
from sqlalchemy.exc import DatabaseError
from typer.core import TyperGroup

import server
from server import background, logs, process, tls, tracing
from server.configured import load_settings, open_app
from server.demo import pages as demo_pages
from server.security.heads import BoundedHead
from server.services import GUIDES
from server.settings import Settings
from server.store import unavailable
from server.terminal import console, stop
from server.validation import guides

GRACE = 20
"""Seconds that requests under way have once the server is told to stop: who takes longer to send one, or to
take its answer, keeps nobody from it."""

IDLE = 75
"""Seconds that a connection may be idle. Load balancers keep theirs for a minute, and answer 502 for a
request that they send into one that is just being closed."""


class Door(TyperGroup):
    """What may stop any command, said in a line a person can act on: a database that cannot be had, a file
    that cannot be read or written. Ends with 1."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except DatabaseError as error:
            # A statement that the database refuses (a subclass, too) is a fault of ours.
            if type(error) is not DatabaseError and not unavailable(error):
                raise
            typer.echo(f"DATABASE_URL: {str(error.orig).partition(chr(10))[0]}", err=True)
        except CommandError as error:
            typer.echo(f"DATABASE_URL: {error}: a newer version of this server migrated it.", err=True)
        except OSError as error:
            if error.filename is None:
                raise
            typer.echo(f"{error.filename}: {error.strerror}", err=True)
        raise typer.Exit(1)


app = typer.Typer(
    cls=Door,
    help="A payer-side Da Vinci reference server for MRI prior authorization.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)


def served(settings: Settings) -> FastAPI:
    """The server, on a laptop with the page that tries it out."""
    application = open_app(settings)
    if settings.development:
        application.include_router(demo_pages.router(application))
    return application


@app.command()
def serve() -> None:
    """Run the server; HOST, PORT, TLS and the other settings come from the environment."""
    settings = load_settings()
    logs.configure()
    for name, meant in Settings.misspelt().items():
        structlog.get_logger().warning("no setting has this name", name=name, meant=meant)
    if settings.otel_exporter_otlp_endpoint:
        tracing.configure(settings.otel_exporter_otlp_endpoint)
    if settings.fhir_packages is not None:
        try:
            guides.demand(settings.fhir_packages, settings.profiles == "refuse")
        except (OSError, ValueError) as refused:
            stop(refused)
    application = served(settings)
    config = uvicorn.Config(
        application,
        host=settings.host,
        port=settings.port,
        http=BoundedHead,
        # Whoever asks next over a connection that others share begins as nobody.
        reset_contextvars=True,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_graceful_shutdown=GRACE,
        timeout_keep_alive=IDLE,
    )
    config.load()
    if settings.tls:
        certificate, key = (
            (settings.tls_cert, settings.tls_key)
            if settings.tls_cert and settings.tls_key
            else tls.self_made(Path.cwd(), settings.hosts, settings.clock()())
        )
        try:
            config.ssl = tls.server_context(certificate, key)
        except OSError as refused:
            needed = "PEM files of one key, without pass phrase, are needed."
            stop(f"TLS_CERT, TLS_KEY: {refused.strerror}; {needed}")
        if tls.run_out(certificate, settings.clock()()):
            structlog.get_logger().warning("the certificate has run out, clients refuse it")
    if settings.udap_cert is not None and tls.run_out(settings.udap_cert, settings.clock()()):
        structlog.get_logger().warning("UDAP_CERT has run out, clients refuse what is signed with it")
    address = bound(settings)
    print_banner(settings, Console(stderr=True))
    for relaxed in settings.laxity():
        structlog.get_logger().warning("relaxed for development, refused in production", what=relaxed)
    process.settled()
    # uvicorn passes the signal on once it has closed; by itself that ends the process, and nothing below.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    # A job under way ends after all else, and opens the database again: SQLite is whole once that is closed.
    atexit.register(application.state.services.store.close)
    with background.running(application.state.services):
        uvicorn.Server(config).run(sockets=[address])


def bound(settings: Settings) -> socket.socket:
    """Where the server will listen, taken before it works: a second one at an address would take itself for
    the first, and do again what that has under way. Ends the program where it is not to be had."""
    address = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET)
    address.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        address.bind((settings.host, settings.port))
    except OSError as refused:
        address.close()
        stop(f"HOST, PORT: {settings.host}:{settings.port}: {refused.strerror}", 1)
    return address


@app.command("settings")
def show_settings() -> None:
    """Print every setting: its meaning, its default, its value now."""
    settings = load_settings()
    table = Table("Setting", "Meaning", "Default", "Now", show_lines=True)
    for name, field in Settings.model_fields.items():
        now = getattr(settings, name)
        shown = "(set)" if name in _SECRET and now else _plain(now)
        table.add_row(name.upper(), field.description, _plain(field.default), shown)
    console().print(table)


_SECRET = {"static_tokens", "database_url"}


def print_banner(settings: Settings, console: Console) -> None:
    """Addresses to paste into an EHR or a test kit, and what this server lets pass because it is a
    laptop's."""
    say = partial(console.print, soft_wrap=True)  # an address must come out whole, to be copied
    say(f"\n[bold]Da Vinci payer[/bold]  {settings.base_url}/  (API: {settings.base_url}/docs)")
    for version, spoken in GUIDES.items():
        base = f"{settings.base_url}/r{version}"
        say("\n" + ", ".join(f"{guide} {number}" for guide, number in spoken.items()), style="bold")
        say(f"  CDS Hooks  {base}/cds-services")
        say(f"  FHIR       {base}/fhir")
    if settings.development:
        console.print("\n[yellow]Development:[/yellow] a token is optional; loopback and private outbound")
        console.print("addresses are allowed. ENVIRONMENT=production refuses this and:")
        for relaxation in settings.relaxations():
            console.print(f"  - {relaxation}")
        for name in settings.test_settings():
            console.print(f"  - [yellow]{name} is on[/yellow]")
    console.print()


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _add_commands_of_packages() -> None:
    for package in pkgutil.iter_modules(server.__path__, "server."):
        if package.ispkg and find_spec(f"{package.name}.commands"):
            app.add_typer(import_module(f"{package.name}.commands").app)


_add_commands_of_packages()
