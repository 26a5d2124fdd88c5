"""Every form module, imported so that their forms are registered with the compiler."""

from server.elm import (
    iteration,
    lists,
    logic,
    paths,
    query,
    references,
    retrieve,
    selectors,
    sorting,
    typing_forms,
)

__all__ = [
    "iteration",
    "lists",
    "logic",
    "paths",
    "query",
    "references",
    "retrieve",
    "selectors",
    "sorting",
    "typing_forms",
]
