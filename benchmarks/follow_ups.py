"""How many of our own follow-ups are made into questions that stand alone, by rules, and how many questions that stand
alone already are left as they are.

    python benchmarks/follow_ups.py

Odd lines of follow_ups.jsonl are for developing, even ones were kept apart. A follow-up counts as right when everything
is named that the question needs (`has`), and nothing that it takes the place of (`lacks`).
"""

import argparse
import json
from pathlib import Path

from reasoner.follow_ups import stand_alone

CASES = Path(__file__).with_suffix(".jsonl")


def right(case: dict[str, object], made: str) -> bool:
    if case.get("alone"):
        return made == case["text"]
    said = f" {made.lower().replace('?', ' ').replace('.', ' ')} "
    return all(one.lower() in said for one in case["has"]) and not any(one.lower() in said for one in case["lacks"])


def as_before(text: str, earlier: list[str]) -> str:
    """What was done first: a question of up to twelve words is put behind the one before it."""
    return text if len(text.split()) > 12 else f"{earlier[-1]} {text}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wrong", action="store_true", help="show what goes wrong in the half for developing")
    shown = parser.parse_args().wrong
    cases = [json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines()]
    for name, method in (
        ("as they stand", lambda text, _: text),
        ("joined when short", as_before),
        ("rules", stand_alone),
    ):
        for half, some in (("developing", cases[::2]), ("kept apart", cases[1::2])):
            follow, alone = [one for one in some if not one.get("alone")], [one for one in some if one.get("alone")]
            count = [sum(right(one, method(one["text"], one["earlier"])) for one in part) for part in (follow, alone)]
            share = sum(count) / len(some)
            told = f"follow-ups {count[0]} of {len(follow)}, left alone {count[1]} of {len(alone)}"
            print(f"{name:18} {half:11} {share:.3f}  ({told})")
    for one in cases[::2] if shown else ():
        made = stand_alone(one["text"], one["earlier"])
        if not right(one, made):
            print(f"{one['earlier'][-1]} | {one['text']} -> {made}")


if __name__ == "__main__":
    main()
