"""Extensions by URL, on any element (`dict`).

extension(coverage_information, "covered")            -> the first such extension, or None
value(extension(order, COVERAGE_INFORMATION))         -> its value[x], whatever the type, or None
"""

from collections.abc import Iterator, Mapping
from typing import Any

from server.fhir.elements import elements

Element = Mapping[str, Any]


def extensions(element: Element | None, url: str) -> Iterator[dict[str, Any]]:
    """Every extension of the element with this URL, in order; malformed ones are passed over."""
    for candidate in elements(element or {}, "extension"):
        if candidate.get("url") == url:
            yield candidate


def extension(element: Element | None, url: str) -> dict[str, Any] | None:
    """The first extension with this URL."""
    return next(extensions(element, url), None)


def value(found: Element | None) -> Any:
    """The value[x] of an extension, or of a form's answer, without saying which; None if it has none."""
    if found is None:
        return None
    return next((content for name, content in found.items() if name.startswith("value")), None)


def values(element: Element | None, url: str) -> list[Any]:
    """The value[x] of every extension with this URL that has one."""
    return [content for found in extensions(element, url) if (content := value(found)) is not None]
