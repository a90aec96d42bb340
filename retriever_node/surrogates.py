"""What stands in place of an identifier: its category, one tag for one person throughout a document, a shifted date.

Tags and shifts are keyed: who does not hold the node's key can neither compute the tag of a name that they guess, nor
tell by how much a date was moved.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from fedrag.redaction import stands_after_birth
from retriever_node.config import DateStyle, NameStyle

_TAG_LETTERS: Final = 3
_FARTHEST_DAYS: Final = 364
_MONTHS: Final = "jan feb mar apr may jun jul aug sep oct nov dec".split()  # noqa: SIM905 - as one reads them
_NAMES: Final = (
    "January February March April May June July August September October November December".split()  # noqa: SIM905
)
_ISO: Final = re.compile(r"(?P<year>\d{4})(?P<by>[-/.])(?P<month>\d{1,2})(?P=by)(?P<day>\d{1,2})")
_FIGURES: Final = re.compile(r"(?P<one>\d{1,2})(?P<by>[-/.])(?P<two>\d{1,2})(?P=by)(?P<year>\d{4})")
_DAY_FIRST: Final = re.compile(
    r"(?P<day>\d{1,2})(?:st|nd|rd|th)?(?: of)?[ -]?(?P<month>[A-Za-z]{3,9})\.?[ ,-]{1,2}(?P<year>\d{4})"
)
_MONTH_FIRST: Final = re.compile(
    r"(?P<month>[A-Za-z]{3,9})\.?[ -]?(?P<day>\d{1,2})(?:st|nd|rd|th)?[ ,-]{1,2}(?P<year>\d{4})"
)
_TITLE: Final = re.compile(r"(?:mr|mrs|ms|mx|miss|dr|doctor|prof|professor|nurse|rev)\.?", re.IGNORECASE)
_PART_OF_NAME: Final = re.compile(r"[^\W\d_]{2,}")


@dataclass(frozen=True, slots=True)
class Surrogates:
    """Of one document. `patient`: the one person it is about; empty where that is nobody, or several. `never`: days
    that no date is moved to, because they would name the patient."""

    names: NameStyle
    dates: DateStyle
    key: bytes
    document: str
    patient: str = ""
    never: frozenset[date] = frozenset()

    def of(self, category: str, text: str, start: int, end: int) -> str:
        """For the identifier of this category at [start, end) of a text."""
        if category == "NAME" and self.names == "numbered":
            return f"[NAME-{self._person(text[start:end])}]"
        if category == "DATE" and self.dates == "shifted" and self.patient:
            moved = None if stands_after_birth(text, start) else self._moved(text[start:end])
            return moved or "[DATE]"
        return f"[{category}]"

    def _person(self, name: str) -> str:
        """By the last part of the name: Ingrid Halvorsen and Dr. Halvorsen are one, and so are two of one family."""
        parts = [one for one in _PART_OF_NAME.findall(name) if not _TITLE.fullmatch(one)]
        digest = self._digest("name", self.document, (parts or [name])[-1].casefold())
        number, letters = int.from_bytes(digest[:4]), ""
        for _ in range(_TAG_LETTERS):
            number, letter = divmod(number, 26)
            letters += chr(ord("A") + letter)
        return letters

    def _moved(self, written: str) -> str | None:
        """None where it is no whole date, one that can be read in two ways, or would fall on a day in `never`."""
        found = _whole_date(written)
        if found is None:
            return None
        day, form = found
        try:
            moved = day - timedelta(days=self.shift_days())
        except OverflowError:
            return None
        return None if moved in self.never else _written(moved, form)

    def shift_days(self) -> int:
        """1 to 364, the same for all dates of a patient at this node."""
        return 1 + int.from_bytes(self._digest("shift", self.patient)[:8]) % _FARTHEST_DAYS

    def _digest(self, *of: str) -> bytes:
        return hmac.new(self.key, "\n".join(("surrogate", *of)).encode(), hashlib.sha256).digest()


def _whole_date(written: str) -> tuple[date, str] | None:
    """The day, and a format for another one in its place; None for a date without a year, or where day and month can be
    taken for each other."""
    try:
        if found := _ISO.fullmatch(written):
            by = found["by"]
            return date(int(found["year"]), int(found["month"]), int(found["day"])), f"%Y{by}%m{by}%d"
        if found := _FIGURES.fullmatch(written):
            one, two, year, by = int(found["one"]), int(found["two"]), int(found["year"]), found["by"]
            if one > 12:
                return date(year, two, one), f"%d{by}%m{by}%Y"
            return (date(year, one, two), f"%m{by}%d{by}%Y") if two > 12 else None
        if found := _DAY_FIRST.fullmatch(written):
            return _spelled(found), "{day} {month} %Y"
        if found := _MONTH_FIRST.fullmatch(written):
            return _spelled(found), "{month} {day}, %Y"
    except ValueError:
        return None
    return None


def _spelled(found: re.Match[str]) -> date:
    return date(int(found["year"]), _MONTHS.index(found["month"][:3].lower()) + 1, int(found["day"]))


def _written(day: date, form: str) -> str:
    return (
        f"{day:{form}}"
        if "{" not in form
        else form.replace("%Y", f"{day:%Y}").format(day=day.day, month=_NAMES[day.month - 1])
    )
