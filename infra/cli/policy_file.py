"""A policy in a file: YAML or JSON with some of the fields of `contracts.policy.Policy`."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from contracts.errors import Rejected
from contracts.policy import Policy
from infra.runtime.documents import ParseLimits, parse

LIMITS = ParseLimits(bytes=64 * 1024, nodes=1_000, depth=8)


def read_policy(path: Path) -> dict[str, Any]:
    """The fields that the file gives, each a valid value of its own.

    Raises:
        Rejected: it cannot be read, is no mapping, has a field that there is not, or a value that it cannot have.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Rejected(f"the policy cannot be read: {error.strerror}", where=str(path)) from None
    given = parse(content, where=str(path), limits=LIMITS)
    if not isinstance(given, dict):
        raise Rejected(
            f"a policy names fields and values, as `code_repairs: 5`; fields: {_fields()}", where=str(path)
        )
    for name in given:
        if name not in Policy.model_fields:
            near = difflib.get_close_matches(name, Policy.model_fields, n=1)
            meant = f"did you mean {near[0]}?" if near else f"there are {_fields()}"
            raise Rejected(f"a policy has no field {name}; {meant}", where=str(path))
    revised(Policy(), given, str(path))
    return given


def revision(given: dict[str, Any], where: str) -> Callable[[Policy], Policy]:
    """What makes of a pipeline's own policy the one with the fields ``given``. The others stay what they were.

    Raises (when called):
        Rejected: together they make no policy.
    """
    return lambda own: revised(own, given, where)


def revised(own: Policy, given: dict[str, Any], where: str) -> Policy:
    """``own`` with the fields ``given``; see `revision`."""
    try:
        return Policy.model_validate({**own.model_dump(), **given})
    except ValidationError as error:
        faults = ((".".join(map(str, fault["loc"])), fault["msg"]) for fault in error.errors())
        said = "; ".join(f"{name}: {what}" if name else what for name, what in faults)
        raise Rejected(said.replace("Value error, ", ""), where=where) from None


def _fields() -> str:
    return ", ".join(Policy.model_fields)
