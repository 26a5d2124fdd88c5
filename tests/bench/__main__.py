"""`make bench`: every line, as it is found."""

from __future__ import annotations

import platform
import sys
from importlib import import_module
from pkgutil import iter_modules

from rich.console import Console

from server import logs
from tests import bench

HELPERS = ("__main__", "asking", "stopwatch")
MODULES = [found.name for found in iter_modules(bench.__path__) if found.name not in HELPERS]


def main(asked: list[str]) -> int:
    unknown = [name for name in asked if name not in MODULES]
    if unknown:
        print(f"There is no bench {', '.join(unknown)}: {', '.join(MODULES)}", file=sys.stderr)
        return 2
    out = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    logs.configure(open("/dev/null", "w"))  # noqa: SIM115  # for as long as the process
    out.print(f"Python {platform.python_version()}, {platform.machine()}, {platform.system()}")
    for name in asked or MODULES:
        out.rule(name, align="left")
        for line in import_module(f"tests.bench.{name}").lines():
            mark = {True: "[green]kept[/green]", False: "[red]missed[/red]", None: ""}[line.kept]
            out.print(f"{line.name:<58} {line.figure:<36} {line.target:<12} {mark}")
            for part, share in line.parts.items():
                out.print(f"    {share:>6.1%}  {part}", style="dim")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
