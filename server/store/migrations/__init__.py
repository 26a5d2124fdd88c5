"""The schema's history, applied at start. Expand first, contract in a later release: replicas roll one by
one."""

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, func, select

TURN = 4_105_741
"""The lock under which PostgreSQL is migrated: any number that nobody else takes."""


def upgrade(engine: Engine) -> None:
    """Applies what is missing, in one transaction: two processes that start together take turns."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(TURN)))
        command.upgrade(configuration(connection), "head")


def configuration(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", "server.store:migrations")
    config.attributes["connection"] = connection
    return config
