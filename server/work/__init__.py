"""Durable background work: DBOS workflows on the store's own database.

    work = Work(store)
    work.enqueue(tx, "flush-subscription", subscription_id)       in the transaction of the decision
    work.launch({"flush-subscription": delivery.flush}, sweeps=[delivery.sweep])

What is enqueued in a transaction exists once that commits, runs in whichever process launched the work, and
is found again after a crash. Jobs are told by names and ids and read the store for the rest; running one
twice does no harm, so at least once is enough.

Until some process has launched the work for the first time there is nothing to enqueue to; the sweeps find
what is owed from then on. Each process starts its own, every so many seconds whatever is done to its clock.
DBOS keeps its registry for the process: one `Work` at a time can be launched.
"""

from __future__ import annotations

import datetime as dt
import logging
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import structlog
from dbos import DBOS, DBOSClient
from sqlalchemy import inspect
from sqlalchemy.exc import OperationalError
from tenacity import (
    retry,
    retry_if_exception,
    sleep_using_event,
    stop_after_attempt,
    stop_when_event_set,
    wait_exponential,
)

from server.clock import wall
from server.store import Store, Transaction, unavailable

QUEUE = "work"
AGAIN = "again"
"""The queue of what was tried before and can wait for what is new."""

SWEEP = "sweep"
"""The job that looks after things; and the schedule by which older versions started it."""

EVERY = 15.0
"""Seconds between two rounds of the sweeps."""

POLL = 0.2
"""Seconds between two looks at the queue: how long a decision may wait before its notification leaves."""

PAUSE = 1.0
ATTEMPTS = 13
"""Seconds until a job that the database failed is tried again, twice as long each time, and how often: a
database may be away for an hour."""

KEPT = dt.timedelta(days=1)
AT_A_TIME = 1000
"""How long the record of work that was done is kept, and how many go in one round."""

MODERN, SUBSECONDS = (3, 12), (3, 42)
"""From this Python on, DBOS asks SQLite for the time in a way that it has since this version of its own."""

OVER = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
"""How work ends; of what failed the log has told."""

PATIENCE = 5.0
"""Seconds that a server which is stopped waits for the round under way."""

Job = Callable[..., None]


class Work:
    """The queue of one server; launched where work is to be done."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._client: DBOSClient | None = None
        self._launched = False
        self._sweeper: Thread | None = None
        self._resting = Event()
        self.closing = Event()

    def enqueue(
        self, tx: Transaction, job: str, *arguments: str, delay: float = 0.0, queue: str = QUEUE
    ) -> None:
        """Has a job done after `tx` commits, `delay` seconds later; nothing if it rolls back."""
        client = self._connected(tx)
        if client is not None:
            options: Any = {"workflow_name": job, "queue_name": queue}
            if delay > 0:
                options["delay_seconds"] = delay
            client.enqueue_in_transaction(tx, options, *arguments)

    def launch(self, jobs: Mapping[str, Job], sweeps: Sequence[Callable[[], None]], executor: str) -> None:
        """Begins to work, until `close`. `executor` names this process among those that share the database,
        the same after a restart, so that it finds its own unfinished work again. Raises OperationalError
        where the database is not fit for it."""
        self._demand_subseconds()
        DBOS(
            config={
                "name": "davinci-payer",
                "system_database_url": self._store.engine.url.render_as_string(hide_password=False),
                "executor_id": executor,
                "application_version": "1",
                "console_log_level": "WARNING",
                "log_level": "WARNING",
            }
        )
        self.closing.clear()
        for name, job in jobs.items():
            DBOS.workflow(name=name)(self._as_step(name, job))

        @DBOS.workflow(name=SWEEP)
        def swept(*of_older_versions: Any) -> None:
            for each in (*sweeps, self.forget):
                with apart("sweep"):
                    each()

        DBOS.launch()
        self._launched = True
        for queue in (QUEUE, AGAIN):
            DBOS.register_queue(queue, polling_interval_sec=POLL, worker_concurrency=32)
        DBOS.delete_schedule(SWEEP)
        self._resting.clear()
        self._sweeper = Thread(target=self._sweep, args=(swept,), name=SWEEP, daemon=True)
        self._sweeper.start()

    def _demand_subseconds(self) -> None:
        """Distributions build a Python against a SQLite that may be older than it."""
        python, sqlite = sys.version_info[:2], sqlite3.sqlite_version_info
        if self._store.engine.dialect.name == "sqlite" and python >= MODERN and sqlite < SUBSECONDS:
            words = (
                f"background work on Python {'.'.join(map(str, python))} needs SQLite 3.42 and has "
                f"{sqlite3.sqlite_version}: take Python 3.11, a later SQLite, or PostgreSQL"
            )
            raise OperationalError(None, None, RuntimeError(words))

    def _sweep(self, swept: Callable[[], None]) -> None:
        """Round after round until `close`. A schedule of DBOS stands still for as long as the clock is set
        back, and makes up for every round that a leap of it passed over."""
        while not self._resting.is_set():
            with apart("sweep"):
                swept()
            self._resting.wait(EVERY)

    def forget(self, kept: dt.timedelta = KEPT) -> None:
        """Deletes the records of work that ended so long ago, some at a time: nobody asks for them, and
        they would grow for ever."""
        done = DBOS.list_workflows(
            status=OVER,
            completed_before=(wall() - kept).isoformat(),
            limit=AT_A_TIME,
            load_input=False,
            load_output=False,
        )
        if done:
            DBOS.delete_workflows([each.workflow_id for each in done])

    def close(self) -> None:
        """Stops working; what is unfinished is found again at the next launch. `closing` then tells jobs that
        wait for somebody: none is on record as having failed for that."""
        if self._sweeper is not None:
            self._resting.set()
            self._sweeper.join(PATIENCE)
            self._sweeper = None
        if self._launched:
            # Of each job that is cut here it would say that it failed.
            logging.getLogger("dbos").setLevel(logging.CRITICAL)
            DBOS.destroy(destroy_registry=True)
            self._launched = False
        self.closing.set()
        if self._client is not None:
            self._client.destroy()
            self._client = None

    def _as_step(self, name: str, job: Job) -> Job:
        """The job as a workflow of one step, tried again where the database failed it: its own progress is in
        the store. A pause between two tries would keep the process from ending, were it DBOS's own."""
        again = retry(
            retry=retry_if_exception(unavailable),
            stop=stop_after_attempt(ATTEMPTS) | stop_when_event_set(self.closing),
            wait=wait_exponential(PAUSE),
            sleep=sleep_using_event(self.closing),
            reraise=True,
        )
        step = DBOS.step(name=f"{name}-once")(again(job))

        def workflow(*arguments: str) -> None:
            step(*arguments)

        return workflow

    def _connected(self, tx: Transaction) -> DBOSClient | None:
        if self._client is None and self._ready(tx):
            engine = self._store.engine
            self._client = DBOSClient(
                system_database_engine=engine, application_name="davinci-payer", lazy=True
            )
        return self._client

    def _ready(self, tx: Transaction) -> bool:
        """Whether the work was ever launched on this database; asked within `tx`, since on SQLite nobody else
        gets in while it writes."""
        schema = None if self._store.engine.dialect.name == "sqlite" else "dbos"
        return inspect(tx.connection()).has_table("workflow_status", schema=schema)


@contextmanager
def apart(what: str, **facts: str) -> Iterator[None]:
    """What fails in this block is on record and keeps nothing else from its turn; it comes up again in the
    next round."""
    try:
        yield
    except Exception:
        structlog.get_logger().error(what, exc_info=True, **facts)
