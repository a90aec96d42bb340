"""What stands before a candidate: labels that make a number an identifier, words that make a capital a name."""

import re
from dataclasses import dataclass
from typing import Final

from fedrag.redaction.vocabulary import STATE_NAMES

_TOKEN_BACKWARDS: Final = re.compile(r"\s*([\w'’]+|[^\w\s])")
_REACH: Final = 64
_MOST_TOKENS: Final = 7


@dataclass(frozen=True, slots=True)
class Before:
    """One of `labels`, with nothing but `joints` between it and the candidate. Both lower case; punctuation counts."""

    labels: frozenset[str]
    joints: frozenset[str]

    def holds(self, text: str, start: int) -> bool:
        backwards = text[max(0, start - _REACH) : start][::-1]
        position = 0
        for _ in range(_MOST_TOKENS):
            token = _TOKEN_BACKWARDS.match(backwards, position)
            if token is None:
                return False
            word = token[1][::-1].lower()
            if word in self.labels:
                return True
            if word not in self.joints:
                return False
            position = token.end()
        return False


def _before(labels: str, joints: str) -> Before:
    return Before(frozenset(labels.split()), frozenset(joints.split()))


_NUMBER_JOINTS: Final = (
    "number numbers no num nr code id is was are the under show shows of listed with issues plan # : . = ("
)

AN_ID_LABEL: Final = _before(
    "mrn nhs record records chart hospital patient patient's pt's account acct policy insurance insur ins hmo ppo hbn "
    "hicn medicare medicaid member subscriber beneficiary plan group accession encounter case ref reference visit "
    "specimen certificate license licence passport permit dea npi id",
    _NUMBER_JOINTS,
)
A_VEHICLE_LABEL: Final = _before("vin plate plates", _NUMBER_JOINTS)
A_DEVICE_LABEL: Final = _before(
    "serial device udi pacemaker implant pump defibrillator icd stimulator prosthesis imei s/n sn", _NUMBER_JOINTS
)
A_BIOMETRIC_LABEL: Final = _before(
    "biometric fingerprint fingerprints voiceprint faceprint iris retina retinal palmprint",
    f"{_NUMBER_JOINTS} scan template hash print",
)
A_SOCIAL_SECURITY_LABEL: Final = _before("ssn security", _NUMBER_JOINTS)
A_PHONE_LABEL: Final = _before(
    "phone tel telephone mobile cell fax pager call reach reached", f"{_NUMBER_JOINTS} on at him her them me"
)
A_BIRTH_LABEL: Final = _before("dob birth born birthdate", "on in is : - . the ( date")
A_POSTCODE_LABEL: Final = _before("zip postcode postal", "code is : .")
A_PERSON_LABEL: Final = _before(
    "patient patient's pt client name named called father mother husband wife son daughter brother sister signed "
    "resident",
    "name is was : ,",
)
A_STATE: Final = Before(frozenset(name.split()[-1] for name in STATE_NAMES), frozenset(","))
AT: Final = _before("at", "the our")
CARE_IN: Final = _before(
    "seen treated admitted evaluated managed hospitalized hospitalised followed operated living live lives residing "
    "resides resident based visited discharged transferred referred visit clinic office born",
    "in to from the our today recently originally back currently initially",
)
IN: Final = _before("in", "the")
FROM: Final = _before("from", "the")
