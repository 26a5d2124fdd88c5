"""What the server emits in the tests, saved for the official validator.

    record("pas-2.0.1", bundle)        writes <EMITTED_DIR>/pas-2.0.1/<test>-<n>.json

Without `EMITTED_DIR` nothing is written; what a test emits on one database it emits on the other, so one is
enough. `make conformance` sets it, runs the tests and holds every file to the profiles that it names.
"""

import os
import re
from itertools import count
from pathlib import Path
from typing import Any

from server.fhir import json


def record(group: str, resource: Any) -> None:
    """Saves a resource under the running test's name."""
    folder = os.environ.get("EMITTED_DIR")
    if not folder:
        return
    test = os.environ.get("PYTEST_CURRENT_TEST", "no-test").partition(" ")[0].rpartition("::")[2]
    if "postgresql" in test:
        return
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", test)
    place = Path(folder) / group
    place.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        try:
            with (place / f"{name}-{number}.json").open("xb") as file:
                file.write(json.encode(resource))
            return
        except FileExistsError:
            continue
