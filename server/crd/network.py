"""The plan's network near a patient: its own directory of sites, with their distance in miles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from server.policy.reading import miles_away

SHOWN = 3
"""How many sites a card names."""


def sites(records: Iterable[Mapping[str, Any]]) -> list[tuple[Decimal, str]]:
    """The active sites among the payer's records that have a name and a distance, nearest first."""
    return sorted(
        (Decimal(str(miles)), str(record["name"]))
        for record in records
        if record.get("resourceType") == "Location"
        and record.get("status", "active") == "active"
        and record.get("name")
        and (miles := miles_away(record)) is not None
    )


def described(near: list[tuple[Decimal, str]]) -> str:
    """The nearest of them, for a card."""
    listed = [f"- {name}, {miles.normalize():f} miles" for miles, name in near[:SHOWN]]
    return "\n".join(["In the plan's network near the patient:", *listed])
