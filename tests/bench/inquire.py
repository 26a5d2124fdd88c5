"""`Claim/$inquire` among a million authorizations, and among a thousand.

The member asked after has five cases, as a clinic sent them; everybody else has one that is nobody's business
here, with its line, its names and its authorization, so that every index is as deep as it would be.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import text

from server.adjudication.adjudicator import Adjudicator
from server.app import the_catalog
from server.pas.inquire import Inquire
from server.pas.submit import Submit
from server.pas.versions import VERSIONS
from server.settings import Settings
from server.store import Store
from tests import postgresql
from tests.bench import Line, Times, times
from tests.crash.clients import approved, inquiry
from tests.pas import builders as a

FEW, MANY = 1_000, 1_000_000
BAR = 1.2
TURNS = 40
NOW = dt.datetime(2026, 11, 25, 10, tzinfo=dt.UTC)
VERSION = VERSIONS["2.2"]


def lines() -> Iterator[Line]:
    """On both databases: how long an inquiry takes among few and among many, and how many times as long."""
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        yield from _on("SQLite", *(f"sqlite:///{Path(folder) / name}.db" for name in ("few", "many")))
    with postgresql.running() as url:
        yield from _on("PostgreSQL", *(postgresql.new_database(url, name) for name in ("few", "many")))


def _on(database: str, one: str, other: str) -> Iterator[Line]:
    """Asked in turns, so that whatever else the machine does weighs on both."""
    ask_few, ask_many = _among(FEW, one), _among(MANY, other)
    turns = [(times(ask_few, repeat=5), times(ask_many, repeat=5)) for _ in range(TURNS)]
    few, many = (Times(tuple(second for turn in turns for second in turn[side].seconds)) for side in (0, 1))
    yield Line(f"$inquire among {FEW:,}, {database}", str(few))
    yield Line(f"$inquire among {MANY:,}, {database}", str(many))
    ratio = many.median / few.median
    yield Line("many to few", f"{ratio:.2f}", f"<= {BAR}", ratio <= BAR)


def _among(others: int, url: str) -> Callable[[], None]:
    store = Store.open(url)
    _ask_for_authorizations(store, url)
    _fill(store, others)
    return _inquiring(store)


def _inquiring(store: Store) -> Callable[[], None]:
    inquire, asked = Inquire(VERSION, "http://payer.test", store, the_catalog()), a.raw(inquiry("M-ANNA"))

    def ask() -> None:
        assert len(inquire.answer(asked, "", NOW)["parameter"]) == 5, "the member has five cases"

    return ask


def _ask_for_authorizations(store: Store, url: str) -> None:
    settings = Settings(_env_file=None, database_url=url)
    adjudicator = Adjudicator(the_catalog(), settings)
    submit = Submit(VERSION, "http://payer.test", store, adjudicator, lambda tx, item: None, lambda *_: None)
    for number in range(5):
        request = approved("M-ANNA")
        request["id"] = f"request-{number}"
        submit.answer(a.raw(request), "", NOW)


def _fill(store: Store, others: int) -> None:
    """Other members' cases, by the database's own means: from Python it would take an hour."""
    numbers = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {others}) "
    when = "'2026-11-25 10:00:00.000000'"
    with store.transaction() as tx:
        for table, columns, row in (
            (
                "pa_case",
                "id, chain_id, version, client, member_key, status, request, rejections, response, created, "
                "updated",
                f"'c' || i, 'c' || i, '2.2', '', 'other-' || i, 'final', '{{}}', '[]', '{{}}', {when}, "
                f"{when}",
            ),
            (
                '"authorization"',
                "number, version, client, member_key, order_key, cpt, side, status, span_start, span_end, "
                'units, used, door, "order", determination, created, case_id',
                "'PA' || i, '2.2', '', 'other-' || i, 'order-' || i, '73221', 'RT', 'active', '2026-12-01', "
                f"'2027-01-30', 1, 0, 'pas', '{{}}', '{{}}', {when}, 'c' || i",
            ),
            (
                "pa_item",
                "case_id, sequence, order_key, cpt, side, outcome, requested, verdict, "
                '"order", determination, expedited, received, due, decided, authorization_number',
                "'c' || i, 1, 'order-' || i, '73221', 'RT', 'A1', '{}', '{}', '{}', '{}', FALSE, "
                f"{when}, {when}, {when}, 'PA' || i",
            ),
            (
                "pa_identifier",
                "case_id, system, value, kind",
                "'c' || i, 'https://other.example/pa', 'PA-' || i, 'claim'",
            ),
        ):
            tx.execute(text(_insert(store, table, columns, numbers, row)))
    with store.transaction() as tx:
        tx.execute(text("ANALYZE"))


def _insert(store: Store, table: str, columns: str, numbers: str, row: str) -> str:
    """PostgreSQL knows what a column wants only where the values are written out."""
    if store.engine.dialect.name == "postgresql":
        row = row.replace("'2026-11-25 10:00:00.000000'", "TIMESTAMPTZ '2026-11-25 10:00:00+00'")
        row = row.replace("'2026-12-01'", "DATE '2026-12-01'").replace("'2027-01-30'", "DATE '2027-01-30'")
        if table == "pa_case":
            row = row.replace("'final', '{}'", "'final', '{}'::bytea")
    return f"INSERT INTO {table} ({columns}) {numbers} SELECT {row} FROM n"
