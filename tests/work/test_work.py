"""Durable work on either kind of database: it exists once its transaction commits, and outlives processes."""

from __future__ import annotations

import datetime as dt
import io
import logging
from queue import Queue
from threading import Condition, Event, Thread, current_thread

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

import server.work
from server import logs
from server.fhir import json
from server.store import Store, unavailable
from server.work import Work
from tests.conftest import DATABASES, NewDatabase


class Seen:
    """What a job was told, as it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self._news = Condition()

    def job(self, argument: str) -> None:
        with self._news:
            self.told.append(argument)
            self._news.notify_all()

    def wait_for(self, *arguments: str) -> None:
        with self._news:
            there = self._news.wait_for(lambda: set(arguments) <= set(self.told), timeout=30)
        assert there, f"of {arguments} only {self.told}"


def launch(work: Work, seen: Seen) -> None:
    work.launch({"note": seen.job}, sweeps=[], executor="here")


@pytest.mark.parametrize("kind", DATABASES)
def test_work_lives_and_dies_with_the_transaction_and_outlives_the_process(
    new_database: NewDatabase, kind: str
) -> None:
    store, seen = Store.open(new_database(kind)), Seen()
    work = Work(store)
    with store.transaction() as tx:
        work.enqueue(tx, "note", "before anybody ever worked here")
    launch(work, seen)
    try:
        with store.transaction() as tx:
            work.enqueue(tx, "note", "committed")
        with pytest.raises(ZeroDivisionError), store.transaction() as tx:
            work.enqueue(tx, "note", str(1 // len(rolled_back(work, tx))))
        with store.transaction() as tx:
            work.enqueue(tx, "note", "committed later")
        seen.wait_for("committed", "committed later")
        with store.transaction() as tx:
            work.enqueue(tx, "note", "left undone", delay=0.5)
    finally:
        work.close()
    assert sorted(seen.told) == ["committed", "committed later"]

    again = Work(store)
    launch(again, seen)
    try:
        seen.wait_for("left undone")
        assert kept(store) == 3
        again.forget(dt.timedelta(minutes=10))
        assert kept(store) == 3
        again.forget(dt.timedelta(minutes=-10))
        assert kept(store) <= 1, "the one that ends just now may not be on record as ended"
    finally:
        again.close()
        store.close()
    assert sorted(seen.told) == ["committed", "committed later", "left undone"]


def test_what_is_looked_after_again_and_again_keeps_to_no_calendar(
    new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a schedule the rounds stood still while the clock was set back, and all came at once where it leapt.
    One that fails keeps no other from its turn. A round is durable work as all other is."""
    monkeypatch.setattr(server.work, "EVERY", 0.01)
    store, rounds, thrice = Store.open(new_database("sqlite")), list[str](), Event()

    def fails() -> None:
        rounds.append("fails")
        raise ValueError("the first of them")

    def looks() -> None:
        rounds.append("looks")
        if len(rounds) >= 6:
            thrice.set()

    work = Work(store)
    work.launch({}, sweeps=[fails, looks], executor="here")
    try:
        assert thrice.wait(30)
    finally:
        work.close()
    done = len(rounds)
    with store.reading() as tx:
        on_record = set(tx.scalars(text("SELECT name FROM workflow_status")))
        scheduled = tx.scalar(text("SELECT count(*) FROM workflow_schedules"))
    store.close()

    assert rounds[:6] == ["fails", "looks"] * 3
    assert (on_record, scheduled) == ({server.work.SWEEP}, 0)
    assert len(rounds) == done, "the rounds end with the work"


class Written(io.StringIO):
    """A log, and whether an exception is in it."""

    def __init__(self) -> None:
        super().__init__()
        self.failure = Event()

    def write(self, text: str) -> int:
        count = super().write(text)
        if '"exception"' in text:
            self.failure.set()
        return count


def test_what_fails_is_on_record_without_what_it_was_about(new_database: NewDatabase) -> None:
    """The library that runs the jobs logs exceptions with their messages; here it is not heard by itself."""
    written = Written()
    logs.configure(written)
    store = Store.open(new_database("sqlite"))

    def fails(argument: str) -> None:
        raise ValueError(f"no such member: {argument}")

    work = Work(store)
    work.launch({"fails": fails}, sweeps=[], executor="here")
    try:
        with store.transaction() as tx:
            work.enqueue(tx, "fails", "Anna of Hillside")
        assert written.failure.wait(30)
        tries = (of_status(store, "ERROR") or Event().wait(0.03) for _ in range(1000))
        failed = next(filter(None, tries), 0)
        work.forget(dt.timedelta(minutes=-10))
        left = of_status(store, "ERROR")
    finally:
        work.close()
        store.close()
        logs.configure()
    lines = [json.decode_object(line.encode()) for line in written.getvalue().splitlines()]

    assert "Anna" not in written.getvalue()
    assert [line["exception"] for line in lines if "exception" in line] == ["ValueError"]
    assert any(place.endswith("fails") for line in lines for place in line.get("at", []))
    assert (failed, left) == (1, 0), "what the log has told of is not kept for ever"


def test_what_a_library_says_all_the_time_is_logged_now_and_then() -> None:
    written = io.StringIO()
    logs.configure(written)
    for queue in ("one", "other") * 3:
        logging.getLogger("library").warning(f"Exception in queue thread for {queue}\nIs the server running?")
    logs.configure()

    assert [line.count("thread for one") for line in written.getvalue().splitlines()] == [1, 0]


def test_a_job_that_the_database_failed_is_tried_again(
    new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database may be away for an hour."""
    pauses = [server.work.PAUSE * 2**attempt for attempt in range(server.work.ATTEMPTS - 1)]
    assert sum(pauses) > 3600
    monkeypatch.setattr(server.work, "PAUSE", 0.0)
    store, done = Store.open(new_database("sqlite")), Event()
    failures = [OperationalError("SELECT", {}, Exception("the disk is full")) for _ in range(3)]

    def unlucky() -> None:
        if failures:
            raise failures.pop()
        done.set()

    work = Work(store)
    work.launch({"unlucky": unlucky}, sweeps=[], executor="here")
    try:
        with store.transaction() as tx:
            work.enqueue(tx, "unlucky")
        assert done.wait(30)
    finally:
        work.close()
        store.close()


def test_a_job_that_waits_for_the_database_keeps_no_server_from_ending(
    new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor has it failed for that: whoever works next takes it up."""
    monkeypatch.setattr(server.work, "PAUSE", 3600.0)
    store, seen = Store.open(new_database("sqlite")), Queue[Thread]()

    def unlucky() -> None:
        seen.put(current_thread())
        raise OperationalError("SELECT", {}, Exception("the disk is full"))

    work = Work(store)
    work.launch({"job": unlucky}, sweeps=[], executor="here")
    with store.transaction() as tx:
        work.enqueue(tx, "job")
    worker = seen.get(timeout=30)
    work.close()
    worker.join(30)
    with store.reading() as tx:
        (status,) = tx.scalars(text("SELECT status FROM workflow_status WHERE name = 'job'"))
    store.close()

    assert not worker.is_alive()
    assert status == "PENDING"


def kept(store: Store) -> int:
    """How many notes there is a record of."""
    place = "workflow_status" if store.engine.dialect.name == "sqlite" else "dbos.workflow_status"
    with store.reading() as tx:
        return int(tx.scalar(text(f"SELECT count(*) FROM {place} WHERE name = 'note'")) or 0)


def of_status(store: Store, status: str) -> int:
    with store.reading() as tx:
        counted = text("SELECT count(*) FROM workflow_status WHERE status = :status")
        return int(tx.scalar(counted, {"status": status}) or 0)


def rolled_back(work: Work, tx: object) -> list[str]:
    work.enqueue(tx, "note", "rolled back")  # type: ignore[arg-type]
    return []


def test_an_sqlite_that_is_too_old_for_its_python_is_said(
    new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian 12 and RHEL 9 build Python 3.12 against an SQLite that cannot tell milliseconds."""
    monkeypatch.setattr("server.work.MODERN", (3, 11))
    monkeypatch.setattr("sqlite3.sqlite_version_info", (3, 40, 1))
    with pytest.raises(OperationalError, match=r"needs SQLite 3\.42") as stopped:
        launch(Work(Store.open(new_database("sqlite"))), Seen())

    assert unavailable(stopped.value)
