"""What a text says to the letter: numbers with their units, negations, populations, routes, medicines. English.

Two passages that differ in any of these are never one (`facts_of`), and only here are numbers brought to one scale.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Final

WORD: Final = re.compile(r"\w+")
_DIGIT: Final = re.compile(r"\d")
_TOKEN: Final = re.compile(
    r"(?P<number>(?:(?<![\w)])[-−](?=[0-9]))?[0-9]{1,15}(?:,[0-9]{3}(?![0-9])){0,4}(?:\.[0-9]{1,15})?)"
    r"|[^\W\d_]+(?:['’][a-z]+)?|[%°/⁄<>=≤≥±–-]"
)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_UNIT_TABLE: Final = {
    "g": {
        "1000": "kg kgs kilogram kilograms",
        "1": "g gram grams gramme grammes",
        "1/1000": "mg mgs milligram milligrams",
        "1/1000000": "mcg ug μg microgram micrograms",
        "1/1000000000": "ng nanogram nanograms",
    },
    "l": {
        "1": "l litre litres liter liters",
        "1/10": "dl decilitre decilitres deciliter deciliters",
        "1/1000": "ml mls cc millilitre millilitres milliliter milliliters",
    },
    "h": {
        "1/3600": "s sec secs second seconds",
        "1/60": "min mins minute minutes",
        "1": "h hr hrs hour hours",
        "24": "d day days",
        "168": "wk wks week weeks",
        "336": "fortnight fortnights",
    },
    "month": {"1": "month months", "12": "yr yrs year years"},
    "mol": {
        "1": "mol mole moles",
        "1/1000": "mmol millimole millimoles",
        "1/1000000": "μmol umol micromol micromole micromoles",
        "1/1000000000": "nmol nanomole nanomoles",
        "1/1000000000000": "pmol picomole picomoles",
    },
    "m": {"1": "m metre metres meter meters", "1/100": "cm", "1/1000": "mm"},
    "unit": {"1": "unit units iu u"},
    "mu": {"1": "mu"},
    "meq": {"1": "meq"},
    "mmhg": {"1": "mmhg"},
    "kpa": {"1": "kpa"},
    "%": {"1": "% percent"},
    "°": {"1": "° degree degrees"},
}
_UNITS: Final = {
    name: (dimension, Fraction(factor))
    for dimension, sizes in _UNIT_TABLE.items()
    for factor, names in sizes.items()
    for name in _words(names)
}
"""Unit → dimension and size in the dimension's first unit. Months vary in length, so they are not days; "MU" and "mU"
(a factor of a thousand million) cannot be told apart, so it is nothing but itself."""

_SMALL_NUMBERS: Final = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen twenty"
)
_NUMBER_WORDS: Final = {word: Fraction(value) for value, word in enumerate(_SMALL_NUMBERS)} | {
    "thirty": Fraction(30),
    "forty": Fraction(40),
    "fifty": Fraction(50),
    "sixty": Fraction(60),
    "seventy": Fraction(70),
    "eighty": Fraction(80),
    "ninety": Fraction(90),
    "hundred": Fraction(100),
    "thousand": Fraction(1000),
    "once": Fraction(1),
    "twice": Fraction(2),
    "thrice": Fraction(3),
}

_TELLING_WORDS: Final = frozenset(
    _words(
        "not no nor none never neither only less more most least over under against men man male high low iv im sc po"
        " pr od bd tds qds prn ii iii vi vii viii ix xi xii last next late early after left right up down half quarter"
        " both < > ≤ ≥ ± ="
    )
)
"""They count where they stand alone: `no` is one, `nose` is not."""

_TELLING_STEMS: Final = _words(
    # negation and recommendation
    "without cannot except unless avoid contraindicat prohibit forbid forbad stop start discontinu continu begin began"
    " initiat commenc withhold withheld withdraw omit cease suspend resum safe unsafe unsuitab unlikel"
    " effective ineffective allow"
    # direction, order, side, size
    " increas decreas reduc rais lower higher above below before maxim minim exceed upper posterior anterior positive"
    " negative hyper hypo doubl tripl halv first second third acute chronic mild moderate severe present absen"
    # who, how, how often
    " adult child infant neonat paediatric pediatric pregnan breast female women woman elderly oral intraven intramus"
    " subcut rectal topical inhal nebul daily weekly monthly hourly nightly yearly annual fortnight alternate every"
    " each loading maintenance minute hour day week month year"
)
"""They count at the beginning of a word, and stand for all its forms."""

_SUBSTANCE: Final = re.compile(
    # stems of WHO's International Nonproprietary Names
    r"\w+(?:olol|april|opril|sartan|statin|mycin|micin|cillin|conazole|prazole|nidazole|dipine|zosin|thiazide|semide|mab"
    r"|nib|parin|farin|xaban|gatran|grel|formin|gliptin|gliflozin|glitazone|glutide|triptan|azepam|azolam|oxacin|cycline"
    r"|ciclovir|navir|tegravir|tidine|lukast|terol|sone|solone|onide|caine|barbital|profen|fenac|coxib|oxetine|traline"
    r"|triptyline|pramine|apine|peridone|azine|setron|dronate|trexate|platin|taxel|rubicin|penem|fibrate|phylline"
    r"|codeine|fentanil|fentanyl|morphine|amadol|oxone|actone|renone|tropium|etamol|irin|vudine)"
    r"|cef\w+|insulin|lithium|digoxin"
)
_RANGE: Final = frozenset({"-", "–", "to"})
_JOINED: Final = frozenset({"and", "or"})
_PER: Final = frozenset({"/", "per", "a", "an", "each", "every"})


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number, or a range `first` to `last`, in the first unit of its dimension ("" without a unit).

    Compound units divide: mg/kg/h has dimension "g/g/h". `start` and `end` are characters of the normalised text.
    """

    first: Fraction
    last: Fraction
    dimension: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    start: int
    end: int
    value: Fraction | None


def normalised(text: str) -> str:
    """Compatibility forms unified (½, µ), digits of every script in ASCII, case folded, single spaces."""
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return folded if folded.isascii() else _DIGIT.sub(lambda digit: str(unicodedata.decimal(digit.group())), folded)


def quantities(text: str) -> tuple[Quantity, ...]:
    """Every number of a `normalised` text with its unit, in reading order; a bare number takes the unit that ends its
    range or list, so "0.5-1 mg" is one range of milligrams."""
    return tuple(item for item in _read(_tokens(text)) if isinstance(item, Quantity))


def facts_of(text: str) -> tuple[str, ...]:
    """What must agree to the letter before two passages are one, in reading order.

    Numbers with their units (0.5 mg is 500 micrograms, two is 2), negations and recommendations, words with an
    opposite, populations, routes, frequencies, and substances recognised by the stem of their name. A sequence, not a
    set: "5 mg for adults, 10 mg for children" and its mirror image hold the same set.
    """
    return tuple(
        f"{item.first}..{item.last} {item.dimension}" if isinstance(item, Quantity) else item
        for item in _read(_tokens(normalised(text)))
    )


def substances(text: str) -> frozenset[str]:
    """The medicines a text names, as far as the stem of their name tells."""
    return frozenset(word for word in WORD.findall(normalised(text)) if _SUBSTANCE.fullmatch(word))


def _tokens(text: str) -> tuple[_Token, ...]:
    return tuple(_Token(one.group(), one.start(), one.end(), _value(one)) for one in _TOKEN.finditer(text))


def _value(match: re.Match[str]) -> Fraction | None:
    if match.lastgroup == "number":
        return Fraction(match.group().replace(",", "").replace("−", "-"))
    return _NUMBER_WORDS.get(match.group())


def _read(tokens: tuple[_Token, ...]) -> Iterator[Quantity | str]:
    """Quantities and telling words, in reading order."""
    at = 0
    while at < len(tokens):
        if tokens[at].value is None:
            word = _telling(tokens[at].text)
            if word:
                yield word
            at += 1
        else:
            ranged, after = _numbers(tokens, at)
            dimension, factor, after = _unit(tokens, after)
            for first, last in ranged:
                if first.value is not None and last.value is not None:
                    yield Quantity(first.value * factor, last.value * factor, dimension, first.start, last.end)
            if not dimension and tokens[at].text not in _NUMBER_WORDS:
                yield from _unknown_unit(tokens, after)
            at = after


@lru_cache(maxsize=20_000)
def _telling(word: str) -> str | None:
    if word in _TELLING_WORDS or _SUBSTANCE.fullmatch(word):
        return word
    if word.endswith(("n't", "n’t")):
        return "not"
    return next((stem for stem in _TELLING_STEMS if word.startswith(stem)), None)


def _unknown_unit(tokens: tuple[_Token, ...], at: int) -> Iterator[str]:
    """The word behind a number in digits, and what it is divided by: a unit that is not in the table, or what is
    counted."""
    while _adjoins(tokens, at) and tokens[at].text[0].isalpha() and tokens[at].value is None:
        yield f"of {tokens[at].text}"
        if at + 1 >= len(tokens) or tokens[at + 1].text != "/":
            return
        at += 2


def _adjoins(tokens: tuple[_Token, ...], at: int) -> bool:
    """Whether there is a token with nothing but a space between it and the one before: no full stop, no bracket."""
    return at < len(tokens) and tokens[at].start - tokens[at - 1].end <= 1


def _numbers(tokens: tuple[_Token, ...], at: int) -> tuple[list[tuple[_Token, _Token]], int]:
    """The ranges and single numbers that share one unit, and the position behind them: "2", "5 to 10", "1, 2 or 4"."""
    found: list[tuple[_Token, _Token]] = []
    while True:
        between = at > 0 and tokens[at - 1].text == "between"
        ends = _RANGE | {"and"} if between else _RANGE
        last = at + 2 if _number_follows(tokens, at, ends) else at
        found.append((tokens[at], tokens[last]))
        if not _number_follows(tokens, last, _JOINED):
            return found, last + 1
        at = last + 2


def _number_follows(tokens: tuple[_Token, ...], at: int, joints: frozenset[str]) -> bool:
    return at + 2 < len(tokens) and tokens[at + 1].text in joints and tokens[at + 2].value is not None


def _unit(tokens: tuple[_Token, ...], at: int) -> tuple[str, Fraction, int]:
    """Dimension, factor to its first unit, and the position behind the unit that begins at `at` (or after a hyphen)."""
    start = at + 1 if at + 1 < len(tokens) and tokens[at].text == "-" else at
    if not _adjoins(tokens, start) or tokens[start].text not in _UNITS:
        return "", Fraction(1), at
    dimension, factor = _UNITS[tokens[start].text]
    at = start + 1
    while at + 1 < len(tokens) and tokens[at].text in _PER and tokens[at + 1].text in _UNITS:
        below, size = _UNITS[tokens[at + 1].text]
        dimension, factor, at = f"{dimension}/{below}", factor / size, at + 2
    return dimension, factor, at
