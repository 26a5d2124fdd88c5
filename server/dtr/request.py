"""What a client asks of `$questionnaire-package`, read from its Parameters.

Every fault is collected with its place before the request is refused. A parameter we do not know is passed
over: the profiles leave room for others.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from server.adjudication.patience import MOST
from server.fhir.dates import first_day, moment
from server.fhir.errors import InvalidRequest, Issue

Resource = dict[str, Any]

ORDER_TYPES = frozenset(
    {
        "Appointment",
        "CommunicationRequest",
        "DeviceRequest",
        "Encounter",
        "ImmunizationRecommendation",
        "MedicationRequest",
        "NutritionOrder",
        "ServiceRequest",
        "SupplyRequest",
        "VisionPrescription",
    }
)


@dataclass(slots=True)
class PackageRequest:
    """The parameters by name; `questionnaires` with their place, `changed_since` as an aware datetime."""

    coverages: list[Resource] = field(default_factory=list)
    orders: list[Resource] = field(default_factory=list)
    referenced: list[Resource] = field(default_factory=list)
    questionnaires: list[tuple[str, str]] = field(default_factory=list)
    context: str = ""
    context_path: str = ""
    changed_since: dt.datetime | None = None


def read_package_request(
    body: Mapping[str, Any], most_coverages: int | None, named: Sequence[str] = ()
) -> PackageRequest:
    """`named` are questionnaires that the address asks for. Raises InvalidRequest with one issue a fault."""
    if body.get("resourceType") != "Parameters":
        words = "The body is no Parameters resource. Send the operation's input as one."
        raise InvalidRequest(Issue("structure", "Parameters", words))
    read = PackageRequest(questionnaires=[(canonical, "Parameters") for canonical in named])
    issues: list[Issue] = []
    listed = body.get("parameter")
    for index, parameter in enumerate(listed if isinstance(listed, list) else []):
        path = f"Parameters.parameter[{index}]"
        if not isinstance(parameter, dict):
            issues.append(Issue("structure", path, "The parameter is no JSON object."))
        else:
            issues += _read(read, parameter, path)
    issues += _incomplete(read, most_coverages)
    if issues:
        raise InvalidRequest(*issues)
    return read


def _read(read: PackageRequest, parameter: Resource, path: str) -> list[Issue]:
    match parameter.get("name"):
        case "coverage":
            return _resource(read.coverages, parameter, path, frozenset({"Coverage"}))
        case "order":
            return _resource(read.orders, parameter, path, ORDER_TYPES)
        case "referenced":
            return _resource(read.referenced, parameter, path, None)
        case "questionnaire":
            text = _text(parameter, "valueCanonical", "valueUri", "valueUrl", "valueString")
            if not text:
                words = "Give the questionnaire's canonical as valueCanonical."
                return [Issue("required", f"{path}.value", words)]
            read.questionnaires.append((text, path))
        case "context":
            read.context, read.context_path = _text(parameter, "valueString"), path
            if not read.context:
                return [Issue("required", f"{path}.value", "Give the context as valueString.")]
        case "changedsince":
            read.changed_since = _moment(_text(parameter, "valueInstant", "valueDateTime"))
            if read.changed_since is None:
                return [Issue("value", f"{path}.value", "Give an instant, such as 2026-11-01T00:00:00Z.")]
    return []


def _resource(
    into: list[Resource], parameter: Resource, path: str, kinds: frozenset[str] | None
) -> list[Issue]:
    resource = parameter.get("resource")
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        words = f"The parameter {parameter['name']} carries no resource."
        return [Issue("required", f"{path}.resource", words)]
    if kinds is not None and resource["resourceType"] not in kinds:
        names = ", ".join(sorted(kinds))
        return [Issue("invalid", f"{path}.resource", f"{parameter['name']} takes one of: {names}.")]
    into.append(resource)
    return []


def _incomplete(read: PackageRequest, most_coverages: int | None) -> Iterator[Issue]:
    place = "Parameters.parameter"
    if not read.coverages:
        yield Issue("required", place, "No coverage: add the patient's Coverage as parameter coverage.")
    if most_coverages is not None and len(read.coverages) > most_coverages:
        yield Issue("business-rule", place, "More than one coverage: ask once for each of them.")
    if len(read.coverages) * max(1, len(read.orders)) > MOST:
        yield too_costly()
    if not (read.orders or read.questionnaires or read.context):
        yield Issue("required", place, "Give at least one of order, questionnaire and context (dtr-1).")


def too_costly() -> Issue:
    words = f"More than {MOST} orders, each for each Coverage, are not answered at once. Send less of either."
    return Issue("too-costly", "Parameters.parameter", words)


def _text(parameter: Resource, *names: str) -> str:
    return next((text for name in names if isinstance(text := parameter.get(name), str)), "")


def _moment(text: str) -> dt.datetime | None:
    day = first_day(text)
    return moment(text) or (dt.datetime.combine(day, dt.time(), dt.UTC) if day else None)
