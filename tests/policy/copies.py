"""The policy data in a folder of a test's own."""

import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]


def copied(root: Path) -> Path:
    """A copy to spoil; the value sets, translations and forms, which are many, are linked."""
    for name in ("policies", "plans", "benefit-managers", "codesystems"):
        shutil.copytree(ROOT / "cql" / name, root / "cql" / name)
    for path in (ROOT / "cql").glob("*.*"):
        shutil.copy(path, root / "cql")
    for name in ("cql/valuesets", "cql/elm", "questionnaires"):
        (root / name).symlink_to(ROOT / name)
    return root
