"""Who asks, and for what. The token itself is a compact JWT signed by the asker's own organisation (RFC 7519)."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import StringConstraints

from fedrag.core.wire import Count, Name, NodeId, Wire

CompactToken = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$", max_length=4096)
]


class Purpose(StrEnum):
    """Purpose of use, after HL7 PurposeOfUse."""

    TREATMENT = "treatment"
    OPERATIONS = "operations"
    RESEARCH = "research"
    EDUCATION = "education"
    UNSTATED = "unstated"


class Role(StrEnum):
    CLINICIAN = "clinician"
    PATIENT = "patient"
    RESEARCHER = "researcher"
    SYSTEM = "system"


Project = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
"""What work a question belongs to, a study say: hospitals' policies and quotas name it."""


_CLAIMS: Final = {
    "issuer": "iss",
    "pseudonym": "sub",
    "audience": "aud",
    "issued_at": "iat",
    "expires_at": "exp",
    "role": "role",
    "purpose": "purpose",
    "project": "project",
}


class AskerToken(Wire):
    """The claims of a token, after its signature was checked.

    `pseudonym` is pairwise: the same asker is another pseudonym towards each node, so two hospitals cannot join their
    logs. `audience` is the one node the token is good for. Times are Unix seconds.
    """

    issuer: Name
    pseudonym: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    role: Role
    purpose: Purpose
    audience: NodeId
    issued_at: Count
    expires_at: Count
    project: Project | None = None

    def claims(self) -> dict[str, str | int]:
        """As JWT claims, under their registered names (RFC 7519, section 4.1)."""
        claims = {claim: getattr(self, name) for name, claim in _CLAIMS.items()}
        return {claim: value for claim, value in claims.items() if value is not None}

    @classmethod
    def from_claims(cls, claims: Mapping[str, object]) -> Self:
        """The inverse of `claims`. Raises ValueError for claims that are missing or not what they should be."""
        return cls.model_validate({name: claims.get(claim) for name, claim in _CLAIMS.items()})


class Asker(Wire):
    """Who the coordinator believes is asking: the owner of an API key. Never sent to a node."""

    name: Name
    role: Role = Role.CLINICIAN
    purpose: Purpose = Purpose.UNSTATED
    project: Project | None = None
