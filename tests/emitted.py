"""What the server emits in the tests, saved for the official validator.

    record("pas-2.0.1", bundle)        writes <EMITTED_DIR>/pas-2.0.1/<test>-<digest>.json

Without `EMITTED_DIR` nothing is written; what a test emits on one database it emits on the other, so one is
enough. `make conformance` sets it, runs the tests and holds every file to the profiles that it names.
"""

import os
import re
from hashlib import sha256
from pathlib import Path
from typing import Any

from server.fhir import json


def record(group: str, resource: Any) -> None:
    """Saves a resource under the running test's name, unless one that differs in numbers only (ids, dates,
    counts) is there: the validator's verdict would be the same."""
    folder = os.environ.get("EMITTED_DIR")
    if not folder:
        return
    test = os.environ.get("PYTEST_CURRENT_TEST", "no-test").partition(" ")[0].rpartition("::")[2]
    if "postgresql" in test:
        return
    raw = json.encode(resource)
    kind = sha256(_NUMBERS.sub(b"0", raw)).hexdigest()[:16]
    seen = Path(folder) / ".seen" / group
    place = Path(folder) / group
    for each in (seen, place):
        each.mkdir(parents=True, exist_ok=True)
    try:
        (seen / kind).touch(exist_ok=False)
    except FileExistsError:
        return
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", test)
    (place / f"{name}-{kind}.json").write_bytes(raw)


_NUMBERS = re.compile(
    rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\bPA[0-9A-Z]{14,}\b|[0-9]+"
)
