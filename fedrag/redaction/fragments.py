"""Pieces of patterns.

Two habits keep matching linear and fast. Nothing is repeated without a bound. And a pattern starts with one character
of a small class, so that the search skips over running text; what must come before it is looked at afterwards.
"""

from typing import Final

# The first character of a number, and of a capitalised word.
DIGIT: Final = r"\d(?<![\w./-]\d)"
_CAPITALS: Final = "A-ZÀ-ÖØ-ÞŁŚŻŽČŠĐ"
_CAPITAL: Final = rf"[{_CAPITALS}](?<![\w/-].)"

NOT_BEFORE_UNIT: Final = (
    r"(?!\s*(?:%|(?i:mc?g|µg|g|kg|ml|l|dl|iu|units?|mmol|meq|mm|cm|copies|cells|times|days?|weeks?|months?|years?|hours?"
    r"|h|hrs?|min(?:utes)?|tabs?|tablets?|doses?|patients?|x)\b))"
)
"""Then it is a dose, a duration or a count."""

# Dates. Lower-case "may" and "mar(ch)" are left out: they are words.
_SPELLED: Final = (
    "January|February|March|April|May|June|July|August|September|October|November|December"
    "|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept|Sep|Oct|Nov|Dec"
)
_LOWER: Final = _SPELLED.lower().replace("|march", "").replace("|may", "").replace("|mar", "")
_UPPER: Final = "JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC"
MONTH: Final = rf"(?:{_SPELLED}|{_LOWER}|{_UPPER})\b\.?"
DAY: Final = r"(?:[12]\d|3[01]|0?[1-9])(?:st|nd|rd|th)?"
YEAR: Final = r"(?:(?:19|20)\d\d|['’]\d\d)\b"

# People: "Anna Maria O'Neill", "J. van der Berg", "Emily R."
_WORD_OF_NAME: Final = r"(?:['’][A-Z])?[a-zß-ž]{1,24}(?:(?:['’-][A-Z]?|[A-Z])[a-zß-ž]{1,24}){0,3}(?:['’]s?)?(?![\w'’-])"
_NAME: Final = rf"{_CAPITAL}(?:\.|{_WORD_OF_NAME})"
_PARTICLE: Final = r"(?:(?:van|von|de|der|den|del|della|da|di|dos|la|le|bin|ibn|ter|al)[ \t]){0,2}"
_FURTHER_NAME: Final = rf"[ \t]{_PARTICLE}(?:{_NAME}|[B-HJ-Z]\b(?!['’-]))"
ONE_NAME_OR_MORE: Final = rf"(?P<value>{_NAME}(?:{_FURTHER_NAME}){{0,3}})"
TWO_NAMES_OR_MORE: Final = rf"(?P<value>{_NAME}(?:{_FURTHER_NAME}){{1,5}})"
TITLE: Final = r"(?P<title>(?:Mr|Mrs|mr|mrs|Dr|dr|Ms|Mx|Miss|Prof|prof|Doctor|Professor|Nurse|Rev)\b\.?)"

# Places: "Elm Street Clinic, Springfield", "St. Brigid's"
_PLACE_WORD: Final = rf"{_CAPITAL}[\w'’-]{{1,30}}(?![\w'’-])"
PLACE: Final = rf"(?P<value>{_PLACE_WORD}(?:[ \t](?:(?:and|of)[ \t])?{_PLACE_WORD}){{0,4}})"
SAINT: Final = rf"(?P<value>(?:St|Saint|Mt|Mount)\b\.?[ \t]{_PLACE_WORD})(?! (?:wort|valve))"
SITE: Final = (
    r"[ \t](?:(?i:hospitals?|hosp|clinics?|infirmary|hospice|healthcenter|nursing home|care home|medical group"
    r"|foundation trust|institute|facility|office"
    r"|(?:medical|med|health|healthcare|cancer|oncology|heart|trauma)\.? (?:cent(?:er|re)|ctr|cntr))\b\.?"
    r"|(?:Health(?:care)?|Med(?:ical)?|General|VA|Presbyterian)\b)"
)
TAIL: Final = (
    rf"(?P<tail>(?:,|[ \t](?:of|in))?[ \t]{_PLACE_WORD}(?:[ \t]{_PLACE_WORD})?"
    r"(?=[ \t](?:on|last|since|in|with|for|who)\b|[,.?;()\n]|$)(?:,[ \t][A-Z]{2}\b)?)?"
)
"""The town behind a place."""

_STATE: Final = r"(?P<state>[A-Z]{2}|(?:New |North |South |West |Rhode )?[A-Z][a-z]{3,12})\b(?!-)"
TOWN_AND_STATE: Final = rf"(?P<value>{_PLACE_WORD}(?:[ \t]{_PLACE_WORD}){{0,2}}),[ \t]{_STATE}"
STREET: Final = (
    rf"{DIGIT}\d{{0,4}}[A-Za-z]?[ \t](?:[\w'’-]{{1,20}}\.?[ \t]){{1,4}}"
    r"(?:Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Way|Terrace|Crescent|Square|Highway|Hwy"
    r"|Parkway|Close|Gardens|Mews|Row)\b\.?"
    r"(?:,?[ \t](?i:apt|apartment|suite|unit|flat)\.?[ \t]?\w{1,6})?"
    rf"(?:,[ \t]{_PLACE_WORD}(?:[ \t]{_PLACE_WORD}){{0,2}}(?:,[ \t][A-Z]{{2}}\b)?)?"
)
STREET_AND_NUMBER: Final = (
    rf"{DIGIT}\d{{2,4}}[ \t](?P<value>{_PLACE_WORD}(?:[ \t](?:de|da|do|di|la|van|{_PLACE_WORD})){{0,3}})"
    rf"[ \t]\d{{1,4}}[a-zA-Z]?\b(?![./-]?\d){NOT_BEFORE_UNIT}"
)
"""Of other countries, with a number of the house before and behind: "1593 Pagari 18"."""

# A number that stands for a person: "123-45-6789", "HPN-987654", "12345ABC"
CODE: Final = r"[#A-Z\d](?<![\w./-].)(?<!\d\.)[A-Z]{0,6}-?[\dA-Z-]{2,26}\b(?![./]?\w)"
