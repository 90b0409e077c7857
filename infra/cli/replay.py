"""`connectors replay`: where today's code, or another policy, would have decided otherwise than is recorded."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from rich.console import Console

from contracts.envelope import UnknownFact
from contracts.errors import Rejected
from contracts.queries import History
from infra.cli.histories import all_histories, facts_of
from infra.cli.policy_file import read_policy, revision
from infra.cli.reach import reach
from infra.cli.replay_table import Rows, show_one, show_summary
from services.router.replay import Compared, Play, Replayed, Revise
from services.router.tally import Tally

SAME, DIFFERS, TROUBLE = 0, 1, 2
"""Exit codes, as of diff(1)."""

TOLD_EVERY = 50


@dataclass(frozen=True)
class Options:
    """``policy``: a file. ``show``: how many pipelines that differ are listed; JSON lists all of them."""

    policy: Path | None
    as_json: bool
    show: int
    url: str | None
    data: Path

    def revise(self) -> Revise | None:
        return None if self.policy is None else revision(read_policy(self.policy), str(self.policy))


@dataclass
class Playing:
    """A pipeline on its way through today's code. ``why``: it cannot be played."""

    pipeline: str
    play: Play
    why: str | None = None
    compared: list[Compared] = field(default_factory=list)
    keep: bool = False

    def add(self, part: History) -> None:
        self.why = self.why or part.unreadable
        try:
            for recorded in () if self.why else part.facts:
                found = self.play.fact(recorded.event)
                if found is not None and self.keep:
                    self.compared.append(found)
        except (UnknownFact, Rejected) as error:
            self.why = str(error)

    def result(self) -> Replayed | str:
        """What came of it, or why it cannot be played."""
        try:
            return self.why or self.play.result()
        except Rejected as error:
            return str(error)


async def replay_one(pipeline: str, options: Options, out: Console) -> int:
    """Print every decision of ``pipeline`` beside today's.

    Raises:
        Rejected: there is no such pipeline, or it cannot be played.
    """
    playing = Playing(pipeline, Play(pipeline, options.revise()), keep=True)
    async with reach(options.url, options.data, in_trouble=True) as gateway:
        async for recorded in facts_of(gateway, pipeline):
            playing.add(History(pipeline=pipeline, facts=(recorded,)))
    played = playing.result()
    if isinstance(played, str):
        raise Rejected(played, where=f"pipeline {pipeline}")
    if options.as_json:
        compared = [{"same": one.same, **one.model_dump(mode="json")} for one in playing.compared]
        out.file.write(json.dumps({**played.model_dump(mode="json"), "compared": compared}, indent=2) + "\n")
    else:
        show_one(played, playing.compared, out)
    return DIFFERS if played.difference else SAME


async def replay_all(options: Options, out: Console, err: Console) -> int:
    """Play the whole history, one pipeline after another, and print where each leaves it."""
    tally, revise, began = Tally(), options.revise(), monotonic()
    rows = Rows(out, options.show, options.as_json)
    async with (
        reach(options.url, options.data, in_trouble=True) as gateway,
        aclosing(all_histories(gateway)) as histories,
    ):
        with err.status("playing") as status:
            async for pipeline, played in _played(histories, revise):
                if isinstance(played, str):
                    tally.skip()
                    rows.unplayed(pipeline, played)
                else:
                    tally.add(played)
                    rows.played(played)
                if tally.pipelines % TOLD_EVERY == 0:
                    status.update(f"played {tally.pipelines:,} pipelines, {tally.facts:,} facts")
    summary = tally.summary()
    if options.as_json:
        out.file.write(json.dumps({"summary": summary.model_dump(mode="json")}) + "\n")
    else:
        show_summary(summary, monotonic() - began, out)
    if summary.unplayable:
        return TROUBLE
    return DIFFERS if summary.differ else SAME


async def _played(
    histories: AsyncIterator[History], revise: Revise | None
) -> AsyncIterator[tuple[str, Replayed | str]]:
    """Each pipeline with its result, as soon as its last fact is played."""
    playing: Playing | None = None
    async for part in histories:
        if playing is None or playing.pipeline != part.pipeline:
            if playing is not None:
                yield playing.pipeline, playing.result()
            playing = Playing(part.pipeline, Play(part.pipeline, revise))
        playing.add(part)
    if playing is not None:
        yield playing.pipeline, playing.result()
