"""A release that several models may read: allowed where all of them are. Oracle: the truth table of two models."""

import pytest

from fedrag.core.exchange import Processor, ProcessorPlace, Reader
from retriever_node.policy import Processors
from retriever_node.policy.dry_run import _processor

HERE, DOMAIN, OUTSIDE = ProcessorPlace.COORDINATOR, ProcessorPlace.TRUST_DOMAIN, ProcessorPlace.OUTSIDE


def processor(*readers: tuple[str, ProcessorPlace]) -> Processor:
    first, *others = (Reader(model=model, place=place) for model, place in readers)
    return Processor(model=first.model, place=first.place, others=tuple(others))


BOTH = processor(("small", DOMAIN), ("large", OUTSIDE))


@pytest.mark.parametrize(
    ("places", "models", "allowed"),
    [
        ({DOMAIN, OUTSIDE}, set(), True),
        ({DOMAIN, OUTSIDE}, {"small", "large"}, True),
        ({DOMAIN, OUTSIDE}, {"small"}, False),
        ({DOMAIN, OUTSIDE}, {"large"}, False),
        ({DOMAIN}, set(), False),
        ({OUTSIDE}, set(), False),
        (set(), set(), False),
    ],
)
def test_all_that_may_read_must_be_allowed(places, models, allowed) -> None:
    """One that is not keeps the text at the hospital."""
    assert Processors(frozenset(places), frozenset(models)).allow(BOTH) is allowed


def test_one_model_is_judged_as_ever() -> None:
    """Without others."""
    assert Processors(frozenset({DOMAIN})).allow(processor(("small", DOMAIN)))
    assert not Processors(frozenset({DOMAIN})).allow(processor(("small", HERE)))


@pytest.mark.parametrize("one", [BOTH, processor(("a@b", HERE)), processor(("a", HERE), ("b", HERE), ("c", OUTSIDE))])
def test_what_the_audit_log_says_is_read_back(one) -> None:
    """A dry run of a policy judges earlier releases by it."""
    assert _processor(str(one)) == one


@pytest.mark.parametrize("written", ["", "model", "a, b@outside"])
def test_what_cannot_be_read_back_lets_nothing_out(written) -> None:
    """Closed, as always."""
    assert _processor(written) is None


def test_it_survives_the_wire() -> None:
    """And one without others is what it was before there were several."""
    assert Processor.model_validate_json(BOTH.model_dump_json()) == BOTH
    assert Processor.model_validate({"model": "m", "place": "outside"}).others == ()
