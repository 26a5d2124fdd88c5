"""Run the official CQL tests and write what came of them into docs/conformance.md.

python -m tests.elm.official            write
python -m tests.elm.official --check    compare, exit 1 on a difference
python -m tests.elm.official --failing  print every test that did not pass
"""

from __future__ import annotations

import sys

from tests.elm.official.judge import runs
from tests.elm.official.report import PAGE, section, with_section
from tests.elm.official.suite import Unavailable, load


def main(arguments: list[str]) -> int:
    try:
        verdicts = list(runs(*load()))
    except Unavailable as missing:
        print(missing, file=sys.stderr)
        return 2
    if "--failing" in arguments:
        for verdict in verdicts:
            if verdict.outcome != "passed":
                print(f"{verdict.case.id}: {verdict.outcome}: {verdict.said}")
    passed = sum(verdict.outcome == "passed" for verdict in verdicts)
    print(f"{passed} of {len(verdicts)} official CQL tests passed")
    before = PAGE.read_text(encoding="utf-8") if PAGE.exists() else "# Conformance\n"
    after = with_section(before, section(verdicts))
    if "--check" in arguments:
        if after != before:
            print("docs/conformance.md is not what this run gives: python -m tests.elm.official")
        return int(after != before)
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
