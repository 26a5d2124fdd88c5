"""What the tests make the server emit, held to the official validator: `make conformance`.

Runs the tests of the doors with `EMITTED_DIR` set (see `tests.emitted`), then the validator on each group of
files. Where `EMITTED_DIR` is given and holds what an earlier run of the tests emitted, that is judged, and no
test runs twice. `HL7_VALIDATE` is the validator's command; the allow-file beside it (same name, `.allow`)
lists its known false errors, `conformance.allow` the guides' own. Without the command there is nothing to
judge by, and the run says so and fails.
"""

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
TESTS = ["crd", "dtr", "pas", "subscriptions", "review", "inferno", "test_three_doors.py"]


def main() -> int:
    validator = Path(os.environ.get("HL7_VALIDATE", ""))
    if not validator.is_file():
        print("Set HL7_VALIDATE to the official validator's command.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(os.environ.get("EMITTED_DIR") or scratch)
        failed = 0 if _groups(folder) else emit(folder)
        groups = _groups(folder)
        allow = allowed(validator, Path(scratch))
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            verdicts = list(pool.map(lambda group: judged(validator, group, allow), groups))
    for group, code in zip(groups, verdicts, strict=True):
        print(f"{group.name}: {'no error' if code == 0 else 'errors'}")
    return failed or max(verdicts, default=2)


def emit(folder: Path) -> int:
    """Runs the tests of the doors; 0 where they pass."""
    environment = {**os.environ, "EMITTED_DIR": str(folder)}
    tests = [str(HERE / name) for name in TESTS]
    return subprocess.run([sys.executable, "-m", "pytest", *tests], env=environment, check=False).returncode


def allowed(validator: Path, scratch: Path) -> Path:
    """The validator's known false errors and those of the guides, in one file."""
    files = [validator.with_suffix(".allow"), HERE / "conformance.allow"]
    both = scratch / "conformance.allow"
    both.write_text("".join(file.read_text("utf-8") for file in files if file.is_file()), "utf-8")
    return both


def judged(validator: Path, group: Path, allow: Path) -> int:
    """0 where the validator finds no error in the files of the group; what it says is shown in one piece. Two
    that begin together may trip over the cache that they share: who fell is asked again."""
    command = [str(validator), group.name, str(group), "--allow", str(allow)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode and "Exception in thread" in done.stderr:
        done = subprocess.run(command, check=False, capture_output=True, text=True)
    print(f"{group.name}\n{done.stdout}{done.stderr}", flush=True)
    return done.returncode


def _groups(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("[!.]*") if path.is_dir()) if folder.is_dir() else []


if __name__ == "__main__":
    raise SystemExit(main())
