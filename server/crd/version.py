"""What a version of the guide must say of itself: a table, checked by types.

Shared renderers ask it; they never ask which version it is. `v2_0.V2_0` and `v2_2.V2_2` beside each other
are the difference between CRD 2.0.1 and CRD 2.2.1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from server import services
from server.crd.intake import Member
from server.crd.saying import Cause, Information
from server.fhir.errors import FhirError

Element = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Version:
    """`name` as in the base address, and as a call asks for the version; `unreadable` to `causes` map what is
    said to the guide's codes, none where the version has no word for it."""

    name: services.Version
    contexts: Mapping[str, Mapping[str, Member]]
    dispatched: str
    """Where the context of order-dispatch names what is dispatched."""
    prefetch: Mapping[str, Mapping[str, str]]
    statuses: Mapping[type[FhirError], int]
    topics: str
    associated: Callable[[list[str]], Element]
    unreadable: str
    information: Mapping[Information, tuple[str, ...]]
    causes: Mapping[Cause, Element]
    details: Callable[[str, Element], Element]
    contact: Callable[[str, str], Element]
    expiry: bool
    service_extension: Mapping[str, Any]
    on_appointment: bool
    one_coverage: bool
    repeats: bool
    """Whether an order's answer repeats by billing code and by appointment; else it says which code it is
    about."""
    form_inputs: tuple[Element, ...]
    """What the Task that asks for a form says beside the form's canonical."""
    measured: Callable[[list[Element]], Element]

    def keys_by_id(self, hook: str) -> frozenset[str]:
        """The prefetch keys of a hook that fetch given resources and search nothing."""
        templates = self.prefetch[hook].items()
        return frozenset(key for key, template in templates if "_id=" in template or "?" not in template)
