"""`python -m server.store.migrations "Authorizations know their units"`: write the migration that leads
from the history so far to the tables as they are now."""

import sys
import tempfile
from pathlib import Path

from alembic import command

from server.store import Store
from server.store.migrations import configuration


def write(message: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(f"sqlite:///{folder}/history.db")
        with store.engine.begin() as connection:
            versions = Path(__file__).parent / "versions"
            number = f"{len(list(versions.glob('[0-9]*.py'))) + 1:04}"
            command.revision(configuration(connection), message, autogenerate=True, rev_id=number)
        store.close()


write(" ".join(sys.argv[1:]) or sys.exit("Say in a sentence what the migration does."))
