"""What passes over the terminal of whoever runs a command. Text that others wrote is shown there, and steers
nothing."""

import datetime as dt

import typer


def day_of(text: str, option: str = "") -> dt.date:
    """The day that an option names. Where it is none, or so far away that nothing can be counted from it, the
    program ends with a word on it."""
    try:
        day = dt.date.fromisoformat(text)
        if not 1900 <= day.year < 2200:
            raise ValueError(text)
        return day
    except ValueError:
        typer.echo(f"{option} {text}: expected a day such as 2026-11-25".lstrip(), err=True)
        raise typer.Exit(2) from None


def plain(text: str) -> str:
    """Without what would steer the terminal."""
    return "".join(each if each.isprintable() or each == "\n" else " " for each in text)


def on_one_line(text: str) -> str:
    """The same, and no line of it can pass for one of ours."""
    return plain(text).replace("\n", " ")
