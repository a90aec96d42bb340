"""Hospitals with topics of their own, as vectors: passages lie around subjects, subjects around topics.

    topic     uniform on the sphere
    subject   cos(subject, topic) = 0.75, on average
    passage   cos(passage, subject) = 0.85
    question  cos(question, subject) = 0.85: as near to its subject as a passage of it

Noise is isotropic. A topic lives in a number of hospitals, the same for all topics, and every hospital has equally many
topics; or in all of them. Of each topic hospital j holds a share drawn from Dirichlet(skew) over the topic's hospitals:
the smaller it is, the fewer hold most of it. Each passage goes to a hospital by the shares of its topic.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from fedrag.core.collection import EncoderIdentity
from fedrag.core.wire import FloatMatrix, NodeId

DIMENSION: Final = 384
SUBJECT_TO_TOPIC: Final = 0.75
PASSAGE_TO_SUBJECT: Final = 0.85
IDENTITY: Final = EncoderIdentity(
    name="synthetic",
    weights_sha256="0" * 64,
    precision="fp32",
    dimension=DIMENSION,
    maximum_tokens=256,
    languages=("*",),
)

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TopicalWorld:
    """`owners[i]` holds passage i, which is about subject `subjects[i]` of topic `topics[i]`; question q is about
    subject `asked_about[q]`."""

    nodes: tuple[NodeId, ...]
    vectors: FloatMatrix
    owners: Positions
    subjects: Positions
    questions: FloatMatrix
    asked_about: Positions
    topics: Positions


def topical_world(
    nodes: int,
    passages: int,
    questions: int,
    *,
    topics: int,
    per_subject: int,
    skew: float,
    seed: int,
    homes: int | None = None,
) -> TopicalWorld:
    """About `per_subject` passages to a subject; a topic lives in `homes` hospitals, None: in all. Every hospital holds
    something. The same seed, the same world."""
    random = np.random.default_rng(seed)
    number = passages // per_subject
    topic_of = random.integers(topics, size=number)
    subject = _near(_unit(random.standard_normal((topics, DIMENSION)))[topic_of], SUBJECT_TO_TOPIC, random)
    subjects = random.integers(number, size=passages)
    homes_of = _homes(nodes, topics, homes, random)
    owners = np.empty(passages, dtype=np.int64)
    for topic, living in enumerate(homes_of):
        held = np.flatnonzero(topic_of[subjects] == topic)
        owners[held] = random.choice(living, size=len(held), p=random.dirichlet(np.full(len(living), skew)))
    empty = np.setdiff1d(np.arange(nodes), owners)
    owners[random.choice(passages, size=len(empty), replace=False)] = empty
    asked_about = random.choice(np.unique(subjects), size=questions, replace=questions > number)
    return TopicalWorld(
        nodes=tuple(f"hospital-{at:04d}" for at in range(nodes)),
        vectors=_near(subject[subjects], PASSAGE_TO_SUBJECT, random),
        owners=owners,
        subjects=subjects,
        questions=_near(subject[asked_about], PASSAGE_TO_SUBJECT, random),
        asked_about=asked_about,
        topics=topic_of[subjects],
    )


def _homes(nodes: int, topics: int, homes: int | None, random: np.random.Generator) -> Positions:
    """(topics, homes): the hospitals of each topic; few topics may name one twice."""
    if homes is None:
        return np.tile(np.arange(nodes), (topics, 1))
    turns = -(-topics * homes // nodes)
    return random.permuted(np.tile(np.arange(nodes), (turns, 1)), axis=1).ravel()[: topics * homes].reshape(topics, -1)


def _near(centres: FloatMatrix, cosine: float, random: np.random.Generator) -> FloatMatrix:
    """Unit vectors at about this cosine of each row."""
    noise = _unit(random.standard_normal(centres.shape, dtype=np.float32))
    return _unit(cosine * centres + np.sqrt(1 - cosine**2) * noise)


def _unit(rows: npt.NDArray[np.floating]) -> FloatMatrix:
    return np.ascontiguousarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)
