"""What a single word says: is it a clinical word, a surname that stands for a disease, or what a name ends before?"""

import re
from typing import Final

from fedrag.redaction.vocabulary import ABBREVIATIONS, DRUG_AND_DISEASE_ENDINGS, EPONYMS, EVERYDAY_WORDS, NOT_NAMES

CLINICAL_THING: Final = re.compile(
    r"\s*(?:diseases?|synd(?:romes?)?|signs?|scores?|scales?|tests?|criteri\w+|reflex|phenomenon|catheters?|tubes?"
    r"|classif\w+|class|stage|grade|index|rules?|trials?|stud(?:y|ies)|guidelines?|palsy|lymphoma|sarcoma|contracture"
    r"|fractures?|anae?mia|disorders?|nodes?|bod(?:y|ies)|dementia|valve|procedure|manoeuv\w+|maneuver|protocol"
    r"|questionnaire|inventory|nodules?|rings?|formula|equation|vaccines?|booster|gait|splint|line|solution|curves?"
    r"|anomal(?:y|ies)|malformations?|d[iy]s(?:plasia|trophy)|migraine|trait|operation|theory|collaterals?|effect|model"
    r"|method|principle|law|maze|stains?|cells?)\b",
    re.IGNORECASE,
)
"""Behind a surname: then it is a disease, a sign, a score."""


def plain(word: str) -> str:
    return word.rstrip(".,").replace("’", "'").removesuffix("'s").removesuffix("'").lower()


def is_clinical(word: str) -> bool:
    if not word.isalpha() and any(character.isdigit() for character in word):
        return True
    lower = plain(word)
    if word[1:2].isupper() and lower.removesuffix("s") in ABBREVIATIONS:
        return True
    if lower in NOT_NAMES or lower.endswith(DRUG_AND_DISEASE_ENDINGS):
        return True
    return "-" in lower and not NOT_NAMES.isdisjoint(lower.split("-"))


def is_common(word: str) -> bool:
    """A word of the clinic or of everyday speech."""
    return plain(word) in EVERYDAY_WORDS or is_clinical(word)


def is_eponym(word: str) -> bool:
    return plain(word) in EPONYMS
