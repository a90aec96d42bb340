"""The medicines a text names, and the classes they belong to. English."""

import re
from functools import lru_cache
from typing import Final

from aggregator.words import WORD
from fedrag.core.quantities import normalised, substances

_CLASSES: Final = {
    "doac": r"\w+xaban|dabigatran|doacs?",
    "nsaid": r"ibuprofen|naproxen|diclofenac|ketorolac|indometh?acin|mefenamic|\w+coxib|anti-inflammator\w+|nsaids?",
    "heparin": r"(?:dalte|enoxa|tinza)parin|lmwh",
    "sglt": r"\w+gliflozin|sglt\d?",
    "gliptin": r"\w+gliptin|gliptins?",
    "sulfonylurea": r"gliclazide|glimepiride|glipizide|glibenclamide|tolbutamide|sulfonylureas?",
    "ace": r"\w{3,}pril|ace",
    "arb": r"\w+sartan|arbs?",
    "beta-block": r"\w+olol|\w+alol|carvedilol|beta-blockers?",
    "statin": r"\w+statin|statins?",
    "opioid": r"morphine|codeine|oxycodone|fentanyl|tramadol|methadone|buprenorphine|pethidine|hydromorphone|opioids?",
    "benzodiazepin": r"\w+azepam|\w+azolam|benzodiazepines?",
    "macrolid": r"\w+thromycin|macrolides?",
    "quinolon": r"\w+floxacin|quinolones?",
    "penicillin": r"\w+cillin|penicillins?",
    "cephalosporin": r"cef\w+|ceph\w+|cephalosporins?",
    "bisphosphon": r"\w+dron(?:ate|ic)|bisphosphonates?",
    "steroid": r"(?:methyl)?predniso(?:lo)?ne|hydrocortisone|dexamethasone|betamethasone|(?:cortico)?steroids?",
    "triptan": r"\w+triptan|triptans?",
    "diuretic": r"furosemide|bumetanide|torasemide|\w+thiazide|indapamide|diuretics?",
}
_MEMBERS: Final = {name: re.compile(pattern) for name, pattern in _CLASSES.items()}
_PHRASES: Final = {"low molecular weight heparin": "lmwh", "direct oral anticoagulant": "doac"}


def classes_of(text: str) -> frozenset[str]:
    """Of the medicines that a `normalised` text names, and those that it names themselves."""
    return frozenset().union(*map(_classes, WORD.findall(_shortened(text))))


def medicines(text: str) -> frozenset[str]:
    """Those whose name tells that they are one, members of the classes, and classes."""
    return frozenset(word for word in WORD.findall(_shortened(normalised(text))) if _is_medicine(word))


def _shortened(text: str) -> str:
    for phrase, short in _PHRASES.items():
        text = text.replace(phrase, short)
    return text


@lru_cache(maxsize=20_000)
def _classes(word: str) -> frozenset[str]:
    return frozenset(name for name, pattern in _MEMBERS.items() if pattern.fullmatch(word))


@lru_cache(maxsize=20_000)
def _is_medicine(word: str) -> bool:
    return bool(_classes(word)) or bool(substances(word))
