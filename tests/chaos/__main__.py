"""``python -m tests.chaos [--seed S] [--pipelines N]``: kill whatever runs, and see whether anything is lost.

Real router, event store, gateway and nats-server as processes of their own, scripted agents in the real agent loop.
Exit code 1 if anything was lost, is there twice, or differs; the run's folder is kept then.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.run import Chaos, Outcome, run

SHOWN = 20
"""Findings of a kind that are printed."""


def main() -> int:
    options = _options()
    seed = secrets.randbelow(100_000) if options.seed is None else options.seed
    folder = Path(tempfile.mkdtemp(prefix=f"chaos-{seed}-"))
    chaos = Chaos(seed, options.pipelines, folder, every_s=options.every_s, limit_s=options.limit_s)
    say(f"seed {seed}: {chaos.pipelines} pipelines, a blow every {chaos.every_s:g} s, in {folder}")
    logging.basicConfig(filename=folder / "chaos.log", format="%(asctime)s %(name)s: %(message)s")
    outcome = asyncio.run(run(chaos, say))
    for line in summary(chaos, outcome):
        say(line)
    if outcome.verdict.clean:
        shutil.rmtree(folder)
        return 0
    say(f"\nrepeat it with --seed {seed} --pipelines {chaos.pipelines}; its logs and its data are in {folder}")
    return 1


def say(line: str) -> None:
    print(line, flush=True)


def summary(chaos: Chaos, outcome: Outcome) -> Iterator[str]:
    """What was done, and what came of it, in lines to read."""
    kills = ", ".join(f"{name} {count}" for name, count in sorted(outcome.kills.items()))
    verdict = outcome.verdict
    yield ""
    yield f"seed        {chaos.seed}"
    yield f"kills       {sum(outcome.kills.values())}: {kills or 'none'}"
    yield f"pauses      {outcome.pauses} of the bus"
    yield f"pipelines   {chaos.pipelines}, {outcome.facts} facts, {outcome.attempts} attempts"
    yield f"given up    {len(verdict.given_up)} (one of their tasks was killed three times)"
    yield f"seconds     {outcome.seconds:.0f}"
    for name in ("lost", "duplicated", "divergent"):
        found = getattr(verdict, name)
        yield f"{name:<11} {len(found)}"
        yield from (f"  {line}" for line in found[:SHOWN])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seed", type=int, help="of pipelines and blows (default: a random one, which is printed)")
    parser.add_argument("--pipelines", type=int, default=200, metavar="N")
    parser.add_argument("--every-s", type=float, default=0.8, metavar="S", help="between two blows (0.8)")
    parser.add_argument("--limit-s", type=float, default=900, metavar="S", help="then the blows end (900)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
