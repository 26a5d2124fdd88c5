"""Every form module, imported so that their forms are registered with the compiler."""

from server.elm import (
    instances,
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
    "instances",
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
