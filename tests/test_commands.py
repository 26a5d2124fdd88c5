"""What stops a command is said in a line that a person can act on, and the exit code tells a script."""

import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, text
from typer.testing import CliRunner

from server import logs
from server.cli import app
from tests.pas import builders as a
from tests.pas import charts

CASES = str(Path(__file__).parent / "vignettes" / "shoulder.json")
PRODUCTION = {
    "ENVIRONMENT": "production",
    "PUBLIC_BASE_URL": "https://payer.example",
    "TRUSTED_PROXIES": "127.0.0.1",
    "CLIENTS_FILE": "clients.json",
    "CDS_JWT": "on",
}
"""Where callers must say who they are; whoever runs a command need not."""


@pytest.mark.parametrize(
    ("command", "settings", "code", "words"),
    [
        (
            "load patient.json",
            {"DATABASE_URL": "sqlite:///nowhere/payer.db"},
            1,
            "/nowhere/payer.db: No such",
        ),
        ("review list", {}, 1, "no server has kept anything in sqlite:///payer.db"),
        ("report cms --year 2026", {}, 1, "no server has kept anything"),
        ("dtr errors", {}, 1, "no server has kept anything"),
        ("dtr errors", {"DATABASE_URL": "sqlite:///broken.json"}, 1, "DATABASE_URL: file is not a database"),
        ("pas use PA1", {"DATABASE_URL": "sqlite:///newer.db"}, 1, "a newer version of this server migrated"),
        ("serve", {"MEMBERS_FILE": "broken.json"}, 2, "MEMBERS_FILE: The body is not valid"),
        ("serve", {"MEMBERS_FILE": "empty"}, 1, "empty: Is a directory"),
        (
            "serve",
            {"TLS": "1", "TLS_CERT": "broken.json", "TLS_KEY": "broken.json"},
            2,
            "TLS_CERT, TLS_KEY: ",
        ),
        ("serve", {"TLS": "1", "TLS_CERT": "empty", "TLS_KEY": "empty"}, 2, "TLS_KEY: Is a directory"),
        ("serve", {"DATABASE_URL": "sqlite:///"}, 2, "DATABASE_URL: must begin"),
        ("serve", {"DATABASE_URL": "postgresql+psycopg://u@db:port/p"}, 2, "DATABASE_URL: must begin"),
        ("serve", {"PUBLIC_BASE_URL": "https://payer.example:https"}, 2, "PUBLIC_BASE_URL: Port"),
        ("serve", {"PUBLIC_BASE_URL": "https://:8443"}, 2, "PUBLIC_BASE_URL: must be"),
        ("serve", {"FHIR_PACKAGES": "empty"}, 2, "FHIR_PACKAGES lacks hl7.fhir.r4.core"),
        ("validate patient.json", {"FHIR_PACKAGES": "empty"}, 2, "FHIR_PACKAGES lacks hl7.fhir.r4.core"),
        ("ig list", {"FHIR_PACKAGES": "broken"}, 2, "broken.tgz is no FHIR package"),
        ("load typeless.json", {}, 1, "Resource.resourceType: No FHIR R4 resource"),
        ("pas try broken.json --version 3.0", {}, 2, "--version 3.0: expected 2.0 or 2.2"),
        ("pas try patient.json", PRODUCTION, 1, "The body is not a Bundle"),
        ("report cms --year 9999", {}, 2, "9998"),
        ("report cms --year 2026 --format pdf", {}, 2, "--format pdf: expected one of"),
        ("report metrics --guide cds", {}, 2, "no metric records for cds"),
        ("inferno preset cds", {}, 2, "no presets for cds"),
        ("report metrics --guide pas --end 9999-12-31", {}, 2, "9999-12-31: expected a day"),
        ("report metrics --guide pas --start 2026-02-01 --end 2026-01-31", {}, 2, "comes before --start"),
        ("policy test broken.json", {}, 2, "broken.json: The body is not valid JSON"),
        (f"policy test {CASES} --region XX", {}, 2, "no cases of XX"),
        (f"policy test {CASES} --day 9999-12-31", {}, 2, "--day 9999-12-31: expected a day"),
        ("inferno preset dtr --day 0001-01-01", {}, 2, "--day 0001-01-01: expected a day"),
        (f"review approve item --by Kim --revision {10**20}", {}, 2, "--revision"),
        (f"dtr errors --limit {10**20}", {}, 2, "--limit"),
        ("validate empty", {}, 2, "empty: no resources"),
        ("inferno preset pas --into broken.json/there", {}, 1, "broken.json/there: Not a directory"),
    ],
)
def test_what_stops_a_command_is_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    settings: dict[str, str],
    code: int,
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "broken.tgz").write_bytes(b"cut off")
    (tmp_path / "clients.json").write_text("[]")
    (tmp_path / "patient.json").write_text('{"resourceType": "Patient"}')
    (tmp_path / "typeless.json").write_text('{"id": "1"}')
    (tmp_path / "broken.json").write_text('{"not a database, and cut off')
    with closing(sqlite3.connect("newer.db")) as newer:
        newer.executescript(
            "CREATE TABLE alembic_version (version_num); INSERT INTO alembic_version VALUES (1)"
        )
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    stopped = CliRunner().invoke(app, command.split())
    logs.configure()  # commands have set where it goes

    assert isinstance(stopped.exception, SystemExit)
    assert (stopped.exit_code, words in stopped.output) == (code, True), stopped.output


@pytest.mark.parametrize("chart", [charts.meets_every_criterion(), []], ids=["whole", "bare"])
def test_a_request_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chart: list[dict[str, Any]]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TEST_CLOCK", "2026-11-25T12:00:00Z")
    Path("request.json").write_bytes(a.raw(a.request(*chart)))
    told = CliRunner().invoke(app, ["pas", "try", "request.json"])
    logs.configure()

    assert told.exit_code == 0, told.output
    assert f"item 1: would be {'A1' if chart else 'A4'}" in told.output


def test_a_server_whose_address_is_taken_ends_before_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To the work it would be the server that is there, come back: it is known by its address."""
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as there:
        monkeypatch.setenv("PORT", str(there.getsockname()[1]))
        stopped = CliRunner().invoke(app, ["serve"])
    logs.configure()

    assert (stopped.exit_code, "Address already in use" in stopped.output) == (1, True), stopped.output
    with closing(sqlite3.connect("payer.db")) as kept:
        tables = {name for (name,) in kept.execute("SELECT name FROM sqlite_master")}
    assert "pa_case" in tables
    assert "workflow_status" not in tables


def test_a_setting_that_is_misspelt_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Passed over in silence it would have had everybody insured. Others keep theirs in the same file."""
    (tmp_path / ".env").write_text("MEMBERSHP=registry\nLOG_LEVEL=debug")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FHIR_PACKAGES", ".")
    stopped = CliRunner().invoke(app, ["serve"])
    logs.configure()

    assert '"name": "MEMBERSHP", "meant": "MEMBERSHIP"' in stopped.output
    assert "LOG_LEVEL" not in stopped.output


def test_settings_as_windows_saves_them_are_said_to_be_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("PORT=8081", encoding="utf-16")
    monkeypatch.chdir(tmp_path)
    stopped = CliRunner().invoke(app, ["settings"])

    assert (stopped.exit_code, stopped.output) == (2, ".env: is not UTF-8.\n")


def test_a_database_in_which_its_user_may_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgresql_url: str
) -> None:
    """Since PostgreSQL 15 nobody but its owner makes tables in a new database."""
    owners = create_engine(postgresql_url, isolation_level="AUTOCOMMIT")
    with owners.connect() as connection:
        connection.execute(text("CREATE ROLE guest LOGIN"))
    owners.dispose()
    guests = make_url(postgresql_url).set(username="guest").render_as_string()
    (tmp_path / "patient.json").write_text('{"resourceType": "Patient"}')
    monkeypatch.setenv("DATABASE_URL", guests)
    stopped = CliRunner().invoke(app, ["load", str(tmp_path / "patient.json")])

    assert (stopped.exit_code, stopped.output) == (1, "DATABASE_URL: permission denied for schema public\n")


def test_a_pooler_that_shares_connections_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, postgresql_url: str
) -> None:
    """PgBouncer in its `transaction` mode: two clients are at one backend, and mix up their statements."""
    with closing(create_engine(postgresql_url).connect()) as owner:
        owner.execute(text("CREATE SCHEMA pooled"))
        owner.execute(text("CREATE FUNCTION pooled.pg_backend_pid() RETURNS int RETURN 1"))
        owner.commit()
        owner.engine.dispose()
    (tmp_path / "patient.json").write_text('{"resourceType": "Patient"}')
    pooled = make_url(postgresql_url).update_query_dict({"options": "-csearch_path=pooled,pg_catalog,public"})
    monkeypatch.setenv("DATABASE_URL", pooled.render_as_string())
    stopped = CliRunner().invoke(app, ["load", str(tmp_path / "patient.json")])

    words = "DATABASE_URL: connections are shared by a pooler, which has to pool by session\n"
    assert (stopped.exit_code, stopped.output) == (1, words)
