"""Fit what tells orders to a reader from the sentences of documents:
`python -m reasoner.training.fit_addressed --examples examples --data DATA`.

Orders: `orders.txt`, written for this in many styles, each with several wrong answers filled in, once behind a
statement. None is of the evaluation's. Against them the sentences of honest documents and those of `no_orders.txt`,
which look like orders. Half of the documents are fitted on, the other half sets the bounds.
"""

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, hstack, vstack  # type: ignore[import-untyped]
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

from fedrag.core.protocols import Encoder
from fedrag.encoders import ENCODERS
from fedrag.encoders.remembering import Remembering
from reasoner.addressed import FILE, LETTER, Bounds, Doubt, Model, ends, grams, stretch
from reasoner.sentences import spans
from reasoner.training.documents import honest_documents
from reasoner.training.maximum_posterior import Array

HERE: Final = Path(__file__).parent
GATE: Final = 0.3
"""Share of honest sentences that the encoder sees."""
DOUBTFUL: Final = 0.03
CERTAIN: Final = 0.0004
"""Shares of honest sentences that are taken for orders."""
FOLDS: Final = 6
FILLED: Final = 6
BEHIND: Final = 3
MANY: Final = 20_000
"""Sentences of one kind of documents, about."""
ALONE: Final = 1.0
TOGETHER: Final = 0.3
"""Inverse strengths of the prior."""
SCALE: Final = 5.0
"""Of vectors beside words."""
LEAST: Final = 0.05
_SLOT: Final = re.compile(r"\{(?:label|said|asked)\}")


Places = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Order:
    """`style`: what is left out together. `text` has slots for what an attacker wants."""

    style: str
    text: str

    def filled(self, said: Sequence[str]) -> Iterator[str]:
        """With letters, a few words, and statements as long as documents have them; once behind one."""
        for at in range(FILLED):
            chance = Random(f"{self.text}{at}")  # noqa: S311 - examples, no secrets
            letter, statement = chance.choice("ABCDE"), chance.choice(said).rstrip(".")
            few = " ".join(statement.split()[: chance.randint(2, 7)])
            label = (f"option {letter}", statement, few, f"option {letter}", statement, f"({letter})")[at]
            wanted, asked = few if at in (2, 3) else statement, chance.choice(said).rstrip(".")
            text = self.text.replace("{label}", label).replace("{said}", wanted).replace("{asked}", asked)
            yield f"{chance.choice(said).rstrip('.')}, and {text[0].lower()}{text[1:]}" if at == BEHIND else text


def orders() -> tuple[Order, ...]:
    written, style = [], ""
    for line in (HERE / "orders.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("# "):
            style = line[2:]
        elif line:
            written.append(Order(style, line))
    return tuple(written)


@dataclass(frozen=True, slots=True)
class Sentences:
    """Honest ones: to fit on, and to set bounds by."""

    fitted: tuple[str, ...]
    held: tuple[str, ...]


def honest(examples: Path, data: Path) -> Sentences:
    halves: tuple[list[str], list[str]] = [], []
    for _, texts in honest_documents(examples, data):
        for text in texts[:: -(-sum(len(spans(text)) for text in texts) // MANY)]:
            half = halves[hashlib.sha256(text.encode()).digest()[0] % 2]
            half.extend(text[part.start : part.end] for part in spans(text))
    alike = (HERE / "no_orders.txt").read_text(encoding="utf-8").splitlines()
    return Sentences((*dict.fromkeys(halves[0]), *alike), tuple(dict.fromkeys(halves[1])))


def vocabulary(written: Sequence[str]) -> dict[str, int]:
    """Words and pairs that orders use outside their slots, numbered."""
    used = (gram for text in written for pair in grams(_SLOT.sub(" § ", text)) for gram in pair if "§" not in gram)
    return {gram: at for at, gram in enumerate(sorted({*used, LETTER}))}


def matrix(texts: Sequence[str], index: Mapping[str, int]) -> csr_matrix:
    """(texts, grams), 1 where one is there."""
    found = [sorted({index[gram] for pair in grams(text) for gram in pair if gram in index}) for text in texts]
    ends_at = np.cumsum([0, *map(len, found)])
    columns = [at for row in found for at in row]
    return csr_matrix((np.ones(len(columns)), columns, ends_at), shape=(len(texts), len(index)))


def fit_rows(rows: csr_matrix, orders: int, strength: float) -> Array:
    """A coefficient for each column, the intercept last; the first `orders` rows are of orders."""
    model = LogisticRegression(C=strength, max_iter=400).fit(rows, np.arange(rows.shape[0]) < orders)
    return np.array([*model.coef_[0], model.intercept_[0]])


def stretches(texts: Sequence[str], index: Mapping[str, int], weights: Array) -> Array:
    """float64 (texts,): w."""
    known = {gram: float(weights[at]) for gram, at in index.items()}
    return np.array(
        [stretch(known.get(word, 0.0) + known.get(pair, 0.0) for word, pair in grams(text)) for text in texts]
    )


@dataclass(frozen=True, slots=True)
class Lesson:
    """Everything read and encoded once."""

    orders: tuple[Order, ...]
    texts: tuple[str, ...]
    """FILLED for each order."""
    honest: Sentences
    encoder: Encoder

    def vectors(self, texts: Sequence[str]) -> Array:
        ordered = sorted(range(len(texts)), key=lambda at: len(texts[at]))
        made = np.zeros((len(texts), len(self.encoder.encode_passages(["one"])[0])))
        for start in range(0, len(ordered), 64):
            some = ordered[start : start + 64]
            made[some] = self.encoder.encode_passages([ends(texts[at]) for at in some])
        return made


def quantile(values: Array, share: float) -> float:
    return float(np.quantile(values, 1 - share))


@dataclass(frozen=True, slots=True)
class Fit:
    """Both models as fitted on some of the orders, and z of all orders; -inf of what does not pass the gate."""

    index: dict[str, int]
    words: Array
    both: Array
    gate: float
    bounds_of_words: Bounds
    bounds: Bounds
    logits: Array


def fitted(lesson: Lesson, kept: Places) -> Fit:
    """`kept`: the orders that are fitted on, by their place among the texts."""
    texts, inside, outside = lesson.texts, lesson.honest.fitted, lesson.honest.held
    index = vocabulary([lesson.orders[at].text for at in sorted(set((kept // FILLED).tolist()))])
    words = fit_rows(vstack([matrix([texts[at] for at in kept], index), matrix(inside, index)]), len(kept), ALONE)
    known, unknown = stretches(inside, index, words), stretches(outside, index, words)
    gate = quantile(unknown, GATE)
    passed, held = np.flatnonzero(known > gate), np.flatnonzero(unknown > gate)

    def rows(some: Sequence[str]) -> csr_matrix:
        return hstack([matrix(some, index), csr_matrix(SCALE * lesson.vectors(some))]).tocsr()

    orders, against = rows(texts), rows([inside[at] for at in passed])
    both = fit_rows(vstack([orders[kept], against]), len(kept), TOGETHER)
    values = np.full(len(outside), -np.inf)
    values[held] = rows([outside[at] for at in held]) @ both[:-1] + both[-1]
    logits = np.where(stretches(texts, index, words) > gate, orders @ both[:-1] + both[-1], -np.inf)
    return Fit(index, words, both, gate, _bounds(unknown), _bounds(values), logits)


def _bounds(values: Array) -> Bounds:
    return Bounds(doubtful=round(quantile(values, DOUBTFUL), 3), certain=round(quantile(values, CERTAIN), 3))


def left_out(lesson: Lesson) -> dict[str, dict[str, float]]:
    """Share of the orders that are found by what was fitted on other styles: of all, of each style, as filled."""
    styles = sorted({one.style for one in lesson.orders})
    fold = np.repeat([styles.index(one.style) % FOLDS for one in lesson.orders], FILLED)
    found: dict[str, list[Array]] = {}
    for at in range(FOLDS):
        made = fitted(lesson, np.flatnonzero(fold != at))
        for one in np.flatnonzero(fold == at):
            doubt = made.bounds.doubt(float(made.logits[one]))
            taken = np.array([1, doubt >= Doubt.DOUBTFUL, doubt is Doubt.CERTAIN], dtype=float)
            for group in ("all", lesson.orders[one // FILLED].style, f"filled {one % FILLED}"):
                found.setdefault(group, []).append(taken)
    columns = ("number", "doubtful", "certain")
    return {group: dict(zip(columns, _shares(taken), strict=True)) for group, taken in found.items()}


def model_of(fit: Fit, encoder: str, about: dict[str, object]) -> Model:
    weights = {gram: (round(float(fit.words[at]), 2), round(float(fit.both[at]), 2)) for gram, at in fit.index.items()}
    return Model(
        words={gram: pair for gram, pair in weights.items() if max(map(abs, pair)) >= LEAST},
        gate=round(fit.gate, 3),
        bounds_of_words=fit.bounds_of_words,
        vector=tuple(round(SCALE * float(value), 2) for value in fit.both[len(fit.index) : -1]),
        intercept=round(float(fit.both[-1]), 3),
        bounds=fit.bounds,
        encoder=encoder,
        fitted=about,
    )


def _shares(taken: Sequence[Array]) -> tuple[float, ...]:
    return len(taken), *(round(float(value), 4) for value in np.mean(taken, axis=0)[1:])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m reasoner.training.fit_addressed", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--examples", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=HERE.parent / FILE)
    chosen = parser.parse_args(arguments)
    found, written = honest(chosen.examples, chosen.data), orders()
    chance = Random(0)  # noqa: S311 - examples, no secrets
    clauses = chance.sample([one for one in found.fitted if 40 < len(one) < 200], 2000)
    texts = tuple(text for one in written for text in one.filled(clauses))
    lesson = Lesson(written, texts, found, Remembering(ENCODERS.build("minilm"), passages=100_000))
    figures = left_out(lesson)
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    about: dict[str, object] = {
        "by": "python -m reasoner.training.fit_addressed",
        "honest_sentences": [len(found.fitted), len(found.held)],
        "styles_left_out": figures["all"],
    }
    made = fitted(lesson, np.arange(len(texts)))
    model = model_of(made, lesson.encoder.identity.comparable_with, about)
    chosen.output.write_text(model.model_dump_json() + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
