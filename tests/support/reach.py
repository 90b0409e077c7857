"""Who may connect to whom, computed from NetworkPolicies as Kubernetes defines them. Pure.

A pod that no policy of a direction selects is open in that direction; else it may do what one of them allows. A
connection needs both: the egress of one end, the ingress of the other.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Fields = Mapping[str, Any]


@dataclass(frozen=True)
class Pod:
    """An end within the cluster. ``ports``: container ports by name, which a policy may use."""

    labels: Mapping[str, str]
    namespace: str
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Address:
    """An end outside of the cluster."""

    ip: str


End = Pod | Address


def may_connect(policies: Iterable[Fields], source: End, target: End, port: int, *, protocol: str = "TCP") -> bool:
    """Whether ``source`` may open a connection to ``port`` of ``target``."""
    known = tuple(policies)
    return _allowed(known, "Egress", source, target, target, port, protocol) and _allowed(
        known, "Ingress", target, source, target, port, protocol
    )


def _allowed(
    policies: tuple[Fields, ...], direction: str, subject: End, other: End, target: End, port: int, protocol: str
) -> bool:
    if isinstance(subject, Address):
        return True
    selecting = [
        policy["spec"]
        for policy in policies
        if policy["metadata"]["namespace"] == subject.namespace
        and direction in _directions(policy["spec"])
        and selects(policy["spec"]["podSelector"], subject.labels)
    ]
    if not selecting:
        return True
    rules, peers = ("egress", "to") if direction == "Egress" else ("ingress", "from")
    return any(
        _is_port(rule.get("ports"), port, protocol, target) and _is_peer(rule.get(peers), other, subject.namespace)
        for spec in selecting
        for rule in spec.get(rules, ())
    )


def _directions(spec: Fields) -> Iterable[str]:
    return spec.get("policyTypes") or ("Ingress", *(("Egress",) if "egress" in spec else ()))


def selects(selector: Fields, labels: Mapping[str, str]) -> bool:
    """Whether a label selector matches; an empty one matches everything."""
    pairs = selector.get("matchLabels", {}).items()
    return all(labels.get(name) == value for name, value in pairs) and all(
        _matches(expression, labels) for expression in selector.get("matchExpressions", ())
    )


def _matches(expression: Fields, labels: Mapping[str, str]) -> bool:
    value = labels.get(expression["key"])
    match expression["operator"]:
        case "In":
            return value in expression["values"]
        case "NotIn":
            return value not in expression["values"]
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    raise ValueError(f"not an operator of a selector: {expression['operator']}")


def _is_port(ports: Iterable[Fields] | None, port: int, protocol: str, target: End) -> bool:
    if not ports:
        return True
    return any(
        entry.get("protocol", "TCP") == protocol
        and ("port" not in entry or _number(entry["port"], target) <= port <= _last(entry, target))
        for entry in ports
    )


def _number(port: int | str, target: End) -> int:
    if isinstance(port, int):
        return port
    return target.ports.get(port, -1) if isinstance(target, Pod) else -1


def _last(entry: Fields, target: End) -> int:
    return int(entry.get("endPort", _number(entry["port"], target)))


def _is_peer(peers: Iterable[Fields] | None, other: End, namespace: str) -> bool:
    if not peers:
        return True
    return any(_is(peer, other, namespace) for peer in peers)


def _is(peer: Fields, other: End, namespace: str) -> bool:
    if block := peer.get("ipBlock"):
        return isinstance(other, Address) and _in_block(block, other.ip)
    if isinstance(other, Address):
        return False
    if (spaces := peer.get("namespaceSelector")) is None:
        if other.namespace != namespace:
            return False
    elif not selects(spaces, {"kubernetes.io/metadata.name": other.namespace, **other.namespace_labels}):
        return False
    return selects(peer.get("podSelector", {}), other.labels)


def _in_block(block: Fields, ip: str) -> bool:
    address = ipaddress.ip_address(ip)

    def holds(cidr: str) -> bool:
        network = ipaddress.ip_network(cidr)
        return network.version == address.version and address in network

    return holds(block["cidr"]) and not any(map(holds, block.get("except", ())))
