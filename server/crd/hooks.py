"""The six hooks (CRD, "Supported hooks") and what each may be answered with.

A hook is primary where the guide asks for coverage information in every answer. Only those that come with a
commitment to the service issue an authorization number; the others speak of what would be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from server.crd.configuration import OPTIONS

REQUESTS = (
    "CommunicationRequest",
    "DeviceRequest",
    "MedicationRequest",
    "NutritionOrder",
    "ServiceRequest",
    "VisionPrescription",
)


@dataclass(frozen=True, slots=True)
class Hook:
    """`options` are the configuration codes a service on this hook offers, most wanted first."""

    name: str
    title: str
    description: str
    focal: tuple[str, ...]
    primary: bool
    options: tuple[str, ...]

    @property
    def ordering(self) -> bool:
        """Whether a clinician is at work on orders, and not a clerk on a visit."""
        return self.focal == REQUESTS

    @property
    def issues_numbers(self) -> bool:
        return self.primary

    @property
    def asks_for_documents(self) -> bool:
        """A secondary hook comes too early (or too late) to ask for forms."""
        return self.primary


_ORDERING = tuple(OPTIONS)
_VISITING = (
    "coverage-info",
    "insurance",
    "appropriate-use",
    "clinical-reminder",
    "contraindication",
    "guideline",
)

HOOKS: Mapping[str, Hook] = {
    hook.name: hook
    for hook in (
        Hook(
            "order-sign",
            "When orders are signed",
            "Coverage, prior authorization and documentation needs of the orders being signed.",
            REQUESTS,
            True,
            _ORDERING,
        ),
        Hook(
            "order-select",
            "While orders are chosen",
            "Early word on the orders being chosen: the better code, the missing side, the imaging that "
            "comes first.",
            REQUESTS,
            False,
            _ORDERING,
        ),
        Hook(
            "order-dispatch",
            "When an order is sent to its performer",
            "Coverage and prior authorization of an order for the performer it is sent to.",
            REQUESTS,
            True,
            _ORDERING,
        ),
        Hook(
            "appointment-book",
            "When appointments are booked",
            "Coverage and prior authorization of the services being scheduled.",
            ("Appointment",),
            True,
            _ORDERING,
        ),
        Hook(
            "encounter-start",
            "When an encounter begins",
            "Whether the patient's coverage is active, and what the plan looks for before imaging of the "
            "complaint.",
            ("Encounter",),
            False,
            _VISITING,
        ),
        Hook(
            "encounter-discharge",
            "When a patient is discharged",
            "Whether the patient's coverage is active at discharge, and what the plan looks for before "
            "imaging of the complaint.",
            ("Encounter",),
            False,
            _VISITING,
        ),
    )
}
