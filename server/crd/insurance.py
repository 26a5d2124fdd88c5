"""Coverage records that the payer knows better (CRD, "Create/update coverage records").

Where the payer's own record of a member's Coverage says otherwise than the client's copy, the client gets its
copy back, corrected, as a system action: registration data, nothing a clinician need look at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from server.crd.version import Element

CORRECTED = ("status", "subscriberId", "dependent", "period", "class")
"""What the payer decides about; everything else of the copy is the client's own."""


def corrected(sent: Mapping[str, Any], records: Iterable[Mapping[str, Any]]) -> Element | None:
    """The client's Coverage with what the payer's record says otherwise; None where nothing differs."""
    own = next((record for record in records if record.get("resourceType") == "Coverage"), None)
    if own is None or not sent.get("id"):
        return None
    changes = {name: own[name] for name in CORRECTED if name in own and own[name] != sent.get(name)}
    return {**sent, **changes} if changes else None


def update(coverage: Element) -> Element:
    """The system action."""
    return {
        "type": "update",
        "description": f"Corrects Coverage/{coverage['id']} to what the plan has on record.",
        "resource": coverage,
    }
