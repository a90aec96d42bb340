"""Where hospitals join: the coordinator's half of an enrolment."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from fedrag.core.enrolment import Enrolment, EnrolmentRequest, Issuer
from fedrag.core.errors import ConfigError, InputError
from fedrag.core.wire import NodeId
from fedrag.http.addresses import is_loopback
from fedrag.http.invitation import InvitationCode, digest, signed
from fedrag.http.signing import Signer
from fedrag.http.tls import client_context, root_certificate
from fedrag.members import MemberRegistry

CODE_LIFETIME_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class EnrolmentDesk:
    """Args:
    registry: where members are kept.
    coordinator: our own id.
    signer: our own key, which hospitals pin.
    issuers: issuer name → public key of those whose asker tokens we send.
    clock: Unix time in seconds.
    """

    registry: MemberRegistry
    coordinator: NodeId
    signer: Signer
    issuers: Mapping[str, str]
    clock: Callable[[], float] = time.time

    def invite(self, node: NodeId) -> InvitationCode:
        """A one-time code for this hospital, good for a day; earlier ones are void."""
        code = InvitationCode.make(self.signer.public_key)
        self.registry.invite(node, code, int(self.clock()) + CODE_LIFETIME_S)
        return code

    def enrol(self, request: EnrolmentRequest) -> Enrolment:
        """Take a hospital in and tell it whom to pin. Raises IdentityError, InputError(bad_authority)."""
        if any(
            urlsplit(url).scheme == "http" and not is_loopback(urlsplit(url).hostname or "") for url in request.urls
        ):
            raise InputError("off this machine a hospital is reached over https only", code="insecure_url")
        if request.authority:
            try:
                client_context(request.authority)
            except ConfigError as error:  # theirs, not ours: the registry takes nothing that cannot be verified with
                raise InputError(error.message, code=error.code) from None
        self.registry.enrol(request, self.clock())
        return signed(
            Enrolment(
                request=digest(request),
                coordinator=self.coordinator,
                public_key=self.signer.public_key,
                authority=root_certificate(self.signer, self.coordinator, self.clock()),
                issuers=tuple(Issuer(name=name, public_key=key) for name, key in sorted(self.issuers.items())),
            ),
            self.signer,
        )
