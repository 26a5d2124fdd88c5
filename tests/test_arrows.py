"""Arrows point one way: what a package of the server may import of the others."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SERVER = Path(__file__).resolve().parent.parent / "server"
DOORS = {"crd", "dtr", "pas"}
FORBIDDEN = {
    "elm": {"*"},
    "fhir": {"policy", "adjudication", "store", *DOORS},
    "policy": {"adjudication", "store", "review", "subscriptions", "web", *DOORS},
    "adjudication": {"review", "subscriptions", "web", *DOORS},
    "crd": {"dtr", "pas", "review", "subscriptions"},
    "dtr": {"crd", "pas", "review", "subscriptions"},
    "pas": {"crd", "dtr"},
    "store": {"policy", "adjudication", "review", "subscriptions", "web", *DOORS},
}


def imports(path: Path) -> Iterator[str]:
    """The packages of the server that a module imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            first, _, rest = name.partition(".")
            if first == "server" and rest:
                yield rest.partition(".")[0]


@pytest.mark.parametrize("package", FORBIDDEN)
def test_a_package_imports_only_what_lies_below_it(package: str) -> None:
    forbidden = FORBIDDEN[package]
    wrong = [
        f"{path.relative_to(SERVER)} imports {name}"
        for path in sorted((SERVER / package).rglob("*.py"))
        for name in imports(path)
        if name != package and (name in forbidden or "*" in forbidden)
    ]
    assert not wrong
