"""Clinical operators that are plain functions (ELM logical specification, "Clinical Operators")."""

from __future__ import annotations

from typing import Any

from server.elm.operators.calendar import duration
from server.elm.operators.registry import operator
from server.elm.values import Uncertainty


@operator("CalculateAgeAt", nulls="propagate", options=("precision",))
def calculate_age_at(born: Any, moment: Any, *, precision: str = "Year") -> int | Uncertainty:
    """Whole years (or months, …) from birth to a moment; uncertain with partial dates."""
    return duration(born, moment, precision)
