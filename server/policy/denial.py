"""A denial that helps, as a type: it cannot exist without everything the provider is owed.

CMS-0057-F (42 CFR 422.122(a) and its kin) asks for a specific reason. Here that means, for every criterion
that was not met: which one and what was found, the guideline it rests on, what was looked at, and what
would change it; and once, the reason code for machines and how to appeal. CRD, the ClaimResponse and the
report print the same words.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from msgspec.structs import replace

from server.policy.determination import Criterion, Decision, Determination, Evidence, heading
from server.policy.words import together

PROBLEMS = "the problems and diagnoses on record"
NOTHING_FOUND = "the request and every record sent with it; none of them speaks for this criterion"


class IncompleteDenial(ValueError):
    """A denial that lacks something the provider is owed; `lacking` names the parts."""

    def __init__(self, about: str, lacking: list[str]) -> None:
        self.lacking = lacking
        super().__init__(f"a denial by {about} says nothing of: {', '.join(lacking)}")


@dataclass(frozen=True, slots=True)
class Finding:
    """One criterion that was not met, with everything a denial owes about it."""

    criterion: str
    title: str
    found: str
    guideline: str
    looked_at: str
    remedy: str

    def __post_init__(self) -> None:
        _complete(self, self.criterion or "an unnamed criterion")

    @classmethod
    def of(cls, criterion: Criterion) -> Finding:
        return cls(
            criterion=criterion.id,
            title=criterion.title,
            found=criterion.sentence,
            guideline=criterion.guideline,
            looked_at=_looked_at(criterion.evidence),
            remedy=criterion.would_satisfy,
        )

    @property
    def text(self) -> str:
        return (
            f"Not met: {heading(self.title, self.criterion)} {_sentence(self.found)} "
            f"Guideline: {_sentence(self.guideline)} Looked at: {_sentence(self.looked_at)} "
            f"What would change this: {_sentence(self.remedy)}"
        )


@dataclass(frozen=True, slots=True)
class Denial:
    """`code` is the reason code (X12 886) of the theme that leads. An administrative denial (no active
    coverage, no benefit, asked too late) has no theme and, until the licensed list has been read for one, no
    code; every other must have it."""

    code: str
    findings: tuple[Finding, ...]
    appeal: str
    administrative: bool = False

    def __post_init__(self) -> None:
        spared = ("administrative", "code") if self.administrative else ("administrative",)
        _complete(self, self.findings[0].criterion if self.findings else "no criterion", spared)

    @property
    def text(self) -> str:
        """The whole denial as a provider reads it."""
        return " ".join(
            ["Not authorized.", *(finding.text for finding in self.findings), f"Appeal: {self.appeal}"]
        )


def denial_of(determination: Determination) -> Denial:
    """What a determination denies, or would have a reviewer deny. Raises ValueError where it does neither,
    IncompleteDenial where it does not say enough."""
    if Decision.DENY not in (determination.decision, determination.recommended):
        raise ValueError(f"the determination says {determination.decision}, not deny")
    return Denial(
        code=determination.denial_code,
        findings=tuple(Finding.of(determination.criterion(unmet)) for unmet in determination.unmet),
        appeal=determination.appeal,
        administrative=bool(determination.gate),
    )


def _looked_at(evidence: tuple[Evidence, ...]) -> str:
    """What the criterion was judged by. Whatever else the patient has is read for every criterion and named
    for none: who reads a denial of one study need not learn of the other illnesses."""
    spoken = (
        replace(each, summary=PROBLEMS, date=None) if each.reference.startswith("Condition/") else each
        for each in evidence
    )
    return "; ".join(together(spoken)) or NOTHING_FOUND


def _complete(value: Any, about: str, spared: tuple[str, ...] = ()) -> None:
    names = [part.name for part in fields(value) if part.name not in spared]
    lacking = [name for name in names if not _said(getattr(value, name))]
    if lacking:
        raise IncompleteDenial(about, lacking)


def _said(content: Any) -> bool:
    return bool(content.strip() if isinstance(content, str) else content)


def _sentence(text: str) -> str:
    return text.strip().rstrip(".") + "."
