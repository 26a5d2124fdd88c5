"""A serving process works in the background, and stops when it is told to."""

from pathlib import Path

from fastapi.testclient import TestClient

from server import background
from server.app import create_app
from server.settings import Settings


def test_a_server_starts_its_work_answers_and_stops(tmp_path: Path) -> None:
    app = create_app(Settings(database_url=f"sqlite:///{tmp_path / 'payer.db'}"))
    with background.running(app.state.services), TestClient(app) as http:
        assert http.get("/health").status_code == 200
