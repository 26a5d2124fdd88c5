"""A CQL engine: ELM JSON compiled once to closures, FHIR 4.0.1, three-valued, with evidence."""

from server.elm.engine import Engine, Result, Run
from server.elm.errors import BudgetExceeded, ElmError, EvaluationError, LoadError
from server.elm.evidence import Evidence, Missing

__all__ = [
    "BudgetExceeded",
    "ElmError",
    "Engine",
    "EvaluationError",
    "Evidence",
    "LoadError",
    "Missing",
    "Result",
    "Run",
]
