"""Random conversations under random caps: nothing may cost more than a cap allows.

    python benchmarks/budget_caps.py --conversations 10000      a quarter of an hour on one core

Hospitals and a model made for it count what they are asked for; what is in between is the product (`fedrag.evaluation.
budget_episodes`).
"""

import argparse
import asyncio
import sys

from fedrag.evaluation.budget_episodes import run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--conversations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    made = asyncio.run(run(options.conversations, options.seed))
    print("| conversations | questions | ended by a cap | beyond a cap |\n|---|---|---|---|")
    print(f"| {made.conversations} | {made.questions} | {made.cut_short} | {len(made.exceeded)} |")
    for one in made.exceeded[:20]:
        print(one, file=sys.stderr)
    sys.exit(1 if made.exceeded else 0)


if __name__ == "__main__":
    main()
