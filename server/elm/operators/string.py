"""String operators (ELM logical specification, chapter 17).

Regular expressions are CQL's: case matters, `.` matches a line end too, a match anywhere will do. Patterns
may name groups as PCRE does (`(?<year>…)`), substitutions use `$1` or `${year}` and `\\$` for the sign
itself. A pattern comes from a library, never from a chart, and is as trusted as the library.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from server.elm.errors import EvaluationError
from server.elm.operators.registry import operator

# 17.1 Combine


@operator("Combine", nulls="handle", operands=("source", "separator"))
def combine(texts: Sequence[str | None] | None, separator: str | None = None) -> str | None:
    """The texts that are not null, joined; null of nothing."""
    known = [text for text in texts or () if text is not None]
    return (separator or "").join(known) if known else None


# 17.2 Concatenate


@operator("Concatenate", nulls="propagate")
def concatenate(*texts: str) -> str:
    """One after the other."""
    return "".join(texts)


# 17.3 EndsWith


@operator("EndsWith", nulls="propagate")
def ends_with(text: str, suffix: str) -> bool:
    """The text ends so."""
    return text.endswith(suffix)


# 17.6 LastPositionOf


@operator("LastPositionOf", nulls="handle", operands=("pattern", "string"))
def last_position_of(pattern: str | None, text: str | None) -> int | None:
    """Where the pattern last stands, from 0; -1 when nowhere."""
    return None if pattern is None or text is None else text.rfind(pattern)


# 17.7 Length


@operator("Length", nulls="handle", options=("signature",))
def length(value: str | Sequence[Any] | None, *, signature: Sequence[Mapping[str, Any]] = ()) -> int | None:
    """Characters of a string, items of a list; of null, null if it is a string and 0 if it is a list."""
    if value is None:
        return 0 if signature and signature[0].get("type") == "ListTypeSpecifier" else None
    return len(value)


# 17.8 Lower


@operator("Lower", nulls="propagate")
def lower(text: str) -> str:
    """In lower case, whatever the locale."""
    return text.lower()


# 17.9 Matches


@operator("Matches", nulls="propagate")
def matches(text: str, pattern: str) -> bool:
    """The pattern matches somewhere in the text."""
    return _compiled(pattern).search(text) is not None


@lru_cache(maxsize=256)  # pure in the pattern, and bounded
def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(re.sub(r"(?<!\\)\(\?<(?![=!])", "(?P<", pattern), re.DOTALL)
    except re.error as error:
        raise EvaluationError(f"{pattern!r} is no regular expression: {error}.") from None


# 17.10 PositionOf


@operator("PositionOf", nulls="handle", operands=("pattern", "string"))
def position_of(pattern: str | None, text: str | None) -> int | None:
    """Where the pattern first stands, from 0; -1 when nowhere."""
    return None if pattern is None or text is None else text.find(pattern)


# 17.11 ReplaceMatches


@operator("ReplaceMatches", nulls="propagate")
def replace_matches(text: str, pattern: str, substitution: str) -> str:
    """Every match replaced; `$1` in the substitution is the first group."""
    compiled = _compiled(pattern)

    def expanded(match: re.Match[str]) -> str:
        def part(found: re.Match[str]) -> str:
            name = found["number"] or found["name"]
            if name is None:
                return found["escaped"]
            try:
                return match[int(name) if name.isdigit() else name] or ""
            except IndexError:
                raise EvaluationError(f"{pattern!r} has no group {name}.") from None

        return _PART.sub(part, substitution)

    return compiled.sub(expanded, text)


_PART = re.compile(r"\\(?P<escaped>.)|\$(?P<number>\d)|\$\{(?P<name>\w+)\}", re.DOTALL)


# 17.12 Split


@operator("Split", nulls="handle", operands=("stringToSplit", "separator"))
def split(text: str | None, separator: str | None) -> list[str] | None:
    """The pieces between separators; the whole text when there is no separator."""
    if text is None:
        return None
    return text.split(separator) if separator else [text]


# 17.13 SplitOnMatches


@operator("SplitOnMatches", nulls="handle", operands=("stringToSplit", "separatorPattern"))
def split_on_matches(text: str | None, pattern: str | None) -> list[str] | None:
    """The pieces between matches of a pattern."""
    if text is None:
        return None
    if not pattern:
        return [text]
    pieces, begin = [], 0
    for match in _compiled(pattern).finditer(text):
        if match.end() > match.start():
            pieces.append(text[begin : match.start()])
            begin = match.end()
    return [*pieces, text[begin:]]


# 17.14 StartsWith


@operator("StartsWith", nulls="propagate")
def starts_with(text: str, prefix: str) -> bool:
    """The text begins so."""
    return text.startswith(prefix)


# 17.15 Substring


@operator("Substring", nulls="handle", operands=("stringToSub", "startIndex", "length"))
def substring(text: str | None, start: int | None, length: int | None = None) -> str | None:
    """From `start` (0 is the first character); null outside the string."""
    if text is None or start is None or not 0 <= start < max(len(text), 1):
        return None
    return text[start:] if length is None else text[start : start + max(length, 0)]


# 17.16 Upper


@operator("Upper", nulls="propagate")
def upper(text: str) -> str:
    """In upper case, whatever the locale."""
    return text.upper()
