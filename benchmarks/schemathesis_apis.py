"""Both APIs under schemathesis: requests made from their own OpenAPI documents, good and bad, with all of its checks.

Half of the cases go to a node (signed as a coordinator signs), half to a coordinator with enrolment (with an API key).
`ignored_auth` is left out, since the session signs whatever is sent; tests/privacy looks at what is not signed. Exits
with 1 on any failure.
"""

import argparse
import asyncio
import logging
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from reporting import Table, circumstances

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from api_fuzzing import BearerKey, Found, Sign, for_coordinator, for_node, fuzz, serving, sha256
from federation_fixtures import COORDINATOR, Workshop

from fedrag.api.app import create_app as create_api
from fedrag.enrolment import EnrolmentDesk
from fedrag.members import MemberRegistry
from retriever_node.service import create_app as create_node_app


def run(folder: Path, cases: int, seed: int) -> list[Found]:
    workshop = Workshop(folder)
    hospital = workshop.hospital("heart", {"d.md": "# D\n\n## S\nWarfarin is reversed with vitamin K.\n"})
    with serving(create_node_app(hospital.node)) as url:
        node = fuzz(url, Sign(COORDINATOR, "heart", workshop.signer), for_node("heart", COORDINATOR), cases // 2, seed)
    coordinator = workshop.coordinator(hospital.remote, api_keys=[{"name": "asker", "sha256": sha256("key")}])
    desk = EnrolmentDesk(MemberRegistry(folder / "members.sqlite"), COORDINATOR, workshop.signer, {})
    coordinator = replace(coordinator, desk=desk)
    asyncio.run(coordinator.descriptions.refresh())
    with serving(create_api(coordinator, folder / "feedback.sqlite")) as url:
        api = fuzz(url, BearerKey("key"), for_coordinator(["heart"], ["broadcast"]), cases // 2, seed)
    return [node, api]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0, help="0: the same cases each time")
    chosen = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with TemporaryDirectory() as folder:
        found = run(Path(folder), chosen.cases, chosen.seed)
    rows = []
    for one in found:
        for operation in sorted({operation for operation, _ in one.cases}):
            statuses = sorted((status, count) for (name, status), count in one.statuses.items() if name == operation)
            failures = [check for name, check in one.failures if name == operation]
            rows.append(
                (
                    operation,
                    one.cases[operation, "positive"],
                    one.cases[operation, "negative"],
                    ", ".join(f"{status}: {count}" for status, count in statuses),
                    ", ".join(failures) or "none",
                )
            )
    columns = ("operation", "good cases", "bad cases", "statuses", "failed checks")
    print(Table("Schemathesis on both APIs", columns, tuple(rows)).as_markdown())
    for one in found:
        for (operation, check), example in one.failures.items():
            print(f"{operation}, {check}: {example}\n")
    total = sum(sum(one.cases.values()) for one in found)
    print(f"{total} cases, {sum(len(one.failures) for one in found)} kinds of failure\n\n{circumstances()}")
    return int(any(one.failures for one in found))


if __name__ == "__main__":
    sys.exit(main())
