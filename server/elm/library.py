"""ELM libraries as declarations: read from JSON, included in one another, every definition numbered.

The shape of a library is checked here, once: identifier, includes (by name and version; a circle is an
error), definitions. What the expressions mean is the compiler's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from server.elm.errors import LoadError
from server.elm.types import FHIR_URI, SYSTEM_URI, Type, named, specifier

Node = Mapping[str, Any]
_MODELS: Final = {SYSTEM_URI: None, FHIR_URI: "4.0"}


@dataclass(slots=True, eq=False)
class Definition:
    """A named expression. `index` is its place in every evaluation's memo."""

    index: int
    library: Library
    name: str
    node: Node
    context: str

    def __str__(self) -> str:
        return f'{self.library.id}."{self.name}"'


@dataclass(slots=True, eq=False)
class Function:
    """A function overload; operands as (name, type)."""

    library: Library
    name: str
    node: Node
    operands: tuple[tuple[str, Type], ...]
    body: Node | None

    def __str__(self) -> str:
        return f'{self.library.id}."{self.name}"({", ".join(str(kind) for _, kind in self.operands)})'


@dataclass(slots=True, eq=False)
class Library:
    """One library's declarations, by name."""

    id: str
    version: str | None
    includes: dict[str, Library] = field(default_factory=dict)
    parameters: dict[str, Node] = field(default_factory=dict)
    code_systems: dict[str, Node] = field(default_factory=dict)
    value_sets: dict[str, Node] = field(default_factory=dict)
    codes: dict[str, Node] = field(default_factory=dict)
    concepts: dict[str, Node] = field(default_factory=dict)
    definitions: dict[str, Definition] = field(default_factory=dict)
    functions: dict[str, list[Function]] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.id if self.version is None else f"{self.id}|{self.version}"


class Program:
    """Every library of an engine, linked. Immutable once made."""

    def __init__(self, documents: Iterable[Node]) -> None:
        self.libraries: dict[tuple[str, str | None], Library] = {}
        self.definitions: list[Definition] = []
        includes: dict[tuple[str, str | None], list[Node]] = {}
        for document in documents:
            library, wanted = self._read(document)
            key = (library.id, library.version)
            if key in self.libraries:
                raise LoadError(f"Library {library} was given twice.")
            self.libraries[key] = library
            includes[key] = wanted
        for key, wanted in includes.items():
            self._link(self.libraries[key], wanted)
        self._refuse_circles()
        self.parameters: dict[tuple[int, str], int] = {}
        for library in self.libraries.values():
            for name in library.parameters:
                self.parameters[(id(library), name)] = len(self.parameters)

    def find(self, name: str, version: str | None = None) -> Library:
        """A library by id (or `id|version`); without a version there must be exactly one."""
        name, _, pinned = name.partition("|")
        version = version or pinned or None
        if version is not None:
            library = self.libraries.get((name, version))
            if library is not None:
                return library
        having = [library for library in self.libraries.values() if library.id == name]
        if version is None and len(having) == 1:
            return having[0]
        if not having:
            raise LoadError(f"Library {name} was not given to the engine.")
        have = ", ".join(sorted(str(library.version) for library in having))
        wanted = f"but {version} is asked for" if version is not None else "name one"
        raise LoadError(f"Library {name} was given as version {have}: {wanted}.")

    def _read(self, document: Node) -> tuple[Library, list[Node]]:
        body = document.get("library", document) if isinstance(document, Mapping) else None
        identifier = body.get("identifier") if isinstance(body, Mapping) else None
        if not isinstance(body, Mapping) or not isinstance(identifier, Mapping):
            raise LoadError("Not an ELM library: it has no identifier.")
        identity = identifier.get("id")
        version = identifier.get("version")
        if not isinstance(identity, str) or not (version is None or isinstance(version, str)):
            # The translator leaves the identifier of an unnamed library empty.
            identity, version = "Anonymous", None
        library = Library(identity, version)
        self._check_models(library, body)
        library.parameters = _by_name(library, body, "parameters")
        library.code_systems = _by_name(library, body, "codeSystems")
        library.value_sets = _by_name(library, body, "valueSets")
        library.codes = _by_name(library, body, "codes")
        library.concepts = _by_name(library, body, "concepts")
        for statement in _definitions(library, body, "statements"):
            self._statement(library, statement)
        return library, _definitions(library, body, "includes")

    def _check_models(self, library: Library, body: Node) -> None:
        for using in _definitions(library, body, "usings"):
            uri, version = using.get("uri"), using.get("version")
            if uri not in _MODELS:
                raise LoadError(
                    f"Library {library} uses model {uri}; this engine knows System and FHIR 4.0.1."
                )
            wanted = _MODELS[uri]
            if wanted is not None and version is not None and not str(version).startswith(wanted):
                model = using.get("localIdentifier") or "FHIR"
                raise LoadError(f"Library {library} uses {model} {version}; this engine knows FHIR 4.0.1.")

    def _statement(self, library: Library, statement: Node) -> None:
        name = statement["name"]
        if statement.get("type") == "FunctionDef":
            operands = tuple(
                (operand["name"], _operand_type(operand)) for operand in _list(statement, "operand")
            )
            body = None if statement.get("external") else statement.get("expression")
            library.functions.setdefault(name, []).append(Function(library, name, statement, operands, body))
            return
        if name in library.definitions:
            raise LoadError(f'Library {library} defines "{name}" twice.')
        context = statement.get("context") or "Unfiltered"
        definition = Definition(
            len(self.definitions), library, name, statement.get("expression") or {}, context
        )
        library.definitions[name] = definition
        self.definitions.append(definition)

    def _link(self, library: Library, includes: list[Node]) -> None:
        for include in includes:
            alias = include.get("localIdentifier") or include.get("path")
            path = include.get("path")
            if not isinstance(path, str) or not isinstance(alias, str):
                raise LoadError(f"Library {library} has an include without a path.")
            # A namespace-qualified path ends in the library's id.
            identity = path.rsplit("/", 1)[-1]
            try:
                library.includes[alias] = self.find(identity, include.get("version"))
            except LoadError as error:
                raise LoadError(f"Library {library} includes one that cannot be found. {error}") from None

    def _refuse_circles(self) -> None:
        done: set[int] = set()
        for start in self.libraries.values():
            trail: list[Library] = []
            stack: list[tuple[Library, bool]] = [(start, False)]
            while stack:
                library, leaving = stack.pop()
                if leaving:
                    trail.pop()
                    done.add(id(library))
                    continue
                if any(each is library for each in trail):
                    names = " -> ".join(str(each) for each in [*trail, library])
                    raise LoadError(f"Libraries include each other in a circle: {names}.")
                if id(library) in done:
                    continue
                trail.append(library)
                stack.append((library, True))
                stack.extend((each, False) for each in library.includes.values())


def _operand_type(operand: Node) -> Type:
    simple = operand.get("operandType")
    return named(simple) if isinstance(simple, str) else specifier(operand.get("operandTypeSpecifier"))


def _list(node: Node, field_name: str) -> list[Node]:
    value = node.get(field_name)
    return value if isinstance(value, list) else []


def _definitions(library: Library, body: Node, section: str) -> list[Node]:
    holder = body.get(section)
    entries = holder.get("def") if isinstance(holder, Mapping) else None
    if entries is None:
        return []
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise LoadError(f"Library {library}: {section} is not a list of definitions.")
    if section in ("usings", "includes"):
        return entries
    if not all(isinstance(entry.get("name"), str) for entry in entries):
        raise LoadError(f"Library {library}: a definition in {section} has no name.")
    return entries


def _by_name(library: Library, body: Node, section: str) -> dict[str, Node]:
    return {entry["name"]: entry for entry in _definitions(library, body, section)}
