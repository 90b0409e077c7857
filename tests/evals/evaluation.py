"""What is known of one API at the end, and sums over many. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from contracts.errors import Rejected
from contracts.turns import Spent
from tests.corpus.compare import Answer
from tests.corpus.runs import Run

COUNT = 20


@dataclass(frozen=True)
class Evaluation:
    """``spent``: on turns with the model; ``None``: the gateway could not say. ``answers`` beside the truth; none
    where there is no truth."""

    run: Run
    spent: Spent | None
    answers: tuple[Answer, ...] = ()


def twenty(sizes: Mapping[str, int], judged: Collection[str]) -> list[str]:
    """Of documents (name -> bytes): those that have a truth, then the smallest, for they cost least."""
    others = sorted(sizes.keys() - judged, key=lambda name: (sizes[name], name))
    return [*sorted(sizes.keys() & judged), *others][:COUNT]


def refuse_above(limit_usd: float, each_usd: float, count: int) -> None:
    """
    Raises:
        Rejected: ``count`` pipelines that may spend ``each_usd`` can come to more than ``limit_usd``.
    """
    most_usd = each_usd * count
    if most_usd > limit_usd:
        raise Rejected(
            f"{count} pipelines that may spend {each_usd:,.2f} USD each can cost {most_usd:,.2f} USD, and the "
            f"limit is {limit_usd:,.2f}: raise it (EVALS_BUDGET_USD={most_usd:g}), let each spend less "
            "(--each-usd) or choose fewer (--only NAME NAME)"
        )


def total(evaluations: Iterable[Evaluation]) -> Spent:
    """What is known to be spent."""
    return sum((one.spent for one in evaluations if one.spent is not None), Spent())


def cached_share(spent: Spent) -> float | None:
    """The part of all input tokens, 0 to 1, that the cache served; ``None``: there were none."""
    every = spent.usage.all_input_tokens
    return spent.usage.cache_read_input_tokens / every if every else None
