"""What a hospital writes down when it joins, and what it refuses to overwrite."""

import pytest

from fedrag.core.config import ServeConfig, Tls
from fedrag.core.enrolment import Enrolment, EnrolmentRequest, Issuer
from fedrag.core.errors import ConfigError, FedragError, InputError
from fedrag.enrolment import EnrolmentDesk
from fedrag.http.signing import Signer
from fedrag.members import MemberRegistry
from retriever_node.config import NodeConfig
from retriever_node.enrolment import Joining, pin
from retriever_node.home import NodeHome, create_node, open_config

OWN = Joining(("https://node.example:8801",), Tls.OWN)


@pytest.fixture
def home(tmp_path):
    made = NodeHome(tmp_path / "node")
    create_node(made, NodeConfig(node="n", name="N"))
    return made


def enrolment(coordinator: str, key: Signer, issuer: str = "", issuer_key: str = "") -> Enrolment:
    issuers = (Issuer(name=issuer or f"{coordinator}-issuer", public_key=issuer_key or key.public_key),)
    return Enrolment(
        request="0" * 64, coordinator=coordinator, public_key=key.public_key, authority="ROOT", issuers=issuers
    )


def join(home: NodeHome, told: Enrolment, joining: Joining = OWN) -> NodeConfig:
    pin(home, open_config(home), told, joining)
    return open_config(home)


def test_a_second_coordinator_is_added(home) -> None:
    """Both keys, both roots, both issuers; joining again changes nothing."""
    one, two = Signer.generate(), Signer.generate()
    join(home, enrolment("one", one))
    join(home, enrolment("two", two))
    config = join(home, enrolment("two", two))
    assert {(known.id, known.public_key) for known in config.coordinators} == {
        ("one", one.public_key),
        ("two", two.public_key),
    }
    assert {known.name for known in config.issuers} == {"one-issuer", "two-issuer"}
    assert config.serve.names == ("node.example",)


def test_no_coordinator_takes_anothers_place(home) -> None:
    """The same id with another key, or the name of an issuer that another told: refused, and nothing was written."""
    one = Signer.generate()
    config = join(home, enrolment("one", one))
    root = (home.coordinators / "one.crt").read_text()
    for told, code in (
        (enrolment("one", Signer.generate()).model_copy(update={"authority": "OTHER"}), "coordinator_taken"),
        (enrolment("two", Signer.generate(), issuer="one-issuer"), "issuer_taken"),
    ):
        with pytest.raises(ConfigError) as refused:
            join(home, told)
        assert refused.value.code == code
    assert open_config(home) == config
    assert (home.coordinators / "one.crt").read_text() == root
    assert not (home.coordinators / "two.crt").exists()


def test_ways_of_joining_that_cannot_work_are_told_before_anything_is_sent(tmp_path) -> None:
    """Each with the same code and its own words."""
    authority = tmp_path / "ca.pem"
    authority.write_text("CA")
    plain = NodeConfig(node="n", name="N")
    files = ServeConfig(tls=Tls.FILES, tls_certificate=tmp_path / "c.pem", tls_key=tmp_path / "k.pem")
    for config, urls, given, behind in (
        (plain, ["https://a:1", "http://a:2"], None, False),
        (plain, ["http://a:1"], authority, False),
        (plain, ["https://a:1"], authority, False),
        (plain, ["https://a:1"], None, True),
        (plain, ["https://[::1"], None, False),
        (plain.model_copy(update={"serve": files}), ["https://a:1"], None, False),
    ):
        with pytest.raises(InputError) as refused:
            Joining.plan(config, urls, given, behind_proxy=behind)
        assert refused.value.code == "bad_option"
    assert Joining.plan(plain, ["https://a:1"], authority, behind_proxy=True).tls is Tls.PROXY
    assert Joining.plan(
        plain.model_copy(update={"serve": files}), ["https://a:1"], authority, behind_proxy=False
    ).tls is (Tls.FILES)


def test_a_node_that_serves_others_keeps_its_way_of_tls(home) -> None:
    """A second federation cannot turn off what the first relies on."""
    config = join(home, enrolment("one", Signer.generate()))
    with pytest.raises(InputError):
        Joining.plan(config, ["http://127.0.0.1:1"], None, behind_proxy=False)


def test_plain_http_off_this_machine_is_refused_by_the_coordinator(tmp_path) -> None:
    """Questions would travel in clear."""
    registry = MemberRegistry(tmp_path / "members.sqlite")
    desk = EnrolmentDesk(registry, "c", Signer.generate(), {})
    for urls, code in ((("http://10.0.0.5:1",), "insecure_url"), (("http://127.0.0.1:1",), "unknown_invitation")):
        request = EnrolmentRequest(invitation="0" * 64, node="n", name="N", public_key="", urls=urls)
        with pytest.raises(FedragError) as refused:
            desk.enrol(request)
        assert refused.value.code == code
    registry.close()
