"""Advice: what is worth telling the clinician beside the outcome, which it never changes.

Two sources, both data (`cql/policies/advice.yaml`): notes, each a define of the advice library that holds for
this chart (safety, tests and therapy to order beside); and criteria that stand in the way, for which the
policies' own data may name a better choice: the code of the diagnosis's region, its side, the sided
diagnosis, the code without contrast, the film, a place of service.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from server.elm import Run
from server.fhir.systems import CPT, ICD
from server.policy.catalog import Catalog, Policy
from server.policy.determination import Advice, Criterion, Line
from server.policy.line import SIDE_NAMES
from server.policy.words import Findings

FREESTANDING: Final = "49"
CONTRASTS: Final = 3
"""A policy lists its codes in threes: without contrast, with, without and then with."""


def advice_on(
    catalog: Catalog,
    policy: Policy | None,
    line: Line,
    criteria: Sequence[Criterion],
    run: Run | None,
    findings: Findings,
) -> Iterator[Advice]:
    """All advice on one order line. `run` is the policy's on this order; without one, no notes."""
    blocking = {criterion.id: criterion for criterion in criteria if criterion.in_the_way}
    if policy is not None and policy.guideline_url:
        yield _guideline(policy)
    if run is not None and policy is not None:
        yield from _notes(catalog, policy, blocking, run, findings)
    for criterion in criteria:
        if criterion.in_the_way and criterion.id in catalog.advice.criteria:
            yield _on_criterion(catalog, policy, line, criterion)


def _guideline(policy: Policy) -> Advice:
    return Advice(
        id="guideline",
        kind="guideline",
        summary=f"{policy.title}: the guideline behind the criteria",
        detail=policy.guideline,
        topic="guideline",
        guideline=policy.guideline,
        url=policy.guideline_url,
    )


def _notes(
    catalog: Catalog, policy: Policy, blocking: Mapping[str, Criterion], run: Run, findings: Findings
) -> Iterator[Advice]:
    asked = run.beside(catalog.advice.library)
    for name, note in catalog.advice.notes.items():
        if note.regions and policy.region not in note.regions:
            continue
        held = [blocking[each] for each in note.open if each in blocking]
        if note.open and not held:
            continue
        result = asked[name]
        if result.value is True:
            yield Advice(
                id=name,
                kind=note.kind,
                summary=note.summary,
                detail=note.detail,
                topic=note.topic,
                guideline=catalog.guidelines[note.guideline].title if note.guideline else held[0].guideline,
                better=note.orders,
                evidence=findings.of(result),
            )


def _on_criterion(catalog: Catalog, policy: Policy | None, line: Line, criterion: Criterion) -> Advice:
    entry = catalog.advice.criteria[criterion.id]
    better = tuple(_BETTER[entry.better](catalog, policy, line)) if entry.better else ()
    proposed = " or ".join(_named(catalog, better))
    return Advice(
        id=criterion.id,
        kind=entry.kind,
        summary=f"Proposed: {proposed}. {criterion.sentence}" if proposed else criterion.sentence,
        detail=criterion.in_full,
        topic=entry.topic,
        guideline=criterion.guideline,
        better=better,
        evidence=criterion.evidence,
    )


def _named(catalog: Catalog, choices: Iterable[str]) -> Iterator[str]:
    """The better choices as a clinician reads of them: those of one name once, with their codes."""
    codes: dict[str, list[str]] = {}
    for choice in choices:
        if choice == FREESTANDING:
            yield "a freestanding imaging center"
        elif choice in SIDE_NAMES:
            yield f"the {SIDE_NAMES[choice]} side" if choice != "50" else SIDE_NAMES[choice]
        else:
            system = ICD if choice[0].isalpha() else CPT
            codes.setdefault(catalog.names.get((system, choice), ""), []).append(choice)
    for name, of_name in codes.items():
        alike = " or ".join(of_name)
        yield f"{name} ({alike})" if name else alike


def _code_of_diagnosis(catalog: Catalog, policy: Policy | None, line: Line) -> Iterator[str]:
    """The code, with the same contrast, of the region that the first telling diagnosis belongs to (one that
    regions of several codes share tells none); else, of a
    limb, that of a joint for that of no joint, or the other way round: the part is right, its code is not.
    Where site and diagnosis name two parts of one code, no other code helps."""
    own = next((each for each in catalog.policies if line.code in each.services), None)
    contrast = own.services.index(line.code) % CONTRASTS if own else 0
    telling = [(ICD, diagnosis) for diagnosis in line.diagnoses]
    for diagnosis in telling:
        homes = [home for home in catalog.policies if diagnosis in home.diagnoses]
        codes = {home.services[contrast] for home in homes if line.code not in home.codes}
        if len(codes) == 1:
            yield codes.pop()
            return
    parts = [home for home in catalog.policies if not home.diagnoses.isdisjoint(telling)]
    if policy is not None and policy.joint and (policy in parts or not parts):
        place = policy.services.index(line.code)
        yield policy.services[(place + CONTRASTS) % len(policy.services)]


def _sides_of_diagnoses(catalog: Catalog, policy: Policy | None, line: Line) -> Iterator[str]:
    """The side the diagnoses name, if it is not the order's."""
    for side, diagnoses in catalog.sides.items():
        if side != line.side and any((ICD, each) in diagnoses for each in line.diagnoses):
            yield side


def _sided_diagnosis(catalog: Catalog, policy: Policy | None, line: Line) -> Iterator[str]:
    """Beside a diagnosis without side, the one that differs in the side alone."""
    if policy is None:
        return
    sides = [line.side] if line.side else ["RT", "LT"]
    for diagnosis in line.diagnoses:
        kin = [code for system, code in policy.diagnoses if system == ICD and code[:-1] == diagnosis[:-1]]
        for side in sides:
            of_side = (code for code in sorted(kin) if (ICD, code) in catalog.sides[side])
            yield from (code for code in of_side if code != diagnosis)


def _without_contrast(catalog: Catalog, policy: Policy | None, line: Line) -> Iterator[str]:
    if policy is not None and line.code in policy.services:
        place = policy.services.index(line.code)
        yield policy.services[place - place % CONTRASTS]


def _film(catalog: Catalog, policy: Policy | None, line: Line) -> Iterator[str]:
    if policy is not None:
        yield from policy.film.split()


def _freestanding(catalog: Catalog, policy: Policy | None, line: Line) -> Iterator[str]:
    yield FREESTANDING


_BETTER: Mapping[str, Callable[[Catalog, Policy | None, Line], Iterator[str]]] = {
    "code": _code_of_diagnosis,
    "side": _sides_of_diagnoses,
    "diagnosis": _sided_diagnosis,
    "plain": _without_contrast,
    "film": _film,
    "place": _freestanding,
}
