"""Path variables that a connector takes from its config."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from contracts.simulation import SimulatedApi
from infra.runtime.simulator.population import variables_of


def free_variables(
    api: SimulatedApi, config: Mapping[str, Any], fields: Mapping[str, str], keys: Collection[str] = ()
) -> dict[str, str]:
    """Path variable -> its value, of those that no other endpoint's records give: of the config's field that
    ``fields`` names for it, or of the one of the same name, if that is nobody's. ``keys`` are the endpoints that
    streams read (none: all)."""
    taken = {_plain(field) for field in fields.values()}
    plain = {_plain(name): value for name, value in config.items() if isinstance(value, str | int)}
    found = {}
    for endpoint in (each for key, each in api.endpoints.items() if not keys or key in keys):
        bound = {binding.variable for binding in endpoint.bindings}
        for variable in variables_of(endpoint.path):
            name = _plain(fields.get(variable, variable))
            value = plain.get(name) if variable in fields or name not in taken else None
            if variable not in bound and value is not None and not isinstance(value, bool):
                found[variable] = str(value)
    return found


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
