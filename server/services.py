"""What `create_app` builds once and hands to every door.

A door is a package with `routes.router(services, version) -> APIRouter`. Its handlers close over what they
use: no globals, no container to look things up in.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from server.adjudication.adjudicator import Adjudicator
from server.metrics import Metrics
from server.policy.catalog import Catalog
from server.security.admission import Admission
from server.settings import Settings
from server.store import Store
from server.work import Work

Version = Literal["2.0", "2.2"]
"""`2.0` is CRD, DTR and PAS 2.0.1 under `/r2.0`; `2.2` is CRD 2.2.1, DTR 2.2.0 and PAS 2.2.1 under
`/r2.2`."""

GUIDES: dict[Version, dict[str, str]] = {
    "2.0": {"CRD": "2.0.1", "DTR": "2.0.1", "PAS": "2.0.1"},
    "2.2": {"CRD": "2.2.1", "DTR": "2.2.0", "PAS": "2.2.1"},
}


@dataclass(frozen=True, slots=True)
class Services:
    """`clock()` is an aware UTC datetime; nothing else in the server tells time."""

    settings: Settings
    store: Store
    metrics: Metrics
    work: Work
    catalog: Catalog
    adjudicator: Adjudicator
    admission: Admission
    clock: Callable[[], datetime]

    def base(self, version: Version) -> str:
        """`{PUBLIC_BASE_URL}/r2.0`; the CDS services are below it at `/cds-services`."""
        return f"{self.settings.base_url}/r{version}"

    def fhir_base(self, version: Version) -> str:
        """The FHIR base of a version, for every emitted link and fullUrl."""
        return f"{self.base(version)}/fhir"
