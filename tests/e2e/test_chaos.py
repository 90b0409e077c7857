"""A short run of `make chaos`: kills and pauses at random moments lose nothing."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.run import Chaos, run


async def test_random_kills_lose_nothing(tmp_path: Path) -> None:
    told: list[str] = []
    outcome = await run(Chaos(seed=4, pipelines=10, folder=tmp_path, every_s=0.8, limit_s=45), told.append)

    verdict = outcome.verdict
    assert (verdict.lost, verdict.duplicated, verdict.divergent) == ((), (), ()), told
    assert outcome.kills.total() >= 3
