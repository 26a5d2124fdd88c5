"""What the settings refuse."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from server.settings import Settings


def test_production_does_not_start_while_nobody_checks_callers(tmp_path: Path) -> None:
    clients = tmp_path / "clients.json"
    clients.write_text("[]")
    with pytest.raises(ValidationError, match="callers nobody checks"):
        Settings(
            environment="production",
            public_base_url="https://payer.example",
            clients_file=clients,
            cds_jwt="on",
        )
