"""What passes over the terminal of whoever runs a command. Text that others wrote is shown there, and steers
nothing."""

import datetime as dt
import sys
from typing import Any, NoReturn

import typer
from rich.console import Console


def stop(words: object, status: int = 2) -> NoReturn:
    """Ends the program with a word on why: 2, it was called wrongly, 1, what it was to do failed."""
    typer.echo(words, err=True)
    raise typer.Exit(status)


def console(width: int = 160, **drawn: Any) -> Console:
    """So wide where nobody watches, so that a log has whole lines."""
    return Console(width=None if sys.stdout.isatty() else width, **drawn)


def day_of(text: str, option: str = "") -> dt.date:
    """The day that an option names. Where it is none, or so far away that nothing can be counted from it, the
    program ends with a word on it."""
    try:
        day = dt.date.fromisoformat(text)
        if not 1900 <= day.year < 2200:
            raise ValueError(text)
        return day
    except ValueError:
        stop(f"{option} {text}: expected a day such as 2026-11-25".lstrip())


def plain(text: str) -> str:
    """Without what would steer the terminal."""
    return "".join(each if each.isprintable() or each == "\n" else " " for each in text)


def on_one_line(text: str) -> str:
    """The same, and no line of it can pass for one of ours."""
    return plain(text).replace("\n", " ")
