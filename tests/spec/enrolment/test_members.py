"""The registry: who may join, who belongs, who does no more."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from fedrag.core.enrolment import EnrolmentRequest
from fedrag.core.errors import FedragError, IntegrityError, NotFound
from fedrag.http.invitation import InvitationCode, proven
from fedrag.http.signing import Signer
from fedrag.live_members import Connection, LiveMembers
from fedrag.members import Member, MemberRegistry

COORDINATOR = Signer.generate()
NOW = 1_000_000


@pytest.fixture
def registry(tmp_path):
    opened = MemberRegistry(tmp_path / "members.sqlite")
    yield opened
    opened.close()


def invite(registry, node: str = "n", expires_at: int = NOW + 100) -> InvitationCode:
    code = InvitationCode.make(COORDINATOR.public_key)
    registry.invite(node, code, expires_at)
    return code


def request(code: InvitationCode, signer: Signer, node: str = "n", url: str = "https://n:1") -> EnrolmentRequest:
    made = EnrolmentRequest(invitation=code.id, node=node, name="N", public_key=signer.public_key, urls=(url,))
    return proven(made, code.proof_key, signer)


def refusal(action) -> str:
    with pytest.raises(FedragError) as refused:
        action()
    return refused.value.code


def test_an_invited_hospital_becomes_a_member(registry) -> None:
    """With the key and addresses it named."""
    signer = Signer.generate()
    registry.enrol(request(invite(registry), signer), NOW)
    assert registry.members() == (Member(id="n", urls=("https://n:1",), public_key=signer.public_key),)


def test_a_code_is_good_for_one_key(registry) -> None:
    """The same hospital may repeat a request whose answer was lost; another one is refused and nothing changes."""
    code, signer = invite(registry), Signer.generate()
    registry.enrol(request(code, signer), NOW)
    registry.enrol(request(code, signer, url="https://n:2"), NOW)
    assert refusal(lambda: registry.enrol(request(code, Signer.generate()), NOW)) == "used_invitation"
    assert [(one.public_key, one.urls) for one in registry.members()] == [(signer.public_key, ("https://n:2",))]


def test_expired_void_unknown_and_borrowed_codes_are_refused(registry) -> None:
    """Each with its own code; nobody becomes a member."""
    signer = Signer.generate()
    old = invite(registry, expires_at=NOW - 1)
    assert refusal(lambda: registry.enrol(request(old, signer), NOW)) == "expired_invitation"
    invite(registry)
    assert refusal(lambda: registry.enrol(request(old, signer), NOW)) == "unknown_invitation"
    never = InvitationCode.make(COORDINATOR.public_key)
    assert refusal(lambda: registry.enrol(request(never, signer), NOW)) == "unknown_invitation"
    others = invite(registry, node="m")
    assert refusal(lambda: registry.enrol(request(others, signer, node="n"), NOW)) == "unknown_invitation"
    assert registry.members() == ()


def test_one_key_is_one_member(registry) -> None:
    """A hospital cannot sit at the table twice under two ids."""
    signer = Signer.generate()
    registry.enrol(request(invite(registry), signer), NOW)
    second = invite(registry, node="m")
    assert refusal(lambda: registry.enrol(request(second, signer, node="m"), NOW)) == "key_taken"


def test_a_revoked_hospital_is_out_and_its_code_void(registry) -> None:
    """Until it is invited again, with a new code."""
    code, signer = invite(registry), Signer.generate()
    registry.enrol(request(code, signer), NOW)
    registry.revoke("n", NOW + 1)
    assert registry.members() == ()
    assert [one.revoked_at for one in registry.memberships()] == [NOW + 1]
    assert refusal(lambda: registry.enrol(request(code, signer), NOW)) == "unknown_invitation"
    with pytest.raises(NotFound):
        registry.revoke("n", NOW)
    leaked = invite(registry)
    registry.revoke("n", NOW)
    assert refusal(lambda: registry.enrol(request(leaked, signer), NOW)) == "unknown_invitation"
    registry.enrol(request(invite(registry), signer), NOW + 2)
    assert [one.id for one in registry.members()] == ["n"]


def test_of_many_hospitals_racing_with_one_code_one_gets_in(registry) -> None:
    """Sixteen keys at once."""
    code = invite(registry)

    def join(_: int) -> str:
        try:
            registry.enrol(request(code, Signer.generate()), NOW)
        except FedragError as error:
            return error.code
        return "joined"

    with ThreadPoolExecutor(8) as pool:
        outcomes = sorted(pool.map(join, range(16)))
    assert outcomes == ["joined", *["used_invitation"] * 15]


def test_the_version_changes_whoever_changes_the_members(registry, tmp_path) -> None:
    """A revocation by the command line is seen by the running service, and reading changes nothing."""
    other = MemberRegistry(tmp_path / "members.sqlite")
    before = registry.version()
    registry.members()
    assert registry.version() == before
    other.put(Member(id="a", urls=("http://a:1",), public_key="AAAA"), NOW)
    between = registry.version()
    registry.put(Member(id="b", urls=("http://b:1",), public_key="BBBB"), NOW)
    assert len({before, between, registry.version()}) == 3
    other.close()


def test_a_registry_of_another_format_is_left_alone(tmp_path) -> None:
    """Told, not overwritten."""
    import sqlite3

    path = tmp_path / "members.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(IntegrityError):
        MemberRegistry(path)


class Client:
    """Counts how often it is closed."""

    def __init__(self) -> None:
        self.closed = 0

    async def aclose(self) -> None:
        self.closed += 1


async def test_live_members_follow_the_registry(tmp_path) -> None:
    """Unchanged members keep their connection; one that left or moved loses it; a mapping once handed out stays."""
    registry = MemberRegistry(tmp_path / "members.sqlite")
    made: list[tuple[Member, Client]] = []

    def connect(member: Member) -> Connection:
        made.append((member, Client()))
        return Connection(member, made[-1][1])  # a member has an id, which is all that is read of a node here

    live = LiveMembers(registry, connect)
    one = Member(id="one", urls=("http://one:1",), public_key="AAAA")
    two = Member(id="two", urls=("http://two:1",), public_key="BBBB")
    registry.put(one, NOW)
    registry.put(two, NOW)
    first = live.nodes()
    assert (list(first), len(made)) == (["one", "two"], 2)
    assert live.nodes() is first
    registry.put(two.model_copy(update={"urls": ("http://two:2",)}), NOW)
    registry.revoke("one", NOW)
    second = live.nodes()
    assert ([node.urls for node in second.values()], len(made)) == ([("http://two:2",)], 3)
    assert list(first) == ["one", "two"]
    await live.aclose()
    assert [client.closed for _, client in made] == [1, 1, 1]
