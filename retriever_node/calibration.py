"""Calibration: from a similarity to the probability that the passage is relevant."""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from fedrag.core.protocols import Encoder
from fedrag.core.wire import FloatMatrix
from retriever_node.blas import one_blas_thread
from retriever_node.documents import Passage
from retriever_node.hybrid import fused
from retriever_node.lexical import ScoredTerms, words
from retriever_node.passages import ALL_FIELDS, Field, embedding_text, sentence_borders, title_line
from retriever_node.terms import terms_of

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """P(relevant | similarity s) = 1 / (1 + exp(-(slope · s + intercept))), slope > 0: more similar is more
    probable."""

    slope: float
    intercept: float

    def probability(self, similarity: float) -> float:
        logit = self.slope * similarity + self.intercept
        return 1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1 + math.exp(logit))


DEFAULT: Final = Calibration(slope=12.0, intercept=-6.0)
"""Used where there is too little to fit from, and what a fit is drawn towards: even odds at a cosine of 0.5. A guess
that suits common sentence encoders, not a measurement."""


@dataclass(frozen=True, slots=True)
class Calibrations:
    """One for each similarity that a collection can be searched by: of vectors alone, and of words and vectors."""

    vectors: Calibration = DEFAULT
    both: Calibration = DEFAULT


LEAST_SLOPE: Final = 1.0
"""So that ordering by probability is always ordering by similarity, even where similarity says next to nothing."""

ANSWERED: Final = 0.25
"""The share of the questions reaching a collection that it holds an answer to. Assumed: nothing that a hospital sees
tells it, and no label may leave. A router asks four to nine hospitals, and one or two of them hold an answer; of larger
federations it asks no more. From a third to a sixth the calibration is about as good (benchmarks/calibration_error.py);
at 1, which takes every question for answerable, probabilities come out several times too high."""

_PRIOR_SD: Final = (12.0, 6.0)
"""How far a fit may stray from DEFAULT (slope, intercept) before the ridge term costs half a nat each."""

_MINIMUM_QUESTIONS: Final = 20
SAME_PASSAGE: Final = 0.98
_STEPS: Final = 100
_AT_ONCE: Final = 16

PassageLookup = Callable[[Sequence[int]], tuple[Passage, ...]]
_List = tuple[Doubles, npt.NDArray[np.bool_], np.bool_]
"""A result list: similarities, which of them is the passage asked for, and whether that passage was missing."""


@dataclass(frozen=True, slots=True)
class LabelledPairs:
    """Similarities of candidate passages to pseudo-questions, and whether each is the passage asked for. `absent`: from
    a list without that passage, as a question finds it that the collection cannot answer. `questions` is how many
    pseudo-questions they come from."""

    similarities: Doubles
    relevant: npt.NDArray[np.bool_]
    absent: npt.NDArray[np.bool_]
    questions: int

    def fitted(self, answered: float = ANSWERED) -> Calibration:
        """To questions of which the share `answered`, in (0, 1], has an answer here: what stands in lists without the
        passage weighs (1 − answered) / answered times what stands in lists with it."""
        weights = np.where(self.absent, (1 - answered) / answered, 1.0)
        return fit_logistic(self.similarities, self.relevant, weights)


def fit_logistic(similarities: Doubles, relevant: npt.NDArray[np.bool_], weights: Doubles | None = None) -> Calibration:
    """Logistic regression (Platt scaling) with a Gaussian prior around DEFAULT, by Newton's method.

    Minimises Σ weight · log-loss + ½ Σ ((θ − θ₀) / σ)² over θ = (slope, intercept); without `weights` each is 1. The
    prior makes it strictly convex, so the step-halving below always ends at the one minimum, also for separable or
    one-sided labels. A slope below LEAST_SLOPE is refused: it is set there and the intercept fitted alone.
    """
    design = np.stack([similarities, np.ones_like(similarities)], axis=1)
    labels, counts = relevant.astype(np.float64), np.ones_like(similarities) if weights is None else weights
    start = np.array([DEFAULT.slope, DEFAULT.intercept])
    theta = _newton(design, labels, counts, start=start, free=np.array([True, True]))
    if theta[0] < LEAST_SLOPE:
        start = np.array([LEAST_SLOPE, DEFAULT.intercept])
        theta = _newton(design, labels, counts, start=start, free=np.array([False, True]))
    return Calibration(slope=float(theta[0]), intercept=float(theta[1]))


def _newton(
    design: Doubles, labels: Doubles, weights: Doubles, *, start: Doubles, free: npt.NDArray[np.bool_]
) -> Doubles:
    """`start` is also the prior's mean; parameters that are not free stay there."""
    precision = 1 / np.square(np.array(_PRIOR_SD))

    def loss(theta: Doubles) -> float:
        logits = design @ theta
        losses = weights * (np.logaddexp(0, logits) - labels * logits)
        return float(np.sum(losses) + np.sum(precision * (theta - start) ** 2) / 2)

    theta = start
    for _ in range(_STEPS):
        logits = design @ theta
        probability = np.exp(-np.logaddexp(0, -logits))
        gradient = (design.T @ (weights * (probability - labels)) + precision * (theta - start)) * free
        curvature = (design * (weights * probability * (1 - probability))[:, None]).T @ design + np.diag(precision)
        curvature = np.where(np.outer(free, free), curvature, np.eye(2))
        step = np.linalg.solve(curvature, gradient)
        length = 1.0
        while loss(theta - length * step) > loss(theta) and length > 1e-6:
            length /= 2
        theta = theta - length * step
        if np.abs(step).max() < 1e-9:
            break
    return theta


def fit(
    ids: npt.NDArray[np.int64],
    documents: npt.NDArray[np.int64],
    vectors: FloatMatrix,
    lookup: PassageLookup,
    encoder: Encoder,
    fields: Sequence[Field] = ALL_FIELDS,
    *,
    scored: ScoredTerms | None = None,
    samples: int = 100,
    candidates: int = 10,
) -> Calibrations:
    """The calibrations of one collection, from questions the node makes of its own passages; DEFAULT below 20 of them.

    Args:
        ids: passage ids, (n,).
        documents: an integer per passage, equal for passages of one document, (n,).
        vectors: what is indexed, (n, dimension).
        lookup: passage ids to passages.
        fields: what was embedded.
        scored: the terms of the same passages; None: nothing is fitted for words and vectors.
        samples: at most this many passages are asked about, chosen by a hash of their id.
        candidates: length of the candidate list a search returns.

    See `labelled_pairs` for how, and for what is assumed.
    """
    if len(ids) < _MINIMUM_QUESTIONS:  # a question per passage at most: nothing is encoded in vain
        return Calibrations()
    pairs = labelled_pairs(
        ids, documents, vectors, lookup, encoder, fields, scored=scored, samples=samples, candidates=candidates
    )
    return Calibrations(*(one.fitted() for one in pairs if one.questions >= _MINIMUM_QUESTIONS))


@one_blas_thread()
def labelled_pairs(
    ids: npt.NDArray[np.int64],
    documents: npt.NDArray[np.int64],
    vectors: FloatMatrix,
    lookup: PassageLookup,
    encoder: Encoder,
    fields: Sequence[Field] = ALL_FIELDS,
    *,
    scored: ScoredTerms | None = None,
    samples: int = 100,
    candidates: int = 10,
) -> tuple[LabelledPairs, ...]:
    """Pseudo-questions and the top of their result lists: by vectors alone, and by words and vectors where terms are
    given.

    A passage is asked for with one of its own sentences, and competes without that sentence; a passage of one sentence
    is asked for with its title line, and competes without it. Its rivals are the passages of other documents. The best
    `candidates` of them all are the labelled pairs: the one asked for is relevant where it made the list, the others
    are not, so the class prior is that of a real result list. Behind them come the best `candidates` of the rivals
    alone, none of them relevant: what the same question finds where its passage is missing.

    Assumed: a clinician's question is about as near to its passage as a sentence is to the rest of its passage; what
    other documents say is not an answer (documents with a near-identical passage, cosine from 0.98, are left out);
    questions on topics the collection does not hold find what these find without their passage.
    """
    rows = np.array(sorted(range(len(ids)), key=lambda row: _hash(int(ids[row])))[:samples], dtype=np.int64)
    by_id = {passage.passage_id: passage for passage in lookup([int(ids[row]) for row in rows])}
    asked: list[tuple[int, PseudoQuestion]] = []
    for row in rows:
        passage = by_id.get(int(ids[row]))
        if passage and (pseudo := pseudo_question(passage, encoder, fields)):
            asked.append((int(row), pseudo))
    kinds = 1 if scored is None else 2
    if not asked:
        none = np.empty(0, dtype=np.bool_)
        return (LabelledPairs(np.empty(0), none, none, 0),) * kinds
    queries = encoder.encode_queries([pseudo.text for _, pseudo in asked])
    honest = encoder.encode_passages([pseudo.embedded for _, pseudo in asked])
    lists: tuple[list[_List], ...] = tuple([] for _ in range(kinds))
    for first in range(0, len(asked), _AT_ONCE):
        some = asked[first : first + _AT_ONCE]
        to_query = vectors @ queries[first : first + _AT_ONCE].T
        to_asked = vectors @ vectors[[row for row, _ in some]].T
        for at, (row, pseudo) in enumerate(some):
            copies = documents[to_asked[:, at] >= SAME_PASSAGE]
            rival = ~np.isin(documents, np.append(copies, documents[row]))
            own = float(honest[first + at] @ queries[first + at])
            scores = [np.append(to_query[rival, at].astype(np.float64), own)]
            if scored is not None:
                question = terms_of(pseudo.text)
                alone = words(question, terms_of(pseudo.title), terms_of(pseudo.rest), scored.statistics)
                scores.append(fused(scores[0], np.append(scored.score(question)[rival], alone)))
            for kind, of_kind in enumerate(scores):
                order = np.argsort(-of_kind, kind="stable")[: candidates + 1]
                sought = order == len(of_kind) - 1
                lists[kind].append((of_kind[order[:candidates]], sought[:candidates], np.False_))
                without = order[~sought][:candidates]
                lists[kind].append((of_kind[without], np.zeros(len(without), dtype=np.bool_), np.True_))
    return tuple(_labelled(of_kind, len(asked)) for of_kind in lists)


def _labelled(lists: Sequence[_List], questions: int) -> LabelledPairs:
    return LabelledPairs(
        similarities=np.concatenate([similarities for similarities, *_ in lists]),
        relevant=np.concatenate([relevant for _, relevant, _ in lists]),
        absent=np.repeat([absent for *_, absent in lists], [len(similarities) for similarities, *_ in lists]),
        questions=questions,
    )


def _hash(passage_id: int) -> bytes:
    return hashlib.blake2b(passage_id.to_bytes(8, "little"), digest_size=8).digest()


@dataclass(frozen=True, slots=True)
class PseudoQuestion:
    """A question taken out of a passage, and what is left of it: as it would be embedded, and its title and text."""

    text: str
    embedded: str
    title: str
    rest: str


def pseudo_question(passage: Passage, encoder: Encoder, fields: Sequence[Field]) -> PseudoQuestion | None:
    """None where the passage is all question."""
    borders = sentence_borders(passage.text)
    sentences = [(start, end) for start, end in pairwise(borders) if len(passage.text[start:end].split()) >= 4]
    if not sentences:
        return None
    start, end = sentences[_hash(passage.passage_id)[0] % len(sentences)]
    question = passage.text[start:end].strip()
    rest = f"{passage.text[:start]}{passage.text[end:]}".strip()
    title = title_line(passage)
    if "text" not in fields:
        return PseudoQuestion(question, embedding_text(passage, encoder, fields), title, rest)
    if rest:
        line = embedding_text(passage, encoder, [field for field in fields if field != "text"])
        return PseudoQuestion(question, f"{line}\n{rest}" if line else rest, title, rest)
    return PseudoQuestion(title, passage.text, "", passage.text) if title else None
