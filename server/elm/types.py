"""Static types: what ELM says, or the compiler infers, about the value an expression will have.

ELM writes a type as a qualified name (`resultTypeName`, `asType`) or as a specifier tree
(`resultTypeSpecifier`, `asTypeSpecifier`). Here both become one small immutable form with names shortened to
`System.Integer` or `FHIR.Procedure`. None stands for "not known before run time".

Which FHIR type extends which is the model's knowledge (`model`); testing a value against a type is
`typing_forms`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

SYSTEM_URI: Final = "urn:hl7-org:elm-types:r1"
FHIR_URI: Final = "http://hl7.org/fhir"


@dataclass(frozen=True, slots=True)
class Named:
    """A class or simple type: `System.Integer`, `FHIR.Procedure`, `FHIR.Claim.Item`."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class ListOf:
    """`List<element>`."""

    element: Type

    def __str__(self) -> str:
        return f"List<{self.element}>"


@dataclass(frozen=True, slots=True)
class IntervalOf:
    """`Interval<point>`."""

    point: Type

    def __str__(self) -> str:
        return f"Interval<{self.point}>"


@dataclass(frozen=True, slots=True)
class Choice:
    """`Choice<a, b, …>`: a value of any one of them."""

    options: tuple[Type, ...]

    def __str__(self) -> str:
        return f"Choice<{', '.join(map(str, self.options))}>"


@dataclass(frozen=True, slots=True)
class TupleOf:
    """A tuple type; elements in the order written."""

    elements: tuple[tuple[str, Type], ...]

    def element(self, name: str) -> Type:
        """The type of one element, None when there is no such element."""
        return next((kind for key, kind in self.elements if key == name), None)

    def __str__(self) -> str:
        return f"Tuple{{{', '.join(f'{name} {kind}' for name, kind in self.elements)}}}"


Type = Named | ListOf | IntervalOf | Choice | TupleOf | None

ANY: Final = Named("System.Any")
BOOLEAN: Final = Named("System.Boolean")
INTEGER: Final = Named("System.Integer")
LONG: Final = Named("System.Long")
DECIMAL: Final = Named("System.Decimal")
STRING: Final = Named("System.String")
DATE: Final = Named("System.Date")
DATETIME: Final = Named("System.DateTime")
TIME: Final = Named("System.Time")
QUANTITY: Final = Named("System.Quantity")
CODE: Final = Named("System.Code")
CONCEPT: Final = Named("System.Concept")


def named(qualified: str) -> Named:
    """`{http://hl7.org/fhir}Procedure` as `FHIR.Procedure`; a name without a URI keeps its form."""
    uri, closed, name = qualified.partition("}")
    if not closed:
        return Named(qualified)
    uri = uri.removeprefix("{")
    if uri == SYSTEM_URI:
        return Named(f"System.{name}")
    if uri == FHIR_URI:
        return Named(f"FHIR.{name}")
    return Named(f"{uri}.{name}")


def specifier(node: Mapping[str, Any] | None) -> Type:
    """The type a specifier tree names; None when it is absent or of a kind not known here."""
    if not isinstance(node, Mapping):
        return None
    match node.get("type"):
        case list() as hidden:
            # A choice as translators in Java wrote it: its own `type`, of old, hides what kind it is.
            return Choice(tuple(specifier(option) for option in node.get("choice") or hidden))
        case "NamedTypeSpecifier" | None if isinstance(node.get("name"), str):
            return named(node["name"])
        case "ListTypeSpecifier":
            return ListOf(specifier(node.get("elementType")))
        case "IntervalTypeSpecifier":
            return IntervalOf(specifier(node.get("pointType")))
        case "ChoiceTypeSpecifier":
            return Choice(
                tuple(specifier(option) for option in node.get("choice") or node.get("type_") or ())
            )
        case "TupleTypeSpecifier":
            return TupleOf(
                tuple(
                    (element["name"], specifier(element.get("elementType") or element.get("type")))
                    for element in node.get("element") or ()
                )
            )
    return None


def result_type(node: Mapping[str, Any]) -> Type:
    """The type the translator noted on an expression, None when it noted none."""
    name = node.get("resultTypeName")
    if isinstance(name, str):
        return named(name)
    return specifier(node.get("resultTypeSpecifier"))


def either(kinds: Iterable[Type]) -> Type:
    """The type of what has one of these types: that one, or a choice. One not known says nothing."""
    known = [kind for kind in dict.fromkeys(kinds) if kind is not None and kind != ANY]
    if known and all(isinstance(kind, ListOf) for kind in known):
        return ListOf(either(map(element_of, known)))
    options = dict.fromkeys(
        option for kind in known for option in (kind.options if isinstance(kind, Choice) else (kind,))
    )
    return next(iter(options), None) if len(options) < 2 else Choice(tuple(options))


def element_of(kind: Type) -> Type:
    """The element type of a list type; None of anything else."""
    return kind.element if isinstance(kind, ListOf) else None
