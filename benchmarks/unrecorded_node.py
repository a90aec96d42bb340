"""A node that forgets, to see what remembering costs: `fedrag-node`'s own commands with recording taken out.

    python benchmarks/unrecorded_node.py nothing serve …     no nonces, no charges, no audit
    python benchmarks/unrecorded_node.py unflushed serve …   all of them, and nothing flushed to disk

For benchmarks/privacy_cost.py. Nothing of the product can be told to behave like this.
"""

import sqlite3
import sys
from pathlib import Path
from typing import Any, Final

from retriever_node import audit, cli, ledger
from retriever_node.state import NodeState, SeenNonce

NOTHING: Final = "nothing"
UNFLUSHED: Final = "unflushed"


def forget() -> None:
    def see_nonce(self: NodeState, nonce: str, now_s: int, _window_s: int) -> SeenNonce:
        """Replays would not be noticed."""
        return SeenNonce(nonce, now_s, 0, self, settled=True)

    def charge(*_: Any, **_named: Any) -> None:
        """No quota."""

    def append(*_: Any) -> str:
        return "0" * 64

    NodeState.see_nonce = see_nonce  # type: ignore[assignment, method-assign]
    ledger.charge = charge
    audit.append = append


def leave_unflushed() -> None:
    kept = NodeState.__init__

    def opened(self: NodeState, path: Path) -> None:
        kept(self, path)
        connection: sqlite3.Connection = self._connection
        connection.execute("PRAGMA synchronous = OFF")

    NodeState.__init__ = opened  # type: ignore[method-assign]


if __name__ == "__main__":
    {NOTHING: forget, UNFLUSHED: leave_unflushed}[sys.argv.pop(1)]()
    cli.main()
