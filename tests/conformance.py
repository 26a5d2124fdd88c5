"""What the tests make the server emit, held to the official validator: `make conformance`.

Runs the tests of the doors with `EMITTED_DIR` set (see `tests.emitted`), then the validator on each group of
files. `HL7_VALIDATE` is the validator's command; the allow-file beside it (same name, `.allow`) lists its
known false errors. Without the command there is nothing to judge by, and the run says so and fails.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> int:
    validator = os.environ.get("HL7_VALIDATE")
    if not validator or not Path(validator).is_file():
        print("Set HL7_VALIDATE to the official validator's command.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        emitted = {**os.environ, "EMITTED_DIR": folder}
        doors = ["tests/crd", "tests/dtr", "tests/pas"]
        tests = subprocess.run([sys.executable, "-m", "pytest", *doors], env=emitted, check=False)
        groups = sorted(path for path in Path(folder).iterdir() if path.is_dir())
        verdicts = {group.name: judged(validator, group) for group in groups}
    for name, code in verdicts.items():
        print(f"{name}: {'no error' if code == 0 else 'errors'}")
    return tests.returncode or max(verdicts.values(), default=2)


def judged(validator: str, group: Path) -> int:
    """0 where the validator finds no error in the files of the group."""
    allow = Path(validator).with_suffix(".allow")
    options = ["--allow", str(allow)] if allow.is_file() else []
    return subprocess.run([validator, group.name, str(group), *options], check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
