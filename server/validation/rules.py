"""What an element's definition says of a value itself: fixed or pattern, binding, invariants."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from server.fhir.elements import elements
from server.validation import invariants, slicing
from server.validation.finding import Finding, Findings, Run
from server.validation.slicing import Occurrence
from server.validation.snapshot import Node, fits, fixed
from server.validation.terminology import Codes

if TYPE_CHECKING:
    from server.validation.compiler import Compiler

Check = Callable[[Occurrence, Run, Findings], None]


def tests(node: Node, profile: str, compiler: Compiler) -> Iterable[Check]:
    said = fixed(node.element)
    if said is not None:
        yield _fixed_test(*said, profile)
    binding = node.element.get("binding", {})
    if binding.get("strength") == "required" and "valueSet" in binding:
        codes = compiler.terminology.codes(binding["valueSet"])
        systems = compiler.terminology.systems(binding["valueSet"])
        if codes is None:
            compiler.unchecked.add(f"value set {binding['valueSet']}")
        if codes is None and systems is not None:
            yield _system_test(systems, binding["valueSet"], profile)
        elif codes is not None:
            yield _binding_test(codes, binding["valueSet"], profile)
    for constraint in node.element.get("constraint", []):
        if constraint.get("severity") != "error" or constraint["key"] == "ele-1":
            continue
        if constraint["key"] not in invariants.NATIVE and not constraint.get("expression"):
            continue
        test = invariants.compiled(constraint["key"], constraint.get("expression", ""))
        if test is None:
            compiler.unchecked.add(f"invariant {constraint['key']}: {constraint.get('human', '')}")
        else:
            yield _invariant_test(test, constraint, profile, compiler)


def _fixed_test(kind: str, wanted: Any, profile: str) -> Check:
    def check(occurrence: Occurrence, run: Run, out: Findings) -> None:
        value = occurrence.value
        if value is None and occurrence.sibling is not None:
            return
        if not (value == wanted if kind == "fixed" else fits(value, wanted)):
            words = f"This must {'be' if kind == 'fixed' else 'have'} {_shown(wanted)}."
            out.append(Finding("value", occurrence.path, words, kind, profile))

    return check


def _shown(wanted: Any) -> str:
    """Short words for a fixed value or pattern."""
    if isinstance(wanted, dict):
        codings = wanted.get("coding", [wanted])
        return ", ".join(
            "|".join(str(coding[name]) for name in ("system", "code", "value") if name in coding)
            for coding in codings
        )
    return str(wanted)


def _binding_test(codes: Codes, value_set: str, profile: str) -> Check:
    def check(occurrence: Occurrence, run: Run, out: Findings) -> None:
        value = occurrence.value
        if value is None or (isinstance(value, dict) and not ({"coding", "code"} & set(value))):
            if isinstance(value, dict) and ("text" in value or "extension" in value):
                words = f"A code of {value_set} is needed."
                if "extension" not in value:
                    out.append(Finding("code-invalid", occurrence.path, words, "binding", profile))
            return
        codings = elements(value, "coding") if isinstance(value, dict) else []
        if any("_code" in each or "extension" in each for each in codings):
            return
        if not any(pair in codes for pair in slicing.pairs(value, codes)):
            words = f"The code must be one of {value_set}."
            out.append(Finding("code-invalid", occurrence.path, words, "binding", profile))

    return check


def _system_test(systems: frozenset[str], value_set: str, profile: str) -> Check:
    """Of a value set whose codes nobody can list it is known at least which systems they come from."""

    def check(occurrence: Occurrence, run: Run, out: Findings) -> None:
        if not isinstance(occurrence.value, dict):
            return
        told = {system for system, _ in slicing.pairs(occurrence.value, frozenset())}
        if told and told.isdisjoint(systems):
            words = f"The code must be one of {value_set}; its system is none of that value set's."
            out.append(Finding("code-invalid", occurrence.path, words, "binding", profile))

    return check


def _invariant_test(
    test: invariants.Test, constraint: dict[str, Any], profile: str, compiler: Compiler
) -> Check:
    def check(occurrence: Occurrence, run: Run, out: Findings) -> None:
        value = occurrence.value
        if value is None or (not isinstance(value, dict) and constraint["key"] in invariants.NATIVE):
            return
        owner = run.owners[-1].resource if run.owners else run.root
        asked = id(test), id(value), id(owner)
        if asked not in run.held:
            run.held[asked] = test(value, owner)
        held = run.held[asked]
        if held is None:
            compiler.unchecked.add(f"invariant {constraint['key']}: {constraint.get('human', '')}")
        elif not held:
            words = f"{str(constraint.get('human', 'A rule does not hold')).rstrip('.')}."
            out.append(Finding("invariant", occurrence.path, words, constraint["key"], profile))

    return check
