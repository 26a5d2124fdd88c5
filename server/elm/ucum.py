"""Units of measure: UCUM's case-sensitive units, and CQL's calendar durations beside them.

A unit is read into an exact factor over base dimensions, from the definitions of the Unified Code for
Units of Measure. Two units convert when their dimensions agree. Rules of CQL (author's guide, "Quantity
operators") on top of UCUM:

- `week` and shorter calendar words are the definite durations: 1 week = 7 'd' = 168 hours.
- `year` and `month` convert into each other and into nothing else; 'a' and 'mo' are definite and do not
  convert to them. Only equivalence lets them meet (`equivalence=True`): then 1 year ~ 1 'a' ~ 365 days.

Celsius and Fahrenheit convert by their offset; logarithmic units (pH, dB) only to themselves. The compact
table below holds the units medicine records; one it does not know makes operators answer null.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from types import MappingProxyType
from typing import Final

Dimension = tuple[tuple[str, int], ...]
"""Sorted (base, exponent) pairs; () is a plain number."""

_PREFIXES: Final = MappingProxyType(
    {
        "Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1,
        "d": -1, "c": -2, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15, "a": -18, "z": -21, "y": -24,
    }
)  # fmt: skip
_BINARY_PREFIXES: Final = MappingProxyType({"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40})

_BASE: Final = ("m", "s", "g", "rad", "K", "C", "cd")

# Metric units take prefixes. Each is a number times a UCUM term over what stands above it.
_METRIC: Final = """
mol 6.0221367 10*23 | sr 1 rad2 | Hz 1 s-1 | N 1 kg.m/s2 | Pa 1 N/m2 | J 1 N.m | W 1 J/s | A 1 C/s
V 1 J/C | F 1 C/V | Ohm 1 V/A | S 1 Ohm-1 | Wb 1 V.s | T 1 Wb/m2 | H 1 Wb/A | lm 1 cd.sr | lx 1 lm/m2
Bq 1 s-1 | Gy 1 J/kg | Sv 1 J/kg | l 1 dm3 | L 1 l | ar 100 m2 | t 1000 kg | bar 100000 Pa
u 1.6605402e-24 g | eV 1.60217733e-19 J | pc 3.085678e16 m | [c] 299792458 m/s | [g] 9.80665 m/s2
gf 1 g.[g] | dyn 1 g.cm/s2 | erg 1 dyn.cm | P 1 dyn.s/cm2 | Bi 10 A | St 1 cm2/s | Mx 1e-8 Wb | G 1e-4 T
Oe 250 /[pi].A/m | Gb 1 Oe.cm | sb 1 cd/cm2 | Lmb 1 cd/cm2/[pi] | ph 1e-4 lx | Ci 3.7e10 Bq
R 2.58e-4 C/kg | RAD 100 erg/g | REM 1 RAD | m[Hg] 133.3220 kPa | m[H2O] 9.80665 kPa | cal 4.184 J
cal_th 4.184 J | cal_IT 4.1868 J | cal_m 4.19002 J | cal_[15] 4.18580 J | cal_[20] 4.18190 J | eq 1 mol
osm 1 mol | kat 1 mol/s | U 1 umol/min | g% 1 g/dl | bit 1 1 | By 8 bit | Bd 1 s-1 | mho 1 S | tex 1 g/km
[iU] 1 'iU' | [IU] 1 [iU]
"""

_PLAIN: Final = """
10* 10 1 | 10^ 10 1 | [pi] 3.1415926535897932384626433832795028841971693993751058209749445923 1
% 1 10*-2 | [ppth] 1 10*-3 | [ppm] 1 10*-6 | [ppb] 1 10*-9 | [pptr] 1 10*-12 | gon 0.9 deg
deg 2 [pi].rad/360 | ' 1 deg/60 | '' 1 '/60 | circ 2 [pi].rad | min 60 s | h 60 min | d 24 h | wk 7 d
a_t 365.24219 d | a_j 365.25 d | a_g 365.2425 d | a 1 a_j | mo_s 29.53059 d | mo_j 1 a_j/12
mo_g 1 a_g/12 | mo 1 mo_j | AU 149597.870691 Mm | atm 101325 Pa | [lbf_av] 1 [lb_av].[g]
[psi] 1 [lbf_av]/[in_i]2 | [Btu] 1.05505585262 kJ | [Cal] 1 kcal_th | [HP] 550 [ft_i].[lbf_av]/s
[in_i] 2.54 cm | [ft_i] 12 [in_i] | [yd_i] 3 [ft_i] | [mi_i] 5280 [ft_i] | [fth_i] 6 [ft_i]
[nmi_i] 1852 m | [kn_i] 1 [nmi_i]/h | [hd_i] 4 [in_i] | [sin_i] 1 [in_i]2 | [sft_i] 1 [ft_i]2
[syd_i] 1 [yd_i]2 | [cin_i] 1 [in_i]3 | [cft_i] 1 [ft_i]3 | [cyd_i] 1 [yd_i]3 | [mil_i] 0.001 [in_i]
[ft_us] 1200 m/3937 | [in_us] 1 [ft_us]/12 | [yd_us] 3 [ft_us] | [mi_us] 5280 [ft_us]
[acr_us] 43560 [ft_us]2 | [gal_us] 231 [in_i]3 | [qt_us] 1 [gal_us]/4 | [pt_us] 1 [qt_us]/2
[gil_us] 1 [pt_us]/4 | [foz_us] 1 [gil_us]/4 | [fdr_us] 1 [foz_us]/8 | [min_us] 1 [fdr_us]/60
[tbs_us] 1 [foz_us]/2 | [tsp_us] 1 [tbs_us]/3 | [cup_us] 16 [tbs_us] | [foz_m] 30 ml | [cup_m] 240 ml
[tsp_m] 5 ml | [tbs_m] 15 ml | [gal_br] 4.54609 l | [qt_br] 1 [gal_br]/4 | [pt_br] 1 [qt_br]/2
[gil_br] 1 [pt_br]/4 | [foz_br] 1 [gil_br]/5 | [gr] 64.79891 mg | [lb_av] 7000 [gr] | [oz_av] 1 [lb_av]/16
[dr_av] 1 [oz_av]/16 | [ston_av] 2000 [lb_av] | [lton_av] 2240 [lb_av] | [stone_av] 14 [lb_av]
[lb_tr] 5760 [gr] | [oz_tr] 480 [gr] | [car_m] 0.2 g | [in_i'Hg] 1 m[Hg].[in_i]/m
[in_i'H2O] 1 m[H2O].[in_i]/m | [drp] 1 ml/20 | [Ch] 1 mm/[pi] | [MET] 3.5 ml/min/kg | [diop] 1 /m
[degR] 5 K/9 | [pouch] 1 1 | [tb'U] 1 'tb' | [USP'U] 1 'USP' | [arb'U] 1 'arb' | [hnsf'U] 1 'hnsf'
[CFU] 1 'CFU' | [PFU] 1 'PFU' | [FFU] 1 'FFU' | [Lf] 1 'Lf' | [AU] 1 'AU' | [BAU] 1 'BAU'
[Amb'a'1'U] 1 'Amb' | [HPF] 1 1 | [LPF] 100 1 | [S] 1e-13 s | [todd'U] 1 'todd' | [dye'U] 1 'dye'
[smgy'U] 1 'smgy' | [bdsk'U] 1 'bdsk' | [ka'U] 1 'ka' | [knk'U] 1 'knk' | [mclg'U] 1 'mclg'
[GPL'U] 1 'GPL' | [MPL'U] 1 'MPL' | [APL'U] 1 'APL' | [CCID_50] 1 'CCID' | [TCID_50] 1 'TCID'
[EID_50] 1 'EID' | [D'ag'U] 1 'Dag' | [FEU] 1 'FEU' | [ELU] 1 'ELU'
"""

# Zero of the scale in kelvin, and kelvin to a degree.
_SCALES: Final = MappingProxyType(
    {
        "Cel": (Fraction("273.15"), Fraction(1)),
        "[degF]": (Fraction("459.67") * Fraction(5, 9), Fraction(5, 9)),
        "[degRe]": (Fraction("273.15"), Fraction(5, 4)),
    }
)
_LOGARITHMIC: Final = frozenset({"[pH]", "B", "dB", "Np", "B[SPL]", "B[V]", "B[W]", "B[kW]", "bit_s"})

_CALENDAR: Final = MappingProxyType(
    {
        "year": (Fraction(12), (("calendar month", 1),)),
        "month": (Fraction(1), (("calendar month", 1),)),
        "week": (Fraction(604_800), (("s", 1),)),
        "day": (Fraction(86_400), (("s", 1),)),
        "hour": (Fraction(3600), (("s", 1),)),
        "minute": (Fraction(60), (("s", 1),)),
        "second": (Fraction(1), (("s", 1),)),
        "millisecond": (Fraction(1, 1000), (("s", 1),)),
    }
)
_EQUIVALENT_WORD: Final = MappingProxyType({"a": "year", "mo": "month"})
_DAYS_OF_WORD: Final = MappingProxyType({"year": 365, "month": 30})

DURATION_WORD: Final = MappingProxyType(
    {word: word for word in _CALENDAR}
    | {f"{word}s": word for word in _CALENDAR}
    | {"wk": "week", "d": "day", "h": "hour", "min": "minute", "s": "second", "ms": "millisecond"}
)
"""Units that date and time arithmetic takes, to the singular calendar word: not 'a' and 'mo'."""

_TOKEN: Final = re.compile(
    r"(?P<annotation>\{[^{}]*\})|(?P<mark>[./()])"
    r"|(?P<atom>10[*^](?:[+-]?\d+)?|(?:[^\s\d./(){}\[\]+-]|\[[^\[\]\s]*\])+(?:_\[\d+\])?)(?P<exponent>[+-]?\d+)?"
    r"|(?P<number>\d+)"
)


class UnknownUnit(ValueError):
    """The text is not a unit this table knows."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as a number of base units; `zero` is where its scale starts, for temperatures."""

    factor: Fraction
    dimension: Dimension
    zero: Fraction = Fraction(0)
    special: bool = False


@lru_cache(maxsize=1024)  # pure in its text; bounded, so hostile data cannot fill memory
def unit(text: str) -> Unit:
    """The unit a text means; raises UnknownUnit."""
    word = DURATION_WORD.get(text)
    if word is not None:
        return Unit(*_CALENDAR[word])
    bare = re.sub(r"\{[^{}]*\}", "", text)
    if bare in _SCALES:
        zero, degree = _SCALES[bare]
        return Unit(degree, (("K", 1),), zero, special=True)
    if bare in _LOGARITHMIC:
        return Unit(Fraction(1), ((bare, 1),), special=True)
    factor, exponents = Fraction(1), dict[str, int]()
    for atom, exponent in terms(text):
        size, dimension = _atom(atom)
        factor *= size**exponent
        for base, power in dimension:
            exponents[base] = exponents.get(base, 0) + power * exponent
    return Unit(factor, _dimension(exponents))


def known(text: str) -> bool:
    """Whether the text is a unit this table knows."""
    try:
        unit(text)
    except UnknownUnit:
        return False
    return True


def common(left: str, right: str, *, equivalence: bool = False) -> tuple[Unit, Unit] | None:
    """The two units over one dimension, or None when one does not convert to the other."""
    try:
        if not equivalence:
            one, other = unit(left), unit(right)
        else:
            one, other = _equivalent_units(left, right)
    except UnknownUnit:
        return None
    return (one, other) if one.dimension == other.dimension else None


def convert(value: Decimal, source: str, target: str) -> Fraction | None:
    """`value` of one unit in another, exactly; None when they do not convert."""
    pair = common(source, target)
    if pair is None:
        return None
    one, other = pair
    return (Fraction(value) * one.factor + one.zero - other.zero) / other.factor


def multiply(left: str, right: str) -> str | None:
    """The unit of a product; None when one is unknown or has no zero to multiply from."""
    return _combine(left, right, 1)


def divide(left: str, right: str) -> str | None:
    """The unit of a quotient; None when one is unknown or has no zero to divide from."""
    return _combine(left, right, -1)


def terms(text: str) -> list[tuple[str, int]]:
    """A UCUM term taken apart: `mg/kg.d2` is mg¹ kg⁻¹ d². Numbers are atoms of their own."""
    found: list[tuple[str, int]] = []
    position, sign, signs = 0, 1, list[int]()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise UnknownUnit(text)
        position = match.end()
        mark = match["mark"]
        if mark == "/":
            sign = -(signs[-1] if signs else 1)
        elif mark == ".":
            sign = signs[-1] if signs else 1
        elif mark == "(":
            signs.append(sign)
        elif mark == ")":
            if not signs:
                raise UnknownUnit(text)
            signs.pop()
            sign = signs[-1] if signs else 1
        elif match["atom"]:
            found.append((match["atom"], sign * _exponent(match["exponent"], text)))
        elif match["number"]:
            found.append((match["number"], sign))
    if signs or text[-1:] in (".", "/") or not text:
        raise UnknownUnit(text)
    return found


def _exponent(digits: str | None, text: str) -> int:
    exponent = 1 if digits is None else int(digits)
    if abs(exponent) > 100:
        raise UnknownUnit(text)
    return exponent


def _equivalent_units(left: str, right: str) -> tuple[Unit, Unit]:
    words = [_EQUIVALENT_WORD.get(text) or DURATION_WORD.get(text) for text in (left, right)]
    one, other = (unit(word or text) for word, text in zip(words, (left, right), strict=True))
    if one.dimension != other.dimension:
        one, other = (
            Unit(Fraction(_DAYS_OF_WORD[word] * 86_400), (("s", 1),))
            if word and word in _DAYS_OF_WORD
            else given
            for word, given in zip(words, (one, other), strict=True)
        )
    return one, other


def _combine(left: str, right: str, sign: int) -> str | None:
    try:
        if unit(left).special or unit(right).special:
            return None
        exponents: dict[str, int] = {}
        for atom, exponent in terms(left) + [(atom, sign * exponent) for atom, exponent in terms(right)]:
            if atom != "1":
                exponents[atom] = exponents.get(atom, 0) + exponent
    except UnknownUnit:
        return None
    above = [_power(atom, exponent) for atom, exponent in exponents.items() if exponent > 0]
    below = [_power(atom, -exponent) for atom, exponent in exponents.items() if exponent < 0]
    return "/".join([".".join(above) or ("1" if not below else ""), *below])


def _power(atom: str, exponent: int) -> str:
    return atom if exponent == 1 else f"{atom}{exponent}"


def _dimension(exponents: dict[str, int]) -> Dimension:
    return tuple(sorted((base, exponent) for base, exponent in exponents.items() if exponent))


@lru_cache(maxsize=1024)
def _atom(symbol: str) -> tuple[Fraction, Dimension]:
    """Size and dimension of a unit atom, prefix and all."""
    if symbol.isascii() and symbol.isdigit():
        return Fraction(int(symbol)), ()
    if symbol[:3] in ("10*", "10^") and len(symbol) > 3:
        return Fraction(10) ** _exponent(symbol[3:], symbol), ()
    if symbol in _BASE:
        return Fraction(1), ((symbol, 1),)
    defined = _definitions().get(symbol)
    if defined is not None:
        return _defined(*defined[:2])
    for length in (2, 1):
        prefix, rest = symbol[:length], symbol[length:]
        scale = Fraction(10) ** _PREFIXES[prefix] if prefix in _PREFIXES else _BINARY_PREFIXES.get(prefix)
        if scale is not None and (rest in _BASE or (rest in _definitions() and _definitions()[rest][2])):
            size, dimension = _atom(rest)
            return scale * size, dimension
    raise UnknownUnit(symbol)


def _defined(number: Fraction, term: str) -> tuple[Fraction, Dimension]:
    if term.startswith("'") and term.endswith("'") and len(term) > 2:
        return number, ((term.strip("'"), 1),)  # arbitrary units measure only themselves
    if term == "1":
        return number, ()
    whole = unit(term)
    return number * whole.factor, whole.dimension


@lru_cache(maxsize=1)
def _definitions() -> MappingProxyType[str, tuple[Fraction, str, bool]]:
    """Symbol to number, term and whether it takes prefixes, from the tables above."""
    found: dict[str, tuple[Fraction, str, bool]] = {}
    for table, metric in ((_METRIC, True), (_PLAIN, False)):
        for entry in table.replace("\n", "|").split("|"):
            if entry.strip():
                symbol, number, term = entry.split()
                found[symbol] = (Fraction(number), term, metric)
    return MappingProxyType(found)
