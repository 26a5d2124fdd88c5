"""What must survive: assertions, authorizations, cases, exchanges, the payer's own records.

    store = Store.open("sqlite:///payer.db")            migrates on the way
    with store.transaction() as tx:                     commits at the end, rolls back on an exception
        authorizations.issue(tx, …)
    with store.reading() as tx: …                       never waits for a writer

Modules are named after their noun (`assertions`, `authorizations`, `cases`, `exchanges`, `records`,
`work_items`, `cards`) and hold functions that take the transaction first. A decision is answered after its
block has ended: with `synchronous=FULL` it is on disk then. Which member and which order a key stands for,
the policy knows; not the store.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from os.path import samestat
from pathlib import Path
from threading import Lock
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, func, make_url, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from server.store.migrations import upgrade

Transaction = Session

AT_A_TIME = 500
"""How many rows are in memory where somebody goes through all of a year, and how many names one statement
looks for: no database takes any number."""


def some_of(names: Sequence[str]) -> Iterator[Sequence[str]]:
    """All the names, as many as one statement looks for at a time."""
    return (names[start : start + AT_A_TIME] for start in range(0, len(names), AT_A_TIME))


class _Keeping(Session):
    """A session forgets a row that nobody holds, and asks the database again for what it just wrote. A
    transaction is short, so this one keeps what it has seen."""


@event.listens_for(_Keeping, "pending_to_persistent")
@event.listens_for(_Keeping, "detached_to_persistent")
@event.listens_for(_Keeping, "loaded_as_persistent")
def _kept(session: Session, row: object) -> None:
    session.info.setdefault("rows", []).append(row)


def afterwards(tx: Transaction, do: Callable[[], None]) -> None:
    """Does it once the transaction is committed; nothing if it rolls back."""
    tx.info.setdefault("afterwards", []).append(do)


@event.listens_for(_Keeping, "after_commit")
def _committed(session: Session) -> None:
    for do in session.info.pop("afterwards", ()):
        do()


def one_by_one(tx: Transaction, key: str) -> None:
    """From here to the end of the transaction nobody else passes here with this key, and rows are as they are
    now: those seen before are asked for again, lest it be decided by what was so while this one waited. On
    SQLite nobody else writes anyway."""
    held: set[str] = tx.info.setdefault("held", set())
    if key in held or tx.get_bind().dialect.name != "postgresql":
        return
    tx.flush()
    tx.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(key, 0))))
    tx.expire_all()
    held.add(key)


class Store:
    """An open database. Shared by threads; a transaction belongs to one."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._reading = engine.execution_options(**_READING[engine.dialect.name])
        # SQLite lets one write at a time, and has the others look again after longer and longer naps.
        self._turn: AbstractContextManager[object] = (
            Lock() if engine.dialect.name == "sqlite" else nullcontext()
        )

    @classmethod
    def open(cls, url: str) -> "Store":
        """Connects and brings the schema up to date. Raises an error that is `unavailable` when there is no
        getting in. A connection that was cut while nobody used it, by a failover or a firewall, is noticed
        before a transaction begins on it, not by the request whose it would be."""
        pinged = make_url(url).get_backend_name() != "sqlite"
        engine = create_engine(url, pool_pre_ping=pinged, hide_parameters=True)
        if engine.dialect.name == "sqlite":
            _keep_from_others(str(engine.url.database))
            _speak_sqlite(engine)
        else:
            _demand_sessions(engine)
        upgrade(engine)
        return cls(engine)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Read and write. On SQLite writers queue up here, so what was read cannot change before it is
        acted on; on PostgreSQL whoever acts on a row holds it first (`cases.hold`, `subscriptions.hold`,
        `authorizations.alone`)."""
        with self._turn, _Keeping(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """Read only, from one consistent state."""
        with Session(self._reading, expire_on_commit=False) as session:
            yield session

    def close(self) -> None:
        self.engine.dispose()


def is_there(url: str) -> bool:
    """Whether there is a database to open; one that is not a file is taken to be."""
    named = make_url(url)
    return named.get_backend_name() != "sqlite" or Path(str(named.database)).exists()


def unavailable(error: BaseException) -> bool:
    """Whether the database fails, and not the statement: it is away, locked or full, or changes nothing, at
    all or for this user."""
    code = getattr(getattr(error, "orig", None), "sqlstate", None)
    return isinstance(error, OperationalError) or code in _CLOSED


_CLOSED = {"25006", "42501"}
"""Of PostgreSQL: read_only_sql_transaction, insufficient_privilege."""

_READING: dict[str, dict[str, Any]] = {
    "sqlite": {"sqlite_begin": "BEGIN"},
    "postgresql": {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
}


def _keep_from_others(path: str) -> None:
    """A new file is its owner's alone, as are those that SQLite puts beside it; one that is there stays as it
    is. Raises OSError, which names the file, where none can be made: SQLite would not say which, nor why."""
    with suppress(FileExistsError):
        os.close(os.open(Path(path).absolute(), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _demand_sessions(engine: Engine) -> None:
    """Raises OperationalError where two connections are one: behind a PgBouncer that pools by transaction,
    whoever comes next runs the statements that another prepared."""
    asked = text("SELECT pg_backend_pid()")
    with engine.connect() as one, engine.connect() as other:
        first = one.scalar(asked)
        one.commit()
        if first == other.scalar(asked):
            words = "connections are shared by a pooler, which has to pool by session"
            raise OperationalError(None, None, RuntimeError(words))


def _speak_sqlite(engine: Engine) -> None:
    """Durable (WAL, full sync), relational (foreign keys), patient (5 s for a lock), and explicit about
    begin: the driver's own habit of beginning late would let two decisions read the same state and both
    write. A file that was deleted or replaced takes no more: SQLite would go on with the one that nobody
    finds again."""
    file = Path(str(engine.url.database)).absolute()
    opened: list[os.stat_result] = []

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, record: object) -> None:
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
            connection.execute(f"PRAGMA {pragma}")
        # Not before it is open: a file of a lower layer of an image becomes another one then.
        if not opened:
            opened.append(file.stat())

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        if not (file.exists() and samestat(file.stat(), opened[0])):
            raise OperationalError(None, None, RuntimeError("the database's file was deleted or replaced"))
        connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN IMMEDIATE"))
