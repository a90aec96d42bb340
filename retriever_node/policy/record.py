"""Every policy that comes into force is a line of the audit log."""

from collections.abc import Callable
from typing import Final

from retriever_node import audit
from retriever_node.policy.rules import Policy
from retriever_node.state import NodeState

_POLICY: Final = "policy"


def recorder(state: NodeState, clock: Callable[[], float]) -> Callable[[Policy], None]:
    """For `LivePolicy`: writes a line for a version other than the last one, whichever replica or start saw that."""

    def record(policy: Policy) -> None:
        with state.transaction() as connection:
            row = connection.execute("SELECT decided FROM decisions WHERE what = ?", (_POLICY,)).fetchone()
            if row is not None and row[0] == policy.version:
                return
            now_s = clock()
            decided = (_POLICY, policy.version, audit.timestamp(now_s))
            connection.execute("INSERT OR REPLACE INTO decisions VALUES (?, ?, ?)", decided)
            audit.note(connection, "policy", now_s, detail=policy.version)

    return record
