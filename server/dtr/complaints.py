"""`Questionnaire/$log-questionnaire-errors`: what apps report about our forms, kept without patient data.

The guide forbids clients to put any into the report; what still looks like it (references, dates, addresses,
long numbers) is struck out before anything is stored. A report is for its reader: of one that goes on and on
the beginning is kept.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from server.dtr.version import Version
from server.fhir.elements import elements
from server.fhir.errors import InvalidRequest, Issue
from server.store.tables import QuestionnaireError

Resource = dict[str, Any]

STRUCK = "…"
PATIENT_DATA = re.compile(
    r"""
      https?://\S++                                            # absolute reference, search
    | \b[A-Z][A-Za-z]++/(?!mri-|MRI)[A-Za-z0-9\-.]{1,64}\b     # relative reference, our own artefacts spared
    | (?<![\w.+-])[\w.+-]++@[\w-]+\.[\w.]+\b                   # e-mail address
    | \b\d{4}-\d{2}(-\d{2})?\b                                 # date
    | \b\d{1,2}/\d{1,2}/\d{2,4}\b
    | \b(?:\d[ -]?){6,}\b                                      # telephone, member and record numbers
    """,
    re.VERBOSE,
)
"""Runs are possessive: whoever writes it, however long, each is read once."""

MOST = 1000
"""Characters kept of one sentence: enough for a stack's last line."""

MOST_TOLD = 100
"""Forms of one report that are heard, and issues, and places of one: there are a dozen forms."""


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
    told = (issue for outcome in outcomes for issue in elements(outcome, "issue"))
    kept = {"issue": [scrubbed(issue) for issue in islice(told, MOST_TOLD)]}
    forms = dict.fromkeys(str(canonical)[:400] for canonical in named)
    return [
        QuestionnaireError(
            version=version.name,
            client=client,
            questionnaire=form,
            content=kept,
            received=now,
        )
        for form in islice(forms, MOST_TOLD)
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
    found: Resource = {name: _struck(issue[name])[:40] for name in ("severity", "code") if name in issue}
    details = issue.get("details")
    if isinstance(details, Mapping):
        codings = [
            {
                **({"system": str(coding["system"])[:200]} if "system" in coding else {}),
                **({"code": _struck(coding["code"])[:200]} if "code" in coding else {}),
            }
            for coding in islice(elements(details, "coding"), MOST_TOLD)
        ]
        text = {"text": _struck(details["text"])} if "text" in details else {}
        found["details"] = {"coding": codings, **text}
    if "diagnostics" in issue:
        found["diagnostics"] = _struck(issue["diagnostics"])
    if isinstance(issue.get("expression"), list):
        found["expression"] = [_struck(path) for path in issue["expression"][:MOST_TOLD]]
    return found


def _struck(text: Any) -> str:
    # Twice as much is looked at: what is cut in two looks like nothing.
    return PATIENT_DATA.sub(STRUCK, str(text)[: 2 * MOST])[:MOST]


def _refuse_incomplete(named: list[str], outcomes: list[Resource]) -> None:
    missing = [
        Issue("required", "Parameters.parameter", f"Add the parameter {name}.")
        for name, found in (("questionnaire", named), ("operationOutcome", outcomes))
        if not found
    ]
    if missing:
        raise InvalidRequest(*missing)
