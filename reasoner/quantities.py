"""Numbers with their units, brought to one scale: 500 micrograms is 0.5 mg, a fortnight is 14 days."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final


@dataclass(frozen=True, slots=True)
class Quantity:
    """A value in the base unit of its kind (g, l, s, mol, unit, …), and the number as it was `written`.

    `unit` is "" for a bare number. A rate keeps its denominator: mg/kg becomes g/kg.
    """

    value: float
    unit: str
    written: float


_UNITS: Final = {
    "g": {1e3: "kg kilogram kilograms kilo kilos", 1.0: "g gram grams", 1e-3: "mg milligram milligrams",
          1e-6: "microgram micrograms mcg µg μg ug", 1e-9: "ng nanogram nanograms"},
    "l": {1.0: "l litre litres liter liters", 0.1: "dl", 1e-3: "ml millilitre millilitres milliliter milliliters"},
    "s": {1.0: "sec second seconds", 60.0: "min mins minute minutes", 3600.0: "h hr hrs hour hours",
          86400.0: "day days", 604800.0: "week weeks", 1209600.0: "fortnight fortnights",
          2629800.0: "month months", 31557600.0: "year years"},
    "mol": {1e-3: "mmol millimole millimoles", 1e-6: "micromol µmol μmol umol", 1e-9: "nmol"},
    "unit": {1.0: "unit units iu", 1e-3: "miu"},
    "j": {1.0: "j joule joules"},
    "m": {1.0: "m metre metres meter meters", 1e-2: "cm", 1e-3: "mm"},
    "mmhg": {1.0: "mmhg"},
    "%": {1.0: "% percent"},
    "°c": {1.0: "°c °"},
    "point": {1.0: "point points"},
    "dose": {1.0: "dose doses"},
}  # fmt: skip
_SCALES: Final = {
    name: (scale, unit) for unit, scales in _UNITS.items() for scale, names in scales.items() for name in names.split()
}
_IN_WORDS: Final = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty"
)
_WORDS: Final = {word: float(value) for value, word in enumerate(_IN_WORDS.split())} | {
    "thirty": 30.0,
    "forty": 40.0,
    "fifty": 50.0,
    "sixty": 60.0,
    "once": 1.0,
    "twice": 2.0,
}
_FIGURE: Final = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_NAMES: Final = "|".join(sorted(map(re.escape, _SCALES), key=len, reverse=True))
_QUANTITY: Final = re.compile(
    rf"(?<![\w.])(?P<number>{_FIGURE}|(?:{'|'.join(_WORDS)})\b)"
    rf"(?:[\s-]?(?P<unit>{_NAMES})(?![a-zµμ])(?:\s?/\s?(?P<per>[a-z][a-z0-9²]*))?)?",
    re.IGNORECASE,
)
_RANGE: Final = re.compile(r"\s*(?:to|or|and|–|—|-)\s*", re.IGNORECASE)
_TOLERANCE: Final = 1e-6


def quantities(text: str) -> tuple[Quantity, ...]:
    """Every quantity of `text` in order; in "500 to 1,000 mg" both numbers are milligrams."""
    found = list(_QUANTITY.finditer(text))
    units = [match["unit"] for match in found]
    rates = [match["per"] for match in found]
    for at, (first, second) in reversed(list(enumerate(pairwise(found)))):
        if units[at] is None and _RANGE.fullmatch(text[first.end() : second.start()]):
            units[at], rates[at] = units[at + 1], rates[at + 1]
    return tuple(_quantity(match["number"], unit, rate) for match, unit, rate in zip(found, units, rates, strict=True))


def same(first: Quantity, second: Quantity) -> bool:
    """Equal value and unit; a bare number equals what is written with the same number, whatever its unit."""
    if "" in (first.unit, second.unit):
        return math.isclose(first.written, second.written, rel_tol=_TOLERANCE)
    return first.unit == second.unit and math.isclose(first.value, second.value, rel_tol=_TOLERANCE)


def shared(wanted: Iterable[Quantity], found: Iterable[Quantity]) -> float:
    """Share of `wanted` that has its equal in `found`, in [0, 1]; 0 when nothing is wanted."""
    listed, there = tuple(wanted), tuple(found)
    return sum(any(same(one, other) for other in there) for one in listed) / len(listed) if listed else 0.0


def _quantity(number: str, unit: str | None, rate: str | None) -> Quantity:
    in_words = _WORDS.get(number.lower())
    written = float(number.replace(",", "")) if in_words is None else in_words
    if unit is None:
        return Quantity(written, "", written)
    scale, base = _SCALES[unit.lower()]
    return Quantity(written * scale, f"{base}/{rate.lower()}" if rate else base, written)
