"""How fast facts fold into states, beside pydantic alone: validating each fact and doing nothing with it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from contracts.envelope import Envelope
from contracts.pipeline import fold
from contracts.policy import Policy
from services.router.replay import Play
from tests.benchmarks.recorded import peak_mib
from tests.benchmarks.report import Cell, Report, Table, goal
from tests.support.lives import lived
from tests.support.log import PIPELINE

GOAL = 100_000
BURSTS = 100
"""Of each contender and round, in turn."""

LIVES = 20
"""Of one burst: short enough to fit between two things of a busy machine."""


def run(report: Report) -> None:
    logs = [lived(Policy(), seed).facts for seed in range(LIVES)]
    payloads = [[fact.encode() for fact in log] for log in logs]
    facts = sum(map(len, logs))
    contenders: dict[str, Callable[[], object]] = {
        "pydantic: validate": lambda: [fact.fact() for log in logs for fact in log],
        "pydantic: decode, validate": lambda: [Envelope.decode(one).fact() for log in payloads for one in log],
        "fold": lambda: [fold(log) for log in logs],
        "decode, fold": lambda: [fold(map(Envelope.decode, log)) for log in payloads],
        "decode, fold, decide, compare": lambda: [_replayed(log) for log in payloads],
    }
    taken: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(BURSTS * report.rounds):
        for name, work in contenders.items():
            began = time.thread_time()
            work()
            taken[name].append(time.thread_time() - began)
    rows: list[list[Cell]] = [
        [name, facts / min(times), facts / statistics.median(times)] for name, times in taken.items()
    ]
    notes = [
        goal("facts/s folded", facts / min(taken["fold"]), GOAL, unit=""),
        f"of processor time, {facts:,} facts of {LIVES} pipelines a burst; peak {peak_mib():.0f} MiB",
        report.conditions(BURSTS * report.rounds),
    ]
    report.add(Table("fold", ("", "best facts/s", "median facts/s"), rows, notes))


def _replayed(log: list[bytes]) -> object:
    play = Play(PIPELINE)
    for payload in log:
        play.fact(Envelope.decode(payload))
    return play.result()
