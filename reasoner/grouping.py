"""Which answers say the same."""

from collections.abc import Mapping, Sequence
from typing import Final

from fedrag.core.protocols import Encoder
from reasoner.citations import check_text
from reasoner.quantities import quantities, same
from reasoner.stance import direction

ALIKE: Final = 0.8
"""Cosine similarity from which two answers in words mean the same, if their quantities and their direction agree."""


def by_choice(choices: Mapping[str, str | None]) -> tuple[tuple[str, ...], ...]:
    """Sources with the same choice; those that chose nothing are in no group. In order of the sources."""
    groups: dict[str, list[str]] = {}
    for source, choice in choices.items():
        if choice is not None:
            groups.setdefault(choice, []).append(source)
    return tuple(map(tuple, groups.values()))


def by_meaning(answers: Mapping[str, str | None], encoder: Encoder) -> tuple[tuple[str, ...], ...]:
    """Sources whose answers in words mean the same: each joins the first group with whose first answer it agrees."""
    there = {source: check_text(text, ()).text for source, text in answers.items() if text}
    if not there:
        return ()
    vectors = dict(zip(there, encoder.encode_passages(list(there.values())), strict=True))
    groups: list[list[str]] = []
    for source, text in there.items():
        for group in groups:
            first = group[0]
            if float(vectors[source] @ vectors[first]) >= ALIKE and agree(text, there[first]):
                group.append(source)
                break
        else:
            groups.append([source])
    return tuple(map(tuple, groups))


def agree(first: str, second: str) -> bool:
    """Every quantity of the one is in the other, one way round or the other, and both point the same way."""
    one, two = quantities(first), quantities(second)
    fewer, more = sorted((one, two), key=len)
    return (
        all(any(same(wanted, found) for found in more) for wanted in fewer)
        and (not fewer or bool(more))
        and direction(first) == direction(second)
    )


def heaviest(groups: Sequence[Sequence[str]], weights: Mapping[str, float]) -> tuple[str, ...]:
    """The group with the largest weight; of equals the one whose first source comes first by name."""
    return tuple(min(groups, key=lambda group: (-sum(weights[one] for one in group), sorted(group))))
