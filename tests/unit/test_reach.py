"""The judge of the network policies: as Kubernetes defines them, or what it says of ours is worth nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.pod_security import violations
from tests.support.reach import Address, Pod, may_connect

ONE, TWO = Pod({"app": "one"}, "ours", ports={"http": 8080}), Pod({"app": "two"}, "ours")


def _policy(pods: dict[str, str], **spec: Any) -> dict[str, Any]:
    return {"metadata": {"namespace": "ours"}, "spec": {"podSelector": {"matchLabels": pods}, **spec}}


def test_without_a_policy_everything_is_open() -> None:
    assert may_connect([], ONE, TWO, 80)
    assert may_connect([], ONE, Address("8.8.8.8"), 53, protocol="UDP")


def test_a_policy_closes_the_directions_that_it_names() -> None:
    closed = _policy({"app": "one"}, policyTypes=["Egress"])
    assert not may_connect([closed], ONE, TWO, 80)
    assert may_connect([closed], TWO, ONE, 80)


def test_ingress_is_closed_by_default_and_egress_where_there_are_rules() -> None:
    assert not may_connect([_policy({"app": "one"})], TWO, ONE, 80)
    assert may_connect([_policy({"app": "one"})], ONE, TWO, 80)
    assert not may_connect([_policy({"app": "one"}, egress=[])], ONE, TWO, 80)


def test_policies_add_up_and_both_ends_must_agree() -> None:
    deny = _policy({}, policyTypes=["Ingress", "Egress"])
    out = _policy({"app": "one"}, policyTypes=["Egress"], egress=[{"to": [{"podSelector": {}}]}])
    into = _policy({"app": "two"}, ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "one"}}}]}])
    assert not may_connect([deny, out], ONE, TWO, 80)
    assert not may_connect([deny, into], ONE, TWO, 80)
    assert may_connect([deny, out, into], ONE, TWO, 80)


def test_a_peer_without_a_namespace_selector_is_of_the_same_namespace() -> None:
    into = _policy({"app": "two"}, ingress=[{"from": [{"podSelector": {}}]}])
    assert not may_connect([into], Pod({"app": "one"}, "theirs"), TWO, 80)
    spaces = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "theirs"}}}
    both = _policy({"app": "two"}, ingress=[{"from": [{**spaces, "podSelector": {"matchLabels": {"app": "one"}}}]}])
    assert may_connect([both], Pod({"app": "one"}, "theirs"), TWO, 80)
    assert not may_connect([both], Pod({"app": "two"}, "theirs"), TWO, 80)


@pytest.mark.parametrize(
    ("ip", "open"), [("8.8.8.8", True), ("10.1.2.3", False), ("169.254.169.254", False), ("2606:4700::1", False)]
)
def test_a_block_of_addresses_has_exceptions(ip: str, open: bool) -> None:
    block = {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8", "169.254.0.0/16"]}
    out = _policy({"app": "one"}, policyTypes=["Egress"], egress=[{"to": [{"ipBlock": block}]}])
    assert may_connect([out], ONE, Address(ip), 443) is open


def test_ports_are_numbers_names_or_ranges_of_one_protocol() -> None:
    def into(**port: Any) -> dict[str, Any]:
        return _policy({"app": "one"}, ingress=[{"ports": [port]}])

    assert may_connect([into(port="http")], TWO, ONE, 8080)
    assert not may_connect([into(port="http")], TWO, ONE, 80)
    assert may_connect([into(port=80, endPort=90)], TWO, ONE, 85)
    assert not may_connect([into(port=80)], TWO, ONE, 85)
    assert not may_connect([into(port=80)], TWO, ONE, 80, protocol="UDP")


GOOD: dict[str, Any] = {
    "name": "x",
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
        "capabilities": {"drop": ["ALL"]},
    },
}


def _with(**changed: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{**GOOD, "securityContext": {**GOOD["securityContext"], **changed}}]}}


def test_a_pod_that_restricts_itself_is_admitted() -> None:
    assert violations(_with()) == []


@pytest.mark.parametrize(
    "changed",
    [
        {"allowPrivilegeEscalation": None},
        {"runAsNonRoot": False},
        {"runAsUser": 0},
        {"seccompProfile": {"type": "Unconfined"}},
        {"seccompProfile": {}},
        {"capabilities": {"drop": ["NET_RAW"]}},
        {"capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}},
        {"privileged": True},
        {"procMount": "Unmasked"},
        {"seLinuxOptions": {"type": "spc_t"}},
        {"appArmorProfile": {"type": "Unconfined"}},
    ],
    ids=str,
)
def test_a_container_that_takes_a_liberty_is_not(changed: dict[str, Any]) -> None:
    assert violations(_with(**changed))


@pytest.mark.parametrize(
    "spec",
    [
        {"hostNetwork": True},
        {"hostPID": True},
        {"volumes": [{"name": "x", "hostPath": {"path": "/"}}]},
        {"containers": [{**GOOD, "ports": [{"hostPort": 80}]}]},
        {"initContainers": [{"name": "y"}]},
        {"containers": [{**GOOD, "livenessProbe": {"httpGet": {"host": "10.0.0.1"}}}]},
    ],
    ids=str,
)
def test_a_pod_that_takes_a_liberty_is_not(spec: dict[str, Any]) -> None:
    assert violations({"spec": {**_with()["spec"], **spec}})
