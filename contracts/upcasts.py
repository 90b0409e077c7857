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


UPCASTS: dict[tuple[str, int], Upcast] = {
    ("pipeline.submitted", 1): _without_answers,
    ("approval.granted", 1): _without_reason,
}
"""(type, version) -> the step to version + 1."""


def upcast(type_: str, version: int, data: dict[str, Any]) -> dict[str, Any]:
    """Apply every step from ``version`` up to the current one."""
    while step := UPCASTS.get((type_, version)):
        data, version = step(data), version + 1
    return data
