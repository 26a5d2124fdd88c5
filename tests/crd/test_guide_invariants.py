"""The guide's own invariants on coverage information, evaluated strictly: nothing but true will do.

Read from the published packages (FHIR_PACKAGES); without them the same rules hold by `shape.keeps_the_rules`.
"""

import datetime as dt
from collections.abc import Iterator
from functools import cache
from typing import Any

import fhirpathpy
import pytest
from fhirpathpy.models import models

from server.crd.configuration import Configuration
from server.crd.coverage_information import coverage_information
from server.crd.hooks import HOOKS
from server.crd.saying import Saying, not_read, say
from server.crd.v2_0 import V2_0
from server.crd.v2_2 import V2_2
from server.crd.version import Version
from server.fhir import json
from server.policy.determination import Decision
from server.validation.invariants import as_boolean
from tests.crd.guide import definition
from tests.crd.test_coverage_information import determination, judged
from tests.pas.determinations import needs_more

NOT_EVALUATED = {"crd-ci-q7": "memberOf needs a terminology server; a text is always given"}
BROKEN_BY_THE_GUIDE = {("2.0", "not-covered", "crd-ci-q2")}
"""A `where` that selects nothing is empty, and empty is not true: 2.0.1 refuses every `not-covered`."""


def sayings() -> dict[str, Saying]:
    sign, choices = HOOKS["order-sign"], Configuration()
    denied = determination(Decision.DENY, reason="Care was too short.")
    ended = determination(Decision.DENY, covered=False, gate="G-COV", reason="It has ended.")
    exempt = determination(gate="G-SET", pa_needed=False, reason="Exempt.")
    return {
        "satisfied": say(judged(determination()), sign, choices).granted("PA-1"),
        "no-auth": say(judged(exempt), sign, choices),
        "auth-needed": say(judged(needs_more()), sign, choices),
        "unreadable": say(judged(needs_more()), sign, choices, ("documents",)),
        "pended": say(judged(determination(Decision.PEND)), sign, choices),
        "denied": say(judged(denied), sign, choices),
        "not-covered": say(judged(ended), sign, choices),
        "no coverage": not_read("It could not be read."),
    }


@cache
def invariants(version: str) -> dict[str, Any]:
    """Key to compiled expression, of every rule the guide adds to the extension."""
    return {
        rule["key"]: fhirpathpy.compile(as_boolean(rule["expression"]), models["r4"])
        for element in definition(version, "ext-coverage-information")["snapshot"]["element"]
        for rule in element.get("constraint", [])
        if rule["key"].startswith("crd-") and rule["key"] not in NOT_EVALUATED
    }


def cases() -> Iterator[Any]:
    for version in (V2_0, V2_2):
        for name in sayings():
            yield pytest.param(version, name, id=f"{version.name} {name}")


@pytest.mark.parametrize(("version", "name"), list(cases()))
def test_every_invariant_of_the_guide_is_true(version: Version, name: str) -> None:
    contact = version.contact("Example Health", "+1-800-555-0100")
    extension = coverage_information(
        version, sayings()[name], "Coverage/c1", "assertion-1", dt.date(2026, 11, 20), contact
    )
    plain = json.decode(json.encode(extension))
    for key, evaluate in invariants(version.name).items():
        expected = [] if (version.name, name, key) in BROKEN_BY_THE_GUIDE else [True]
        assert evaluate(plain) == expected, key
