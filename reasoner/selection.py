"""Which sentences are quoted: few, different, and from several hospitals where several have something to say."""

from collections.abc import Iterable, Sequence

from reasoner.statements import Statement

SAME_WORDS = 0.8
"""Jaccard similarity of the words from which two sentences say the same, if their numbers agree."""


def select(statements: Sequence[Statement], *, maximum: int, share: float) -> tuple[Statement, ...]:
    """At most `maximum` statements, best supported first.

    Greedy: a statement that repeats a chosen one is passed over; none is taken whose support is below `share` of the
    best. The best of each further hospital that reaches `share` is kept a place, so that one hospital's many sentences
    do not crowd out another's only one.
    """
    ranked = sorted(statements, key=lambda one: (-one.support, one.citation, one.text))
    if not ranked:
        return ()
    worth = [one for one in ranked if one.support >= share * ranked[0].support]
    different: list[Statement] = []
    for one in worth:
        if not any(repeats(one, other) for other in different):
            different.append(one)
    first_of_node = {id(one) for one in _first_of_each_node(different)[: max(1, maximum // 2)]}
    places = maximum - len(first_of_node)
    chosen: list[Statement] = []
    for one in different:
        if id(one) in first_of_node:
            chosen.append(one)
        elif places > 0:
            chosen.append(one)
            places -= 1
    return tuple(chosen)


def repeats(first: Statement, second: Statement) -> bool:
    """Nearly the same words and exactly the same quantities."""
    union = len(first.stems | second.stems)
    alike = len(first.stems & second.stems) / union if union else 1.0
    return alike >= SAME_WORDS and set(first.quantities) == set(second.quantities)


def _first_of_each_node(statements: Iterable[Statement]) -> list[Statement]:
    firsts: dict[str, Statement] = {}
    for one in statements:
        firsts.setdefault(one.node, one)
    return list(firsts.values())
