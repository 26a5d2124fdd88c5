"""What FHIR R4 has of each type: its elements, how often each stands, how each is written in JSON. Taken from
the fields of the models of fhir.resources.

    violations({"resourceType": "Patient", "active": "yes"})    -> [{"loc": ("active",), "msg": …, …}]

Only the fields, compiled to one validator a resource type. The models' own constructors make an object of
every element, in Python, and take ten times as long; and they take for FHIR what it is not: a text for a
number, a number for a time, names of Python's for elements.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any, get_args, get_origin

from fhir.resources import R4B
from fhir.resources.R4B.extension import Extension
from fhir.resources.R4B.fhirprimitiveextension import FHIRPrimitiveExtension
from fhir.resources.R4B.resource import Resource as AnyResource
from fhir_core.fhirabstractmodel import FHIRAbstractModel
from fhir_core.types import FhirBase
from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, ErrorDetails, InitErrorDetails, PydanticCustomError, SchemaValidator
from pydantic_core import core_schema as schema

from server.fhir.elements import elements

Resource = dict[str, Any]
Model = type[FHIRAbstractModel]
Found = tuple[str | PydanticCustomError, str]
"""What is wrong, and with which element."""

_A_TIME = "a time with its zone such as 2026-11-30T09:30:00-05:00"
_WRITTEN = {
    "bool": "FHIR has true or false here. Write one of them.",
    "Integer": "FHIR has a whole number here. Write one.",
    "UnsignedInt": "FHIR has a whole number from 0 here. Write one.",
    "PositiveInt": "FHIR has a whole number from 1 here. Write one.",
    "Decimal": "The value must be a number such as 1.5.",
    "DateTime": f"The value must be a date such as 2026-11-30, or {_A_TIME}.",
    "Instant": f"The value must be {_A_TIME}.",
    "Date": "The value must be a date such as 2026-11-30.",
    "Time": "The value must be a time of day such as 09:30:00.",
    "Url": "The value must be an address such as https://ehr.example/fhir.",
    "UuidVersion": "The value must be a UUID such as urn:uuid:c757873d-ec9a-4326-a141-556f43239520.",
    "Base64Binary": "The value must be written in base64.",
}
"""How primitives are written, by the models' name of them; any other is a text."""

_IN_JSON: dict[Any, CoreSchema] = {
    bool: schema.bool_schema(strict=True),
    int: schema.int_schema(strict=True),
    Decimal: schema.union_schema([schema.int_schema(strict=True), schema.is_instance_schema(Decimal)]),
}
"""What JSON has for a primitive, by Python's type of it; for any other a text."""

_UNKNOWN = PydanticCustomError("resource_type", "No FHIR R4 resource has this type. Correct the type.")
_SEVERAL = PydanticCustomError("choice", "FHIR has one value here, of one type. Leave the others out.")


def violations(resource: Resource) -> list[ErrorDetails]:
    """What in it is not FHIR, each with its place; none where all is."""
    try:
        _held(resource)
    except ValidationError as error:
        return error.errors(include_url=False, include_input=False)
    return []


def _held(value: Any) -> None:
    """Raises ValidationError where it is no resource of its type."""
    kind = value.get("resourceType") if isinstance(value, dict) else None
    shape = _shape(kind) if isinstance(kind, str) else None
    if shape is None:
        raise _violated([(_UNKNOWN, "resourceType")])
    shape.validate_python(value)


def _violated(found: list[Found]) -> ValidationError:
    errors: list[InitErrorDetails] = [{"type": what, "loc": (name,), "input": None} for what, name in found]
    return ValidationError.from_exception_data("FHIR", errors)


@lru_cache(maxsize=64)
def _shape(kind: str) -> SchemaValidator | None:
    """Bounded, since the name comes from a request."""
    try:
        model = R4B.get_fhir_model_class(kind)
    except ValueError:
        return None
    if not (isinstance(model, type) and issubclass(model, AnyResource)):
        return None
    shapes: dict[str, CoreSchema] = {}
    whole = _type(model, shapes)
    return SchemaValidator(schema.definitions_schema(whole, list(shapes.values())))


def _type(model: Model, shapes: dict[str, CoreSchema]) -> CoreSchema:
    """A type, by reference: `shapes` gets it and all types it has, once each, since they have one another."""
    name = model.__name__
    if name not in shapes:
        shapes[name] = schema.any_schema()  # until all that it has is known
        whole: Any = schema.typed_dict_schema(dict(_fields(model, shapes)), extra_behavior="forbid")
        if rule := _rule(model):
            whole = schema.no_info_after_validator_function(rule, whole)
        shapes[name] = {**whole, "ref": name}
    return schema.definition_reference_schema(name)


def _fields(model: Model, shapes: dict[str, CoreSchema]) -> Iterator[tuple[str, schema.TypedDictField]]:
    if issubclass(model, AnyResource):
        yield "resourceType", schema.typed_dict_field(schema.literal_schema([model.__name__]))
    for name, field in _elements(model):
        content = _content(field.annotation, shapes)
        yield name, schema.typed_dict_field(content, required=field.is_required())
        if model is Extension and name.startswith("value"):
            # The models know what stands beside a primitive, but not beside that of an extension.
            beside = schema.nullable_schema(_type(FHIRPrimitiveExtension, shapes))
            yield f"_{name}", schema.typed_dict_field(beside, required=False)


def _elements(model: Model) -> Iterator[tuple[str, FieldInfo]]:
    """The fields of a model by the names of FHIR."""
    for name, field in model.model_fields.items():
        if name != "fhir_comments":
            yield field.alias or name, field


def _content(annotation: Any, shapes: dict[str, CoreSchema]) -> CoreSchema:
    """What an element with this annotation of a model holds."""
    if type(None) in get_args(annotation):
        (told,) = (each for each in get_args(annotation) if each is not type(None))
        return schema.nullable_schema(_content(told, shapes))
    if get_origin(annotation) is list:
        return schema.list_schema(_content(get_args(annotation)[0], shapes), strict=True)
    if isinstance(annotation, type) and issubclass(annotation, FhirBase):
        model = annotation.get_model_klass()
        held = schema.no_info_plain_validator_function(_held)
        return held if model is AnyResource else _type(model, shapes)
    return _primitive(annotation)


@cache
def _primitive(annotation: Any) -> CoreSchema:
    python, *told = get_args(annotation) or (annotation,)
    kind = type(told[-1]).__name__ if told else python.__name__
    in_json = _IN_JSON.get(python, schema.str_schema(strict=True))
    written = schema.chain_schema([in_json, TypeAdapter(annotation).core_schema])
    if kind not in _WRITTEN:
        return written
    return schema.custom_error_schema(written, "written", custom_error_message=_WRITTEN[kind])


def _rule(model: Model) -> Callable[[Resource], Resource] | None:
    """What holds between the elements of a type: a primitive that has to be there may have an extension tell
    why it is not, and of a value of several types one stands."""
    due, choices, chosen = [], dict[str, set[str]](), []
    for name, field in _elements(model):
        told: Any = field.json_schema_extra or {}
        if told.get("element_required"):
            due.append(name)
        if choice := told.get("one_of_many"):
            choices.setdefault(choice, set()).add(name)
            chosen += [choice] if told["one_of_many_required"] else []

    def kept(element: Resource) -> Resource:
        found: list[Found] = [
            ("missing", name)
            for name in due
            if element.get(name) is None and not elements(element.get(f"_{name}") or {}, "extension")
        ]
        for choice, names in choices.items():
            stand = [name for name in names.intersection(element) if element[name] is not None]
            if len(stand) > 1:
                found.append((_SEVERAL, choice))
            elif not stand and choice in chosen and not any(f"_{name}" in element for name in names):
                found.append(("missing", choice))
        if found:
            raise _violated(found)
        return element

    return kept if due or choices else None
