"""`make evals`: a real model on twenty real APIs, through the real pipeline. Figures are printed, never asserted.

python -m tests.evals --budget-usd 100                   those with a truth and the smallest others
python -m tests.evals --only jira trello --each-usd 10   these two
python -m tests.evals --withheld                         without documents: research has to find out by itself
python -m tests.evals --record NAME / --replay NAME      keep what the API answers / serve that, without a key

A key is taken from ANTHROPIC_API_KEY or ANTHROPIC_API_KEY_FILE, models from CLAUDE_MODEL, as by every agent.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pydantic import BaseModel
from rich.console import Console
from rich.markup import escape

from contracts.blueprint import ApiBlueprint
from contracts.errors import ConnectorsError, Rejected
from contracts.events import Engine
from contracts.turns import Spent
from infra.cli.client import Gateway
from infra.runtime.claude.settings import ClaudeSettings
from tests.corpus import board as corpus_board
from tests.corpus.compare import compare
from tests.corpus.folder import ROOT, chosen, documents, truths
from tests.corpus.runs import Order, Run, Say, Site, offered, on_a_stack, pipeline
from tests.corpus.truth import read
from tests.evals import board
from tests.evals.api import Api, place
from tests.evals.evaluation import Evaluation, refuse_above, twenty

BUDGET_USD = 20.0
EACH_USD = 5.0
EVERY_PIPELINE_S = 2 * 3600.0


def main(argv: Sequence[str] | None = None) -> int:
    """0 when everything was published, 1 when not, 2 when nothing was begun."""
    options = _options(argv)
    console, err = corpus_board.wide(), Console(stderr=True, highlight=False)
    api, settings = Api(options.record, options.replay), ClaudeSettings()
    try:
        api.refuse_without(settings)
        picked = _picked(options.only)
        if api.replay is None:
            refuse_above(options.budget_usd, options.each_usd, len(picked))
    except ConnectorsError as error:
        err.print(f"[red]error:[/] {escape(str(error))}", soft_wrap=True)
        return 2
    policy = {"budget_usd": options.each_usd}
    order = Order(Engine.CLAUDE, withheld=options.withheld, policy=policy, timeout_s=options.timeout_s)
    ended = asyncio.run(_run(picked, order, api, settings, options.at_a_time, corpus_board.sayer(err)))
    evaluations = [_judged(one, picked) for one in ended]
    if api.replay is not None:
        console.print(f"replayed from {escape(str(api.replay))}: nothing was paid now, USD is what it cost then")
    board.show(evaluations, console)
    if options.json is not None:
        options.json.write_text(_json(evaluations, withheld=options.withheld))
    return 0 if all(one.run.outcome in ("success", "partial") for one in evaluations) else 1


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.evals", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these documents (default: twenty of them)")
    parser.add_argument("--withheld", action="store_true", help="do not give the document: the web has to do")
    kept = parser.add_mutually_exclusive_group()
    kept.add_argument("--record", type=place, metavar="FOLDER", help="keep the API's answers there")
    kept.add_argument("--replay", type=place, metavar="FOLDER", help="serve what was kept there; needs no key")
    parser.add_argument("--budget-usd", type=float, default=BUDGET_USD, metavar="USD", help="the most for all (20)")
    parser.add_argument("--each-usd", type=float, default=EACH_USD, metavar="USD", help="the most for one API (5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything there, too")
    parser.add_argument("--at-a-time", type=int, default=1, metavar="N", help="pipelines side by side (1)")
    parser.add_argument("--timeout-s", type=float, default=EVERY_PIPELINE_S, metavar="S", help="for one (7200)")
    return parser.parse_args(argv)


def _picked(only: Sequence[str] | None) -> dict[str, Path]:
    """
    Raises:
        Rejected: there is no corpus, or it has no such document.
    """
    found = documents()
    if not found:
        raise Rejected(f"there is no corpus in {ROOT}: set CORPUS_DIR")
    sizes = {name: path.stat().st_size for name, path in found.items()}
    return chosen(found, only or twenty(sizes, truths()))


@dataclass(frozen=True)
class _Ended:
    """A pipeline that is over, the blueprint that its research came to, and what it spent."""

    run: Run
    spent: Spent | None = None
    blueprint: ApiBlueprint | None = None


async def _run(
    picked: Mapping[str, Path], order: Order, api: Api, settings: ClaudeSettings, at_a_time: int, say: Say
) -> list[_Ended]:
    async def one(name: str, path: Path, site: Site) -> _Ended:
        run = await pipeline(name, path, site, say, order)
        try:
            return _Ended(run, await _spent(run, site.gateway), await _blueprint(run, site.gateway))
        except ConnectorsError as error:  # one that cannot be read must not lose what the others were paid for
            return _Ended(replace(run, reason=f"{run.reason} (what came of it cannot be read: {error})".strip()))

    async with api.serving(settings) as environment:
        return await on_a_stack(picked, one, at_a_time=at_a_time, environment=environment)


async def _spent(run: Run, gateway: Gateway) -> Spent:
    if not run.pipeline:
        return Spent()
    return Spent.model_validate((await gateway.ask(f"/pipelines/{run.pipeline}/costs"))["total"])


async def _blueprint(run: Run, gateway: Gateway) -> ApiBlueprint | None:
    if not run.pipeline:
        return None
    lines = (await gateway.ask(f"/pipelines/{run.pipeline}/artifacts"))["artifacts"]
    href = next((line["href"] for line in lines if line["role"] == "blueprint"), None)
    return await gateway.read(href, ApiBlueprint) if href else None


def _judged(ended: _Ended, picked: Mapping[str, Path]) -> Evaluation:
    name = ended.run.document
    truth = truths().get(name)
    answers = compare(read(truth), ended.blueprint, offered(name, picked[name])) if truth else ()
    return Evaluation(ended.run, ended.spent, tuple(answers))


def _json(evaluations: Sequence[Evaluation], *, withheld: bool) -> str:
    def plain(value: object) -> object:
        assert isinstance(value, BaseModel)
        return value.model_dump(mode="json")

    told = {"withheld": withheld, "evaluations": [asdict(one) for one in evaluations]}
    return json.dumps(told, default=plain, indent=2) + "\n"


if __name__ == "__main__":
    sys.exit(main())
