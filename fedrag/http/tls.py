"""TLS 1.3 between parties that know each other: each signs its own short-lived certificate.

No authority stands above a hospital. A party's root certificate is made by the Ed25519 key that its peers pin anyway; a
leaf below it is presented in handshakes and replaced, in running services, long before it expires. A peer trusts this
root for this party and for nobody else.
"""

import datetime as dt
import ipaddress
import os
import ssl
import time
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fedrag.core.config import ServeConfig, Tls
from fedrag.core.errors import ConfigError
from fedrag.http.signing import Signer

LEAF_DAYS: Final = 30
ROOT_DAYS: Final = 3_650
WILDCARDS: Final = ("0.0.0.0", "::", "")  # noqa: S104 - recognised, not bound
_DAY_S: Final = 86_400
_BACKDATED: Final = dt.timedelta(minutes=10)
"""Peers' clocks may be behind ours."""


def root_certificate(signer: Signer, party: str, now_s: float) -> str:
    """The party's own root, PEM: its identity key certifying itself, able to sign leaves and nothing else."""
    key, now = signer.private_key, dt.datetime.fromtimestamp(now_s, dt.UTC)
    return (
        _builder(party, party, key.public_key(), now, ROOT_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(certificates=True), critical=True)
        .sign(key, algorithm=None)
        .public_bytes(serialization.Encoding.PEM)
        .decode()
    )


def leaf_certificate(
    signer: Signer, party: str, names: Sequence[str], now_s: float, *, client: bool, days: int = LEAF_DAYS
) -> bytes:
    """A fresh P-256 key and a certificate for it, in one PEM, good for `names` (host names and addresses).

    A server's leaf is no client's: a hospital cannot present itself to another one as a coordinator.
    """
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.fromtimestamp(now_s, dt.UTC)
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, *([ExtendedKeyUsageOID.CLIENT_AUTH] if client else [])]
    root_key = signer.private_key
    certificate = (
        _builder(f"{party} leaf", party, key.public_key(), now, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        .sign(root_key, algorithm=None)
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


@dataclass(slots=True)
class LiveCertificate:
    """A certificate on disk, and the running TLS contexts that present it.

    Args:
        certificate: PEM file; holds the key too when `key` is None.
        key: PEM file of the key.
        make: makes the PEM of a new certificate; None where an operator's own tool replaces the files.
        names: what a certificate of ours must be good for; one that is not is replaced before it is presented.
        clock: Unix time in seconds.
    """

    certificate: Path
    key: Path | None = None
    make: Callable[[float], bytes] | None = None
    names: Sequence[str] = ()
    clock: Callable[[], float] = time.time
    _contexts: "weakref.WeakSet[ssl.SSLContext]" = field(default_factory=weakref.WeakSet)
    _loaded: tuple[int, ...] = ()

    def present_in(self, context: ssl.SSLContext) -> None:
        """Have `context` present this certificate, now and after each replacement. Raises ConfigError."""
        if self.make is not None and (self._near_its_end() or not self._fits()):
            self.renew()
        self._load(context)
        self._loaded = self._loaded or self._stamp()
        self._contexts.add(context)

    def upkeep(self) -> None:
        """Renew what has a third of its life left; load what has changed into every live context. Call every few
        seconds. A pair of files that does not match, as between two copies, is left for the next call."""
        if self.make is not None and self._near_its_end():
            self.renew()
        stamp = self._stamp()
        if stamp == self._loaded:
            return
        try:
            self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        except ConfigError:
            return
        for context in self._contexts:
            self._load(context)
        self._loaded = stamp

    def renew(self) -> None:
        """Write a new certificate, whole or not at all. Raises ConfigError where the files are an operator's own."""
        if self.make is None:
            raise ConfigError("this certificate is made elsewhere: replace its files", code="not_own_certificate")
        fresh = self.certificate.with_suffix(f".{os.getpid()}.new")  # replicas may renew at once
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(self.make(self.clock()))
        fresh.replace(self.certificate)

    def expires_at_s(self) -> float:
        """Unix time; 0 when there is no certificate that can be read."""
        try:
            found = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        except (OSError, ValueError):
            return 0.0
        return found.not_valid_after_utc.timestamp()

    def _near_its_end(self) -> bool:
        return self.expires_at_s() - self.clock() < LEAF_DAYS * _DAY_S / 3

    def _fits(self) -> bool:
        found = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        alternative = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return {_alternative(name) for name in self.names} <= set(alternative)

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            reason = type(error).__name__
            raise ConfigError(f"{self.certificate} cannot be used for TLS ({reason})", code="bad_certificate") from None

    def _stamp(self) -> tuple[int, ...]:
        try:
            return tuple(path.stat().st_mtime_ns for path in (self.certificate, self.key) if path is not None)
        except OSError:
            return ()


def live_certificate(
    serve: ServeConfig, own: Path, make: Callable[[float], bytes], names: Sequence[str]
) -> LiveCertificate | None:
    """What this service presents in TLS handshakes; None where TLS does not begin here. `own`: where its own lies."""
    match serve.tls:
        case Tls.OWN:
            return LiveCertificate(own, make=make, names=names)
        case Tls.FILES if serve.tls_certificate is not None:
            return LiveCertificate(serve.tls_certificate, serve.tls_key)
        case _:
            return None


def own_names(serve: ServeConfig) -> tuple[str, ...]:
    """What a service's own certificate is good for: the names it was told, its address, and this machine's own."""
    here = () if serve.host in WILDCARDS else (serve.host,)
    return tuple(dict.fromkeys((*serve.names, *here, "localhost", "127.0.0.1", "::1")))


def server_context(certificate: LiveCertificate, client_authorities: Sequence[str]) -> ssl.SSLContext:
    """For listening. With `client_authorities` (PEM), callers must show a certificate that one of them signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    certificate.present_in(context)
    if client_authorities:
        context.verify_mode = ssl.CERT_REQUIRED
        trust(context, client_authorities)
    return context


def client_context(authority: str, certificate: LiveCertificate | None = None) -> ssl.SSLContext:
    """For calling one party: it must show a certificate for the name it is called by, signed by `authority` (PEM)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    trust(context, (authority,))
    if certificate is not None:
        certificate.present_in(context)
    return context


def trust(context: ssl.SSLContext, authorities: Sequence[str]) -> None:
    """Raises ConfigError(bad_authority) for what is no PEM certificate."""
    try:
        context.load_verify_locations(cadata="\n".join(authorities))
    except (ssl.SSLError, ValueError, TypeError):
        raise ConfigError("not a certificate authority in PEM", code="bad_authority") from None


def _builder(
    subject: str, issuer: str, key: CertificatePublicKeyTypes, now: dt.datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _name(party: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, party[:64])])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates,
        key_cert_sign=certificates,
        crl_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
