"""Which path variables of the simulated API have the config's values."""

from __future__ import annotations

from contracts.simulation import Endpoint, PathBinding, Records, SimulatedApi, Source
from services.tester.conformance.variables import free_variables

RECORDS = Records(json_schema={"type": "object"})


def api(*paths: str, bound: str = "") -> SimulatedApi:
    """Endpoints of these paths; the variable ``bound`` names records of ``GET /networks``."""
    binding = PathBinding(variable=bound or "x", sources=(Source(endpoint="GET /networks", field=("id",)),))
    endpoints = (
        Endpoint(
            key=f"GET {path}", path=path, records=RECORDS, bindings=(binding,) if f"{{{bound}}}" in path else ()
        )
        for path in paths
    )
    return SimulatedApi(title="t", endpoints={endpoint.key: endpoint for endpoint in endpoints})


def test_a_free_variable_takes_the_field_of_its_name() -> None:
    assert free_variables(api("/teams/{teamId}"), {"team_id": "red"}, {}) == {"teamId": "red"}


def test_a_field_that_fills_one_variable_is_not_taken_for_another_of_its_name() -> None:
    """Or every list below ``{networkId}`` would hold the config's network alone."""
    one = api("/apps/{config.network_id}", "/networks/{networkId}/devices", "/sites/{networkId}/maps")
    found = free_variables(one, {"network_id": "N1"}, {"config.network_id": "network_id"})
    assert found == {"config.network_id": "N1"}


def test_what_a_parent_gives_is_not_free() -> None:
    assert free_variables(api("/networks/{id}/devices", bound="id"), {"id": "1"}, {}) == {}
