"""What a door hands to `determine`: the member, the chart, and the line's order.

The order itself is a plain FHIR R4 `ServiceRequest` (one a line): CRD passes the draft order,
PAS builds one from `Claim.item` with its requested service. The conventions of that one shape:

- `code.coding` holds the billed code (CPT or HCPCS) and, as further codings of the same system,
  its modifiers post-coordinated ("73221-RT", "73221-26");
- `bodySite` holds site and side in SNOMED CT; `reasonCode` / `reasonReference` the diagnoses in
  the order of the request; `locationCode` the CMS place of service; `quantityQuantity` the units;
- `authoredOn` is day zero (PAS: the Claim's `created` where the order has none);
  `occurrenceDateTime` or `occurrencePeriod` the planned date; `requester` the ordering clinician;
  `encounter` the encounter of ordering;
- `supportingInfo` / `basedOn` as the client sent them;
- extension `asked-on` (valueDate): the day authorization was asked for, where that is not day zero.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from server.fhir.systems import ICD
from server.policy.determination import Line

Resource = Mapping[str, Any]

INJURY: Mapping[str, str] = {"system": ICD, "code": "T14.90XA"}
"""Beside the code of a problem that began with an injury and does not say so ("Injury, unspecified")."""


@dataclass(frozen=True, slots=True)
class Authorization:
    """An authorization this payer issued or may take over: what it covers and whether it is spent. `units`
    are those that are left, where that is known; `place` is where the service must be done (CMS code), ""
    where that is open. `issuer` identifies the payer that issued it, where a record names one."""

    number: str
    code: str
    side: str | None
    start: dt.date
    end: dt.date
    used: bool = False
    order_key: str = ""
    issuer: str = ""
    units: int | None = None
    place: str = ""

    def good_for(self, line: Line, order_key: str, on: dt.date) -> bool:
        """Whether it satisfies an order on that day: the same order, or the same service and side; as many as
        are left, and where it may be done. An order that names no place may be done anywhere."""
        same_order = bool(order_key) and self.order_key == order_key
        same_service = (self.code, self.side) == (line.code, line.side)
        return (
            not self.used
            and self.start <= on <= self.end
            and (same_order or same_service)
            and (self.units is None or line.units <= self.units)
            and (not self.place or line.place_of_service in (None, self.place))
        )


@dataclass(frozen=True, slots=True)
class Ruling:
    """A request that was approved or denied, by the NPI of the clinician who asked; `payer` as `issuer`
    above."""

    orderer: str
    code: str
    day: dt.date
    approved: bool
    payer: str = ""


@dataclass(frozen=True, slots=True)
class Member:
    """Who the order is for, as this payer knows them.

    key             the member key (contract: member id, else payor + patient id, else server + patient id)
    coverage        the FHIR Coverage as the client sent it
    known           False where the registry has no such member
    records         the payer's own FHIR records: claims history, the nearest network Locations
    authorizations  the payer's own authorizations for this member, and those of a previous payer on record
    rulings         what was ruled before on requests of the clinician who orders now, whoever the member
    order_key       identifies this order, so that an authorization for the same order is found again
    """

    key: str
    coverage: Resource
    known: bool = True
    records: Sequence[Resource] = ()
    authorizations: Sequence[Authorization] = ()
    rulings: Sequence[Ruling] = ()
    order_key: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """The patient's data as sent, prefetched or queried; QuestionnaireResponses are part of it.

    `notes` name what could not be had ("Observation: the query failed"): what was to be found
    there stays unknown and is told to the clinician in plain words.
    """

    resources: Sequence[Resource] = ()
    notes: Sequence[str] = ()
