"""The level ``restricted`` of Kubernetes' Pod Security Standards, field by field. Pure.

Source: kubernetes.io/docs/concepts/security/pod-security-standards, "Baseline" and "Restricted".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
SECCOMP = frozenset({"RuntimeDefault", "Localhost"})
APPARMOR = frozenset({"RuntimeDefault", "Localhost"})
SELINUX_TYPES = frozenset({"container_t", "container_init_t", "container_kvm_t", "container_engine_t", ""})
SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
    }
)

Fields = Mapping[str, Any]


def violations(pod: Fields) -> list[str]:
    """What keeps a pod with this template out of a namespace that enforces ``restricted``."""
    spec = pod["spec"]
    return [*_of_pod(pod), *(found for container in _containers(spec) for found in _of_container(spec, container))]


def _containers(spec: Fields) -> Iterator[Fields]:
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        yield from spec.get(kind, ())


def _of_pod(pod: Fields) -> Iterator[str]:
    spec = pod["spec"]
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field):
            yield f"{field} is set"
    for volume in spec.get("volumes", ()):
        kinds = set(volume) - {"name"}
        if not kinds <= VOLUMES:
            yield f"volume {volume['name']} is of a forbidden kind: {sorted(kinds - VOLUMES)}"
    context = spec.get("securityContext", {})
    yield from _context("pod", context)
    for sysctl in context.get("sysctls", ()):
        if sysctl["name"] not in SYSCTLS:
            yield f"sysctl {sysctl['name']} is not a safe one"
    for name in pod.get("metadata", {}).get("annotations", {}):
        if name.startswith("container.apparmor.security.beta.kubernetes.io/"):
            yield f"annotation {name}: say it in appArmorProfile"


def _of_container(spec: Fields, container: Fields) -> Iterator[str]:
    name, own, shared = container["name"], container.get("securityContext", {}), spec.get("securityContext", {})
    yield from _context(name, own)
    if own.get("privileged"):
        yield f"{name} is privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield f"{name} may escalate its privileges"
    if own.get("procMount", "Default") != "Default":
        yield f"{name} has an unmasked /proc"
    if own.get("runAsNonRoot", shared.get("runAsNonRoot")) is not True:
        yield f"{name} may run as root"
    seccomp = own.get("seccompProfile", shared.get("seccompProfile", {}))
    if seccomp.get("type") not in SECCOMP:
        yield f"{name} has no seccomp profile"
    capabilities = own.get("capabilities", {})
    if "ALL" not in capabilities.get("drop", ()):
        yield f"{name} does not drop all capabilities"
    if set(capabilities.get("add", ())) - {"NET_BIND_SERVICE"}:
        yield f"{name} adds capabilities"
    if any(port.get("hostPort") for port in container.get("ports", ())):
        yield f"{name} takes a port of the host"
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        if any(container.get(probe, {}).get(kind, {}).get("host") for kind in ("httpGet", "tcpSocket")):
            yield f"{name} has a {probe} of another host"


def _context(where: str, context: Fields) -> Iterator[str]:
    """Fields that pod and container have in common."""
    if context.get("runAsUser") == 0:
        yield f"{where} runs as uid 0"
    if context.get("windowsOptions", {}).get("hostProcess"):
        yield f"{where} is a host process"
    if context.get("seccompProfile", {}).get("type", "RuntimeDefault") not in SECCOMP:
        yield f"{where} has the seccomp profile {context['seccompProfile']['type']}"
    if context.get("appArmorProfile", {}).get("type", "RuntimeDefault") not in APPARMOR:
        yield f"{where} has the AppArmor profile {context['appArmorProfile']['type']}"
    selinux = context.get("seLinuxOptions", {})
    if selinux.get("type", "") not in SELINUX_TYPES or selinux.get("user") or selinux.get("role"):
        yield f"{where} has SELinux options of its own"
