"""Errors and messages (ELM logical specification, chapter 25)."""

from __future__ import annotations

from typing import Any

from server.elm.errors import EvaluationError
from server.elm.operators.registry import Context, operator

# 25.1 Message


@operator(
    "Message",
    nulls="handle",
    operands=("source", "condition", "code", "severity", "message"),
    options=("context",),
)
def message(
    source: Any,
    condition: bool | None,
    code: str | None,
    severity: str | None,
    text: str | None,
    *,
    context: Context,
) -> Any:
    """The source, unchanged; where the condition is true, with a word to the caller.

    Severity Error stops with an EvaluationError; Trace, Message (the default) and Warning go to the
    context, which decides what may be shown: the source may hold what is nobody's business.
    """
    if condition is not True:
        return source
    if severity == "Error":
        raise EvaluationError(f"{code}: {text}" if code else text or "The library reported an error.")
    context.message(severity or "Message", code, text, source)
    return source
