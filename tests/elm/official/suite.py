"""The official CQL tests as data: read from their XML, translated to ELM, kept in a cache.

The tests are not ours to commit: `CQL_TESTS` says where they lie (by default in `shared/cql-tests` beside
the checkout). Each becomes a library of two defines, `actual` and `expected`, translated by
`cql/translate/batch.mjs` under Node. What comes out is kept outside the repository under a name that is
the hash of everything that went in, so a changed test or translator is translated afresh.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
TRANSLATE = ROOT / "cql" / "translate"
NAMESPACE = {"t": "http://hl7.org/fhirpath/tests"}


@dataclass(frozen=True, slots=True)
class Case:
    """One `<test>`: its expression must give its output, or be refused where `invalid` says so."""

    file: str
    group: str
    name: str
    expression: str
    output: str | None
    invalid: str | None

    @property
    def id(self) -> str:
        return f"{self.file}/{self.group}/{self.name}"

    def library(self, number: int) -> str:
        """The CQL library that asks for the actual and the expected value."""
        expected = "null" if self.output is None else self.output
        defines = f'define "actual":\n  {self.expression}\n\ndefine "expected":\n  {expected}\n'
        return f"library T{number}\n\n{defines}"


class Unavailable(Exception):
    """The suite cannot run here; the message says what is missing."""


def tests_folder() -> Path:
    """Where the official tests lie."""
    return Path(os.environ.get("CQL_TESTS", ROOT.parent / "shared" / "cql-tests"))


def cache_folder() -> Path:
    """Where translations are kept: the platform's cache directory for this project."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "davinci-payer" / "cql-tests"


def read_cases(folder: Path) -> list[Case]:
    """Every test of the folder, in the order of files and of tests in them; ids are unique.

    Some files use one name twice in a group: later ones get `#2`, `#3`.
    """
    cases: list[Case] = []
    seen: dict[str, int] = {}
    for path in sorted(folder.glob("*.xml")):
        for case in _cases_of(path):
            count = seen[case.id] = seen.get(case.id, 0) + 1
            if count > 1:
                case = Case(case.file, case.group, f"{case.name}#{count}", *_content(case))
            cases.append(case)
    return cases


def load() -> tuple[list[Case], list[dict[str, Any]]]:
    """Every test with its translation; raises Unavailable where the files or the translator are missing."""
    folder = tests_folder()
    cases = read_cases(folder)
    if not cases:
        raise Unavailable(
            "The official CQL tests are not here: set CQL_TESTS to the folder of their XML files."
        )
    return cases, translated(cases)


def translated(cases: list[Case]) -> list[dict[str, Any]]:
    """For each case `{"elm": …}` or `{"errors": […]}`, from the cache or freshly from Node."""
    sources = [json.dumps({"id": n, "cql": case.library(n)}) for n, case in enumerate(cases)]
    store = cache_folder() / f"{_key(sources)}.jsonl"
    if not store.exists():
        store.parent.mkdir(parents=True, exist_ok=True)
        fresh = store.with_suffix(f".{os.getpid()}")
        fresh.write_text(_translate(sources), encoding="utf-8")
        fresh.replace(store)
    with store.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _translate(sources: list[str]) -> str:
    node = shutil.which("node")
    if node is None:
        raise Unavailable("Node is not installed, and the translations are not in the cache.")
    if not (TRANSLATE / "node_modules").is_dir():
        raise Unavailable("The translator is not installed: run `npm install` in cql/translate.")
    done = subprocess.run(
        [node, "batch.mjs"],
        cwd=TRANSLATE,
        input="\n".join(sources),
        capture_output=True,
        text=True,
        timeout=600,
    )
    if done.returncode != 0:
        raise RuntimeError(f"The translator stopped with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def _key(sources: list[str]) -> str:
    digest = hashlib.sha256()
    for path in sorted(TRANSLATE.glob("*.*")):
        if path.suffix in (".mjs", ".json", ".xml"):
            digest.update(path.read_bytes())
    for source in sources:
        digest.update(source.encode())
    return digest.hexdigest()[:32]


def _cases_of(path: Path) -> Iterator[Case]:
    for group in ET.parse(path).getroot().iterfind("t:group", NAMESPACE):
        for test in group.iterfind("t:test", NAMESPACE):
            expression = test.find("t:expression", NAMESPACE)
            output = test.find("t:output", NAMESPACE)
            if expression is None:
                raise ValueError(f"{path.name}: test {test.get('name')} has no expression")
            yield Case(
                file=path.stem,
                group=group.get("name", ""),
                name=test.get("name", ""),
                expression=expression.text or "",
                output=None if output is None else output.text,
                invalid=expression.get("invalid"),
            )


def _content(case: Case) -> tuple[str, str | None, str | None]:
    return case.expression, case.output, case.invalid
