"""A coverage policy as it is loaded: what it governs, the words of its criteria, its indications."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import Template
from typing import Any, Final

from server.policy.determination import Theme
from server.policy.manifest import CatalogError, CriterionEntry, Effective, GuidelineEntry


@dataclass(frozen=True, slots=True)
class CriterionText:
    """What a manifest says of one criterion: words for each of its values, theme, guideline, questions.

    The words name what a plan asks for by its parameter: "$ccWeeks weeks".
    """

    id: str
    title: str
    guideline: str
    theme: Theme | None
    met: str
    not_met: str
    unknown: str
    satisfy: str
    questions: tuple[str, ...]
    rank: int

    def spoken(self, asked: Mapping[str, Any]) -> CriterionText:
        """The words with what is asked for in them. Raises KeyError with a name that `asked` has not."""

        def said(words: str) -> str:
            return Template(words).substitute(asked)

        return replace(
            self,
            guideline=said(self.guideline),
            met=said(self.met),
            not_met=said(self.not_met),
            unknown=said(self.unknown),
            satisfy=said(self.satisfy),
        )


class _ByName(dict[str, str]):
    """Each parameter as its name, for whoever reads of all plans at once."""

    def __missing__(self, name: str) -> str:
        return f"`{name}`"


BY_NAME: Final[Mapping[str, str]] = _ByName()


@dataclass(frozen=True, slots=True)
class Indication:
    """One immediate indication of a region: the answer code, its words, the guideline it rests on."""

    id: str
    title: str
    guideline: str


@dataclass(frozen=True, slots=True)
class Policy:
    """One coverage policy. `services` are the billed codes it governs, in threes by contrast, `codes` the
    same as a set; `effective` the days in force; `film` the radiograph that comes first.

    A policy of a joint region shares its codes with others: body site or diagnosis says which governs;
    `telling` are those of its diagnoses that say so.
    """

    id: str
    region: str
    title: str
    library: str
    version: str
    prefill: str
    questionnaire: str
    services: tuple[str, ...]
    codes: frozenset[str]
    sites: frozenset[tuple[str, str]]
    diagnoses: frozenset[tuple[str, str]]
    telling: frozenset[tuple[str, str]]
    effective: Effective
    owner: str
    guideline: str
    guideline_url: str
    film: str
    joint: bool
    fallback: bool
    precedence: int
    criteria: Mapping[str, CriterionText]
    indications: Mapping[str, Indication]
    themes: tuple[str, ...]

    @property
    def canonical(self) -> str:
        return f"{self.library}|{self.version}"

    @property
    def immediate(self) -> str:
        """The id of the criterion that holds where an immediate indication is shown."""
        return f"{self.region}-IMM"


def criterion_text(
    path: Path,
    name: str,
    written: Sequence[Mapping[str, CriterionEntry]],
    default: str,
    guidelines: Mapping[str, GuidelineEntry],
) -> CriterionText:
    """The shared words of a criterion with the region's own over them."""
    entries = [entries[name] for entries in written if name in entries]

    def said(element: str, otherwise: Any = None) -> Any:
        given = [value for entry in entries if (value := getattr(entry, element)) is not None]
        if not given and otherwise is None:
            raise CatalogError(f"{path.name}: {name} has no {element.replace('_', '-')}")
        return given[-1] if given else otherwise

    themes = [entry.theme for entry in entries if entry.theme is not None]
    return CriterionText(
        id=name,
        title=said("title"),
        guideline=guideline_title(path, said("guideline", default), guidelines),
        theme=themes[-1] if themes else None,
        met=said("met"),
        not_met=said("not_met"),
        unknown=said("unknown"),
        satisfy=said("satisfy"),
        questions=said("questions", ()),
        rank=said("rank", 99),
    )


def guideline_title(path: Path, key: str, guidelines: Mapping[str, GuidelineEntry]) -> str:
    if key not in guidelines:
        raise CatalogError(f"{path.name}: guidelines.yaml has no {key}")
    return guidelines[key].title
