"""Clinical operators that are functions of their operands (ELM logical specification, chapter 23).

Membership of value sets and code systems needs terminology: those are the compiler's forms.
"""

from __future__ import annotations

from server.elm.operators.calendar import duration
from server.elm.operators.registry import Context, operator
from server.elm.temporal import Date, DateTime
from server.elm.values import Uncertainty

# 23.2 CalculateAge


@operator("CalculateAge", nulls="propagate", options=("precision", "context"))
def calculate_age(birth: Date | DateTime, *, precision: str, context: Context) -> int | Uncertainty:
    """Whole years (or months, …) from birth to the evaluation's day, or to its moment for a DateTime."""
    return duration(birth, context.today if isinstance(birth, Date) else context.now, precision)


# 23.3 CalculateAgeAt


@operator("CalculateAgeAt", nulls="propagate", options=("precision",))
def calculate_age_at(birth: Date | DateTime, moment: Date | DateTime, *, precision: str) -> int | Uncertainty:
    """Whole years (or months, …) from birth to a moment; uncertain with partial dates."""
    return duration(birth, moment, precision)
