"""Joining a federation: the hospital's half of an enrolment."""

import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx2
from pydantic import TypeAdapter, ValidationError

from fedrag.core.config import ServeConfig, Tls, write_toml
from fedrag.core.enrolment import Enrolment, EnrolmentRequest, NodeUrl
from fedrag.core.errors import ConfigError, FedragError, IdentityError, InputError, ProtocolError, Unavailable
from fedrag.core.plugins import describe
from fedrag.http.invitation import InvitationCode, check_enrolment, proven
from fedrag.http.problem import Problem
from fedrag.http.signing import Signer
from fedrag.http.tls import root_certificate
from retriever_node.config import CoordinatorConfig, IssuerConfig, NodeConfig
from retriever_node.home import NodeHome, open_config

_TIMEOUT_S: Final = 30.0
_URL: Final[TypeAdapter[str]] = TypeAdapter(NodeUrl)


@dataclass(frozen=True, slots=True)
class Joining:
    """What the hospital decides: where its node is reached (replicas after the first), and whom callers are to trust
    for TLS there: itself, unless a proxy with a certificate of its own stands before it."""

    urls: tuple[str, ...]
    tls: Tls
    authority: str = ""

    @classmethod
    def plan(cls, config: NodeConfig, urls: Sequence[str], authority: Path | None, *, behind_proxy: bool) -> "Joining":
        """Raises InputError for a mixture that cannot work, ConfigError for an authority that cannot be read."""
        try:
            schemes = {urlsplit(_URL.validate_python(url)).scheme for url in urls}
        except ValidationError:
            raise InputError("--url: not an address", code="bad_option") from None
        own_files = config.serve.tls is Tls.FILES and not behind_proxy
        if len(schemes) != 1:
            raise InputError("--url: all https, or all http", code="bad_option")
        if schemes == {"http"} and (authority is not None or behind_proxy):
            raise InputError("--authority and --behind-proxy are for https addresses", code="bad_option")
        if schemes == {"https"} and (behind_proxy or own_files) != (authority is not None):
            raise InputError(
                '--authority says who signed the certificate of a proxy (--behind-proxy) or of tls = "files"; it goes '
                "with one of them and with nothing else",
                code="bad_option",
            )
        try:
            given = authority.read_text(encoding="utf-8") if authority is not None else ""
        except (OSError, UnicodeDecodeError):
            raise ConfigError(f"{authority} cannot be read", code="bad_authority") from None
        tls = Tls.PROXY if behind_proxy else Tls.FILES if own_files else Tls.OWN
        tls = Tls.NONE if schemes == {"http"} else tls
        if config.coordinators and tls is not config.serve.tls:
            raise InputError(
                f"this node serves others with tls = {config.serve.tls.value!r}; join with the same", code="bad_option"
            )
        return cls(tuple(urls), tls, given)


def enrol(home: NodeHome, coordinator_url: str, code: InvitationCode, joining: Joining) -> Enrolment:
    """Prove the code to the coordinator, check that it is the one that made the code, and pin it in `node.toml`.

    Safe to repeat with the same code when the answer was lost. Raises FedragError with the coordinator's own code, or
    Unavailable.
    """
    config, signer = open_config(home), Signer.load(home.signing_key)
    authority = joining.authority or (
        root_certificate(signer, config.node, time.time()) if joining.tls is Tls.OWN else ""
    )
    try:
        request = EnrolmentRequest(
            invitation=code.id,
            node=config.node,
            name=config.name,
            public_key=signer.public_key,
            urls=joining.urls,
            authority=authority,
        )
    except ValidationError as error:
        raise InputError(describe(error), code="bad_option") from None
    request = proven(request, code.proof_key, signer)
    enrolment = _post(coordinator_url.rstrip("/") + "/v1/enrolments", request)
    check_enrolment(enrolment, request, code)
    pin(home, config, enrolment, joining)
    return enrolment


def pin(home: NodeHome, config: NodeConfig, enrolment: Enrolment, joining: Joining) -> None:
    """Write what the node will believe: the coordinator's key and its root for TLS, and its issuers of asker tokens."""
    root = home.coordinators / f"{enrolment.coordinator}.crt"
    if any(one.id == enrolment.coordinator and one.public_key != enrolment.public_key for one in config.coordinators):
        raise ConfigError(
            f"a coordinator {enrolment.coordinator} with another key is pinned here: take it out of node.toml first, "
            "if it is the same one with a new key",
            code="coordinator_taken",
        )
    coordinator = CoordinatorConfig(
        id=enrolment.coordinator,
        public_key=enrolment.public_key,
        authority=root.resolve() if joining.tls in (Tls.OWN, Tls.FILES) else None,
    )
    told = {
        one.name: IssuerConfig(name=one.name, public_key=one.public_key, told_by=coordinator.id)
        for one in enrolment.issuers
    }
    kept = [one for one in config.issuers if one.told_by != coordinator.id]
    if any(one.name in told for one in kept):
        raise ConfigError("the coordinator names an issuer that is pinned here already", code="issuer_taken")
    others = [one for one in config.coordinators if one.id != coordinator.id]
    names = dict.fromkeys((*config.serve.names, *(urlsplit(url).hostname or "" for url in joining.urls)))
    serve = config.serve.model_dump() | {"tls": joining.tls, "names": tuple(names) if joining.tls is Tls.OWN else ()}
    changes = {
        "coordinators": (*others, coordinator),
        "issuers": (*kept, *told.values()),
        "serve": ServeConfig.model_validate(serve),
    }
    home.coordinators.mkdir(exist_ok=True)
    root.write_text(enrolment.authority, encoding="utf-8")
    write_toml(home.config, config.model_copy(update=changes))


def _post(url: str, request: EnrolmentRequest) -> Enrolment:
    """Whoever is on the other side learns nothing secret and cannot answer without the key that the code names, so its
    TLS certificate proves nothing more and is not asked for."""
    anyone = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE
    try:
        with httpx2.Client(verify=anyone, trust_env=False, timeout=_TIMEOUT_S) as client:
            headers = {"content-type": "application/json"}
            response = client.post(url, content=request.model_dump_json(), headers=headers)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        reason = type(error).__name__
        raise Unavailable(f"the coordinator cannot be reached ({reason})", code="unreachable") from None
    try:
        if response.is_success:
            return Enrolment.model_validate_json(response.content)
        told = Problem.model_validate_json(response.content)
    except ValidationError:
        raise ProtocolError(f"status {response.status_code}: this is no coordinator of a federation") from None
    kind: type[FedragError] = IdentityError if told.status == httpx2.codes.UNAUTHORIZED else InputError
    raise kind(told.detail, code=told.code)
