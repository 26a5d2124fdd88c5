"""Every expression form and operator, registered: importing this makes the compiler complete."""

from server.elm import (
    lists,
    logic,
    operators,
    paths,
    query,
    references,
    retrieve,
    selectors,
    sorting,
    typetests,
    typing_forms,
)

__all__ = [
    "lists",
    "logic",
    "operators",
    "paths",
    "query",
    "references",
    "retrieve",
    "selectors",
    "sorting",
    "typetests",
    "typing_forms",
]
