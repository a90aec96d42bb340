"""Is this really one? Each check takes a match and returns the range to take out, or None to leave it."""

import ipaddress
import re
from collections.abc import Callable
from typing import Final

from fedrag.redaction.vocabulary import EPONYMS, QUESTION_WORDS, STATE_CODES, STATE_NAMES
from fedrag.redaction.words import CLINICAL_THING, is_clinical, is_common, plain

Span = tuple[int, int]
Check = Callable[[re.Match[str]], Span | None]

_SITE_WORDS: Final = frozenset(
    ("general", "central", "community", "regional", "north", "south", "east", "west", "northern", "southern")
)
_WORD: Final = re.compile(r"\S+")
_LOCAL_PART: Final = re.compile(r"[\w.+-]+$")
_FILE_NAME: Final = re.compile(r"[\w()+/\\.-]+$")
_YEAR_OR_DATE: Final = re.compile(r"(?:19|20)\d\d(?:-\d\d?(?:-\d\d?)?)?|\d\d?-\d\d?-(?:19|20)\d\d")
_LETTER_VALUES: Final = zip("ABCDEFGHJKLMNPRSTUVWXYZ", "12345678123457923456789", strict=True)
_VALUES: Final = {**{str(digit): digit for digit in range(10)}, **{one: int(value) for one, value in _LETTER_VALUES}}
_WEIGHTS: Final = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_ADVICE: Final = re.compile(
    r"\s+(?:guidelines?|recommendations?|criteria|protocols?|scores?|rules?|stud(?:y|ies)|trials?)\b"
)
_LONGER_WORD: Final = re.compile(r"\b[^\W\d_]{4,}\b")
_SENTENCE_START: Final = re.compile(r"(?:^|[.?!\n]\s*)$")
_SUBJECT: Final = re.compile(
    r"\s*(?:[,(]|['’]s\b|\b(?:is|was|has|had|who|aged|presents?|presented|needs|takes|asks)\b)"
)
_ARTICLES: Final = frozenset(("the", "a", "an"))
_ARTICLE: Final = re.compile(r"\b(?:the|an?|this|that|per|using|versus|vs)\s+$", re.IGNORECASE)
_SOURCE_OF_ADVICE: Final = re.compile(
    r"\b(?:guidelines?|guidance|recommendations?|criteria|protocols?|trials?|stud(?:y|ies)|research|data|evidence|according)"
    r"(?: \w+)?\s+(?:from|by|of|at|to|in)\s+(?:the\s+)?$",
    re.IGNORECASE,
)


def whole(match: re.Match[str]) -> Span:
    """The group `value` where the pattern has one."""
    return match.span("value") if "value" in match.re.groupindex else match.span()


def card(match: re.Match[str]) -> Span | None:
    """Luhn: from the right, every second digit doubled, digit sums add up to a multiple of 10."""
    digits = [int(digit) for digit in match.group() if digit.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return whole(match) if (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0 else None


def nhs_number(match: re.Match[str]) -> Span | None:
    """Ten digits weighted 10 to 1 add up to a multiple of 11."""
    digits = [int(digit) for digit in match.group() if digit.isdigit()]
    return whole(match) if sum(w * d for w, d in zip(range(10, 0, -1), digits, strict=True)) % 11 == 0 else None


def iban(match: re.Match[str]) -> Span | None:
    """First four characters moved to the end, letters as 10 to 35: 1 modulo 97 (ISO 13616)."""
    characters = match.group().replace(" ", "")
    number = "".join(str(int(character, 36)) for character in characters[4:] + characters[:4])
    return whole(match) if int(number) % 97 == 1 else None


def ip_address(match: re.Match[str]) -> Span | None:
    try:
        ipaddress.ip_address(match.group())
    except ValueError:
        return None
    return whole(match)


def day_and_month(match: re.Match[str]) -> Span | None:
    """Two numbers that can be a day and a month, in either order."""
    first, second = int(match["first"]), int(match["second"])
    return whole(match) if 1 <= min(first, second) <= 12 and max(first, second) <= 31 else None


def email(match: re.Match[str]) -> Span | None:
    """From the @ back to where the address starts."""
    local = _LOCAL_PART.search(match.string, max(0, match.start() - 64), match.start())
    return (local.start(), match.end()) if local else None


def code(match: re.Match[str]) -> Span | None:
    """At least three digits, and neither a year nor a date."""
    value = match.group()
    digits = sum(character.isdigit() for character in value)
    return None if digits < 3 or _YEAR_OR_DATE.fullmatch(value) else whole(match)


def plate(match: re.Match[str]) -> Span | None:
    """Five or more letters and digits, of both some: "7ABC123", "AB12 CDE"."""
    value = "".join(match.group().split())
    return whole(match) if len(value) > 4 and any(map(str.isdigit, value)) and any(map(str.isalpha, value)) else None


def vehicle(match: re.Match[str]) -> Span | None:
    """Letters and digits as 1 to 9, weighted by place, add up to the ninth modulo 11, with X for 10 (ISO 3779 as in
    North America)."""
    value = match.group()
    total = sum(weight * _VALUES[character] for weight, character in zip(_WEIGHTS, value, strict=True))
    return whole(match) if value[8] == "0123456789X"[total % 11] and not value.isdigit() else None


def image_file(match: re.Match[str]) -> Span | None:
    """From the ending back to where the file's name starts."""
    name = _FILE_NAME.search(match.string, max(0, match.start() - 80), match.start())
    return (name.start(), match.end()) if name else None


def zip_code(match: re.Match[str]) -> Span | None:
    return whole(match) if match.group()[:2] in STATE_CODES else None


def town_and_state(match: re.Match[str]) -> Span | None:
    """ "Springfield, IL" and "Springfield, Illinois"."""
    if any(is_clinical(word) for word in match["value"].split()):
        return None
    state = match["state"]
    known = state in STATE_CODES or state.lower() in STATE_NAMES
    return match.span() if known else None


def _words(match: re.Match[str], group: str) -> list[Span]:
    return [word.span() for word in _WORD.finditer(match.string, *match.span(group))]


def _longest_run(match: re.Match[str], clinical: Callable[[str], bool]) -> list[Span]:
    """The words of `value` in a row that are not clinical; the first such row of greatest length."""
    runs: list[list[Span]] = [[]]
    for start, end in _words(match, "value"):
        if clinical(match.string[start:end]):
            runs.append([])
        else:
            runs[-1].append((start, end))
    return max(runs, key=len)


def person(match: re.Match[str]) -> Span | None:
    """After a title or a label: at least one word that can be a name."""
    titled = "title" in match.re.groupindex
    run = _longest_run(match, is_clinical if titled else is_common)
    if not run or CLINICAL_THING.match(match.string, run[-1][1]):
        return None
    first = match.string[run[0][0] : run[0][1]]
    if len(run) == 1 and not titled and (plain(first) in EPONYMS or len(first) < 3):
        return None
    return match.start("title") if titled else run[0][0], run[-1][1]


def full_name(match: re.Match[str]) -> Span | None:
    """Without a label: two words or more that can be a name, where the sentence leaves room for one."""
    text = match.string
    run = _longest_run(match, is_common)
    if run and plain(text[slice(*run[0])]) in EPONYMS | {"new"}:
        run = run[1:]
    full_words = sum(end - start > 2 for start, end in run)
    if len(run) < 2 or full_words == 0 or (full_words == 1 and text[run[0][1] - 1] == "."):
        return None  # one word, or "U/L. Magnetic": a name that starts with an initial needs a title
    start, end = run[0][0], run[-1][1]
    if CLINICAL_THING.match(text, end) or _ARTICLE.search(text, max(0, start - 12), start):
        return None
    beside = {plain(text[slice(*word)]) for word in _words(match, "value") if word not in run}
    if beside - QUESTION_WORDS or beside & _ARTICLES:
        return None  # "Alveolar Macrophage Dysfunction", "The World Systems Theory"
    if _SUBJECT.match(text, end):
        return start, end
    opens = _SENTENCE_START.search(text, max(0, start - 3), start) is not None
    return None if opens or _in_a_title(text, start, end) else (start, end)


def _in_a_title(text: str, start: int, end: int) -> bool:
    """Most longer words around are capitalised, so a capital says nothing."""
    around = _LONGER_WORD.findall(text, max(0, start - 80), start) + _LONGER_WORD.findall(text, end, end + 80)
    return len(around) >= 3 and 2 * sum(word[0].isupper() for word in around) > len(around)


def site(match: re.Match[str]) -> Span | None:
    """A hospital with a name of its own: "Elm Street Clinic", "General Hospital", but not "Diabetes Clinic"."""
    own = [
        span
        for span in _words(match, "value")
        if not is_clinical(word := match.string[slice(*span)]) or plain(word) in _SITE_WORDS
    ]
    if not own or _SOURCE_OF_ADVICE.search(match.string, max(0, own[0][0] - 40), own[0][0]):
        return None
    if _ADVICE.match(match.string, match.end()):
        return None
    return own[0][0], _end_with_tail(match)


def street_and_number(match: re.Match[str]) -> Span | None:
    """No clinical word between the numbers."""
    return None if any(map(is_clinical, match["value"].split())) else match.span()


def town(match: re.Match[str]) -> Span | None:
    """A place that is no state, no ward and no abbreviation of the clinic."""
    run = _longest_run(match, is_clinical)
    if not run or plain(match.string[run[0][0] : run[-1][1]]) in STATE_NAMES | EPONYMS:
        return None
    if _SOURCE_OF_ADVICE.search(match.string, max(0, run[0][0] - 40), run[0][0]):
        return None
    return run[0][0], run[-1][1] if run[-1][1] < match.end("value") else _end_with_tail(match)


def _end_with_tail(match: re.Match[str]) -> int:
    """Past the town behind it, ", Baltimore", unless that is a clinical word."""
    if "tail" not in match.re.groupindex or match["tail"] is None:
        return match.end()
    words = [word for span in _words(match, "tail") if (word := match.string[slice(*span)])[0].isupper()]
    return match.start("tail") if any(map(is_clinical, words)) else match.end()
