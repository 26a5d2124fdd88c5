"""Make the FHIR ValueSets of this folder from the readable lists in `source/`.

    python cql/valuesets/build.py            # writes <name>.json beside this file, and titles/
    python cql/valuesets/build.py --check    # fails where a committed file differs

A list in `source/*.yaml` is what a clinician reviews:

    dx-shoulder:
      title: Diagnoses that support MRI of the shoulder or upper arm
      purpose: Policy source 5.8
      include:
        - {system: icd, prefixes: M75 M25.51 S42.0-S42.3}
        - {system: icd, prefixes: M00 M86, naming: shoulder humerus}
        - {system: cpt, codes: {73030: Shoulder film}, modifiers: RT LT}
        - {set: dx-neoplasm}
      except: [{system: icd, prefixes: M75.0}]

ICD-10-CM prefixes become the valid, complete codes below them (7th characters included), so
membership in a set says both "valid" and "of this region". A title decides where a prefix does not:
`naming` keeps the codes whose title has one of the words; `sited` also keeps those whose title names
no body part at all. `modifiers` adds the forms in which charts carry a procedure code with its
modifier ("97110-GO"). Small sets print titles; CPT labels are our own words. `titles/icd-10-cm.json` has the
title of every diagnosis of all sets, once, for what people read.

The ICD-10-CM tables are those of `simple-icd-10-cm` (a development dependency); the server itself
reads only the JSON.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from server.policy.manifest import loaded

HERE = Path(__file__).parent
VERSION = "1.0.0"
RELEASED = "2026-04-01"
TITLES_UP_TO = 60

SYSTEMS: Mapping[str, tuple[str, ...]] = {
    "icd": ("http://hl7.org/fhir/sid/icd-10-cm",),
    "cpt": ("http://www.ama-assn.org/go/cpt",),
    # One code list, four addresses in use.
    "hcpcs": (
        "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
        "https://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
        "https://bluebutton.cms.gov/resources/codesystem/hcpcs",
        "urn:oid:2.16.840.1.113883.6.285",
    ),
    "rxnorm": ("http://www.nlm.nih.gov/research/umls/rxnorm",),
    "sct": ("http://snomed.info/sct",),
    "loinc": ("http://loinc.org",),
    "nucc": ("http://nucc.org/provider-taxonomy",),
    "pos": ("https://www.cms.gov/Medicare/Coding/place-of-service-codes/Place_of_Service_Code_Set",),
    "exam": ("https://payer.example/CodeSystem/mri-exam-finding",),
    "score": ("https://payer.example/CodeSystem/mri-score",),
    "answer": ("https://payer.example/CodeSystem/mri-answer",),
    "encounter-class": ("http://terminology.hl7.org/CodeSystem/v3-ActCode",),
    "goal-achievement": ("http://terminology.hl7.org/CodeSystem/goal-achievement",),
}

COPYRIGHT = {
    "cpt": "CPT codes are property of the American Medical Association; labels are this project's own words.",
    "sct": "SNOMED CT codes are used under the licence of SNOMED International.",
    "loinc": "LOINC codes are copyright Regenstrief Institute and used under its licence (http://loinc.org).",
}

# Words by which an ICD-10-CM title names a body part; `sited` keeps titles with none of them.
SITE_WORDS = re.compile(
    r"\b(shoulder|arm|elbow|humer\w+|forearm|radi\w+|ulna\w*|wrist|carp\w+|hand|finger\w*|thumb|upper limb|"
    r"hip|pelvi\w+|thigh|femur|femoral|knee|patell\w+|lower leg|leg|tibia\w*|fibula\w*|ankle|tars\w+|foot|"
    r"heel|toe\w*|lower limb|skull|head|neck|jaw|ribs?|vertebra\w*|cervic\w+|cervicothoracic|occipit\w*\S*|"
    r"thoracic|thoracolumbar|lumbar|lumbosacral|sacr\w+|coccy\w+|spine|trunk|"
    r"other specified sites?|other sites?)\b",
    re.IGNORECASE,
)

CATEGORY = re.compile(r"[A-Z][0-9][0-9A-Z](\.|$)")

OWED = frozenset({"title", "purpose", "include"})
OF_A_SET = OWED | {"description", "except", "titles"}
OF_A_PART: Mapping[str, frozenset[str]] = {
    "set": frozenset(),
    "prefixes": frozenset({"system", "naming", "sited", "title-has", "modifiers"}),
    "codes": frozenset({"system", "modifiers"}),
}
"""What may stand beside each of these, one of which a part has."""

Entry = tuple[str, str, str]  # system address, code, display


class SourceError(Exception):
    """A source list that cannot be built: names the set and the entry."""


@cache
def complete_codes() -> tuple[tuple[str, str], ...]:
    """Every valid, complete ICD-10-CM code with its title, in order.

    A block of one category ("B20") bears the category's name: `prioritize_blocks` asks for the category.
    """
    import simple_icd_10_cm as icd10cm  # Here, since it reads its tables as it is imported, for seconds.

    codes = sorted({code for code in icd10cm.get_all_codes(with_dots=True) if CATEGORY.match(code)})
    return tuple(
        (code, icd10cm.get_description(code, prioritize_blocks=False))
        for code in codes
        if icd10cm.is_leaf(code, prioritize_blocks=False)
    )


def icd_entries(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The complete codes below the prefixes of one entry, as its title words allow."""
    naming, sited = words(spec.get("naming")), words(spec.get("sited"))
    wanted_title = re.compile(spec["title-has"], re.IGNORECASE) if "title-has" in spec else None
    for prefix in str(spec["prefixes"]).split():
        low, _, high = prefix.partition("-")
        first = bisect_left(complete_codes(), (low,))
        last = bisect_left(complete_codes(), ((high or low) + "~",))
        hits = complete_codes()[first:last]
        if not hits:
            raise SourceError(f"no valid ICD-10-CM code begins with {prefix}")
        for code, title in hits:
            if naming and not naming.search(title):
                continue
            if sited and not sited.search(title) and SITE_WORDS.search(title):
                continue
            if wanted_title and not wanted_title.search(title):
                continue
            yield code, title


def words(listed: Any) -> re.Pattern[str] | None:
    """A pattern for a comma-separated list of title words; None where there is none."""
    if not listed:
        return None
    return re.compile(r"\b(" + "|".join(w.strip() for w in str(listed).split(",")) + r")\b", re.IGNORECASE)


def listed_codes(spec: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Codes written out: a mapping of code to our label, or a plain list, with ranges of numbers."""
    codes = spec["codes"]
    if isinstance(codes, Mapping):
        yield from ((str(code), str(label)) for code, label in codes.items())
        return
    for code in str(codes).split():
        low, _, high = code.partition("..")
        if not high:
            yield code, ""
            continue
        letters = low.rstrip("0123456789")
        for number in range(int(low[len(letters) :]), int(high[len(letters) :]) + 1):
            yield f"{letters}{number:0{len(low) - len(letters)}d}", ""


def entries(name: str, spec: Mapping[str, Any], source: Mapping[str, Any]) -> Iterator[Entry]:
    """All members of one include or except entry."""
    if "set" in spec:
        for other in str(spec["set"]).split():
            if other not in source:
                raise SourceError(f"{name}: includes {other}, which no list defines")
            yield from members(other, source)
        return
    try:
        pairs = list(icd_entries(spec) if "prefixes" in spec else listed_codes(spec))
    except SourceError as error:
        raise SourceError(f"{name}: {error}") from error
    for system in SYSTEMS[spec["system"]]:
        for code, label in pairs:
            yield system, code, label
            for modifier in str(spec.get("modifiers", "")).split():
                yield system, f"{code}-{modifier}", f"{label} ({modifier})" if label else ""


def members(name: str, source: Mapping[str, Any]) -> list[Entry]:
    """The members of a set in the order of its list, each once."""
    spec = source[name]
    dropped = {(s, c) for part in spec.get("except", ()) for s, c, _ in entries(name, part, source)}
    kept: dict[tuple[str, str], str] = {}
    for part in spec["include"]:
        for system, code, label in entries(name, part, source):
            if (system, code) not in dropped:
                kept.setdefault((system, code), label)
    wanted = spec.get("titles")
    pattern = re.compile(wanted, re.IGNORECASE) if wanted else None
    return [(s, c, t) for (s, c), t in kept.items() if pattern is None or pattern.search(t)]


def value_set(name: str, source: Mapping[str, Any]) -> dict[str, Any]:
    """ValueSet, FHIR R4, with its expansion."""
    spec = source[name]
    found = members(name, source)
    if not found:
        raise SourceError(f"{name}: has no members")
    titled = len(found) < TITLES_UP_TO or not all(s == SYSTEMS["icd"][0] for s, _, _ in found)
    copyrights = [COPYRIGHT[k] for k in COPYRIGHT if any(s in SYSTEMS[k] for s, _, _ in found)]
    return {
        "resourceType": "ValueSet",
        "id": name,
        "url": f"https://payer.example/ValueSet/{name}",
        "version": VERSION,
        "name": "".join(part.capitalize() for part in name.split("-")),
        "title": spec["title"],
        "status": "active",
        "experimental": False,
        "date": RELEASED,
        "publisher": "Example Health Plan",
        "description": spec.get("description", spec["title"] + "."),
        "purpose": spec["purpose"],
        **({"copyright": " ".join(copyrights)} if copyrights else {}),
        "expansion": {
            "identifier": f"https://payer.example/ValueSet/{name}|{VERSION}",
            "timestamp": RELEASED,
            "total": len(found),
            "contains": [
                {"system": s, "code": c, **({"display": t} if titled and t else {})} for s, c, t in found
            ],
        },
    }


def load(folder: Path) -> dict[str, Any]:
    """All source lists of a folder by name; a name defined twice is an error."""
    source: dict[str, Any] = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            listed = loaded(path.read_text(encoding="utf-8")) or {}
        except yaml.YAMLError as error:
            raise SourceError(f"{path.name}: {error}") from error
        for name, spec in listed.items():
            if name in source:
                raise SourceError(f"{path.name}: {name} is defined twice")
            if unknown := spec.keys() - OF_A_SET:
                raise SourceError(f"{name}: a list has no {', '.join(sorted(unknown))}")
            if lacking := OWED - spec.keys():
                raise SourceError(f"{name}: lacks {', '.join(sorted(lacking))}")
            for part in (*spec["include"], *spec.get("except", ())):
                check_part(name, part)
            source[name] = spec
    return source


def check_part(name: str, part: Mapping[str, Any]) -> None:
    """Raises SourceError for an element that would be passed over, and for a system that is none of ours."""
    kind = next((kind for kind in OF_A_PART if kind in part), None)
    if kind is None:
        raise SourceError(f"{name}: {dict(part)} has none of {', '.join(OF_A_PART)}")
    if unknown := part.keys() - {kind, *OF_A_PART[kind]}:
        raise SourceError(f"{name}: beside {kind} there is no {', '.join(sorted(unknown))}")
    if kind != "set" and part.get("system") not in SYSTEMS:
        raise SourceError(f"{name}: {kind} are of a system, one of {', '.join(SYSTEMS)}")


def render(names: Iterable[str], source: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """File name and text of each set."""
    for name in names:
        yield (
            f"{name}.json",
            json.dumps(value_set(name, source), ensure_ascii=False, separators=(",", ":")) + "\n",
        )


def titles(sets: Iterable[str]) -> dict[str, Any]:
    """CodeSystem, FHIR R4: what the sets use of ICD-10-CM, which is in the public domain."""
    system = SYSTEMS["icd"][0]
    used = {
        each["code"]
        for text in sets
        for each in json.loads(text)["expansion"]["contains"]
        if each["system"] == system
    }
    return {
        "resourceType": "CodeSystem",
        "id": "icd-10-cm",
        "url": system,
        "version": RELEASED,
        "status": "active",
        "content": "fragment",
        "concept": [{"code": code, "display": title} for code, title in complete_codes() if code in used],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare with the committed files only")
    check = parser.parse_args().check
    source = load(HERE / "source")
    made = dict(render(source, source))
    called = titles(made.values())
    made["titles/icd-10-cm.json"] = json.dumps(called, ensure_ascii=False, separators=(",", ":")) + "\n"
    stale = sorted(
        {p.name for p in HERE.glob("*.json")} - made.keys()
        | {n for n, text in made.items() if not (HERE / n).exists() or (HERE / n).read_text("utf-8") != text}
    )
    if check:
        for name in stale:
            print(f"{name}: differs from its source; run `make valuesets`", file=sys.stderr)
        return 1 if stale else 0
    for path in HERE.glob("*.json"):
        if path.name not in made:
            path.unlink()
    (HERE / "titles").mkdir(exist_ok=True)
    for name, text in made.items():
        (HERE / name).write_text(text, encoding="utf-8")
    print(f"{len(made) - 1} value sets and their titles, {len(stale)} files changed")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SourceError as error:
        sys.exit(str(error))
