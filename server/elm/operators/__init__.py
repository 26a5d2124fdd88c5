"""The CQL operators, one module per chapter of the ELM logical specification.

Importing this fills the table in `registry`.
"""

from server.elm.operators import (
    aggregate,
    arithmetic,
    bounds,
    clinical,
    comparison,
    conversion,
    coverage,
    datetime,
    equivalence,
    interval,
    lists,
    logical,
    membership,
    messages,
    nullological,
    precision,
    steps,
    string,
)

__all__ = [
    "aggregate",
    "arithmetic",
    "bounds",
    "clinical",
    "comparison",
    "conversion",
    "coverage",
    "datetime",
    "equivalence",
    "interval",
    "lists",
    "logical",
    "membership",
    "messages",
    "nullological",
    "precision",
    "steps",
    "string",
]
