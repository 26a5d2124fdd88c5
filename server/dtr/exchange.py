"""What is kept of a call: the request as it came and what was sent, for disputes and for DTRMetricData.

The static part of a package is not kept again and again: `url|version` fixes it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from server.dtr.version import Version
from server.fhir import json
from server.fhir.errors import Issue, operation_outcome
from server.store import tables as stored

DOOR = "dtr"


def exchange(
    version: Version,
    operation: str,
    request_id: str,
    client: str,
    body: bytes,
    started: dt.datetime,
    now: dt.datetime,
    *,
    status: int = 200,
    context: str = "",
    sent: Sequence[str] = (),
    issues: Sequence[Issue] = (),
    measures: Mapping[str, Any] = MappingProxyType({}),
) -> stored.Exchange:
    """The row to keep. `sent` are the canonicals of the forms in the answer; `measures` what the guide's
    metrics want besides (`server.dtr.measures`)."""
    said: dict[str, Any] = {"questionnaires": list(sent)}
    if issues:
        said["outcome"] = operation_outcome(list(issues))
    return stored.Exchange(
        id=stored.new_id(),
        request_id=request_id,
        client=client,
        door=DOOR,
        version=version.name,
        operation=operation,
        instance=context,
        status=status,
        started=started,
        milliseconds=(now - started).total_seconds() * 1000,
        summary={
            "context": context,
            "questionnaires": list(sent),
            "issues": [issue.code for issue in issues],
            **measures,
        },
        request=body,
        response=json.encode(said),
    )
