"""The conformance page: what a run of the official tests came to, and every ELM kind the engine takes."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill

import server.elm.operators
from server.elm.operators.registry import OPERATORS
from tests.elm.official.judge import Verdict
from tests.elm.official.suite import ROOT

PAGE = ROOT / "docs" / "conformance.md"
LIST = Path(__file__).with_name("not_passed.toml")
SECTION = "cql-official-tests"

FAULTS = {
    "test": "The test contradicts the reference or its own suite",
    "translator": "The translator refuses it or writes something else",
    "ours": "The engine is wrong",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why some tests do not pass."""

    fault: str
    why: str
    tests: tuple[str, ...]


def reasons() -> list[Reason]:
    """The list of tests that do not pass."""
    entries = tomllib.loads(LIST.read_text(encoding="utf-8"))["reason"]
    return [Reason(entry["fault"], entry["why"], tuple(entry["tests"])) for entry in entries]


def section(verdicts: Sequence[Verdict]) -> str:
    """The section of the page that a run makes."""
    return "\n".join([*_figures(verdicts), "", *_not_passed(), "", *_operators()])


def with_section(page: str, made: str) -> str:
    """The page with the section between its markers replaced, or put at the end of a page without them."""
    begin, end = f"<!-- {SECTION}: begin -->", f"<!-- {SECTION}: end -->"
    block = f"{begin}\n{made}\n{end}"
    found = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if found.search(page):
        return found.sub(lambda _: block, page)
    return f"{page.rstrip()}\n\n{block}\n".lstrip()


def _figures(verdicts: Sequence[Verdict]) -> list[str]:
    by_file: dict[str, Counter[str]] = defaultdict(Counter)
    for verdict in verdicts:
        by_file[verdict.case.file][verdict.outcome] += 1
    rows = [_row(file, counts) for file, counts in sorted(by_file.items())]
    total = sum(by_file.values(), Counter[str]())
    return [
        "## CQL: the official tests",
        "",
        fill(
            "HL7's tests of CQL, each translated to ELM and run through the engine. A test passes when the "
            "value is of the type and equal, or when an invalid expression is refused. This section is "
            "written by `python -m tests.elm.official`.",
            110,
        ),
        "",
        "| file | tests | translated | passed |",
        "|---|---:|---:|---:|",
        *rows,
        _row("**all**", total),
    ]


def _row(name: str, counts: Counter[str]) -> str:
    tests = counts.total()
    return f"| {name} | {tests} | {tests - counts['untranslated']} | {counts['passed']} |"


def _not_passed() -> list[str]:
    lines = ["### Not passed"]
    for fault, title in FAULTS.items():
        entries = [reason for reason in reasons() if reason.fault == fault]
        if entries:
            lines += ["", f"{title}:", ""]
            lines += [line for reason in entries for line in _reason(reason)]
    return lines


def _reason(reason: Reason) -> Iterable[str]:
    names = ", ".join(f"`{test}`" for test in reason.tests)
    yield f"- {reason.why} {names}"


def _operators() -> list[str]:
    return [
        "### Operators",
        "",
        "ELM operators that are functions of their operands, by the chapter they are in.",
        "",
        "| chapter | operators |",
        "|---|---|",
        *(f"| {chapter} | {', '.join(names)} |" for chapter, names in _by_chapter()),
    ]


def _by_chapter() -> Iterable[tuple[str, list[str]]]:
    names: dict[str, list[str]] = defaultdict(list)
    for operator in OPERATORS.values():
        names[operator.function.__module__].append(operator.name)
    for info in pkgutil.iter_modules(server.elm.operators.__path__):
        module = f"server.elm.operators.{info.name}"
        if names[module]:
            title = (inspect.getdoc(importlib.import_module(module)) or "").partition("(")[0].strip()
            yield title.split(":")[0].rstrip("."), sorted(names[module])
