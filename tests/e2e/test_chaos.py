"""A short run of `make chaos`: kills and pauses at random moments lose nothing."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.run import Chaos, run

SEED = 1570
"""It kills an agent, the bus, the router and two more agents in its first two seconds."""


async def test_random_kills_lose_nothing(tmp_path: Path) -> None:
    told: list[str] = []
    chaos = Chaos(seed=SEED, pipelines=10, folder=tmp_path, every_s=0.7, limit_s=10)
    outcome = await run(chaos, told.append)

    verdict = outcome.verdict
    assert (verdict.lost, verdict.duplicated, verdict.divergent) == ((), (), ()), told
    assert outcome.kills["nats-server"] >= 1
    assert outcome.kills.total() >= 2
