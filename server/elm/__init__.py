"""The CQL engine: ELM JSON compiled once to closures, FHIR 4.0.1, three-valued, with evidence.

    from server.elm import Engine

    engine = Engine(libraries=[elm, ...], value_sets=[value_set, ...])
    run = engine.evaluate("MRIShoulder", data=resources, now=now, evidence=True)
    run["Conservative care long enough"].value

It knows nothing of the rest of the server.
"""

from server.elm.chart import Chart
from server.elm.engine import Engine
from server.elm.errors import BudgetExceeded, ElmError, EvaluationError, LoadError
from server.elm.evidence import Evidence, Missing
from server.elm.explain import Step
from server.elm.run import Result, Run
from server.elm.values import (
    Code,
    CodeSystem,
    Concept,
    Date,
    DateTime,
    Interval,
    Long,
    Quantity,
    Ratio,
    Time,
    Uncertainty,
    ValueSet,
    literal,
    to_json,
)

__all__ = [
    "BudgetExceeded",
    "Chart",
    "Code",
    "CodeSystem",
    "Concept",
    "Date",
    "DateTime",
    "ElmError",
    "Engine",
    "EvaluationError",
    "Evidence",
    "Interval",
    "LoadError",
    "Long",
    "Missing",
    "Quantity",
    "Ratio",
    "Result",
    "Run",
    "Step",
    "Time",
    "Uncertainty",
    "ValueSet",
    "literal",
    "to_json",
]
