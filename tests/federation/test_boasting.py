"""A hospital that claims more than its text bears out is left out of the question; what it crowded out is in."""

from dataclasses import replace

from fedrag.core.exchange import NodeStatus

WARFARIN = "# Warfarin\n\n## Bleeding\nMajor bleeding on warfarin is reversed with vitamin K and prothrombin complex.\n"
FEET = "# Feet\n\n" + "".join(
    f"## Toe {n}\nToe number {n} is washed and dried with care {n} times.\n" for n in range(8)
)


class Boasting:
    """The same node, its offers at similarity and probability 1."""

    def __init__(self, node):
        self.node = node

    def __getattr__(self, name):
        return getattr(self.node, name)

    async def offers(self, request, deadline):
        reply = await self.node.offers(request, deadline)
        best = [
            one.model_copy(update={"probability": 1.0, "similarity": one.similarity.model_copy(update={"value": 1.0})})
            for one in reply.value.offers
        ]
        return replace(reply, value=reply.value.model_copy(update={"offers": tuple(best)}))


def test_who_boasts_is_left_out_and_the_honest_answer_is_what_it_would_have_been(workshop, put_question) -> None:
    """In both release modes: the evidence is the honest hospital's, letter for letter, and coverage says why."""
    honest = workshop.hospital("honest", {"w.md": WARFARIN}).remote
    liar = workshop.hospital("liar", {"f.md": FEET}).remote
    question = "How is major bleeding on warfarin reversed?"
    for mode in ("offers", "direct"):
        alone = put_question(
            workshop.coordinator(honest, release_mode=mode, limits={"passages": 5, "deadline_ms": 60_000}), question
        )
        both = put_question(
            workshop.coordinator(
                honest, Boasting(liar), release_mode=mode, limits={"passages": 5, "deadline_ms": 60_000}
            ),
            question,
        )
        texts = [[one.passage.text for one in answer.evidence.passages] for answer in (alone, both)]
        assert texts[0] == texts[1] != []
        outcomes = {one.node: (one.status, one.code) for one in both.coverage}
        assert outcomes == {
            "honest": (NodeStatus.ANSWERED, None),
            "liar": (NodeStatus.FAILED, "claim_not_borne_out"),
        }
        gave = {one.node: one.passages for one in both.disclosure.hospitals}
        assert gave["liar"] > 0  # what left a hospital stays in the account


def test_nobody_honest_is_left_out(workshop, put_question) -> None:
    """Two hospitals with true claims both answer."""
    remotes = [workshop.hospital(n, {"d.md": t}).remote for n, t in (("a", WARFARIN), ("b", FEET))]
    answer = put_question(
        workshop.coordinator(*remotes, limits={"passages": 5, "deadline_ms": 60_000}),
        "How is major bleeding on warfarin reversed?",
    )
    assert {one.status for one in answer.coverage} == {NodeStatus.ANSWERED}
    assert {one.node for one in answer.evidence.passages} == {"a", "b"}


def test_an_operator_may_believe_everybody(workshop, put_question) -> None:
    """Unchecked, the boasting hospital's passages take the first places."""
    honest = workshop.hospital("honest", {"w.md": WARFARIN}).remote
    liar = workshop.hospital("liar", {"f.md": FEET}).remote
    coordinator = workshop.coordinator(
        honest, Boasting(liar), check_claims=False, limits={"passages": 5, "deadline_ms": 60_000}
    )
    answer = put_question(coordinator, "How is major bleeding on warfarin reversed?")
    assert answer.evidence.passages[0].node == "liar"
