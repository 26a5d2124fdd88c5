"""Profiles at the door of PAS: a request that breaks a profile it claims is told everything at once.

Held to its profiles is what the request acts upon: the bundle, the Claim, and who and what it names. Chart
data that comes along is evidence and is read as it comes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from server.fhir import json
from server.fhir.errors import InvalidRequest, placed
from server.fhir.parameters import bundle_in
from server.services import Version
from server.settings import Settings
from server.validation.guides import validator_of
from server.validation.validator import Validator

OPERATIONS = ("$submit", "$inquire")
EVIDENCE = "reference"
"""The rule that is not held: what a Claim refers to may be a chart's, which is read as it comes."""

ACTED_UPON = frozenset(
    {"Claim", "Coverage", "Organization", "Patient", "Practitioner", "PractitionerRole", "ServiceRequest"}
)

_ENTRY = re.compile(r"Bundle\.entry\[(\d+)\]")


def profiled(settings: Settings, version: Version) -> Callable[[Request], Coroutine[Any, Any, None]]:
    """A dependency that raises InvalidRequest where PROFILES=refuse and the request breaks a profile."""

    async def check(request: Request) -> None:
        if settings.profiles == "off" or not request.url.path.endswith(OPERATIONS):
            return
        body = await request.body()
        await run_in_threadpool(lambda: _refuse_broken(validator_of(settings.fhir_packages, version), body))

    return check


def _refuse_broken(validator: Validator | None, body: bytes) -> None:
    """Raises InvalidRequest with the errors of what is acted upon, worst first; InvalidJson."""
    bundle, place = bundle_in(json.decode_object(body))
    if validator is None or bundle.get("resourceType") != "Bundle":
        return
    entries = bundle.get("entry")
    kinds = [_kind(entry) for entry in (entries if isinstance(entries, list) else [])]
    issues = [
        finding.issue()
        for finding in validator.check(bundle)
        if finding.severity in ("error", "fatal")
        and finding.rule != EVIDENCE
        and _acted_upon(finding.path, kinds)
    ]
    if issues:
        with placed("Bundle", place):
            raise InvalidRequest(*issues)


def _kind(entry: Any) -> str:
    resource = entry.get("resource") if isinstance(entry, dict) else None
    return str(resource.get("resourceType")) if isinstance(resource, dict) else ""


def _acted_upon(path: str, kinds: list[str]) -> bool:
    found = _ENTRY.match(path)
    return found is None or kinds[int(found[1])] in ACTED_UPON
