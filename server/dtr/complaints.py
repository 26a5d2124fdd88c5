"""`Questionnaire/$log-questionnaire-errors`: what apps report about our forms, kept without patient data.

The guide forbids clients to put any into the report; what still looks like it (references, dates, addresses,
long numbers) is struck out before anything is stored.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from typing import Any

from server.dtr.version import Version
from server.fhir.elements import elements
from server.fhir.errors import InvalidRequest, Issue
from server.store.tables import QuestionnaireError

Resource = dict[str, Any]

STRUCK = "…"
PATIENT_DATA = re.compile(
    r"""
      https?://\S+?/[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}\b     # absolute reference
    | \b[A-Z][A-Za-z]+/(?!mri-|MRI)[A-Za-z0-9\-.]{1,64}\b      # relative reference, our own artefacts spared
    | \b[\w.+-]+@[\w-]+\.[\w.]+\b                              # e-mail address
    | \b\d{4}-\d{2}(-\d{2})?\b                                 # date
    | \b\d{1,2}/\d{1,2}/\d{2,4}\b
    | \b(?:\d[ -]?){6,}\b                                      # telephone, member and record numbers
    """,
    re.VERBOSE,
)
MOST = 1000
"""Characters kept of one sentence: enough for a stack's last line."""


def read_complaints(
    body: Mapping[str, Any], version: Version, client: str, now: dt.datetime
) -> list[QuestionnaireError]:
    """A row for each questionnaire that is complained about. Names are read in any case: the guide itself
    writes them in two ways. Raises InvalidRequest."""
    if body.get("resourceType") != "Parameters":
        raise InvalidRequest(Issue("structure", "Parameters", "The body is no Parameters resource."))
    named: list[str] = []
    outcomes: list[Resource] = []
    for parameter in _parameters(body):
        match str(parameter.get("name", "")).lower():
            case "questionnaire":
                named += [text for name, text in parameter.items() if name.startswith("value") and text]
            case "operationoutcome":
                outcomes += [found for found in [parameter.get("resource")] if isinstance(found, dict)]
    _refuse_incomplete(named, outcomes)
    kept = {"issue": [scrubbed(issue) for outcome in outcomes for issue in elements(outcome, "issue")]}
    return [
        QuestionnaireError(
            version=version.name,
            client=client,
            questionnaire=str(canonical)[:400],
            content=kept,
            received=now,
        )
        for canonical in named
    ]


def _parameters(body: Mapping[str, Any]) -> Iterator[Resource]:
    """Those of the body. The operation of 2.2.0 has one parameter, `resource`, which holds the others in a
    Parameters of its own; by FHIR that one is sent bare, and some will send it wrapped."""
    for parameter in elements(body, "parameter"):
        inner = parameter.get("resource")
        if isinstance(inner, dict) and inner.get("resourceType") == "Parameters":
            yield from _parameters(inner)
        else:
            yield parameter


def scrubbed(issue: Mapping[str, Any]) -> Resource:
    """An OperationOutcome.issue with codes and sentences only, and nothing in them that looks like a
    patient's."""
    found: Resource = {name: str(issue[name])[:40] for name in ("severity", "code") if name in issue}
    details = issue.get("details")
    if isinstance(details, Mapping):
        codings = [
            {name: str(coding[name])[:200] for name in ("system", "code") if name in coding}
            for coding in details.get("coding", [])
            if isinstance(coding, Mapping)
        ]
        text = {"text": _struck(details["text"])} if "text" in details else {}
        found["details"] = {"coding": codings, **text}
    if "diagnostics" in issue:
        found["diagnostics"] = _struck(issue["diagnostics"])
    if isinstance(issue.get("expression"), list):
        found["expression"] = [_struck(path) for path in issue["expression"]]
    return found


def _struck(text: Any) -> str:
    return PATIENT_DATA.sub(STRUCK, str(text))[:MOST]


def _refuse_incomplete(named: list[str], outcomes: list[Resource]) -> None:
    missing = [
        Issue("required", "Parameters.parameter", f"Add the parameter {name}.")
        for name, found in (("questionnaire", named), ("operationOutcome", outcomes))
        if not found
    ]
    if missing:
        raise InvalidRequest(*missing)
