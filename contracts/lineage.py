"""What a fork shares with the pipeline that it was forked from: by reference, its facts are never copied. Pure.

The history of a fork is the first ``at`` facts of its parent (whose history begins with facts of its own parent, if
it is a fork too) and then its own, the first of which is `pipeline.forked`. Positions count through both.
"""

from __future__ import annotations

from pydantic import ValidationError

from contracts.envelope import Envelope
from contracts.events import PipelineForked

MAX_GENERATIONS = 100
"""A fork of a fork of a fork ... is read up to here: a bound for logs that nobody of ours wrote."""


def forked(first: Envelope) -> PipelineForked | None:
    """The fork that the ``first`` fact of a pipeline tells of; ``None``: it was not forked.

    Raises:
        UnknownFact: the fact is of a newer version than this code can read.
    """
    if first.type != PipelineForked.TYPE:
        return None
    try:
        fact = first.fact()
    except ValidationError:
        return None
    assert isinstance(fact, PipelineForked)
    return fact
