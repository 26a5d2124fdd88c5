"""Our validator beside the official one: over the guides' published examples, and over mutants of them.

    python -m tests.validation.comparison [--mutants 500] [--seed 1] [--write FILE] [--kept FOLDER] [GUIDE …]

Needs FHIR_PACKAGES (a folder of packages) and HL7_VALIDATE (the official validator as a command).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from server.fhir import json
from server.validation.packages import for_guides, found_in
from server.validation.validator import Validator
from tests.validation.mutants import KINDS, mutants

Resource = dict[str, Any]

_OLDER = {"CRD": "2.0.1", "DTR": "2.0.1", "PAS": "2.0.1"}
_NEWER = {"CRD": "2.2.1", "DTR": "2.2.0", "PAS": "2.2.1"}

GUIDES: Mapping[str, tuple[str, dict[str, str]]] = {
    "crd-2.0.1": ("hl7.fhir.us.davinci-crd-2.0.1", _OLDER),
    "crd-2.2.1": ("hl7.fhir.us.davinci-crd-2.2.0-preview", _NEWER),
    "dtr-2.0.1": ("hl7.fhir.us.davinci-dtr-2.0.1", _OLDER),
    "dtr-2.2.0": ("hl7.fhir.us.davinci-dtr-2.2.0-local", _NEWER),
    "pas-2.0.1": ("hl7.fhir.us.davinci-pas-2.0.1", _OLDER),
    "pas-2.2.1": ("hl7.fhir.us.davinci-pas-2.2.1", _NEWER),
}
"""The groups of the official validator: the package with the examples, and what they may see."""


@dataclass
class Tally:
    """How often both said the same: an error, or none."""

    both: int = 0
    neither: int = 0
    missed: list[str] = field(default_factory=list)
    alone: list[str] = field(default_factory=list)

    def count(self, official: bool, ours: bool, name: str) -> None:
        if official and ours:
            self.both += 1
        elif official:
            self.missed.append(name)
        elif ours:
            self.alone.append(name)
        else:
            self.neither += 1

    @property
    def total(self) -> int:
        return self.both + self.neither + len(self.missed) + len(self.alone)

    @property
    def agreed(self) -> int:
        return self.both + self.neither


def examples_of(folder: Path, package: str) -> dict[str, Resource]:
    """The published examples by file name."""
    found = {}
    with tarfile.open(folder / f"{package}.tgz") as archive:
        for member in archive:
            if "/example" in member.name and member.name.endswith(".json"):
                file = archive.extractfile(member)
                resource = json.decode(file.read() if file is not None else b"{}")
                if isinstance(resource.get("resourceType"), str):
                    found[member.name.rpartition("/")[2]] = resource
    return found


def official(
    group: str, resources: Mapping[str, Resource], command: str, kept: Path | None
) -> dict[str, list[str]]:
    """The official validator's errors by name, without those that it gives up on; of what it was asked
    before, where answers are kept, it is not asked again."""
    told: dict[str, list[str] | None] = {}
    files = {
        name: kept / f"{hashlib.sha256(json.encode([group, resource])).hexdigest()}.json"
        for name, resource in resources.items()
        if kept is not None
    }
    for name, file in files.items():
        if file.exists():
            told[name] = json.decode(file.read_bytes())
    while waiting := {name: resource for name, resource in resources.items() if name not in told}:
        new = _asked(group, waiting, command)
        told |= new
        for name in new if kept is not None else ():
            files[name].write_bytes(json.encode(told[name]))
    return {name: errors for name, errors in told.items() if errors is not None}


def _asked(group: str, resources: Mapping[str, Resource], command: str) -> Mapping[str, list[str] | None]:
    """Errors by name. Where one of the resources makes the official validator fall over, None for that one
    and nothing of the others; where it does not say which, the errors of the first half."""
    names = list(resources)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number:05d}.json" for number in range(len(names))]
        for file, resource in zip(files, resources.values(), strict=True):
            file.write_bytes(json.encode(resource))
        result = Path(folder) / "result.json"
        run = subprocess.run(
            [command, group, *map(str, files), "--json", str(result), "--timeout", "3000"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if not result.exists():
            begun = re.findall(r"Validate \S*?(\d{5})\.json", run.stderr)
            if begun or len(names) == 1:
                return {names[int(begun[-1]) if begun else 0]: None}
            return _asked(group, {name: resources[name] for name in names[: len(names) // 2]}, command)
        told = json.decode(result.read_bytes())
    errors: dict[str, list[str] | None] = {}
    for outcome in [entry["resource"] for entry in told["entry"]] if "entry" in told else [told]:
        named = next(each["valueString"] for each in outcome["extension"] if each["url"].endswith("-file"))
        errors[names[int(Path(named).stem)]] = [
            f"{(issue.get('expression') or [''])[0]}: {issue['details']['text']}"
            for issue in outcome.get("issue", [])
            if issue["severity"] in ("error", "fatal") and not _OUT_OF_REACH.search(issue["details"]["text"])
        ]
    return errors


NOT_COUNTED: Mapping[str, str] = {
    "codes of systems that no package has (CPT, X12, SNOMED CT …)": (
        r"code ?system .* (could not be found|is unknown)|terminology server"
    ),
    "race and ethnicity under US Core 7, from a value set of the NLM that no package has": (
        r"not in the value set .*us/core/ValueSet/(omb|detailed)-(race|ethnicity)[^|]*\|7\."
    ),
    "a code of SNOMED CT that is taken for one of the slice of ICD-10-CM, whose codes no package has": (
        r"not in the value set .*davinci-crd/ValueSet/ICD10CM"
    ),
    "an entry that may have one of two profiles, a Claim or an update of one": (
        r"profiles found for entry resource\. More than one is not supported"
    ),
    "an extension for items on an item within an item, which is not taken for an item": (
        r"not allowed to be used at this point .*allowed = .*e:Questionnaire(Response)?\.item.*\.item\.item"
    ),
}
"""Errors of the official validator that come of its being offline, or of a fault of its own, and how it words
them."""

_OUT_OF_REACH = re.compile("|".join(NOT_COUNTED.values()), re.IGNORECASE)


@dataclass
class Comparison:
    """Tallies over examples and mutants by guide and over mutants by kind; what the official one calls what
    we miss; our rules where only we find something; what nobody can decide here; how many made the official
    one fall over."""

    examples: dict[str, Tally]
    mutants: dict[str, Tally]
    kinds: dict[str, Tally]
    missed: Counter[str] = field(default_factory=Counter)
    alone: Counter[str] = field(default_factory=Counter)
    unchecked: set[str] = field(default_factory=set)
    fell: int = 0


def compared(
    folder: Path, command: str, count: int, seed: int, groups: Sequence[str], kept: Path | None
) -> Comparison:
    """`count` mutants, an equal share of each guide."""
    available = found_in(folder)
    result = Comparison(
        {group: Tally() for group in groups},
        {group: Tally() for group in groups},
        {kind: Tally() for kind in KINDS},
    )
    for number, group in enumerate(groups):
        package, guides = GUIDES[group]
        validator = Validator(for_guides(available, guides))
        examples = examples_of(folder, package)
        share = count * (number + 1) // len(groups) - count * number // len(groups)
        drawn = {
            f"mutant {place}": mutant
            for place, mutant in enumerate(mutants(examples, share, f"{group} {seed}"))
        }
        everything = {**examples, **{name: mutant.resource for name, mutant in drawn.items()}}
        theirs = official(group, everything, command, kept)
        result.fell += len(everything) - len(theirs)
        for name, told in theirs.items():
            ours = [each for each in validator.check(everything[name]) if each.severity in ("error", "fatal")]
            mutant = drawn.get(name)
            label = f"{group} {mutant.origin}: {mutant.path} {mutant.kind}" if mutant else f"{group} {name}"
            tallies = (
                [result.mutants[group], result.kinds[mutant.kind]] if mutant else [result.examples[group]]
            )
            for tally in tallies:
                tally.count(bool(told), bool(ours), label)
            if told and not ours:
                result.missed[re.sub(r"'[^']*'|\d+", "…", told[0].partition(": ")[2])[:90]] += 1
            elif ours and not told:
                result.alone[ours[0].rule] += 1
            if bool(told) != bool(ours):
                print(label, told[:1], [tuple(each) for each in ours[:1]])
        result.unchecked.update(validator.unchecked)
    return result


HEAD = """\
| | resources | both find errors | neither does | only the official one | only ours | agreement |
|---|---|---|---|---|---|---|"""


def page(result: Comparison) -> str:
    """The tables in Markdown."""

    def table(tallies: Mapping[str, Tally]) -> str:
        rows = [
            f"| {name} | {tally.total} | {tally.both} | {tally.neither} | {len(tally.missed)} | "
            f"{len(tally.alone)} | {tally.agreed / max(tally.total, 1):.1%} |"
            for name, tally in tallies.items()
        ]
        return "\n".join([HEAD, *rows])

    def listed(counted: Counter[str]) -> str:
        return "\n".join(f"- {words} ({count})" for words, count in counted.most_common()) or "Nothing."

    total = sum(tally.total for tally in result.mutants.values())
    agreed = sum(tally.agreed for tally in result.mutants.values())
    not_counted = "\n".join(f"- {words}" for words in NOT_COUNTED)
    undecided = Counter(each.partition(" ")[0] for each in result.unchecked)
    return f"""\
# The validator beside the official one

Remade by `make validation`, which takes half an hour on a small machine. Errors are compared, not warnings:
does each find one? The guides' published examples, all of them, and mutants with one fault each, drawn from a
seed. CRD 2.2.1 stands here with the preview package of 2.2.0, DTR 2.2.0 with a build of its sources.

## Published examples

{table(result.examples)}

## Mutants: {agreed} of {total} ({agreed / max(total, 1):.1%})

{table(result.mutants)}

By what was done to them:

{table(result.kinds)}

## What is missed, in the official validator's words

{listed(result.missed)}

## What only ours finds, by rule

{listed(result.alone)}

## What is not counted

Errors of the official validator that come of its being offline, or of a fault of its own:

{not_counted}
- {result.fell} mutants on which it falls over

## What is not checked here

Found undecidable in these profiles, and listed by `Validator.unchecked`:

{listed(undecided)}
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--kept", type=Path, help="Folder for the official validator's answers.")
    parser.add_argument("guides", nargs="*", default=list(GUIDES))
    asked = parser.parse_args()
    folder, command = os.environ.get("FHIR_PACKAGES"), os.environ.get("HL7_VALIDATE")
    if not folder or not command:
        print("Set FHIR_PACKAGES and HL7_VALIDATE.", file=sys.stderr)
        return 2
    told = page(compared(Path(folder), command, asked.mutants, asked.seed, asked.guides, asked.kept))
    print(told)
    if asked.write:
        asked.write.write_text(told, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
