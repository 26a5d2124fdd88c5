"""Databases for tests: copies of one that the migrations have made, empty as they left it.

Making the tables takes longer than most tests. That the migrations lead to these tables is tested with the
store.
"""

from __future__ import annotations

import tempfile
from functools import cache
from itertools import count
from pathlib import Path

from server.store import Store
from tests import postgresql

_TEMPLATE = "payer_template"
_numbers = count(1)


def sqlite(folder: Path) -> str:
    """The URL of a new database in that folder."""
    path = folder / f"payer{next(_numbers)}.db"
    path.write_bytes(_sqlite_template())
    return f"sqlite:///{path}"


def postgres(server: str) -> str:
    """The URL of a new database on the server whose first database is at that URL."""
    return postgresql.new_database(server, f"payer{next(_numbers)}", template=_postgres_template(server))


@cache
def _sqlite_template() -> bytes:
    with tempfile.TemporaryDirectory(prefix="payer") as folder:
        path = Path(folder) / "template.db"
        Store.open(f"sqlite:///{path}").close()
        return path.read_bytes()


@cache
def _postgres_template(server: str) -> str:
    Store.open(postgresql.new_database(server, _TEMPLATE)).close()
    return _TEMPLATE
