"""The policy data in a folder of a test's own."""

import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]


def copied(root: Path) -> Path:
    """A copy to spoil; value sets and translations, which are many, are linked one by one."""
    for name in ("policies", "plans", "benefit-managers", "codesystems"):
        shutil.copytree(ROOT / "cql" / name, root / "cql" / name)
    for path in (ROOT / "cql").glob("*.*"):
        shutil.copy(path, root / "cql")
    for name in ("valuesets", "elm"):
        (root / "cql" / name).mkdir()
        for path in (ROOT / "cql" / name).iterdir():
            (root / "cql" / name / path.name).symlink_to(path)
    shutil.copytree(ROOT / "questionnaires", root / "questionnaires")
    return root
