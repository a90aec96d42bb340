"""The policy in force: the file as it is at this moment. What cannot be read denies everything."""

import threading
from collections.abc import Callable
from pathlib import Path

import structlog

from fedrag.core.errors import FedragError, Refused
from retriever_node.config import NodeConfig
from retriever_node.policy import file
from retriever_node.policy.rules import DENYING, Policy

_log = structlog.get_logger()


class LivePolicy:
    """Reads the file at every request, and takes it in when its bytes have changed.

    Args:
        path: the file.
        config: the node whose collections and issuers the rules name.
        adopted: is told of every policy that comes into force, before it does; where it fails, nothing leaves.
    """

    def __init__(self, path: Path, config: NodeConfig, adopted: Callable[[Policy], None]) -> None:
        self._path = path
        self._config = config
        self._adopted = adopted
        self._lock = threading.Lock()
        self._in_force: tuple[bytes | None, Policy] = (None, DENYING)
        self._said = ""
        self._recorded = False

    def now(self) -> Policy:
        """The policy that the file holds. Raises Refused(policy_unreadable): there is none; what is wrong stands in the
        node's own log."""
        with self._lock:
            try:
                return self._take_in(file.read(self._path))
            except Exception as error:  # noqa: BLE001 - the border: whatever goes wrong is a denial
                self._deny(getattr(error, "code", type(error).__name__), error)
        raise Refused("this hospital's release policy cannot be read", code="policy_unreadable")

    def unchanged(self, policy: Policy) -> bool:
        """Whether the file still holds this policy; takes no lock and adopts nothing. Errors are the file's."""
        content, in_force = self._in_force
        return in_force is policy and file.read(self._path) == content

    def _take_in(self, content: bytes) -> Policy:
        before, policy = self._in_force
        if content == before:
            return policy
        read = file.parse(content, self._config, self._path)
        self._adopted(read)
        self._in_force, self._said = (content, read), ""
        _log.info("policy_adopted", version=read.version[:16], rules=len(read.rules))
        return read

    def _deny(self, code: str, error: Exception) -> None:
        """Said once for each new reason: an operator's mistake in full, with names and lines; of others the code."""
        self._in_force = (None, DENYING)
        said = error.message if isinstance(error, FedragError) else code
        if said != self._said:
            self._said, self._recorded = said, False
            _log.error("policy_unreadable", code=code, problem=said)
        if not self._recorded:
            try:
                self._adopted(DENYING)
                self._recorded = True
            except Exception as failed:  # noqa: BLE001 - it is a denial already; recorded at the next request
                _log.error("policy_not_recorded", error=type(failed).__name__)
