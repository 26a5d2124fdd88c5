"""What the store promises, on either kind of database."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from alembic import command
from sqlalchemy import create_engine, event, inspect, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from server.fhir import json
from server.fhir.systems import NPI
from server.policy.reading import DISTANCE
from server.store import (
    Store,
    authorizations,
    cards,
    cases,
    events,
    records,
    repeats,
    subscriptions,
    work_items,
)
from server.store import tables as stored
from server.store.migrations import configuration
from server.store.tables import Table
from tests import postgresql
from tests.conftest import DATABASES, NewDatabase, empty

NOW = dt.datetime(2026, 11, 25, 10, 0, 0, 123456, tzinfo=dt.UTC)
LATER = NOW + dt.timedelta(minutes=1)


@pytest.fixture(scope="module", params=DATABASES)
def opened(request: pytest.FixtureRequest, new_database: NewDatabase) -> Iterator[Store]:
    store = Store.open(new_database(request.param))
    yield store
    store.close()


@pytest.fixture
def store(opened: Store) -> Store:
    empty(opened)
    return opened


def case(case_id: str = "c", **changes: Any) -> stored.PaCase:
    return stored.PaCase(
        **{
            "id": case_id,
            "chain_id": case_id,
            "version": "2.2",
            "client": "",
            "member_key": "anna",
            "status": "open",
            "request": b"{}",
            "rejections": [],
            "response": {},
            "created": NOW,
            "updated": NOW,
            **changes,
        }
    )


def test_connections_cut_while_idle_cost_nobody_a_request(new_database: NewDatabase) -> None:
    url = new_database("postgresql")
    store, other = Store.open(url), Store.open(url)
    with store.reading() as tx, store.transaction() as writing:
        ours = [session.scalar(text("SELECT pg_backend_pid()")) for session in (tx, writing)]
    with other.transaction() as tx:
        tx.execute(text("SELECT pg_terminate_backend(pid) FROM unnest(:ours) AS pid"), {"ours": ours})

    with store.transaction() as tx:
        tx.add(case())
    with store.reading() as tx:
        assert cases.by_id(tx, "c") is not None
    store.close()
    other.close()


def name() -> stored.PaIdentifier:
    return stored.PaIdentifier(case_id="c", system="s", value="v", kind="claim")


def authorization(number: str, **changes: Any) -> stored.Authorization:
    return stored.Authorization(
        **{
            "number": number,
            "version": "2.2",
            "client": "",
            "member_key": "anna",
            "order_key": "order",
            "cpt": "73221",
            "side": "RT",
            "status": "active",
            "span_start": NOW.date(),
            "span_end": NOW.date(),
            "units": 1,
            "used": 0,
            "door": "pas",
            "order": {},
            "determination": {},
            "created": NOW,
            **changes,
        }
    )


def work_item(**changes: Any) -> stored.WorkItem:
    return stored.WorkItem(
        **{
            "id": "w",
            "case_id": "c",
            "sequence": 1,
            "recommendation": "review",
            "reason": "",
            "due": NOW,
            "status": "open",
            "created": NOW,
            **changes,
        }
    )


def subscribed(store: Store, own_id: str = "s") -> None:
    row = stored.Subscription(id=own_id, client="", version="2.2", status="active", resource={}, created=NOW)
    with store.transaction() as tx:
        subscriptions.keep(tx, row, ["clinic"])


def at_once(*jobs: Any) -> list[Any]:
    """Begun at the same moment, each in a thread; what each gave, or what it raised."""
    ready = Barrier(len(jobs))

    def begun(job: Any) -> Any:
        ready.wait()
        try:
            return job()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(jobs)) as threads:
        return list(threads.map(begun, jobs))


def test_the_migrations_make_what_the_tables_say(store: Store) -> None:
    kept = inspect(store.engine)

    for table in Table.metadata.sorted_tables:
        columns = {column["name"]: column["nullable"] for column in kept.get_columns(table.name)}
        assert columns == {column.name: column.nullable for column in table.columns}, table.name
        indexes = {
            index["name"]: index["column_names"]
            for index in kept.get_indexes(table.name)
            if "duplicates_constraint" not in index
        }
        assert indexes == {index.name: index.columns.keys() for index in table.indexes}, table.name


def test_lists_that_were_loaded_before_they_were_taken_apart_count_still(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/old.db"
    site = {"extension": [{"url": DISTANCE, "valueDistance": {"value": 3.5}}], "status": "active"}
    vague = {"extension": [{"url": DISTANCE, "valueDistance": {"code": "[mi_i]"}}]}
    member = {"entity": {"identifier": {"system": NPI, "value": "1457362880"}}}
    oid = "urn:oid:2.16.840.1.113883.4.6"
    by_oid = {"entity": {"identifier": {"system": oid, "value": "1457362880"}}}
    loaded = {
        "Location": [
            {"id": "near", **site},
            {"id": "closed", **site, "status": "inactive"},
            {"id": "unknown"},
            {"id": "vague", **vague},
        ],
        "Group": [{"id": "gold", "type": "practitioner", "member": [member, {}, by_oid]}],
    }
    engine = create_engine(url)
    with engine.begin() as connection:
        command.upgrade(configuration(connection), "0011")
        row = text(
            "INSERT INTO payer_record (kind, resource_id, resource, loaded) VALUES (:kind, :id, :text, :at)"
        )
        for name, resources in loaded.items():
            for each in resources:
                told = {"kind": name, "id": each["id"], "text": json.encode(each).decode()}
                connection.execute(row, {**told, "at": "2026-11-25 10:00:00"})
    engine.dispose()

    store = Store.open(url)
    with store.reading() as tx:
        assert [each["id"] for each in records.nearest_sites(tx, 10)] == ["near"]
        (listed,) = records.gold_cards(tx, ["1457362880"])
    store.close()
    assert listed["member"] == [member, by_oid]


def test_what_became_of_many_cards_is_asked_some_at_a_time(tmp_path: Path) -> None:
    """Some hundred calls may have more cards than a statement has places, in SQLite 32,766."""
    store = Store.open(f"sqlite:///{tmp_path}/cards.db")
    with store.reading() as tx:
        raw: Any = tx.connection().connection.dbapi_connection
        raw.setlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 999)
        assert cards.outcomes(tx, [str(number) for number in range(1200)]) == {}
    store.close()


def test_a_new_file_is_read_by_nobody_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.store.upgrade", lambda engine: None)
    new = Store.open(f"sqlite:///{tmp_path}/payer.db")
    with new.transaction() as tx:
        tx.execute(text("CREATE TABLE patient (name TEXT)"))
        modes = {file.name: file.stat().st_mode & 0o077 for file in tmp_path.iterdir()}
    new.close()

    assert modes == dict.fromkeys(("payer.db", "payer.db-wal", "payer.db-shm"), 0)


def test_nothing_is_written_into_a_file_that_nobody_finds_again(tmp_path: Path) -> None:
    """SQLite goes on with a deleted file, as if it were there: numbers that were told would be gone."""
    file, aside = tmp_path / "payer.db", tmp_path / "aside.db"
    store = Store.open(f"sqlite:///{file}")
    file.rename(aside)
    for replaced in (False, True):
        if replaced:
            file.touch()
        with pytest.raises(OperationalError, match="deleted or replaced"), store.transaction() as tx:
            tx.execute(text("SELECT 1"))
    aside.rename(file)
    with store.reading() as tx:
        assert tx.scalar(text("SELECT count(*) FROM pa_case")) == 0
    store.close()


def test_moments_and_digits_come_back_as_they_went_in(store: Store) -> None:
    with store.transaction() as tx:
        cases.add(tx, case(response={"value": Decimal("1.00"), "name": "Zoë"}))
    with store.reading() as tx:
        row = cases.by_id(tx, "c")

    assert row is not None
    assert row.created == NOW
    assert str(row.response["value"]) == "1.00"
    assert row.response["name"] == "Zoë"


def test_what_fails_half_way_leaves_nothing(store: Store) -> None:
    def keeping() -> None:
        with store.transaction() as tx:
            cases.add(tx, case())
            cases.complete(tx, case(), [], [name(), name()])

    with pytest.raises(IntegrityError):
        keeping()
    with store.reading() as tx:
        assert cases.by_id(tx, "c") is None


def test_a_number_is_given_once(store: Store) -> None:
    with store.transaction() as tx:
        authorizations.issue(tx, authorization("PA1"))
    with pytest.raises(IntegrityError), store.transaction() as tx:
        authorizations.issue(tx, authorization("PA1", member_key="berta"))


def test_what_is_read_is_one_state_whatever_is_written_meanwhile(store: Store) -> None:
    with store.transaction() as tx:
        cases.add(tx, case("c1"))
    with store.reading() as reader:
        before = len(cases.of_member(reader, "anna"))
        with store.transaction() as tx:
            cases.add(tx, case("c2"))
        assert len(cases.of_member(reader, "anna")) == before


@pytest.mark.parametrize("opened", ["postgresql"], indirect=True)
def test_who_only_reads_writes_nothing(store: Store) -> None:
    with pytest.raises(DBAPIError), store.reading() as tx:
        cases.add(tx, case())


def test_two_requests_for_one_order_end_in_one_number(store: Store) -> None:
    def granting(number: str) -> Any:
        def grant() -> str:
            with store.transaction() as tx:
                authorizations.alone(tx, "anna")
                held = authorizations.of_order(tx, "anna", "order")
                if held is None:
                    authorizations.issue(tx, authorization(number))
                return held.number if held else number

        return grant

    assert len(set(at_once(*(granting(f"PA{number}") for number in range(6))))) == 1


def test_the_same_bytes_at_once_are_one_case(store: Store) -> None:
    def sending(case_id: str) -> Any:
        def send() -> str:
            with store.transaction() as tx:
                return repeats.claim(tx, "", "2.2", "digest", case_id, NOW, since=NOW)

        return send

    assert len(set(at_once(*(sending(f"c{number}") for number in range(6))))) == 1


def test_of_two_changes_that_cross_one_takes_the_place(store: Store) -> None:
    with store.transaction() as tx:
        cases.add(tx, case())

    def changing(by: str) -> Any:
        def change() -> bool:
            with store.transaction() as tx:
                return cases.replace(tx, cases.hold(tx, "c"), by, LATER)

        return change

    assert sorted(at_once(*(changing(f"c{number}") for number in range(4)))) == [False, False, False, True]


@pytest.mark.parametrize("opened", ["postgresql"], indirect=True)
def test_who_waits_for_a_case_that_is_replaced_meanwhile_holds_the_next(store: Store) -> None:
    with store.transaction() as tx:
        cases.add(tx, case("c1"))

    def waiting() -> str:
        with store.transaction() as tx:
            found = cases.by_id(tx, "c1")
            assert found is not None
            return cases.hold_current(tx, found).id

    with ThreadPoolExecutor(1) as thread:
        with store.transaction() as tx:
            first = cases.hold(tx, "c1")
            held = thread.submit(waiting)
            while not held.done() and not tx.scalar(text("select count(*) from pg_locks where not granted")):
                pass
            cases.replace(tx, first, "c2", LATER)
            cases.add(tx, case("c2", chain_id="c1"))
        assert held.result() == "c2"


@pytest.mark.parametrize("opened", ["postgresql"], indirect=True)
def test_who_holds_a_case_holds_whatever_its_member_has(store: Store) -> None:
    """An extension in one request lengthens what another was granted, and ends with it."""
    with store.transaction() as tx:
        for each in (case("c1"), case("c2"), case("c3", member_key="berta")):
            cases.add(tx, each)

    def waits_for(case_id: str) -> bool:
        with store.transaction() as tx:
            tx.execute(text("set local lock_timeout = '20ms'"))
            try:
                cases.hold(tx, case_id)
            except OperationalError:
                return True
        return False

    with store.transaction() as tx:
        cases.hold(tx, "c1")
        assert [waits_for("c2"), waits_for("c3")] == [True, False]


def test_what_happened_to_a_request_is_found_without_going_through_all(tmp_path: Path) -> None:
    """SQLite went through every decision there was, with each change of a request."""
    store, asked = Store.open(f"sqlite:///{tmp_path / 'payer.db'}"), list[str]()
    event.listen(store.engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
    with store.reading() as tx:
        events.of_chain(tx, "one", events.DECIDED, events.PENDED)
        events.of_member(tx, "one", events.DECIDED)
    queries = [query for query in asked if query.startswith("SELECT")]
    with store.engine.connect() as connection:
        plans = [
            connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", ("one",)).all() for query in queries
        ]
    store.close()

    assert len(plans) == 2
    assert all("ix_pa_event_case_id" in str(plan) for plan in plans)


def test_of_two_reviewers_one_takes_the_work_item(store: Store) -> None:
    with store.transaction() as tx:
        cases.add(tx, case())
        work_items.add(tx, work_item())

    def taking() -> bool:
        with store.transaction() as tx:
            cases.hold(tx, "c")
            return work_items.take(tx, "w", 1) is not None

    assert sorted(at_once(taking, taking, taking)) == [False, False, True]


def test_events_are_numbered_without_a_gap_and_lie_in_the_order_of_their_numbers(store: Store) -> None:
    subscribed(store)

    def telling() -> None:
        for _ in range(5):
            with store.transaction() as tx:
                for each in subscriptions.concerned(tx, "", ["clinic"]):
                    subscriptions.owe(tx, each, "event-notification", NOW, "c")

    at_once(telling, telling, telling)
    with store.reading() as tx:
        line = tx.scalars(text("SELECT number FROM notice ORDER BY id")).all()

    assert line == list(range(1, 16))


def test_decisions_about_the_same_subscribers_never_wait_for_each_other(store: Store) -> None:
    for number in range(5):
        subscribed(store, f"s{number}")

    def telling() -> int:
        with store.transaction() as tx:
            found = subscriptions.concerned(tx, "", ["clinic"])
            for each in found:
                subscriptions.owe(tx, each, "event-notification", NOW, "c")
            return len(found)

    assert at_once(*[telling] * 6) == [5] * 6


def test_one_lease_at_a_time(store: Store) -> None:
    subscribed(store)

    def leasing() -> bool:
        with store.transaction() as tx:
            return subscriptions.lease(tx, "s", NOW, LATER)

    assert sorted(at_once(*[leasing] * 5)) == [False] * 4 + [True]


def test_two_processes_that_start_together_migrate_once(postgresql_url: str) -> None:
    url = postgresql.new_database(postgresql_url, "without_tables")
    first, second = at_once(lambda: Store.open(url), lambda: Store.open(url))

    for store in (first, second):
        assert isinstance(store, Store), store
        store.close()
