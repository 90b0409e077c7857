"""`fold` writes into one copy: what comes out is `evolve` for each fact in turn, what went in is left as it was."""

from __future__ import annotations

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.envelope import Envelope, UnknownFact
from contracts.pipeline import PipelineState, evolve, fold
from contracts.policy import Policy
from tests.support.lives import lived

LIVES = [
    lived(Policy(approval="required" if seed % 2 else "none", researches=seed % 3), seed).facts
    for seed in range(12)
]


@st.composite
def histories(draw: st.DrawFn) -> list[Envelope]:
    """A life with facts left out, repeated, out of order, of other lives, and with data that is not whole."""
    life = draw(st.sampled_from(LIVES))
    taken = draw(st.lists(st.sampled_from([*life, *LIVES[0]]), max_size=8))
    facts = [*life[: draw(st.integers(0, len(life)))], *taken, *life[draw(st.integers(0, len(life))) :]]
    for number in draw(st.sets(st.integers(0, len(facts)), max_size=3)):
        if number < len(facts):
            less = dict(list(facts[number].data.items())[1:])
            facts[number] = facts[number].model_copy(update={"data": less})
    return facts


def same(one: PipelineState, other: PipelineState) -> bool:
    fields = one.model_fields_set == other.model_fields_set
    return one == other and fields and one.model_dump_json() == other.model_dump_json()


@given(facts=histories(), cut=st.integers(0, 80))
def test_fold_is_evolve_for_each_fact_in_turn(facts: list[Envelope], cut: int) -> None:
    nothing = PipelineState()
    before = fold(facts[:cut])
    written, fields = before.model_dump_json(), set(before.model_fields_set)

    after = fold(facts[cut:], before)

    assert same(after, reduce(evolve, facts, nothing))
    assert (before.model_dump_json(), before.model_fields_set) == (written, fields), (
        "what was given was written into"
    )
    assert nothing == PipelineState()


def test_fold_of_nothing_is_what_was_given() -> None:
    state = fold(LIVES[0][:5])

    assert same(fold([], state), state)
    assert same(fold([]), PipelineState())


@pytest.mark.parametrize("unknown", [{"dataversion": 99}, {"type": "pipeline.dreamt"}])
def test_fact_that_nobody_here_can_read_ends_the_fold(unknown: dict[str, object]) -> None:
    facts = [*LIVES[0][:5], LIVES[0][5].model_copy(update=unknown)]
    state = fold(facts[:3])

    with pytest.raises(UnknownFact):
        fold(facts[3:], state)

    assert same(state, fold(facts[:3]))
