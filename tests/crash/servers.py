"""The process that is killed, and the database. Importing this module reads and compiles the policies: a
server forked from a process that has done so starts in a second, and holds nothing of the one that was
killed."""

from __future__ import annotations

import datetime as dt
import faulthandler
import os
import signal
import tempfile
import time
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import httpx
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

from server.adjudication.adjudicator import Adjudicator
from server.app import the_catalog
from server.cli import serve
from server.pas.submit import Submit
from server.pas.versions import VERSIONS
from server.settings import Settings
from server.store import Store
from tests.crash.clients import approved, pended
from tests.pas import builders as a
from tests.serving import free_port

START = 120.0


def warm() -> None:
    """Reads and compiles what a first request would."""
    with tempfile.TemporaryDirectory(prefix="warm") as folder:
        settings = Settings(_env_file=None, database_url=f"sqlite:///{folder}/payer.db")
        store = Store.open(settings.database_url)
        adjudicator = Adjudicator(the_catalog(), settings)
        for version in VERSIONS.values():
            nobody = (lambda tx, item: None, lambda *_: None)
            submit = Submit(version, "http://payer.test", store, adjudicator, *nobody)
            for request in (approved("M-0"), pended("M-0")):
                submit.answer(a.raw(request), "", dt.datetime(2026, 11, 25, 10, tzinfo=dt.UTC))
        store.close()


warm()


class Victim:
    """One server on one database, always on the same port."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.port = free_port()
        self.log = folder / "log"
        self._folder = folder
        self._settings = {
            "PORT": str(self.port),
            "DATABASE_URL": database_url,
            "TEST_CLOCK": "2026-11-25T10:00:00Z",
            "DEMO_REVIEWER": "1",
        }
        self._context = get_context("forkserver")
        self._context.set_forkserver_preload([__name__])
        self._process: ForkServerProcess | None = None

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        given = (self._folder, self.log, self._settings)
        self._process = self._context.Process(target=live, args=given, daemon=True)
        self._process.start()

    def ready(self) -> None:
        """Waits until it answers. Raises RuntimeError with the end of its log where it never does."""
        end = time.monotonic() + START
        with httpx.Client(base_url=self.base, timeout=5) as http:
            while time.monotonic() < end and self._process is not None and self._process.is_alive():
                try:
                    if http.get("/health").status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                time.sleep(0.02)
        code = self._process.exitcode if self._process is not None else None
        raise RuntimeError(f"the server did not start (exit {code}): {self.log.read_text()[-2000:]}")

    def kill(self) -> None:
        """As the power fails: nothing is flushed, closed or said good-bye to."""
        assert self._process is not None
        self._process.kill()
        self._process.join()


def crash_database(url: str) -> None:
    """A process of PostgreSQL dies: it throws everybody out, recovers what was committed, and comes back."""
    engine = create_engine(url, poolclass=NullPool)
    others = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    with engine.connect() as connection:
        victim = connection.scalar(text(f"{others} ORDER BY random() LIMIT 1"))
    if victim is not None:
        os.kill(victim, signal.SIGKILL)
    end = time.monotonic() + START
    while time.monotonic() < end:
        time.sleep(0.2)
        with suppress(OperationalError), engine.connect():
            return
    raise RuntimeError("the database did not come back")


def live(folder: Path, log: Path, settings: dict[str, str]) -> None:
    """`davinci-payer serve` with these settings, until it is killed."""
    os.chdir(folder)
    os.environ.update(settings)
    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(said, 1)
    os.dup2(said, 2)
    faulthandler.enable()
    serve()
