"""Small CQL libraries about one patient, and the ELM they translate to.

The ELM is committed beside the CQL, so that the engine's tests need no Node. `node translate.mjs` makes it,
and a test checks that it is current.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
HELPERS = FOLDER.parents[2] / "cql" / "elm" / "FHIRHelpers.json"


def elm(name: str) -> dict[str, Any]:
    """The ELM of one library."""
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return found


def libraries() -> list[dict[str, Any]]:
    """Every story with what it includes."""
    return [elm("Therapy"), elm("Windows"), json.loads(HELPERS.read_text(encoding="utf-8"))]
