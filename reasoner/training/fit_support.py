"""Fit the head that says whether a step is borne out by what it cites:
`python -m reasoner.training.fit_support --claims CLAIMS --corpus CORPUS --examples examples`.

SciFact's claims against each abstract they cite (supported, contradicted, or no evidence there), and the example
questions' answers in words, seen half: against the passage that holds them, with every number doubled, and against
another passage of the same document. The same input gives the same file.
"""

import argparse
import gzip
import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from fedrag.core.protocols import Encoder
from fedrag.encoders import ENCODERS
from reasoner.quantities import quantities
from reasoner.sentences import spans
from reasoner.support import BEARINGS, FEATURES, FILE, Bearing, Passages, SupportHead, features
from reasoner.training.maximum_posterior import Array, Decision, fit

FOLDS: Final = 5
DEVIATION: Final = 3.0
THRESHOLD: Final = 0.2
"""Marked below it: of every ten steps that are borne out, about one is marked; see `fitted` in the file."""
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?")
LEXICAL: Final = tuple(FEATURES.index(name) for name in ("overlap", "overlap_all"))
"""What the lexical baseline sees; the direction of the words besides: `FEATURES` "direction"."""


@dataclass(frozen=True, slots=True)
class Pair:
    """`group`: what pairs must share a fold with: the cited text."""

    claim: str
    sentences: tuple[str, ...]
    bearing: Bearing
    group: str

    @property
    def fold(self) -> int:
        return int(hashlib.sha256(self.group.encode()).hexdigest()[:8], 16) % FOLDS


def scifact_pairs(claims: Sequence[Mapping[str, Any]], corpus: Mapping[str, Sequence[str]]) -> list[Pair]:
    """Every claim against every abstract that it cites."""
    label = {"SUPPORT": Bearing.SUPPORTED, "CONTRADICT": Bearing.CONTRADICTED}
    pairs = []
    for one in claims:
        found = {str(some["doc_id"]): label[str(some["label"])] for some in one["evidence"]}
        for cited in map(str, one["cited_doc_ids"]):
            if cited in corpus:
                bearing = found.get(cited, Bearing.NOT_SAID)
                pairs.append(Pair(str(one["claim"]), tuple(corpus[cited]), bearing, cited))
    return pairs


def example_pairs(folder: Path) -> Iterator[Pair]:
    """Of questions whose id's hash is even, with an answer in words of their own."""
    for file in sorted((folder / "questions").glob("*.jsonl")):
        for one in map(json.loads, file.read_text(encoding="utf-8").splitlines()):
            seen = int(hashlib.sha256(one["id"].encode()).hexdigest()[0], 16) % 2 == 0
            if not (seen and one["answerable"] and one["format"] == "free_text"):
                continue
            gold = one["gold"][0]
            sections = _sections(folder / "hospitals" / gold["node"] / gold["document"])
            if gold["section"] not in sections:
                continue
            answer, own = one["answer"], sections[gold["section"]]
            yield Pair(answer, own, Bearing.SUPPORTED, one["id"])
            if quantities(answer):
                doubled = _NUMBER.sub(lambda found: f"{2 * float(found[0]):g}", answer)
                if doubled != answer:
                    yield Pair(doubled, own, Bearing.CONTRADICTED, one["id"])
            for section, text in sections.items():
                if section != gold["section"] and text:
                    yield Pair(answer, text, Bearing.NOT_SAID, one["id"])
                    break


def rows_of(pairs: Sequence[Pair], encoder: Encoder) -> Array:
    """float64 (pairs, FEATURES)."""
    texts = list(dict.fromkeys(text for one in pairs for text in (one.claim, *one.sentences)))
    vectors = dict(zip(texts, encoder.encode_passages(texts), strict=True))
    return np.array(
        [
            features(
                one.claim, vectors[one.claim], Passages(one.sentences, np.stack([vectors[s] for s in one.sentences]))
            )
            for one in pairs
        ]
    )


def fit_support(rows: Array, bearings: Sequence[Bearing]) -> Array:
    """float64 (BEARINGS, columns + 1), the intercept last."""
    width = rows.shape[1] + 1
    blocks = np.zeros((len(BEARINGS), len(BEARINGS) * width))
    examples = []
    for row, bearing in zip(rows, bearings, strict=True):
        of_each = blocks.copy()
        for at in range(len(BEARINGS)):
            of_each[at, at * width : (at + 1) * width] = [*row, 1.0]
        examples.append(Decision(of_each, BEARINGS.index(bearing)))
    size = len(BEARINGS) * width
    return fit(examples, np.zeros(size), np.full(size, DEVIATION)).reshape(len(BEARINGS), width)


def probabilities(theta: Array, rows: Array) -> Array:
    """float64 (rows, BEARINGS)."""
    logits = np.column_stack((rows, np.ones(len(rows)))) @ theta.T
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Array = exponentials / exponentials.sum(axis=1, keepdims=True)
    return shares


def left_out(pairs: Sequence[Pair], rows: Array) -> Array:
    """Probabilities of each pair under a head fitted on the other folds."""
    folds = np.array([one.fold for one in pairs])
    made = np.zeros((len(pairs), len(BEARINGS)))
    for fold in sorted(set(folds.tolist())):
        others = np.flatnonzero(folds != fold).tolist()
        theta = fit_support(rows[others], [pairs[at].bearing for at in others])
        made[folds == fold] = probabilities(theta, rows[folds == fold])
    return made


def decided(shares: Array, priors: Array) -> list[Bearing]:
    """The bearing that is raised most above how frequent it is, so that a rare one is not never chosen."""
    return [BEARINGS[int(at)] for at in np.argmax(shares / priors, axis=1)]


def frequencies(pairs: Sequence[Pair]) -> Array:
    return np.array([sum(one.bearing is bearing for one in pairs) / len(pairs) for bearing in BEARINGS])


def macro_f1(wanted: Sequence[Bearing], made: Sequence[Bearing]) -> float:
    """The mean over BEARINGS of 2TP / (2TP + FP + FN)."""
    return float(np.mean([f1(wanted, made, bearing) for bearing in BEARINGS]))


def f1(wanted: Sequence[Bearing], made: Sequence[Bearing], bearing: Bearing) -> float:
    both = sum(one is bearing and other is bearing for one, other in zip(wanted, made, strict=True))
    named = sum(one is bearing for one in wanted) + sum(one is bearing for one in made)
    return 2 * both / named if named else 0.0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m reasoner.training.fit_support", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--claims", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--examples", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / FILE)
    chosen = parser.parse_args(arguments)
    with gzip.open(chosen.corpus, "rt", encoding="utf-8") as lines:
        corpus = {one["doc_id"]: one["sentences"] for one in map(json.loads, lines)}
    claims = [json.loads(line) for line in chosen.claims.read_text(encoding="utf-8").splitlines()]
    scifact, examples = scifact_pairs(claims, corpus), list(example_pairs(chosen.examples))
    pairs = [*scifact, *examples]
    encoder = ENCODERS.build("minilm")
    rows = rows_of(pairs, encoder)
    shares, wanted = left_out(pairs, rows), [one.bearing for one in pairs]
    made, supported = decided(shares, frequencies(pairs)), shares[:, BEARINGS.index(Bearing.SUPPORTED)]
    half = len(scifact)
    figures = {
        "scifact_pairs": half,
        "example_pairs": len(examples),
        "scifact_macro_f1": round(macro_f1(wanted[:half], made[:half]), 4),
        "examples_macro_f1": round(macro_f1(wanted[half:], made[half:]), 4),
        "marked": {
            f"{name}, {bearing}": round(float(np.mean(supported[part][_are(wanted[part], bearing)] < THRESHOLD)), 4)
            for name, part in (("scifact", slice(0, half)), ("examples", slice(half, None)))
            for bearing in BEARINGS
        },
    }
    about: dict[str, object] = {
        "by": "python -m reasoner.training.fit_support",
        "data": "SciFact, the half that may be looked at (CC BY 4.0; Wadden et al., EMNLP 2020); examples, seen half",
        "claims_sha256": hashlib.sha256(chosen.claims.read_bytes()).hexdigest(),
        "cross_validated": figures,
    }
    theta = fit_support(rows, wanted)
    coefficients = tuple(tuple(round(float(value), 4) for value in row) for row in theta)
    head = SupportHead(
        coefficients=coefficients, threshold=THRESHOLD, encoder=encoder.identity.comparable_with, fitted=about
    )
    chosen.output.write_text(head.model_dump_json(indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    return 0


def _are(wanted: Sequence[Bearing], bearing: Bearing) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.array([one is bearing for one in wanted])


def _sections(file: Path) -> dict[str, tuple[str, ...]]:
    """Heading → sentences of a Markdown document."""
    found: dict[str, tuple[str, ...]] = {}
    for part in re.split(r"^## ", file.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        heading, _, text = part.partition("\n")
        found[heading.strip()] = tuple(text[span.start : span.end] for span in spans(text))
    return found


if __name__ == "__main__":
    sys.exit(main())
