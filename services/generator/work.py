"""One task of the generator from bytes to bytes: fit for a child process."""

from __future__ import annotations

from typing import Any

from contracts.blueprint import ApiBlueprint
from contracts.events import GeneratorMode
from contracts.reports import FeedbackList
from services.generator.compiler import compile_connector, left_out
from services.generator.repair import Repair, repair


def generate(
    blueprint: bytes, mode: str, choices: dict[str, int], degraded: tuple[str, ...], feedback: bytes | None
) -> dict[str, Any]:
    """The tree, and what was decided on the way:
    ``{package, tree, choices, degraded, steps, left, hopeless}``.

    GENERATE starts from the blueprint's best answers; FIX and IMPROVE go on from ``choices``. ``left`` says in
    words what could not be done. With ``hopeless``, which says why, there is no tree: every stream was dropped.

    Raises:
        Permanent: no stream of the blueprint can be built.
    """
    known = ApiBlueprint.model_validate_json(blueprint)
    plan = Repair(choices={}, degraded=frozenset(), steps=())
    if mode != GeneratorMode.GENERATE:
        items = FeedbackList.model_validate_json(feedback).items if feedback else ()
        plan = repair(known, choices, frozenset(degraded), items, GeneratorMode(mode))
    impossible = left_out(known, plan.choices, plan.degraded)
    absent = plan.degraded | frozenset(impossible)
    hopeless = ""
    if len(absent) == len(known.streams) and plan.degraded:
        hopeless = f"every stream of {known.name} failed its tests, and no alternative is left for any"
    missing = [f"{name}: left out, {reason}" for name, reason in impossible.items()]
    return {
        "package": known.package,
        "tree": {} if hopeless else dict(compile_connector(known, plan.choices, plan.degraded)),
        "choices": plan.choices,
        "degraded": sorted(absent),
        "steps": [*plan.steps, *missing],
        "left": missing if mode == GeneratorMode.GENERATE else list(plan.left),
        "hopeless": hopeless,
    }
