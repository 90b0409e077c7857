"""`make corpus`: all documents through the real pipeline, and the scoreboard. Figures are printed, never asserted.

python -m tests.corpus                                   all documents, about ten minutes
python -m tests.corpus --only stripe jira                some of them
python -m tests.corpus --research-only --differences     research alone, in seconds
python -m tests.corpus --hold-out A B / --truth C D      without the truths A and B / only with C and D
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from contracts.errors import ConnectorsError
from tests.corpus import board
from tests.corpus.compare import Answer, compare
from tests.corpus.folder import ROOT, chosen, documents, truths
from tests.corpus.runs import Order, Run, Site, offered, on_a_stack, pipeline, research
from tests.corpus.truth import read


def main(argv: Sequence[str] | None = None) -> int:
    """0 when every document was published (or, with ``--research-only``, researched)."""
    options = _options(argv)
    console, err = board.wide(), Console(stderr=True, highlight=False)
    try:
        picked = chosen(documents(), options.only)
        scored = chosen(truths(), options.truth, but=options.hold_out)
    except ConnectorsError as error:
        err.print(f"[red]error:[/] {escape(str(error))}", soft_wrap=True)
        return 2
    if not picked:
        err.print(f"[red]error:[/] there is no corpus in {ROOT}: set CORPUS_DIR")
        return 2
    scored = {name: path for name, path in scored.items() if name in picked}
    runs, answers = _researched(picked, scored, err, all_documents=options.research_only)
    if not options.research_only:
        runs = asyncio.run(_piped(picked, options.at_a_time, options.timeout_s, err))
    board.show_runs(runs, console, whole=not options.research_only)
    board.show_unproven(runs, console)
    if answers:
        board.show_scores(answers, console)
    if options.differences:
        board.show_differences(answers, console)
    if options.json is not None:
        told = {"runs": [asdict(run) for run in runs], "answers": [asdict(answer) for answer in answers]}
        options.json.write_text(json.dumps(told, indent=2) + "\n")
    return 0 if all(run.outcome in ("success", "partial", "researched") for run in runs) else 1


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.corpus", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these documents (default: all)")
    parser.add_argument("--research-only", action="store_true", help="research alone, in this process")
    parser.add_argument("--truth", nargs="+", metavar="NAME", help="score these truths only")
    parser.add_argument("--hold-out", nargs="+", metavar="NAME", default=(), help="leave these truths alone")
    parser.add_argument("--differences", action="store_true", help="print every answer that is not right")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write runs and answers there, too")
    parser.add_argument("--at-a-time", type=int, default=1, metavar="N", help="pipelines side by side (1)")
    parser.add_argument("--timeout-s", type=float, default=1800, metavar="S", help="for one pipeline (1800)")
    return parser.parse_args(argv)


def _researched(
    picked: dict[str, Path], scored: dict[str, Path], err: Console, *, all_documents: bool
) -> tuple[list[Run], list[Answer]]:
    """Research of each document (or of those only that have a truth), and the answers against the truths."""
    runs: list[Run] = []
    answers: list[Answer] = []
    for name, path in picked.items():
        if all_documents or name in scored:
            run, blueprint = research(name, path)
            err.print(f"{name}: {run.outcome} after {run.seconds:.1f} s", style="dim")
            runs.append(run)
            if name in scored:
                answers += compare(read(scored[name]), blueprint, offered(name, path))
    return runs, answers


async def _piped(picked: dict[str, Path], at_a_time: int, timeout_s: float, err: Console) -> list[Run]:
    async def one(name: str, path: Path, site: Site) -> Run:
        return await pipeline(name, path, site, board.sayer(err), Order(timeout_s=timeout_s))

    return await on_a_stack(picked, one, at_a_time=at_a_time)


if __name__ == "__main__":
    sys.exit(main())
