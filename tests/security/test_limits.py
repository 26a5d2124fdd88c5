"""How much is too much: bodies, time, work under way, calls a minute, and a database that cannot write."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import sqlite3
import ssl
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from anyio import fail_after
from anyio.to_thread import current_default_thread_limiter
from sqlalchemy import Connection, event
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

from server import inside, tls
from server.adjudication import patience
from server.crd import answer
from server.crd.ehr import completed
from server.crd.sight import read_prefetch
from server.fhir import json
from server.fhir.errors import InvalidJson, TooManyRequests
from server.security import heads
from server.security.limits import Limits, Rates
from tests.conftest import NewDatabase, started
from tests.crd import builders as hook
from tests.pas import builders as a
from tests.security.conftest import AUDITOR, BASE, NOW, Build, Town

SUBMIT = "/r2.0/fhir/Claim/$submit"
ORDER_SIGN = "/r2.0/cds-services/order-sign"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def laptop(found_town: Build) -> Town:
    return found_town(environment="development", cds_jwt="off", max_body_bytes=60_000)


@pytest.mark.parametrize(
    "path", [SUBMIT, "/r2.2/cds-services/order-sign", "/auth/token", "/review/1/approve"]
)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused_on_every_route(laptop: Town, path: str, chunked: bool) -> None:
    body = b'{"a":"' + b"x" * 70_000 + b'"}'
    content = iter([body[:30_000], body[30_000:]]) if chunked else body
    kind = "application/x-www-form-urlencoded" if path.startswith("/auth") else "application/json"
    answer = laptop.http.post(path, content=content, headers={"Content-Type": kind})

    assert answer.status_code == 413
    assert answer.json()["issue"][0]["code"] == "too-long"
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd"])
def test_a_compressed_body_never_swells_here(laptop: Town, encoding: str) -> None:
    answer = laptop.post(SUBMIT, b"\x1f\x8b" + b"\0" * 100, **{"Content-Encoding": encoding})
    assert answer.status_code == 415


def test_deep_nesting_and_endless_arrays_are_refused(found_town: Build) -> None:
    town = found_town(environment="development", cds_jwt="off")
    deep = b'{"a":' * 5_000 + b"1" + b"}" * 5_000
    entries = {"resourceType": "Bundle", "type": "collection", "entry": [{}] * 10_001}

    for body in (deep, json.encode(entries)):
        answer = town.post(SUBMIT, body)
        assert answer.status_code == 400
        assert answer.json()["issue"][0]["code"] == "too-costly"
    json.refuse_long(json.encode({"entry": [1] * 10_000}))
    with pytest.raises(InvalidJson, match="10000"):
        json.refuse_long(json.encode({"entry": [[1] * 10_001]}))


@pytest.mark.parametrize("version", ["2.0", "2.2"])
def test_more_orders_or_lines_than_can_be_answered_soon_are_refused(found_town: Build, version: str) -> None:
    town = found_town(environment="development", cds_jwt="off")
    call = hook.sign(*[hook.shoulder() for _ in range(201)], sent=hook.prefetch())
    refused = town.post(f"/r{version}/cds-services/order-sign", call)
    assert refused.status_code in (400, 422)
    assert refused.json()["issue"][0]["code"] == "too-costly"
    assert refused.json()["issue"][0]["expression"] == ["context.draftOrders"]

    lines = [{**line, "sequence": number} for number in range(1, 202) for line in a.claim()["item"][:1]]
    refused = town.post(f"/r{version}/fhir/Claim/$submit", a.request(claim=a.claim(item=lines)))
    assert refused.status_code == 400
    assert "too-costly" in [issue["code"] for issue in refused.json()["issue"]]


def test_an_order_is_not_answered_for_any_number_of_coverages(found_town: Build) -> None:
    town = found_town(environment="development", cds_jwt="off")
    cards = hook.searchset(hook.coverage(id=f"card-{number}") for number in range(101))
    call = hook.sign(hook.shoulder(), hook.shoulder(), sent={**hook.prefetch(), "coverage": cards})

    codes = {"2.0": "too-costly", "2.2": "multiple-matches"}
    for version, code in codes.items():
        refused = town.post(f"/r{version}/cds-services/order-sign", call)
        assert refused.json()["issue"][0]["code"] == code


def test_what_takes_too_long_to_judge_is_refused_whole(
    found_town: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line may take seconds where the chart is large, and there may be two hundred of them."""
    town = found_town(environment="development", cds_jwt="off")
    asked = {
        "cds-services/order-sign": hook.sign(hook.shoulder(), sent=hook.prefetch()),
        "fhir/Questionnaire/$questionnaire-package": {
            "resourceType": "Parameters",
            "parameter": [
                {"name": name, "resource": resource}
                for name, resource in (("coverage", hook.coverage()), ("order", hook.shoulder()))
            ],
        },
        "fhir/Claim/$submit": a.request(),
    }
    for path, body in asked.items():
        monkeypatch.setattr(patience, "MOST_SECONDS", -1.0)
        refused = town.post(f"/r2.0/{path}", body)
        assert refused.json()["issue"][0]["code"] == "too-costly"
        monkeypatch.undo()
        assert town.post(f"/r2.0/{path}", body).status_code == 200


def test_words_of_a_chart_are_read_once_however_long_they_are(found_town: Build) -> None:
    """A regular expression that is tried again from each blank of a run holds the interpreter, and with it
    whoever else is to be answered."""
    grade = {**hook.finding("motor-weakness", 5), "valueString": "4" + " " * 30_000}
    del grade["valueCodeableConcept"]
    goal = {**hook.therapy_plan(hook.shoulder())[0], "description": {"text": "lose " * 12_000}}
    call = hook.sign(hook.shoulder(), sent=hook.prefetch([*hook.occupational_therapy(70, 14), grade, goal]))

    town = found_town(environment="development", cds_jwt="off")
    began = time.process_time()
    assert town.post(ORDER_SIGN, call).status_code == 200
    assert time.process_time() - began < 6


@pytest.mark.parametrize(("more", "apart"), [(10, False), (10_000, True)])
def test_a_call_that_is_long_is_read_while_others_are_answered(
    laptop: Town, monkeypatch: pytest.MonkeyPatch, more: int, apart: bool
) -> None:
    """Of hundreds of thousands of findings it takes seconds: not on the loop that answers everybody."""
    threads = []

    def reading(*given: Any) -> Any:
        threads.append(threading.get_ident())
        return read_prefetch(*given)

    async def here(*given: Any, **named: Any) -> Any:
        threads.append(threading.get_ident())
        return await completed(*given, **named)

    monkeypatch.setattr(answer, "read_prefetch", reading)
    monkeypatch.setattr(answer, "completed", here)
    call = hook.sign(hook.shoulder(), sent=hook.prefetch())

    assert laptop.post(ORDER_SIGN, {**call, "more": [0] * more}).status_code == 200
    assert (threads[0] != threads[1]) is apart


async def answered(app: Any, receive: Receive, **scope: Any) -> list[Message]:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await app({"type": "http", "path": "/x", "method": "POST", "headers": [], **scope}, receive, send)
    return sent


def test_who_is_cut_off_when_the_server_stops_may_come_again(laptop: Town) -> None:
    async def story() -> list[Message]:
        asked, sent = asyncio.Event(), list[Message]()

        async def never() -> Message:
            asked.set()
            return await asyncio.Future()

        async def send(message: Message) -> None:
            sent.append(message)

        headers = [(b"content-type", b"application/json")]
        scope = {"type": "http", "path": SUBMIT, "method": "POST", "headers": headers, "query_string": b""}
        task = asyncio.create_task(laptop.app(scope, never, send))
        await asked.wait()
        task.cancel()
        await task
        return sent

    start, body = asyncio.run(story())
    assert (start["status"], dict(start["headers"])[b"retry-after"]) == (503, b"5")
    assert b"stopped" in body["body"]


def test_a_body_that_drips_is_given_up() -> None:
    async def reads(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass

    first = [{"type": "http.request", "body": b"x", "more_body": True}]

    async def drips() -> Message:
        if not first:
            await asyncio.Event().wait()  # the rest never comes
        return first.pop()

    limited = Limits(reads, most_bytes=1000, seconds=0.05, most_running=1)
    assert asyncio.run(answered(limited, drips))[0]["status"] == 408


@asynccontextmanager
async def connected(app: ASGIApp) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to the application, as the server serves it."""
    config = Config(app, log_config=None)
    config.load()
    state = ServerState()
    served = await asyncio.get_running_loop().create_server(
        lambda: heads.BoundedHead(config, state, {}), "127.0.0.1", 0
    )
    reader, writer = await asyncio.open_connection(*served.sockets[0].getsockname())
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        served.close()


def test_a_client_that_offers_http_2_is_answered_in_http_1_1_and_its_body_is_read() -> None:
    """The HTTP client of Java, in which EHRs are written, offers it over http with every request."""

    async def echoes(scope: Scope, receive: Receive, send: Send) -> None:
        asked = Request(scope, receive)
        told = f"{asked.method} {asked.url.path} {(await asked.body()).decode()}."
        await PlainTextResponse(told)(scope, receive, send)

    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAA\r\n\r\n"
    host = b" HTTP/1.1\r\nHost: payer.test\r\n"
    posted = b"POST /orders" + host + b"Content-Length: 5\r\n" + offer
    chunked = b"POST /chunks" + host + b"Transfer-Encoding: chunked\r\n" + offer

    async def story() -> list[bytes]:
        async with connected(echoes) as (reader, writer):

            async def said(*parts: bytes) -> bytes:
                for part in parts:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0)
                await reader.readuntil(b"\r\n\r\n")
                return await reader.readuntil(b".")

            return [
                await said(posted, b"first"),
                await said(posted[:50], posted[50:] + b"ne", b"xt!"),
                await said(b"GET /form" + host + offer),
                await said(chunked + b"3\r\none\r\n", b"0\r\n\r\n"),
                await said(b"GET /plain" + host + b"\r\n"),
                await said(b"GET /last" + host + offer[:-2] + b"Connection: close\r\n\r\n"),
            ]

    assert asyncio.run(story()) == [
        b"POST /orders first.",
        b"POST /orders next!.",
        b"GET /form .",
        b"POST /chunks one.",
        b"GET /plain .",
        b"GET /last .",
    ]


def test_a_head_without_end_is_refused_and_one_that_stops_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Header lines never reach a middleware: whoever listens has to stop them."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    async def told(*parts: bytes) -> bytes:
        async with connected(app) as (reader, writer):
            for part in parts:
                writer.write(part)
                await writer.drain()
            return await reader.read(15)

    first, line = b"POST / HTTP/1.1\r\nHost: payer.test\r\n", b"X-A: " + b"a" * 1000 + b"\r\n"
    body = b"Content-Length: 400000\r\n\r\n" + b"a" * 400_000

    assert asyncio.run(told(first + line * 20, body)) == b"HTTP/1.1 200 OK"
    with suppress(ConnectionResetError):
        assert asyncio.run(told(first, *[line * 100] * 30)).startswith(b"HTTP/1.1 400")
    monkeypatch.setattr(heads, "SECONDS", 0.05)
    assert asyncio.run(told(first)) == b""


def test_an_idle_client_does_not_keep_a_server_from_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under TLS: asyncio waits half a minute for a client to say good-bye, and one in a pool never does."""
    monkeypatch.setattr(heads, "FAREWELL", 0.05)
    certificate, key = tls.self_made(tmp_path, ["localhost"], dt.datetime.now(dt.UTC))
    trusting = ssl.create_default_context(cafile=str(certificate))

    def greets(address: tuple[str, int]) -> ssl.SSLSocket:
        return trusting.wrap_socket(socket.create_connection(address), server_hostname="localhost")

    async def story() -> None:
        config, state = Config(heads.BoundedHead, log_config=None), ServerState()
        config.load()
        served = await asyncio.get_running_loop().create_server(
            lambda: heads.BoundedHead(config, state, {}),
            "127.0.0.1",
            0,
            ssl=tls.server_context(certificate, key),
        )
        idle = await asyncio.to_thread(greets, served.sockets[0].getsockname())
        async with asyncio.timeout(10):
            while not state.connections:
                await asyncio.sleep(0)
            for connection in list(state.connections):
                connection.shutdown()
            while state.connections:
                await asyncio.sleep(0)
        idle.close()
        served.close()

    asyncio.run(story())


def test_one_request_too_many_is_told_to_come_again_and_health_is_answered() -> None:
    async def story() -> list[int]:
        gate = asyncio.Event()

        async def waits(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["path"] != "/health":
                await gate.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        async def nothing() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        limited = Limits(waits, most_bytes=10, seconds=1, most_running=2)
        first = [asyncio.create_task(answered(limited, nothing)) for _ in range(2)]
        await asyncio.sleep(0)
        third = await answered(limited, nothing)
        health = await answered(limited, nothing, path="/health")
        gate.set()
        later = [await task for task in first] + [await answered(limited, nothing)]
        assert (b"retry-after", b"1") in third[0]["headers"]
        return [messages[0]["status"] for messages in (third, health, *later)]

    assert asyncio.run(story()) == [503, 200, 200, 200, 200]


def test_whoever_is_slow_keeps_nobody_from_being_answered() -> None:
    """Neither who drips a body nor who does not take the answer: a stranger may be slow 500 times."""

    async def story() -> int:
        never = asyncio.Event()

        async def answers(scope: Scope, receive: Receive, send: Send) -> None:
            await receive()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b""})

        async def nothing() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def dripping() -> Message:
            await never.wait()
            return await nothing()

        async def untaken(message: Message) -> None:
            await never.wait()

        limited = Limits(answers, most_bytes=10, seconds=9, most_running=1)
        scope = {"type": "http", "path": "/x", "method": "POST", "headers": []}
        slow = [
            asyncio.create_task(limited(scope, *sides)) for sides in ((dripping, untaken), (nothing, untaken))
        ]
        await asyncio.sleep(0.01)
        third = await answered(limited, nothing)
        for each in slow:
            each.cancel()
        return int(third[0]["status"])

    assert asyncio.run(story()) == 200


def test_requests_take_turns_and_who_asks_for_health_does_not_wait(found_town: Build) -> None:
    town = found_town(environment="development", cds_jwt="off", worker_threads=1)
    held, answers = threading.Event(), list[str]()
    judge = town.app.state.services.adjudicator

    async def story() -> None:
        async with town.app.router.lifespan_context(town.app), inside.client(town.app) as http:

            async def ask(name: str, method: str, path: str, body: Any = None) -> None:
                content = json.encode(body) if body else None
                answer = await http.request(method, path, content=content, headers=JSON)
                assert answer.status_code == 200, answer.text
                answers.append(name)
                if name == "health":
                    held.set()

            calls = [
                hook.sign(hook.shoulder(id=f"order-{number}"), sent=hook.prefetch()) for number in range(3)
            ]
            asked = [
                asyncio.create_task(ask(str(number), "POST", ORDER_SIGN, call))
                for number, call in enumerate(calls)
            ]
            threads = current_default_thread_limiter()
            while threads.borrowed_tokens + threads.statistics().tasks_waiting < len(calls):
                await asyncio.sleep(0)
            assert threads.borrowed_tokens == 1
            await ask("health", "GET", "/health")
            await asyncio.gather(*asked)

    first = judge.judge

    def waits(*given: Any, **named: Any) -> Any:
        assert held.wait(10)
        return first(*given, **named)

    with patch.object(judge, "judge", waits):
        asyncio.run(story())

    assert answers == ["health", "0", "1", "2"]


def test_who_is_refused_at_the_door_does_not_wait_for_those_being_judged(found_town: Build) -> None:
    """Nor does who is let in, and then waits once more."""
    town = found_town(worker_threads=1)
    used = town.signers["harbour"].assertion(f"{BASE}{ORDER_SIGN}", NOW, iss="https://harbour.example")
    assert town.post(ORDER_SIGN, {}, used).status_code != 401

    async def story() -> list[int]:
        async with (
            town.app.router.lifespan_context(town.app),
            inside.client(town.app) as http,
            current_default_thread_limiter(),  # somebody is being judged
        ):
            with fail_after(10):
                return [
                    (await http.post(path, json={}, headers=town.as_(token))).status_code
                    for path, token in ((ORDER_SIGN, used), ("/r2.0/fhir/Claim/$submit", "unknown"))
                ]

    assert asyncio.run(story()) == [401, 401]


def test_a_bucket_empties_and_fills_again() -> None:
    now = [0.0]
    rates = Rates(lambda: now[0])
    for _ in range(60):
        rates.take("harbour", 60)
    with pytest.raises(TooManyRequests) as refused:
        rates.take("harbour", 60)
    assert refused.value.headers["Retry-After"] == "1"
    rates.take("hillside", 60)
    now[0] = 1.0
    rates.take("harbour", 60)


def test_a_client_that_asks_too_often_waits_and_another_does_not(found_town: Build) -> None:
    town = found_town(rate_limit=5)
    busy, calm = town.token("harbour"), town.token("hillside")
    statuses = [town.get("/r2.0/fhir/Questionnaire", busy).status_code for _ in range(6)]
    refused = town.get("/r2.0/fhir/Questionnaire", busy)

    assert statuses[:4] == [200] * 4
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0
    assert refused.json()["issue"][0]["code"] == "throttled"
    assert town.get("/r2.0/fhir/Questionnaire", calm).status_code == 200


def test_guessing_tokens_is_slow(found_town: Build) -> None:
    town = found_town(rate_limit=5)
    statuses = [town.get("/r2.0/fhir/ClaimResponse/1", "guess").status_code for _ in range(7)]
    assert statuses[0] == 401
    assert statuses[-1] == 429
    assert town.get("/r2.0/appropriateness/criteria/guess").status_code == 429
    assert town.get("/health").status_code == 200
    # Nobody empties the trail, and so no stranger fills it, nor by asking for what is not there.
    for method, path in (("GET", "/r2.0/fhir/Nothing/1"), ("DELETE", "/r2.2/fhir/Claim/1"), ("GET", SUBMIT)):
        assert town.http.request(method, path).status_code in (404, 405)
    assert town.get("/r2.0/fhir/AuditEvent?outcome=4", AUDITOR).json()["total"] == statuses.count(401)


def test_a_full_disk_is_a_clear_error_and_nothing_half_is_left(found_town: Build) -> None:
    town = found_town(environment="development", cds_jwt="off")
    store = town.app.state.services.store

    def shrink(connection: sqlite3.Connection, record: object = None) -> None:
        connection.execute("PRAGMA max_page_count=1")

    store.engine.dispose()
    event.listen(store.engine, "connect", shrink)
    full = town.post(SUBMIT, a.request())
    event.remove(store.engine, "connect", shrink)
    store.engine.dispose()

    assert full.status_code == 503
    assert full.headers["retry-after"]
    assert full.json()["issue"][0]["code"] == "transient"
    assert town.post(SUBMIT, a.request()).json()["entry"][0]["resource"]["outcome"]


def test_a_locked_database_is_a_clear_error_and_passes(found_town: Build) -> None:
    town = found_town(environment="development", cds_jwt="off")
    store = town.app.state.services.store

    def impatient(connection: sqlite3.Connection, record: object = None) -> None:
        connection.execute("PRAGMA busy_timeout=1")

    store.engine.dispose()
    event.listen(store.engine, "connect", impatient)
    other = sqlite3.connect(store.engine.url.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert town.post(SUBMIT, a.request()).status_code == 503
    other.execute("ROLLBACK")
    other.close()
    assert town.post(SUBMIT, a.request()).status_code == 200


def test_a_database_that_changes_nothing_any_more_is_answered_as_one_that_is_away(
    new_database: NewDatabase,
) -> None:
    """Whoever runs PostgreSQL for others has it read only while its disk is full."""
    http = started(new_database("postgresql"))
    engine = http.app.state.services.store.engine  # type: ignore[attr-defined]

    def read_only(connection: Connection) -> None:
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")

    event.listen(engine, "begin", read_only)
    refused = http.post(SUBMIT, json=a.request(), headers=JSON)
    event.remove(engine, "begin", read_only)

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert http.post(SUBMIT, json=a.request(), headers=JSON).status_code == 200
