"""The oracle: another CQL engine, asked for the same defines over the same charts.

`cql-execution` runs in Node beside the translator (`cql/translate`). This module starts it, hands it jobs and
gives its answers back in a JSON normal form (described at the top of `run.mjs`). Where Node or its packages
are not installed, answers stored by an earlier run stand in for it: see `recorded`.

    with Oracle(libraries, value_sets) as oracle:
        answer = oracle.evaluate("MRIShoulder", {"case-1": chart}, now=now, parameters={"order": order})
    answer.results["case-1"]["Red flag"]        # True, False, None, or {"error": ...}

Known faults of the oracle, so that a difference is judged rightly: Long is a string; a sort removes
duplicates; null where an error is due; a list is not flattened when one of its elements is null; a function
sees the aliases of the query that calls it; a quantity with a unit outside UCUM raises. It reads a date
without offset in the time zone of its process, which is UTC here: give `now` in UTC.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

Json = dict[str, Any]

RUNNER = Path(__file__).with_name("run.mjs")
TOOLS = Path(__file__).parents[2] / "cql" / "translate"


class OracleError(Exception):
    """The oracle could not do its job: it is not installed, stopped, or refused the libraries."""


@dataclass(frozen=True)
class Answer:
    """Values by case and define in normal form, and the milliseconds each repetition took by case."""

    results: dict[str, Json]
    milliseconds: dict[str, list[float]]


def available() -> bool:
    """Whether Node and the oracle's packages are installed here."""
    return shutil.which("node") is not None and (TOOLS / "node_modules" / "cql-execution").is_dir()


class Oracle:
    """One Node process that holds the libraries and answers any number of evaluations."""

    def __init__(self, libraries: Sequence[Json], value_sets: Iterable[Json] = ()) -> None:
        """`libraries`: ELM as JSON, the included ones among them. `value_sets`: FHIR ValueSets."""
        if not available():
            raise OracleError("cql-execution is not installed: run `npm install` in cql/translate.")
        codes = {key: value for each in value_sets for key, value in codes_of(each).items()}
        self._process = subprocess.Popen(
            ["node", str(RUNNER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TZ": "UTC"},
        )
        self._ask({"libraries": list(libraries), "valueSets": codes})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._process.communicate()

    def evaluate(
        self,
        library: str,
        charts: Mapping[str, Sequence[Json]],
        *,
        now: str,
        parameters: Mapping[str, Any] | None = None,
        defines: Sequence[str] | None = None,
        repeat: int = 1,
        helped: bool = True,
    ) -> Answer:
        """The defines (all of the library if not named) over each chart, `repeat` times for timing.

        `charts`: the resources of each case by its id. `parameters`: plain JSON, FHIR resources included.
        `now`: ISO date and time in UTC. `helped`: a parameter without a value gets its default, which this
        engine forgets of the library asked.
        """
        job: Json = {
            "main": library,
            "cases": [{"id": case, "resources": list(chart)} for case, chart in charts.items()],
            "parameters": dict(parameters or {}),
            "now": now,
            "repeat": repeat,
            "defaults": helped,
        }
        if defines is not None:
            job["defines"] = list(defines)
        return self._ask(job)

    def _ask(self, job: Json) -> Answer:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(job, default=float) + "\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            raise OracleError("The oracle stopped without an answer: see its standard error.")
        reply = json.loads(line)
        if "error" in reply:
            raise OracleError(reply["error"])
        return Answer(reply["results"], reply["milliseconds"])


def codes_of(value_set: Json) -> dict[str, list[Json]]:
    """The enumerated codes of a FHIR ValueSet by its canonical, from the expansion or else the compose."""
    expansion = value_set.get("expansion", {}).get("contains")
    if expansion is not None:
        found = [{"code": each["code"], "system": each["system"]} for each in expansion if "code" in each]
    else:
        includes = value_set.get("compose", {}).get("include", [])
        found = [
            {"code": concept["code"], "system": include["system"]}
            for include in includes
            for concept in include.get("concept", [])
        ]
    return {value_set["url"]: found}


def recorded(file: Path, ask: Callable[[], Json]) -> Json:
    """What the oracle answers, with `file` as its memory where it is not installed.

    Where it is, it is asked, and an answer other than the one on file is an error unless `ORACLE_RECORD=1`,
    which writes it: so the file is never stale unseen.
    """
    stored: Json | None = json.loads(file.read_text()) if file.exists() else None
    if not available():
        if stored is None:
            raise OracleError(f"{file.name} is not recorded: run once with ORACLE_RECORD=1 and Node.")
        return stored
    answer = ask()
    if answer != stored:
        if os.environ.get("ORACLE_RECORD") != "1":
            raise OracleError(f"{file.name} is not what the oracle answers: run once with ORACLE_RECORD=1.")
        file.write_text(json.dumps(answer, indent=1, sort_keys=True) + "\n")
    return answer
