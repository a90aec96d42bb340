"""Fit the classifier of intents to our own phrases, and tell how well it does on others that it has not seen.

python -m router.training.intent            the accuracy of the shipped weights on the held-out phrases
python -m router.training.intent --write    fit them anew first
"""

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Sequence

import numpy as np

from fedrag.core.question import Intent
from router.intent import WEIGHTS, recognise, terms_of
from router.training.phrases import CONDITIONS, FACT, HELD_OUT, POPULATION, TREATMENTS, VIEWPOINTS

PHRASES = {Intent.FACT: FACT, Intent.VIEWPOINTS: VIEWPOINTS, Intent.POPULATION: POPULATION}
_FILLED = 6
_SEEN_IN = 2
"""Phrases that a term must occur in, to be more than an accident."""
_SEED = 0
_STEPS, _RATE, _PENALTY = 3_000, 0.5, 2e-3


def filled(phrases: Sequence[str], random: np.random.Generator) -> list[str]:
    made = []
    for phrase in phrases:
        for _ in range(_FILLED):
            x, y = random.choice(CONDITIONS, size=2, replace=False)
            t, u = random.choice(TREATMENTS, size=2, replace=False)
            made.append(phrase.format(x=x, y=y, t=t, u=u))
    return made


def fit() -> dict[str, list[float]]:
    """Multinomial logistic regression with an L2 penalty, by gradient descent: term → weight of each intent."""
    random = np.random.default_rng(_SEED)
    phrases = [re.sub(r"\{.\}", " | ", phrase) for some in PHRASES.values() for phrase in some]
    counted = Counter(
        term for phrase in phrases for term in {one for part in phrase.split("|") for one in terms_of(part)}
    )
    vocabulary = sorted(term for term, number in counted.items() if number >= _SEEN_IN)
    column = {term: at for at, term in enumerate(vocabulary)}
    texts, wanted = [], []
    for at, intent in enumerate(Intent):
        made = filled(PHRASES[intent], random)
        texts += made
        wanted += [at] * len(made)
    features = np.zeros((len(texts), len(vocabulary) + 1))
    features[:, -1] = 1
    for row, text in enumerate(texts):
        for term in set(terms_of(text)):
            if term in column:
                features[row, column[term]] = 1
    labels = np.eye(len(Intent))[wanted]
    balance = (1 / labels.sum(axis=0))[wanted][:, None] * len(labels) / len(Intent)
    weights = np.zeros((features.shape[1], len(Intent)))
    for _ in range(_STEPS):
        scores = features @ weights
        chances = np.exp(scores - scores.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        slope = features.T @ (balance * (chances - labels)) / len(texts) + _PENALTY * weights
        slope[-1] -= _PENALTY * weights[-1]
        weights -= _RATE * slope
    return {term: [round(float(one), 3) for one in row] for term, row in zip([*vocabulary, ""], weights, strict=True)}


def accuracy() -> tuple[float, list[str]]:
    """On the held-out phrases, and a line for each that is mistaken."""
    right, wrong = 0, []
    for name, phrases in HELD_OUT.items():
        for phrase in phrases:
            read = recognise(phrase)
            right += read.intent == name
            if read.intent != name:
                wrong.append(f"{name} read as {read.intent} ({read.probability:.2f}): {phrase}")
    return right / sum(len(phrases) for phrases in HELD_OUT.values()), wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="fit the weights anew and write them")
    if parser.parse_args().write:
        WEIGHTS.write_text(json.dumps(fit(), ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    share, wrong = accuracy()
    number = sum(len(phrases) for phrases in HELD_OUT.values())
    sys.stdout.write("\n".join([f"{share:.3f} of {number} held-out phrases", *wrong, ""]))


if __name__ == "__main__":
    main()
