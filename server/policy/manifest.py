"""The files of policy data as they are written: one type a kind of file, every field checked when read.

A benefit-manager cell carries its mark: P, a published text was read; G, general professional knowledge;
D, ours, where public texts differ or are silent. `catalog` puts the files together.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
import yaml

from server.fhir import json
from server.fhir.errors import InvalidJson
from server.policy.determination import Theme

Mark = Literal["P", "G", "D"]
F = TypeVar("F")


class CatalogError(ValueError):
    """Policy data that does not fit together; the message names the file and what to mend."""


class Written(msgspec.Struct, frozen=True, rename="kebab", forbid_unknown_fields=True):
    """A part of a file: names with hyphens, and none that is not known."""


class Cell(Written, frozen=True):
    """A value of a benefit manager with the certainty of its source."""

    value: bool | int | str | tuple[str, ...]
    mark: Mark
    source: str = ""


class Weeks(Written, frozen=True):
    """How many weeks of conservative care some regions ask for."""

    regions: tuple[str, ...]
    value: int
    mark: Mark
    source: str = ""


class ManagerFile(Written, frozen=True):
    """benefit-managers/*.yaml: one profile of section 4 of the policy source.

    `texts` names what the profile was made after, `parameters` are those of the CQL library MRIParameters;
    `joints_only` override them for joint regions.
    """

    name: str
    title: str
    texts: str
    weeks: tuple[Weeks, ...]
    film_first: Cell
    parameters: dict[str, Cell]
    joints_only: dict[str, Cell] = {}


class Effective(Written, frozen=True):
    """The days that something is in force, both included; without an end it still is."""

    start: dt.date
    end: dt.date | None = None

    def holds(self, on: dt.date) -> bool:
        return self.start <= on and (self.end is None or on <= self.end)

    def __str__(self) -> str:
        return f"from {self.start}" + (f" until {self.end}" if self.end else "")


class GoldCardRule(Written, frozen=True):
    """Whoever had so many per cent of at least so many requests approved, decided in so many days before the
    order, needs no authorization; `states` are the members' (USPS codes), none named meaning all. Requests
    count for the services of the policy that governs the order."""

    title: str
    states: tuple[str, ...]
    approval_rate: int
    minimum_requests: int
    window_days: int
    effective: Effective
    mark: Mark
    source: str = ""


class Continuity(Written, frozen=True):
    """For so many days from the start of a coverage, what a previous payer had authorized is honoured."""

    days: int
    mark: Mark
    source: str = ""


class ExemptionsFile(Written, frozen=True):
    """exemptions.yaml: rules that plans name."""

    gold_card_rules: dict[str, GoldCardRule]
    continuity_of_care: dict[str, Continuity]


class PlanFile(Written, frozen=True):
    """plans/*.yaml: a product of the payer. `gold_card_rules` and `continuity_of_care` name rules of
    exemptions.yaml."""

    name: str
    title: str
    benefit_manager: str
    reviewer_denies: bool
    imaging_needs_authorization: bool
    gold_cards: tuple[str, ...]
    questionnaire: Literal["standard", "adaptive"]
    contact: str
    appeal: str
    gold_card_rules: tuple[str, ...] = ()
    continuity_of_care: str = ""


class ServiceGroup(Written, frozen=True):
    """Codes that the plans treat alike: "70540 70542..70545"."""

    codes: str | int
    title: str
    covered: bool = True
    imaging: bool = False
    pa_needed: bool = False
    ours: bool = True


class ServicesFile(Written, frozen=True):
    """services.yaml: what the plans cover beside the policies."""

    services: tuple[ServiceGroup, ...]


class GuidelineEntry(Written, frozen=True):
    """A published source that a criterion rests on."""

    title: str
    mark: Mark
    note: str = ""


class GuidelinesFile(Written, frozen=True):
    """policies/guidelines.yaml."""

    guidelines: dict[str, GuidelineEntry]


class CriterionEntry(Written, frozen=True):
    """What a person reads of a criterion. A region's entry overrides the shared one field by field."""

    title: str | None = None
    guideline: str | None = None
    theme: Theme | None = None
    rank: int | None = None
    questions: tuple[str, ...] | None = None
    met: str | None = None
    not_met: str | None = None
    unknown: str | None = None
    satisfy: str | None = None


class CriteriaFile(Written, frozen=True):
    """policies/criteria.yaml. In `theme_order` IMM stands for the region's own `<R>-IMM`."""

    criteria: dict[str, CriterionEntry]
    theme_order: tuple[str, ...]
    denial_codes: dict[str, str]


class NoteEntry(Written, frozen=True):
    """A note of advice.yaml, shown where the define of its name holds; with `open`, only while one of these
    criteria stands in the way, with `regions`, only there. `orders` are CPT codes to order beside.
    Without a guideline of its own it rests on that of the criterion."""

    kind: str
    topic: str
    summary: str
    detail: str
    guideline: str = ""
    open: tuple[str, ...] = ()
    orders: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()


Better = Literal["code", "side", "diagnosis", "plain", "film", "place"]


class ObstacleEntry(Written, frozen=True):
    """How a criterion in the way is put on a card, and what kind of better choice is looked for."""

    kind: str
    topic: str
    better: Better | None = None


class AdviceFile(Written, frozen=True):
    """policies/advice.yaml: what is worth telling beside the outcome. `library` holds the notes' defines."""

    library: str
    notes: dict[str, NoteEntry]
    criteria: dict[str, ObstacleEntry]


class PolicyFile(Written, frozen=True):
    """Any other of policies/*.yaml: one version of one policy. A draft is not loaded.

    `sites` and `diagnoses` name the value sets that tell the policies of one code apart; a policy that is
    a `fallback` takes the orders of its codes that neither tells. Of those that a diagnosis fits alike the
    one with the lowest `precedence` governs (of the leg the upper one: the shin goes with the knee), unless
    the diagnosis is none of its `telling` (all of its `diagnoses`, where it names no set).
    `services` come in threes: without contrast, with, without and then with. `film` is the radiograph that
    comes first (or several to choose from).
    """

    id: str
    region: str
    title: str
    library: str
    version: str
    prefill: str
    questionnaire: str
    effective: Effective
    owner: str
    guideline: str
    joint: bool
    services: tuple[str, ...]
    sites: str
    diagnoses: str
    indications: dict[str, str]
    criteria: dict[str, CriterionEntry]
    guideline_url: str = ""
    film: str = ""
    status: Literal["active", "draft"] = "active"
    fallback: bool = False
    precedence: int = 0
    telling: str = ""


class PayerFile(Written, frozen=True):
    """payer.yaml."""

    id: str
    name: str
    npi: str
    payer_id: str
    phone: str
    address: dict[str, Any]


class FormEntry(Written, frozen=True):
    """A form that is asked for where a diagnosis is of a value set, and the card that asks for it."""

    questionnaire: str
    diagnoses: str
    topic: str
    summary: str
    detail: str


class FormsFile(Written, frozen=True):
    """forms.yaml: forms beside the documentation of an order."""

    forms: tuple[FormEntry, ...]


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Read by libyaml, where PyYAML was built with it: ten times as fast. What is written twice is an error,
    where YAML's readers take the last."""


def _mapping(loader: Any, node: Any) -> dict[Any, Any]:
    for name, times in Counter(key.value for key, _ in node.value if isinstance(key.value, str)).items():
        if times > 1:
            raise yaml.constructor.ConstructorError(
                problem=f"{name} stands here twice", problem_mark=node.start_mark
            )
    return dict(loader.construct_mapping(node, deep=True))


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def loaded(text: str) -> Any:
    """The content of a YAML text. Raises YAMLError, and ValueError for a day that is none of the calendar."""
    return yaml.load(text, Loader=_Loader)


def read(path: Path, kind: type[F]) -> F:
    """The file as its type. Raises CatalogError naming the file and the field."""
    try:
        return msgspec.convert(loaded(path.read_text(encoding="utf-8")), kind)
    except (OSError, yaml.YAMLError, ValueError, msgspec.ValidationError) as error:
        raise CatalogError(f"{path.parent.name}/{path.name}: {error}") from error


def resource(path: Path) -> dict[str, Any]:
    """A file of FHIR JSON, of a resource that has an address. Raises CatalogError naming the file."""
    try:
        found = json.decode_object(path.read_bytes())
    except (OSError, InvalidJson) as error:
        raise CatalogError(f"{path.parent.name}/{path.name}: {error}") from error
    if lacking := [name for name in ("id", "url", "version") if not isinstance(found.get(name), str)]:
        raise CatalogError(f"{path.parent.name}/{path.name}: lacks {', '.join(lacking)}")
    return found


def listed_codes(written: str | int) -> tuple[str, ...]:
    """ "70540 70542..70544" as its codes."""
    codes: list[str] = []
    for part in str(written).split():
        first, _, last = part.partition("..")
        digits = len(first.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
        letters = first[: len(first) - digits]
        for number in range(int(first[len(letters) :]), int((last or first)[len(letters) :]) + 1):
            codes.append(f"{letters}{number:0{digits}d}")
    return tuple(codes)
