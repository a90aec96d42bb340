"""FHIR data types in words. What is not of the expected shape reads as nothing, it never raises."""

import re
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Final

Resource = Mapping[str, object]
"""A resource or a part of one, as JSON has it."""

NOTHING: Final[Resource] = {}
_SIGNIFICANT: Final = 6
_DATE: Final = re.compile(r"\d{4}(?:-\d{2}(?:-\d{2})?)?")
_DEEPEST: Final = 40
_TYPED: Final = frozenset(
    (
        *("text", "title", "description", "note", "comment", "conclusion", "summary", "patientInstruction", "name"),
        *("valueString", "onsetString", "abatementString", "doseNumberString"),
        *("data", "content", "presentedForm", "section"),
    )
)
_PERIODS: Final = {"s": "second", "min": "minute", "h": "hour", "d": "day", "wk": "week", "mo": "month", "a": "year"}


def part(value: object, *path: str) -> Resource:
    """The object at the end of a path; of a list its first object."""
    for name in (*path, ""):
        if isinstance(value, list):
            value = value[0] if value else None
        if name and isinstance(value, Mapping):
            value = value.get(name)
    return value if isinstance(value, Mapping) else NOTHING


def parts(value: object) -> tuple[Resource, ...]:
    """The objects of a list; one alone is a list of one."""
    if isinstance(value, Mapping):
        return (value,)
    return tuple(one for one in value if isinstance(one, Mapping)) if isinstance(value, list) else ()


def string(value: object) -> str:
    """Its text, without characters that text cannot hold."""
    if isinstance(value, str):
        return value.replace("\x00", "").encode("utf-8", "ignore").decode().strip()
    return number(value)


def strings(value: object) -> tuple[str, ...]:
    found = value if isinstance(value, list) else [value]
    return tuple(text for text in map(string, found) if text)


def number(value: object) -> str:
    """As it was written, with at most six significant digits where there is a fraction: 180.63849467 is 180.638."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return ""
    if isinstance(value, int):
        return str(value) if abs(value) < 10**18 else ""
    if not value.is_finite():
        return ""
    if abs(value.adjusted()) > 12:
        return f"{value:.6e}"
    places = max(0, _SIGNIFICANT - 1 - max(value.adjusted(), -_SIGNIFICANT))
    written = -int(value.as_tuple().exponent)
    return f"{value:.{places}f}".rstrip("0").rstrip(".") if written > places else f"{value:f}"


def day(value: object) -> str:
    """Year, month and day of a date, time or period's start, as far as they are given."""
    if isinstance(value, Mapping):
        value = value.get("start") or value.get("end")
    found = _DATE.match(value) if isinstance(value, str) else None
    return found.group() if found else ""


def as_date(value: object) -> date | None:
    """None unless it is a whole date."""
    try:
        return date.fromisoformat(day(value))
    except ValueError:
        return None


def first_day(resource: Resource, fields: Iterable[str]) -> str:
    return next((found for field in fields if (found := day(resource.get(field)))), "")


def concept(value: object) -> str:
    """A CodeableConcept: its text, then displays that say something else; a code where there are no words."""
    if isinstance(value, list):
        return joined(concept(one) for one in parts(value))
    whole = part(value)
    codings = parts(whole.get("coding")) or ((whole,) if "code" in whole or "display" in whole else ())
    said = [string(whole.get("text")), *(string(one.get("display")) for one in codings)]
    words = list({word.casefold(): word for word in reversed(said) if word}.values())[::-1]
    if not words:
        return next((code for one in codings if (code := string(one.get("code")))), "")
    return words[0] if len(words) == 1 else f"{words[0]} ({'; '.join(words[1:])})"


def code(value: object) -> str:
    """The bare code of a status."""
    whole = part(value)
    found = next((string(one.get("code")) for one in parts(whole.get("coding")) if one.get("code")), "")
    return found or string(whole.get("text")) if whole else string(value)


def quantity(value: object) -> str:
    whole = part(value)
    amount = number(whole.get("value")) or string(whole.get("value"))
    unit = string(whole.get("unit")) or string(whole.get("code"))
    return " ".join(word for word in (string(whole.get("comparator")) + amount, unit) if word) if amount else ""


def span(value: object) -> str:
    """A Range, in one unit where both ends have the same."""
    low, high = quantity(part(value, "low")), quantity(part(value, "high"))
    unit = low.partition(" ")[2]
    if low and high:
        return f"{low.removesuffix(unit).strip() if unit and high.endswith(unit) else low} to {high}"
    return f"at least {low}" if low else f"at most {high}" if high else ""


def period(value: object) -> str:
    start, end = day(part(value).get("start")), day(part(value).get("end"))
    return f"{start} to {end}" if start and end and start != end else start or (f"until {end}" if end else "")


def any_value(resource: Resource, name: str = "value") -> str:
    """The one of value[x] that is there."""
    ratio = part(resource, f"{name}Ratio")
    flag = resource.get(f"{name}Boolean")
    return next(
        (
            found
            for found in (
                quantity(resource.get(f"{name}Quantity")),
                concept(resource.get(f"{name}CodeableConcept")),
                string(resource.get(f"{name}String")),
                {True: "yes", False: "no"}.get(flag, "") if isinstance(flag, bool) else "",
                number(resource.get(f"{name}Integer")),
                span(resource.get(f"{name}Range")),
                " / ".join(filter(None, (quantity(ratio.get("numerator")), quantity(ratio.get("denominator"))))),
                day(resource.get(f"{name}DateTime")),
                day(resource.get(f"{name}Date")),
                string(resource.get(f"{name}Time")),
                period(resource.get(f"{name}Period")),
                quantity(resource.get(f"{name}Age")),
            )
            if found
        ),
        "",
    )


def dosage(value: object) -> str:
    """What the pharmacist wrote, else dose, route and timing put together."""
    whole = part(value)
    if text := string(whole.get("text")):
        return text
    given = part(whole, "doseAndRate")
    repeat = part(whole, "timing", "repeat")
    amount = quantity(given.get("doseQuantity")) or span(given.get("doseRange"))
    rate = quantity(given.get("rateQuantity")) or any_value(given, "rate")
    reason = concept(whole.get("asNeededCodeableConcept"))
    needed = "as needed" if whole.get("asNeededBoolean") is True else f"as needed for {reason}" if reason else ""
    return joined(
        (
            f"{amount} per dose" if amount.isdecimal() else amount,
            f"at {rate}" if rate else "",
            concept(whole.get("route")),
            concept(part(whole, "timing").get("code")) or timing(repeat),
            needed,
            concept(whole.get("additionalInstruction")),
            string(whole.get("patientInstruction")),
        ),
        ", ",
    )


def timing(repeat: Resource) -> str:
    """`3 times per 1 day` as people say it: 3 times a day, every 8 hours."""
    times, length = number(repeat.get("frequency")) or "1", number(repeat.get("period"))
    unit = _PERIODS.get(string(repeat.get("periodUnit")), "")
    if not length or not unit:
        return ""
    often = {"1": "once", "2": "twice"}.get(times, f"{times} times")
    every = unit if length in ("1", "1.0") else f"{length} {unit}s"
    said = f"{often} a {unit}" if every == unit else f"every {every}" if times == "1" else f"{often} every {every}"
    bounds = period(repeat.get("boundsPeriod")) or quantity(repeat.get("boundsDuration"))
    return f"{said} for {bounds}" if bounds else said


def joined(words: Iterable[str], separator: str = "; ") -> str:
    return separator.join(word for word in words if word)


def one_line(text: str) -> str:
    return " ".join(text.split())


def coded_only(value: object, depth: int = 0) -> object:
    """A resource without what people typed into it, which may name someone: only codes with their displays, numbers,
    dates and references are left."""
    if depth > _DEEPEST:
        return None
    if isinstance(value, list):
        return [coded_only(one, depth + 1) for one in value]
    if not isinstance(value, Mapping):
        return value
    typed = _TYPED | ({"display"} if "reference" in value else frozenset())
    return {name: coded_only(one, depth + 1) for name, one in value.items() if name not in typed}
