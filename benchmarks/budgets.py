"""Tokens against accuracy of the budget policies, on a solver that is played back or made.

    python benchmarks/budgets.py --data FOLDER        FOLDER holds the package mirage; about three minutes
    python benchmarks/budgets.py --data FOLDER --fit  also fits the weights that the package has

Episodes have one to six sub-questions and a budget B of 3, 5, 8 or 10 thousand tokens, which is a hard cap. A solver
that is cut off is wrong; `exact` ones use all they are given (as L1-Exact, on which TAB was measured), `stopping` ones
stop when they are done.

`recorded`: one of MIRAGE's arms (GPT-4 without retrieval). How long each chain is, whether it was right and how hard
its question looks are real; lengths are taken times 8, as a model that thinks first would write. They differ
little from each other: half of them lie within a factor of 1.6.
`made .52`, `made .90`: chains whose needs differ more, as sub-questions of mathematics do (log-normal, median 900,
deviation 1), right as often as the recorded are when they come to their end; how hard a question looks correlates with
the logarithm of its need as our rule does with the recorded ones (.52), or as a good judge might (.90).

A policy is trained, or its setting is chosen, on four fifths of the questions and measured on the other, five times.
`less` is how many tokens less it uses, over all B together, than the frontier of static levels at the same accuracy:
every level, whatever B, mixed where none has just that accuracy.
"""

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import numpy as np

from reasoner.budgets import LEVELS
from reasoner.budgets.learned import WEIGHTS, features
from reasoner.difficulty import difficulty
from reasoner.training.episodes import BUDGETS, TURNS, Play, Recorded, Solver, draw, levels
from reasoner.training.fit_budgets import Schedule, fit_budgets, save

ARM: Final = "gpt4_cot"
SCALE: Final = 8
CHARACTERS_PER_TOKEN: Final = 4
FOLDS: Final = 5
EPISODES: Final = 4000
Choice = Callable[[Play], np.ndarray]


def recorded(folder: Path) -> Recorded:
    rows = [json.loads(line) for line in (folder / "mirage" / "questions_dev.jsonl").read_text("utf-8").splitlines()]
    kept = [row for row in rows if not row["arms"][ARM]["failed"] and row["arms"][ARM]["output_chars"]]
    return Recorded(
        needed=np.array([row["arms"][ARM]["output_chars"] / CHARACTERS_PER_TOKEN * SCALE for row in kept]),
        right=np.array([row["arms"][ARM]["correct"] for row in kept], dtype=bool),
        difficulty=np.array([difficulty(row["question"]) for row in kept]),
    )


def made(correlation: float, share_right: float, random: np.random.Generator, questions: int = 4000) -> Recorded:
    need, noise = random.standard_normal((2, questions))
    looks = correlation * need + np.sqrt(1 - correlation**2) * noise
    return Recorded(
        needed=900 * np.exp(need),
        right=random.random(questions) < share_right,
        difficulty=np.argsort(np.argsort(looks)) / questions,
    )


def static(level: int) -> Choice:
    return lambda play: np.full(len(play.episodes), level)


def judge(least: int, most: int) -> Choice:
    """What `reasoner.budgets.judge` does, for all episodes at once."""
    steps = most - least + 1
    return lambda play: least + np.minimum((play.state()[1] * steps).astype(int), steps - 1)


def learned(weights: np.ndarray) -> Choice:
    return lambda play: np.argmax(features(*play.state()) @ weights, axis=1)


def played(of: Recorded, choice: Choice, budget: float, solver: Solver, seed: int, *, planned: bool = False) -> Play:
    """The episodes of a seed are the same for every policy."""
    play = Play(of, draw(of, EPISODES, np.random.default_rng(seed), (budget,)), solver, planned, hard=True)
    for _ in range(TURNS):
        play.answer(levels(choice(play)))
    if (play.spent > play.episodes.budget).any():
        raise RuntimeError("a cap was exceeded")
    return play


def point(plays: list[Play]) -> tuple[float, float]:
    """Tokens and accuracy."""
    return float(np.mean([one.spent.mean() for one in plays])), float(np.mean([one.accuracy.mean() for one in plays]))


def tokens_at(frontier: list[tuple[float, float]], accuracy: float) -> float | None:
    """The fewest tokens at which a mixture of two points of the frontier has this accuracy."""
    points = sorted({(0.0, 0.0), *frontier})
    reached = [
        left[0] + (accuracy - left[1]) / (right[1] - left[1]) * (right[0] - left[0])
        for at, left in enumerate(points)
        for right in points[at + 1 :]
        if left[1] <= accuracy <= right[1] and right[1] > left[1]
    ]
    return min(reached, default=None)


def measure(name: str, of: Recorded, solver: Solver, schedule: Schedule) -> None:
    folds = np.random.default_rng(0).permutation(len(of.needed)) % FOLDS
    found: dict[tuple[str, float], list[Play]] = {}
    spans = [(least, most) for most in range(len(LEVELS)) for least in range(most)]
    for fold in range(FOLDS):
        train, test = (of.rows(np.flatnonzero(part)) for part in (folds != fold, folds == fold))
        fitted = {
            planned: fit_budgets(train, solver, planned=planned, seed=fold, schedule=schedule) for planned in (0, 1)
        }
        for budget in BUDGETS:
            tried = {judge(*span): played(train, judge(*span), budget, solver, 99) for span in spans}
            best = max(tried, key=lambda one: tried[one].accuracy.mean())
            policies: Mapping[str, tuple[Choice, bool]] = {
                **{f"static {LEVELS[level]}": (static(level), False) for level in range(len(LEVELS))},
                "judge": (best, False),
                "learned": (learned(fitted[0]), False),
                "learned, plan known": (learned(fitted[1]), True),
            }
            for policy, (choice, planned) in policies.items():
                play = played(test, choice, budget, solver, fold, planned=planned)
                found.setdefault((policy, budget), []).append(play)
    frontier = [point(plays) for (policy, _), plays in found.items() if policy.startswith("static")]
    for policy in dict.fromkeys(policy for policy, _ in found):
        points = [point(found[policy, budget]) for budget in BUDGETS]
        same = [tokens_at(frontier, accuracy) for _, accuracy in points]
        within = [(tokens, other) for (tokens, _), other in zip(points, same, strict=True) if other]
        less = 1 - sum(tokens for tokens, _ in within) / sum(other for _, other in within) if within else 0.0
        beyond = len(points) - len(within)
        told = "" if policy.startswith("static") else f"{less:+.1%}" + (f", {beyond} out of its reach" * bool(beyond))
        cells = " | ".join(f"{tokens:.0f}: {accuracy:.3f}" for tokens, accuracy in points)
        print(f"| {name}, {solver.value} | {policy} | {cells} | {told} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=Schedule().steps)
    parser.add_argument("--fit", action="store_true")
    options = parser.parse_args()
    schedule, whole = Schedule(steps=options.steps), recorded(options.data)
    random, right = np.random.default_rng(1), float(whole.right.mean())
    sources = {"recorded": whole, "made .52": made(0.52, right, random), "made .90": made(0.9, right, random)}
    if options.fit:
        save(
            fit_budgets(sources["made .52"], Solver.STOPPING, planned=True, seed=0, schedule=schedule),
            WEIGHTS,
            "made .52",
        )
    print(f"| solver | policy | {' | '.join(f'B = {one:.0f}, tokens: accuracy' for one in BUDGETS)} | less |")
    print("|---" * (len(BUDGETS) + 3) + "|")
    for name, of in sources.items():
        for solver in Solver:
            measure(name, of, solver, schedule)


if __name__ == "__main__":
    main()
