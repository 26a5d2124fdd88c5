"""What `GET /cds-services` answers: the services, what they would like prefetched, what can be switched."""

from __future__ import annotations

from typing import Any

from server.crd.configuration import options
from server.crd.ehr import REFERRED_TO
from server.crd.hooks import HOOKS, Hook
from server.crd.sight import CHART
from server.crd.version import Version

CONFIGURATION_OPTIONS = "davinci-crd.configuration-options"

READ = sorted({"Patient", *CHART, *REFERRED_TO})
REQUIREMENTS = (
    "Answers from what is prefetched. What is not prefetched is read from fhirServer with the access token: "
    f"{', '.join(READ)}; and the orders that a dispatch or an appointment names. What can be had in neither "
    "way is treated as unknown."
)


def services(version: Version) -> dict[str, Any]:
    """The discovery document of a version. It never changes while the server runs."""
    return {"services": [_service(hook, version) for hook in HOOKS.values()]}


def _service(hook: Hook, version: Version) -> dict[str, Any]:
    return {
        "id": hook.name,
        "hook": hook.name,
        "title": hook.title,
        "description": hook.description,
        "prefetch": dict(version.prefetch[hook.name]),
        "usageRequirements": REQUIREMENTS,
        "extension": {**version.service_extension, CONFIGURATION_OPTIONS: options(hook.options)},
    }
