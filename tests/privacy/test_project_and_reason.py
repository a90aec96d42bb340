"""Which project a question belongs to, and why it is asked, arrive at the hospital: vouched for, and redacted."""

import hashlib
import json
import time

import jwt
import pytest

from fedrag.api.app import identify
from fedrag.config import ApiKey
from fedrag.core.deadline import Deadline
from fedrag.core.errors import IdentityError
from fedrag.core.exchange import OfferRequest
from fedrag.core.identity import Asker, AskerToken, Purpose, Role
from fedrag.core.wire import ReleaseClass
from retriever_node import audit
from retriever_node.node import RetrieverNode

DOCUMENT = {"d.md": "# D\n\n## S\nWarfarin bleeding is reversed with vitamin K.\n"}
QUESTION = "How is warfarin bleeding reversed?"
STROKE = (
    'version = 1\n[[rules]]\nname = "one"\nclasses = ["protocol"]\nprojects = ["stroke-2026"]\nrelease = "passage"\n'
)


@pytest.fixture
def hospital(workshop):
    return workshop.hospital("heart", DOCUMENT, ReleaseClass.PROTOCOL, STROKE)


def test_the_project_of_an_api_key_is_its_askers() -> None:
    """Told to the coordinator once, by its operator."""
    digest = hashlib.sha256(b"secret").hexdigest()
    (with_one, without) = (
        ApiKey(name="dr", sha256=digest, project=project, role=Role.RESEARCHER) for project in ("stroke-2026", None)
    )
    assert identify("secret", (with_one,)).project == "stroke-2026"
    assert identify("secret", (without,)).project is None


@pytest.mark.parametrize(("project", "offers"), [("stroke-2026", 1), ("stroke-2027", 0), (None, 0)])
def test_a_rule_for_a_project_is_for_its_tokens(workshop, hospital, project, offers: int) -> None:
    """And the audit log has the project."""
    asker = Asker(name="dr", purpose=Purpose.RESEARCH, role=Role.RESEARCHER, project=project)
    asked = OfferRequest(
        request_id="a" * 32, coordinator="test-coordinator", node="heart", vector=None, text=QUESTION, k=5,
        comparable_with="", deadline_ms=5_000, token=workshop.issuer.token(asker, "heart"),
    )  # fmt: skip
    assert len(hospital.node.offers(asked, Deadline.after_ms(5_000)).offers) == offers
    with hospital.node.state.transaction() as connection:
        (line,) = [json.loads(one) for one in audit.lines(connection) if '"offers"' in one]
    assert (line.get("project"), line["role"], line["issuer"]) == (project, "researcher", "test-issuer")


@pytest.mark.parametrize("project", ["", "a project", "x" * 64, "-x", 7, ["stroke-2026"]])
def test_a_project_that_is_no_name_is_no_token(workshop, hospital, project) -> None:
    """Signed or not."""
    now_s = int(time.time())
    claims = {
        "iss": "test-issuer", "sub": "a" * 32, "aud": "heart", "iat": now_s, "exp": now_s + 60, "role": "clinician",
        "purpose": "treatment", "project": project,
    }  # fmt: skip
    token = jwt.encode(claims, workshop.issuer.signer.private_key, algorithm="EdDSA")
    with pytest.raises(IdentityError) as refused:
        hospital.node.gate.identify(token, "test-coordinator")
    assert refused.value.code == "bad_token"


def test_claims_without_a_project_name_none() -> None:
    """A token is what it was before there were projects, and comes back the same."""
    token = AskerToken(
        issuer="i", pseudonym="a" * 32, role=Role.CLINICIAN, purpose=Purpose.TREATMENT, audience="heart",
        issued_at=1, expires_at=2,
    )  # fmt: skip
    assert "project" not in token.claims()
    assert AskerToken.from_claims(token.claims()) == token
    named = token.model_copy(update={"project": "stroke-2026"})
    assert AskerToken.from_claims(named.claims()) == named


@pytest.mark.parametrize(
    ("reason", "arrives"),
    [
        ("Second opinion for Mr. Vennerholm, call 555-302-9944", "Second opinion for [NAME], call [PHONE]"),
        ("A ward round", "A ward round"),
        (None, None),
    ],
)
def test_a_reason_is_redacted_before_any_hospital_reads_it(
    workshop, hospital, put_question, monkeypatch, reason, arrives
) -> None:
    """Like the question, and counted with it."""
    told, offers = [], RetrieverNode.offers

    def listening(self, request, deadline):
        told.append(request.reason)
        return offers(self, request, deadline)

    monkeypatch.setattr(RetrieverNode, "offers", listening)
    answer = put_question(workshop.coordinator(hospital.remote), QUESTION, reason=reason)
    assert told == [arrives]
    assert sum(one.count for one in answer.redactions) == (2 if reason and "[" in str(arrives) else 0)
    assert "Vennerholm" not in answer.model_dump_json()
