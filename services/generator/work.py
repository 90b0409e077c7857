"""One task of the generator from bytes to bytes: fit for a child process."""

from __future__ import annotations

from typing import Any

from contracts.blueprint import ApiBlueprint
from contracts.errors import Permanent
from contracts.events import GeneratorMode
from contracts.reports import FeedbackList
from services.generator.compiler import compile_connector, left_out
from services.generator.repair import Repair, repair


def generate(
    blueprint: bytes, mode: str, choices: dict[str, int], degraded: tuple[str, ...], feedback: bytes | None
) -> dict[str, Any]:
    """The tree, and what was decided on the way: ``{tree, choices, degraded, steps}``.

    GENERATE starts from the blueprint's best answers; FIX and IMPROVE go on from ``choices``.

    Raises:
        Permanent: no stream is left that could be built.
    """
    known = ApiBlueprint.model_validate_json(blueprint)
    plan = Repair(choices={}, degraded=frozenset(), steps=())
    if mode != GeneratorMode.GENERATE:
        items = FeedbackList.model_validate_json(feedback).items if feedback else ()
        plan = repair(known, choices, frozenset(degraded), items, GeneratorMode(mode))
    impossible = left_out(known, plan.choices, plan.degraded)
    absent = plan.degraded | frozenset(impossible)
    if len(absent) == len(known.streams) and plan.degraded:
        raise Permanent(f"every stream of {known.name} failed its tests, and no alternative is left for any")
    return {
        "tree": dict(compile_connector(known, plan.choices, plan.degraded)),
        "choices": plan.choices,
        "degraded": sorted(absent),
        "steps": [*plan.steps, *(f"{name}: left out, {reason}" for name, reason in impossible.items())],
    }
