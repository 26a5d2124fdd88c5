"""What codes are called where a chart gives them without words: claims hardly ever have any.

The words are those of the payer's own data: titles of services, displays of code systems and value sets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from server.fhir.systems import LOINC, billed_by, billed_parts, coding_key, is_billed
from server.policy.plans import Service

Names = Mapping[tuple[str, str], str]
"""By system and code."""


def names_of(
    services: Mapping[str, Service],
    value_sets: Iterable[Mapping[str, Any]],
    code_systems: Iterable[Mapping[str, Any]],
) -> Names:
    """Titles of services go before what a value set calls a code. Of LOINC's films and MRIs the sets have the
    part alone ("knee, left"), which is no name."""
    listed = (each for value_set in value_sets for each in value_set["expansion"]["contains"])
    return {
        **{
            (each["system"], each["code"]): each["display"]
            for each in listed
            if "display" in each and not (each["system"] == LOINC and each["display"][0].islower())
        },
        **{
            (system["url"], each["code"]): each["display"]
            for system in code_systems
            for each in system["concept"]
        },
        **{(billed_by(code), code): service.title for code, service in services.items()},
    }


def name_of(coding: Mapping[str, Any], names: Names) -> str:
    """What a coding is called here, a service with whatever modifiers; "" where it is none of ours."""
    if is_billed(coding):
        code = billed_parts(coding)[0]
        return names.get((billed_by(code), code), "")
    return names.get(coding_key(coding), "")
