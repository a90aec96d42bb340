"""TLS between parties that pinned each other: who gets a connection, and with which certificate."""

import asyncio
import contextlib
import ssl
import time

import pytest
from cryptography import x509

from fedrag.core.errors import ConfigError
from fedrag.http.signing import Signer
from fedrag.http.tls import (
    LEAF_DAYS,
    LiveCertificate,
    client_context,
    leaf_certificate,
    root_certificate,
    server_context,
)

DAY_S = 86_400


class Party:
    """A key, its root, and a live certificate on disk."""

    def __init__(self, folder, name: str, *, client: bool, names=("127.0.0.1",)) -> None:
        self.signer = Signer.generate()
        self.now_s = time.time()
        self.root = root_certificate(self.signer, name, self.now_s)
        self.certificate = LiveCertificate(
            folder / f"{name}.pem",
            make=lambda now_s: leaf_certificate(self.signer, name, names, now_s, client=client),
            clock=lambda: self.now_s,
        )


@contextlib.asynccontextmanager
async def listening(context: ssl.SSLContext):
    """Says `hello` to whoever gets through the handshake."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        with contextlib.suppress(OSError):
            await writer.drain()
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


async def greeting(port: int, context: ssl.SSLContext) -> tuple[bytes, int]:
    """What the server said, and the serial number of its certificate. Empty when it ended the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        said = await reader.read()
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return said, x509.load_der_x509_certificate(der).serial_number
    except (ssl.SSLError, ConnectionError):
        return b"", 0
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@pytest.fixture
def hospital(tmp_path):
    return Party(tmp_path, "hospital", client=False)


@pytest.fixture
def coordinator(tmp_path):
    return Party(tmp_path, "coordinator", client=True)


async def test_pinned_parties_talk(hospital, coordinator) -> None:
    """TLS 1.3, both sides showing a certificate of their own."""
    async with listening(server_context(hospital.certificate, (coordinator.root,))) as port:
        said, _ = await greeting(port, client_context(hospital.root, coordinator.certificate))
    assert said == b"hello"


async def test_strangers_get_nothing(tmp_path, hospital, coordinator) -> None:
    """No certificate, a stranger's, another hospital's, the hospital's own: none is the coordinator's."""
    stranger = Party(tmp_path, "stranger", client=True)
    other = Party(tmp_path, "other-hospital", client=False)
    async with listening(server_context(hospital.certificate, (coordinator.root,))) as port:
        for shown in (None, stranger.certificate, other.certificate, hospital.certificate):
            assert (await greeting(port, client_context(hospital.root, shown)))[0] == b""


async def test_a_servers_certificate_cannot_be_shown_by_a_caller(tmp_path, hospital) -> None:
    """Even where its signer is trusted: a leaf made for serving is refused as a client's."""
    async with listening(server_context(hospital.certificate, (hospital.root,))) as port:
        assert (await greeting(port, client_context(hospital.root, hospital.certificate)))[0] == b""


async def test_a_hospital_must_be_the_one_that_was_pinned(tmp_path, hospital, coordinator) -> None:
    """Another hospital's root, or the right root with another name, and the coordinator hangs up."""
    other = Party(tmp_path, "other-hospital", client=False)
    elsewhere = Party(tmp_path, "elsewhere", client=False, names=("elsewhere.example",))
    async with listening(server_context(hospital.certificate, (coordinator.root,))) as port:
        with pytest.raises(ssl.SSLCertVerificationError):
            await greeting(port, client_context(other.root, coordinator.certificate))
    async with listening(server_context(elsewhere.certificate, ())) as port:
        with pytest.raises(ssl.SSLCertVerificationError):
            await greeting(port, client_context(elsewhere.root))


async def test_nothing_below_tls_1_3(hospital) -> None:
    """A caller that wants 1.2 is refused."""
    old = client_context(hospital.root)
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2
    async with listening(server_context(hospital.certificate, ())) as port:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await greeting(port, old)


async def test_a_renewed_certificate_is_presented_without_a_restart(hospital, coordinator) -> None:
    """By the server and by the client, in contexts that are in use; one renewed by another process too."""
    server = server_context(hospital.certificate, (coordinator.root,))
    client = client_context(hospital.root, coordinator.certificate)
    async with listening(server) as port:
        _, before = await greeting(port, client)
        LiveCertificate(hospital.certificate.certificate, make=hospital.certificate.make).renew()
        assert (await greeting(port, client))[1] == before
        hospital.certificate.upkeep()
        coordinator.certificate.renew()
        coordinator.certificate.upkeep()
        said, after = await greeting(port, client)
    assert (said, after != before) == (b"hello", True)


async def test_renewal_comes_long_before_the_end(hospital) -> None:
    """With two thirds of its life behind it, and not earlier."""
    server_context(hospital.certificate, ())
    until = hospital.certificate.expires_at_s()
    hospital.now_s += LEAF_DAYS * DAY_S * 0.66
    hospital.certificate.upkeep()
    assert hospital.certificate.expires_at_s() == until
    hospital.now_s += LEAF_DAYS * DAY_S * 0.01
    hospital.certificate.upkeep()
    assert hospital.certificate.expires_at_s() == pytest.approx(hospital.now_s + LEAF_DAYS * DAY_S, abs=1)


async def test_half_replaced_files_are_not_loaded(tmp_path, hospital) -> None:
    """An operator's certificate arrives before its key: the old pair goes on until the new one is whole."""
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"

    def write(pem: bytes, *, both: bool) -> None:
        cut = pem.index(b"-----BEGIN CERTIFICATE")
        certificate.write_bytes(pem[cut:])
        if both:
            key.write_bytes(pem[:cut])

    def make() -> bytes:
        return leaf_certificate(hospital.signer, "hospital", ("127.0.0.1",), time.time(), client=False)

    write(make(), both=True)
    live = LiveCertificate(certificate, key)
    context = server_context(live, ())
    async with listening(context) as port:
        _, first = await greeting(port, client_context(hospital.root))
        fresh = make()
        write(fresh, both=False)
        live.upkeep()
        assert (await greeting(port, client_context(hospital.root)))[1] == first
        write(fresh, both=True)
        live.upkeep()
        assert (await greeting(port, client_context(hospital.root)))[1] != first


def test_what_cannot_be_used_is_told(tmp_path, hospital) -> None:
    """A missing file, a file that is no certificate, an authority that is none."""
    (tmp_path / "junk.pem").write_text("junk")
    for path in (tmp_path / "junk.pem", tmp_path / "missing.pem"):
        with pytest.raises(ConfigError) as wrong:
            server_context(LiveCertificate(path), ())
        assert wrong.value.code == "bad_certificate"
    with pytest.raises(ConfigError) as wrong:
        client_context("junk")
    assert wrong.value.code == "bad_authority"


def test_private_keys_are_readable_by_their_owner_only(hospital) -> None:
    """Also while a new one is being written."""
    hospital.certificate.renew()
    assert hospital.certificate.certificate.stat().st_mode & 0o777 == 0o600


async def test_a_certificate_for_other_names_is_replaced_before_it_is_presented(
    tmp_path, hospital, coordinator
) -> None:
    """A hospital that moved, or that was away for longer than a certificate lives."""
    path = tmp_path / "moved.pem"
    for made in (
        leaf_certificate(hospital.signer, "hospital", ("elsewhere.example",), time.time(), client=False),
        leaf_certificate(hospital.signer, "hospital", ("127.0.0.1",), time.time() - 40 * DAY_S, client=False),
    ):
        path.write_bytes(made)
        live = LiveCertificate(path, make=hospital.certificate.make, names=("127.0.0.1",))
        async with listening(server_context(live, (coordinator.root,))) as port:
            said, _ = await greeting(port, client_context(hospital.root, coordinator.certificate))
        assert said == b"hello"
