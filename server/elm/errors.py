"""What the engine raises.

ElmError                 anything below; `code` is the FHIR issue type it would be reported under
├── LoadError            ELM that cannot be compiled: not ELM, unsupported, unresolved
└── EvaluationError      CQL says this expression has no value for these operands
    └── BudgetExceeded   the evaluation took more steps or time than it was given
"""

from __future__ import annotations


class ElmError(Exception):
    """Base of the engine's errors: a message that says what, and where it happened.

    `place` reads library, define, local id and locator as far as known; whoever knows it first sets it.
    """

    code = "exception"

    def __init__(self, message: str, place: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.place = place

    def __str__(self) -> str:
        return self.message if self.place is None else f"{self.message} ({self.place})"


class LoadError(ElmError):
    """The ELM handed in cannot be compiled."""

    code = "invalid"


class EvaluationError(ElmError):
    """An expression has no value for the operands it met, and CQL makes that an error rather than null."""

    code = "processing"


class BudgetExceeded(EvaluationError):
    """The evaluation spent the steps or the time it was given."""

    code = "too-costly"
