"""Who may reach whom in a cluster, computed from the rendered policies: what is listed here, and nobody else."""

from __future__ import annotations

from itertools import product

import pytest

from contracts.services import Service
from infra.deploy.lock import WITH_MODEL
from tests.support.manifests import COMPONENT, OVERLAYS, Rendered, Workload, kubernetes_name, rendered
from tests.support.reach import Address, End, Pod, may_connect

pytestmark = pytest.mark.xdist_group("kubernetes")

NAMESPACE = "agentic-connectors"
DNS = Pod({"k8s-app": "kube-dns"}, "kube-system")
PUBLIC, METADATA, PRIVATE = Address("93.184.215.14"), Address("169.254.169.254"), Address("10.20.0.7")
INGRESS = Pod({"app.kubernetes.io/name": "ingress-nginx"}, "ingress-nginx")
PROMETHEUS = Pod({"app.kubernetes.io/name": "prometheus"}, "monitoring")
KEDA = Pod({"app": "keda-operator"}, "keda")
STRANGER = Pod({COMPONENT: "nats", "uses-bus": "true"}, "default")
OUTSIDE: dict[str, End] = {
    "dns": DNS,
    "public": PUBLIC,
    "ipv6": Address("2606:4700::1111"),
    "metadata": METADATA,
    "private": PRIVATE,
    "private6": Address("fd00::1"),
    "ingress": INGRESS,
    "prometheus": PROMETHEUS,
    "keda": KEDA,
    "stranger": STRANGER,
}
PORTS = (22, 53, 80, 443, 4222, 4317, 4318, 5432, 6222, 6443, 8002, 8080, 8222)


@pytest.fixture(params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> Rendered:
    return rendered(request.param)


def _pod(workload: Workload) -> Pod:
    ports = {port["name"]: port["containerPort"] for port in workload.container["ports"]}
    return Pod(workload.labels, NAMESPACE, ports=ports)


def _edges(overlay: Rendered) -> set[tuple[str, str, int]]:
    """Everything that may be connected over TCP, without DNS."""
    inside = {name: _pod(workload) for name, workload in overlay.workloads.items()}
    ends: dict[str, End] = {**inside, **OUTSIDE}
    policies = overlay.of("NetworkPolicy")
    return {
        (source, target, port)
        for source, target, port in product(ends, ends, PORTS)
        if (source in inside or target in inside)
        and source != target
        and port != 53
        and may_connect(policies, ends[source], ends[target], port)
    }


def _wanted(overlay: str) -> set[tuple[str, str, int]]:
    services = set(map(kubernetes_name, Service))
    web = {"research"} if overlay == "local" else {kubernetes_name(service) for service in WITH_MODEL}
    edges = {(service, "nats", 4222) for service in services}
    edges |= {("prometheus", service, 8080) for service in services}
    edges |= {("prometheus", "nats", 8222), ("keda", "nats", 8222)}
    edges |= {("ingress", "gateway", 8002), ("gateway", "prometheus", 4317), ("gateway", "prometheus", 4318)}
    edges |= {(service, place, 443) for service in web for place in ("public", "ipv6")}
    edges |= {("research", place, 80) for place in ("public", "ipv6")}
    edges |= {("event-store", "postgres" if overlay == "local" else "private", 5432)}
    return edges


def test_exactly_the_listed_connections_are_possible(overlay: Rendered) -> None:
    assert _edges(overlay) == _wanted(overlay.overlay)


def test_a_tester_reaches_the_bus_and_its_names_and_nothing_else(overlay: Rendered) -> None:
    assert {edge[1:] for edge in _edges(overlay) if edge[0] == "tester"} == {("nats", 4222)}
    tester, policies = _pod(overlay.service(Service.TESTER)), overlay.of("NetworkPolicy")
    for protocol in ("UDP", "TCP"):
        assert may_connect(policies, tester, DNS, 53, protocol=protocol)
    assert not may_connect(policies, tester, Address("8.8.8.8"), 53, protocol="UDP")


def test_nodes_of_the_bus_reach_each_other(overlay: Rendered) -> None:
    node, policies = _pod(overlay.workloads["nats"]), overlay.of("NetworkPolicy")
    assert may_connect(policies, node, node, 6222)
    assert not may_connect(policies, node, node, 4222)
