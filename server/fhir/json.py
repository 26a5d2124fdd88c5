"""JSON in and out, with every digit kept.

A decimal arrives as `Decimal` and leaves with the digits it came with (`1.00` stays `1.00`). What a FHIR
server must not guess about is refused with its place: duplicate members (which of two would count?), NaN
and Infinity, lone surrogates, U+0000, numbers beyond any measure, nesting no resource needs.
"""

import json
from decimal import Decimal
from typing import Any

import msgspec

from server.fhir.errors import InvalidJson, Issue

BOM = b"\xef\xbb\xbf"
"""What some editors put before a text; it is none of it."""

MAX_DEPTH = 100
"""Levels of objects and arrays; a questionnaire with forty nested groups needs ninety."""

MAX_LENGTH = 10_000
"""Elements of one array in a request; no chart and no claim has that many."""

MAX_EXPONENT = 400
"""Beyond the range of a double; a larger one costs memory when it is turned into an integer and means
nothing."""


_DECODER = msgspec.json.Decoder(float_hook=lambda digits: _decimal(digits))
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_SPELLER = msgspec.json.Encoder(decimal_format="number", order="deterministic")


def decode(raw: bytes) -> Any:
    """The JSON value in `raw` (UTF-8). Raises InvalidJson."""
    try:
        value = _DECODER.decode(raw.removeprefix(BOM))
    except RecursionError:
        raise _too_deep() from None
    except UnicodeDecodeError as error:
        raise _not_json(f"invalid UTF-8 at byte {error.start}") from None
    except (msgspec.DecodeError, ValueError) as error:
        raise _not_json(str(error) if raw else "it is empty") from None
    _refuse_depth(value)
    _refuse_duplicates(raw, value)
    _refuse_nul(raw, value)
    return value


def decode_kept(raw: bytes | str) -> Any:
    """The JSON value in what was decoded, or encoded, here before: there is nothing to refuse any more."""
    return _DECODER.decode(raw)


def decode_object(raw: bytes) -> dict[str, Any]:
    """As `decode`, for a body that must be one JSON object. Raises InvalidJson."""
    value = decode(raw)
    if not isinstance(value, dict):
        raise InvalidJson(Issue("structure", diagnostics="The body is not a JSON object. Send exactly one."))
    return value


def may_be_long(raw: bytes) -> bool:
    """An array of n elements takes n - 1 commas: few commas prove that none is too long."""
    return raw.count(b",") >= MAX_LENGTH


def refuse_long(raw: bytes) -> None:
    """Raises InvalidJson where an array of a request has more than MAX_LENGTH elements; takes its time where
    one may have."""
    if may_be_long(raw) and _longest(decode(raw)) > MAX_LENGTH:
        problem = f"An array has more than {MAX_LENGTH} elements. Send less at a time."
        raise InvalidJson(Issue("too-costly", diagnostics=problem))


def encode(value: Any) -> bytes:
    """Compact JSON; a Decimal becomes a number with its digits, a date an ISO string."""
    return _ENCODER.encode(value)


def spelling(value: Any) -> bytes:
    """The same for equal values, whatever the order of their members."""
    return _SPELLER.encode(value)


def _decimal(digits: str) -> Decimal:
    number = Decimal(digits)
    if abs(number.adjusted()) > MAX_EXPONENT:
        raise ValueError("a number is beyond 1e400")
    return number


def _refuse_depth(value: Any) -> None:
    """Walks level by level, so that a deep value cannot exhaust the stack here either."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        if not level:
            return
        level = [
            child
            for parent in level
            for child in (parent.values() if type(parent) is dict else parent)
            if type(child) is dict or type(child) is list
        ]
    if level:
        raise _too_deep()


def _longest(value: Any) -> int:
    """The length of the longest array; the depth was checked before."""
    if isinstance(value, dict):
        return max(map(_longest, value.values()), default=0)
    if isinstance(value, list):
        return max(len(value), max(map(_longest, value), default=0))
    return 0


def _refuse_duplicates(raw: bytes, value: Any) -> None:
    """The fast decoder keeps the last of two equal members and does not tell.

    Written out again without them the value has fewer quotation marks than `raw`; only an escape that
    spells a mark in another way can blur the count. So equal counts and no such escape prove that nothing
    was dropped, and the slow, exact reading is left for the rest.
    """
    if rb"\u0022" not in raw and raw.count(b'"') == encode(value).count(b'"'):
        return
    json.loads(raw.removeprefix(BOM), object_pairs_hook=_members)


def _refuse_nul(raw: bytes, value: Any) -> None:
    """FHIR's strings have no such character (R4, data types), and databases keep none."""
    # Written out again it can stand behind an escaped backslash, and is then six characters like others.
    if rb"\u0000" in raw and rb"\u0000" in encode(value).replace(rb"\\", b""):
        raise InvalidJson(Issue("value", diagnostics="A text has the character U+0000. Leave it out."))


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise InvalidJson(
                Issue(
                    "structure",
                    diagnostics=f"The member {_short(name)} appears twice in one object. Send it once.",
                )
            )
        members[name] = value
    return members


def _short(name: str) -> str:
    return json.dumps(name if len(name) <= 40 else name[:40] + "…", ensure_ascii=False)


def _not_json(reason: str) -> InvalidJson:
    return InvalidJson(f"The body is not valid JSON: {reason}.")


def _too_deep() -> InvalidJson:
    return InvalidJson(
        Issue("too-costly", diagnostics=f"The body nests more than {MAX_DEPTH} levels. Flatten it.")
    )
