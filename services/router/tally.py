"""What many replays come to. Pure; it keeps sums and one line for each kind of difference, no pipelines."""

from __future__ import annotations

from dataclasses import dataclass, field

from contracts.base import Frozen
from contracts.events import PipelineFailed
from contracts.pipeline import Status
from services.router.replay import Effect, Replayed, Work

_PUBLISHED = frozenset({Status.SUCCESS, Status.PARTIAL})


class Kind(Frozen):
    """All pipelines that leave their history in the same way. ``rest`` is the work recorded from there on."""

    recorded: str
    today: str
    effect: Effect
    pipelines: int
    rest: Work


class Summary(Frozen):
    """``differ`` of ``pipelines`` would have gone another way; ``unplayable`` could not be judged.

    ``saved`` is work that would not have been done. ``added_steps`` is how many pipelines ended where today's asks
    for another step: it is the least that would have been done more. ``unpublished`` were published and would have
    failed instead, ``revived`` failed and would have gone on. ``open_rest`` is the recorded work of those that
    would have gone on otherwise: what would have taken its place, nobody knows. ``mean_step_s`` is over all steps.
    """

    pipelines: int
    facts: int
    decisions: int
    differ: int
    pending: int
    unplayable: int
    saved: Work
    added_steps: int
    open_rest: Work
    unpublished: int
    revived: int
    mean_step_s: float
    kinds: tuple[Kind, ...]


@dataclass
class Tally:
    """Give it each result; ask for the `summary`."""

    pipelines: int = 0
    facts: int = 0
    decisions: int = 0
    pending: int = 0
    unplayable: int = 0
    work: Work = field(default_factory=Work)
    unpublished: int = 0
    revived: int = 0
    kinds: dict[tuple[str, str, Effect], Kind] = field(default_factory=dict)

    def add(self, played: Replayed) -> None:
        self.pipelines += 1
        self.facts += played.facts
        self.decisions += played.decisions
        self.pending += played.pending is not None
        self.work = self.work.plus(played.work)
        if played.difference is None:
            return
        recorded, today = played.difference.recorded, played.difference.today
        effect = played.difference.effect
        self.unpublished += played.status in _PUBLISHED and today.type == PipelineFailed.TYPE
        self.revived += played.status is Status.FAILED and effect is Effect.ADDED
        key = (recorded.text, today.text, effect)
        known = self.kinds.get(key)
        self.kinds[key] = Kind(
            recorded=recorded.text,
            today=today.text,
            effect=effect,
            pipelines=known.pipelines + 1 if known else 1,
            rest=known.rest.plus(played.rest) if known else played.rest,
        )

    def skip(self) -> None:
        """One more that cannot be played."""
        self.pipelines += 1
        self.unplayable += 1

    def summary(self) -> Summary:
        kinds = sorted(self.kinds.values(), key=lambda kind: (-kind.pipelines, kind.recorded, kind.today))
        return Summary(
            pipelines=self.pipelines,
            facts=self.facts,
            decisions=self.decisions,
            differ=sum(kind.pipelines for kind in kinds),
            pending=self.pending,
            unplayable=self.unplayable,
            saved=_rest(kinds, Effect.SAVED),
            added_steps=sum(kind.pipelines for kind in kinds if kind.effect is Effect.ADDED),
            open_rest=_rest(kinds, Effect.OPEN),
            unpublished=self.unpublished,
            revived=self.revived,
            mean_step_s=self.work.seconds / self.work.steps if self.work.steps else 0.0,
            kinds=tuple(kinds),
        )


def _rest(kinds: list[Kind], effect: Effect) -> Work:
    total = Work()
    for kind in kinds:
        if kind.effect is effect:
            total = total.plus(kind.rest)
    return total
