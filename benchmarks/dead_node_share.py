"""How many questions a dead hospital costs: the share that touched it after the first minute, and how soon it is used
again when it is back.

Eight node processes and a coordinator on loopback, questions at a steady rate. A hospital is killed (its port
refuses) or stalled (its port takes connections and never answers). A question touched it when its outcome there is
not `suspended`.
"""

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from reporting import Figure, Table, circumstances, goals
from small_federation import ASKED, small_federation

from fedrag.client import Client
from fedrag.core.exchange import NodeStatus
from fedrag.local_federation import LocalFederation
from fedrag.members import MemberRegistry

VICTIM = "hospital-0"
FIRST_S = 60.0


def statuses(
    client: Client, seconds: float, per_second: float, *, until_answered: bool
) -> list[tuple[float, NodeStatus]]:
    """(seconds since the start, what became of the victim) of each question."""
    seen, started = [], time.monotonic()
    while (now_s := time.monotonic() - started) < seconds:
        outcome = next(one for one in client.ask(ASKED).coverage if one.node == VICTIM)
        seen.append((now_s, outcome.status))
        if until_answered and outcome.status is NodeStatus.ANSWERED:
            break
        time.sleep(max(0.0, now_s + 1 / per_second - (time.monotonic() - started)))
    return seen


def run(federation: LocalFederation, how: str, seconds: float, per_second: float) -> tuple[str | int | float, ...]:
    federation.create()
    federation.ingest(lambda _done, _all: None)
    federation.start()
    registry = MemberRegistry(federation.home.members)
    member = next(one for one in registry.members() if one.id == VICTIM)
    registry.close()
    with federation.client() as client:
        statuses(client, 5, per_second, until_answered=False)
        (federation.kill if how == "killed" else federation.pause)(VICTIM)
        seen = statuses(client, seconds, per_second, until_answered=False)
        touched = [at_s for at_s, status in seen if status is not NodeStatus.SUSPENDED]
        later = [at_s for at_s, _ in seen if at_s >= FIRST_S]
        (federation.restart if how == "killed" else lambda one: federation.resume(one.id))(member)
        back = statuses(client, 120, 2, until_answered=True)
    return (
        how,
        len(seen),
        len(touched),
        len(later),
        sum(at_s >= FIRST_S for at_s in touched) / len(later),
        back[-1][0] if back[-1][1] is NodeStatus.ANSWERED else "not within 120 s",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=180, help="how long the hospital stays away")
    parser.add_argument("--per-second", type=float, default=4, help="questions")
    chosen = parser.parse_args()
    rows = []
    for how in ("killed", "stalled"):
        with TemporaryDirectory() as folder, small_federation(Path(folder), 8, 3_000) as federation:
            rows.append(run(federation, how, chosen.seconds, chosen.per_second))
    shares = [(str(row[0]), float(row[4])) for row in rows]
    what = "questions that touch a hospital after its first minute of being"
    print(
        goals(
            [Figure("dead", f"{what} {how}", f"{share:.1%}", "≤ 1 %", share <= 0.01) for how, share in shares]
        ).as_markdown()
    )
    columns = (
        "hospital",
        "questions",
        "touched it",
        "after 60 s",
        "share that touched it then",
        "seconds until used again",
    )
    print(Table("A dead hospital", columns, tuple(rows)).as_markdown())
    print(circumstances())


if __name__ == "__main__":
    main()
