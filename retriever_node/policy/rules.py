"""Rules of release: the first one that matches who asks and for what decides; where none matches, nothing leaves."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field, StringConstraints

from fedrag.core.config import Config
from fedrag.core.exchange import ProcessorPlace
from fedrag.core.identity import Project, Purpose, Role
from fedrag.core.wire import Name, NodeId, ReleaseClass
from retriever_node.policy import (
    DEFAULT_FLOOR,
    MINIMUM_FLOOR,
    NOTHING,
    Grant,
    Kind,
    NodeAsker,
    PassageQuota,
    Processors,
)

PATIENT_SHARE: Final = 0.02
"""Of a `patient` collection, what one asker may be given in 30 days where a rule does not say."""
BROKEN: Final = "broken"
"""Version of the policy that is in force while the file cannot be read: nothing leaves."""

Some = Field(min_length=1)
"""A list that is written down names somebody: an empty one would read as nobody and as everybody."""
Switch = Annotated[bool, Field(strict=True)]
Passages = Annotated[int, Field(strict=True, ge=0)]


class QuotaRule(Config):
    """`PassageQuota`, as it is written."""

    per_asker_per_day: Passages | None = None
    per_project_per_day: Passages | None = None
    per_day: Passages | None = None
    per_asker_per_30_days: Passages | None = None
    share_per_30_days: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None


class Rule(Config):
    """One rule, as it is written; a key that is left out narrows nothing."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
    classes: Annotated[tuple[ReleaseClass, ...], Some] | None = None
    collections: Annotated[tuple[NodeId, ...], Some] | None = None
    issuers: Annotated[tuple[Name, ...], Some] | None = None
    roles: Annotated[tuple[Role, ...], Some] | None = None
    purposes: Annotated[tuple[Purpose, ...], Some] | None = None
    projects: Annotated[tuple[Project, ...], Some] | None = None
    identified: Switch = False
    release: Kind
    review: Switch = False
    direct: Switch = False
    places: Annotated[tuple[ProcessorPlace, ...], Some] = (ProcessorPlace.COORDINATOR, ProcessorPlace.TRUST_DOMAIN)
    models: Annotated[tuple[Name, ...], Some] | None = None
    cite_as: Name | None = None
    floor: Annotated[int, Field(strict=True, ge=MINIMUM_FLOOR)] = DEFAULT_FLOOR
    quota: QuotaRule = QuotaRule()

    def covers(self, collection: NodeId, release_class: ReleaseClass) -> bool:
        return (self.classes is None or release_class in self.classes) and (
            self.collections is None or collection in self.collections
        )

    def matches(self, asker: NodeAsker) -> bool:
        return (
            (asker.issuer is not None or not self.identified)
            and (self.issuers is None or asker.issuer in self.issuers)
            and (self.roles is None or asker.role in self.roles)
            and (self.purposes is None or asker.purpose in self.purposes)
            and (self.projects is None or asker.project in self.projects)
        )

    @property
    def for_everyone(self) -> bool:
        narrowed = (self.issuers, self.roles, self.purposes, self.projects)
        return not self.identified and all(one is None for one in narrowed)

    def grant(self, release_class: ReleaseClass) -> Grant:
        """To whom it matches. Of `patient` text no more than PATIENT_SHARE, unless the rule says how much."""
        quota = self.quota.model_dump()
        if release_class is ReleaseClass.PATIENT and quota["share_per_30_days"] is None:
            quota["share_per_30_days"] = PATIENT_SHARE
        return Grant(
            rule=self.name,
            release=self.release,
            review=self.review,
            direct=self.direct,
            processors=Processors(frozenset(self.places), frozenset(self.models or ())),
            cite_as=self.cite_as,
            quota=PassageQuota(**quota),
            floor=self.floor,
        )


class PolicyFile(Config):
    """`policy.toml`. `version`: of the format."""

    version: Literal[1]
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """The owner's rules in order, and what each gives (`grants`, by its name and class). `version` changes whenever any
    of them does, and with nothing else."""

    rules: tuple[Rule, ...]
    version: str
    grants: Mapping[tuple[str, ReleaseClass], Grant]

    @classmethod
    def of(cls, rules: Iterable[Rule]) -> "Policy":
        some = tuple(rules)
        written = json.dumps([rule.model_dump(mode="json") for rule in some], sort_keys=True)
        grants = {(rule.name, one): rule.grant(one) for rule in some for one in ReleaseClass}
        return cls(some, hashlib.sha256(written.encode()).hexdigest(), grants)

    def rule(self, collection: NodeId, release_class: ReleaseClass, asker: NodeAsker) -> Rule | None:
        """The one that decides."""
        return next((one for one in self.rules if one.covers(collection, release_class) and one.matches(asker)), None)

    def grant(self, collection: NodeId, release_class: ReleaseClass, asker: NodeAsker) -> Grant:
        """What this asker may be given of a collection; content plays no part."""
        rule = self.rule(collection, release_class, asker)
        return NOTHING if rule is None else self.grants[rule.name, release_class]

    def describes(self, collection: NodeId, release_class: ReleaseClass) -> bool:
        """Whether routers may know of the collection: text of it, or about it, may leave to somebody."""
        return any(rule.release.traces for rule in self._reached(collection, release_class))

    def shows(self, collection: NodeId, release_class: ReleaseClass) -> bool:
        """Whether somebody may be given its passages as they are, without review."""
        reached = self._reached(collection, release_class)
        return any(rule.release is Kind.PASSAGE and not rule.review for rule in reached)

    def releases(self, collection: NodeId, release_class: ReleaseClass) -> bool:
        """Whether anything of the collection may leave to anybody, a count say."""
        return any(rule.release is not Kind.NOTHING for rule in self._reached(collection, release_class))

    def _reached(self, collection: NodeId, release_class: ReleaseClass) -> Iterator[Rule]:
        """The rules about a collection, up to the first that is for everyone: none behind that is ever asked."""
        for rule in self.rules:
            if rule.covers(collection, release_class):
                yield rule
                if rule.for_everyone:
                    return


DENYING: Final = Policy((), BROKEN, {})
"""In force while there is no readable policy."""
