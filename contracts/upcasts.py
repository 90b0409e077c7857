"""Old event -> current event. An upcast is never deleted: old facts always load."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Upcast = Callable[[dict[str, Any]], dict[str, Any]]


def _without_answers(data: dict[str, Any]) -> dict[str, Any]:
    """Before version 2 nobody could hand in recorded answers."""
    return {**data, "answers": None}


def _without_reason(data: dict[str, Any]) -> dict[str, Any]:
    """Before version 2 only who denied could say why."""
    return {**data, "reason": ""}


def _with_budget(data: dict[str, Any]) -> dict[str, Any]:
    """Before there was a budget, no agent had a model that could have spent it."""
    policy = data.get("policy")
    return {**data, "policy": policy and {**policy, "budget_usd": 20.0}}


def _without_budget(data: dict[str, Any]) -> dict[str, Any]:
    """Before version 2 no failure was about money."""
    return {**data, "budget_usd": None}


def _about_publishing(data: dict[str, Any]) -> dict[str, Any]:
    """Before version 2 a person was asked about nothing else."""
    return {**data, "about": "publish"}


def _by_the_compiler(data: dict[str, Any]) -> dict[str, Any]:
    """Before version 2 no model wrote code."""
    return {**data, "by_model": False}


UPCASTS: dict[tuple[str, int], Upcast] = {
    ("pipeline.submitted", 1): _without_answers,
    ("pipeline.submitted", 2): _with_budget,
    ("pipeline.forked", 1): _with_budget,
    ("agent.failed", 1): _without_budget,
    ("approval.requested", 1): _about_publishing,
    ("approval.granted", 1): _without_reason,
    ("connector.generated", 1): _by_the_compiler,
}
"""(type, version) -> the step to version + 1."""


def upcast(type_: str, version: int, data: dict[str, Any]) -> dict[str, Any]:
    """Apply every step from ``version`` up to the current one."""
    while step := UPCASTS.get((type_, version)):
        data, version = step(data), version + 1
    return data
