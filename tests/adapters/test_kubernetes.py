"""The Kubernetes manifests, as kubectl renders them: valid, restricted, and nobody reaches more than it must."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest

from contracts import subjects
from contracts.services import AGENTS, Service
from infra.cli import secrets
from infra.deploy.lock import WITH_MODEL
from infra.runtime.connection import STOP_TIMEOUT_S
from infra.runtime.durables import durables
from infra.runtime.nats_server import find_binary
from tests.support.keda import ScaledObject
from tests.support.manifests import (
    KUBERNETES,
    OVERLAYS,
    RUNS_CODE,
    Manifest,
    Rendered,
    kubernetes_name,
    rendered,
    strings,
)
from tests.support.pod_security import violations
from tests.support.reach import selects

pytestmark = pytest.mark.xdist_group("kubernetes")

NAMESPACE = "agentic-connectors"
KUBERNETES_VERSION = "1.37"
SERVICES = tuple(Service)


@pytest.fixture(params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> Rendered:
    return rendered(request.param)


@pytest.fixture
def production() -> Rendered:
    return rendered("production")


def test_every_resource_is_valid_and_has_no_field_that_kubernetes_does_not_know(overlay: Rendered) -> None:
    for manifest in overlay.manifests:
        if manifest["kind"] != "ScaledObject":
            kubernetes_validate.validate(manifest, KUBERNETES_VERSION, strict=True)


def test_scaled_objects_are_valid_and_have_no_field_that_keda_does_not_know(production: Rendered) -> None:
    for manifest in production.of("ScaledObject"):
        ScaledObject.model_validate(manifest)


def test_only_production_needs_keda() -> None:
    assert rendered("local").of("ScaledObject") == ()


def test_each_service_has_a_deployment_and_there_is_no_other(overlay: Rendered) -> None:
    names = {manifest["metadata"]["name"] for manifest in overlay.of("Deployment")}
    assert names == set(map(kubernetes_name, Service))


def test_pods_are_admitted_where_restricted_is_enforced(overlay: Rendered) -> None:
    (namespace,) = overlay.of("Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert [found for workload in overlay.workloads.values() for found in violations(workload.pod)] == []


def test_pods_have_a_read_only_root_and_no_token_of_the_cluster(overlay: Rendered) -> None:
    for workload in overlay.workloads.values():
        spec = workload.pod["spec"]
        assert workload.container["securityContext"]["readOnlyRootFilesystem"] is True
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert spec["securityContext"]["runAsUser"] > 0


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_an_image_of_its_own_with_its_own_user_of_the_bus(overlay: Rendered, service: Service) -> None:
    workload = overlay.service(service)
    image, _, tag = workload.container["image"].rpartition(":")
    assert image.endswith(f"agentic-connectors/{service.value}")
    assert tag not in ("", "latest")
    (bus,) = (volume for volume in workload.pod["spec"]["volumes"] if volume["name"] == "bus")
    assert bus["secret"]["secretName"] == f"connectors-bus-{kubernetes_name(service)}"
    mounts = {mount["name"]: mount["mountPath"] for mount in workload.container["volumeMounts"]}
    assert mounts["bus"] == "/etc/connectors/secrets"
    assert {mounts["tmp"], mounts["data"]} == {"/tmp", "/data"}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_probed_bounded_and_rolled_without_a_gap(overlay: Rendered, service: Service) -> None:
    workload = overlay.service(service)
    container, spec = workload.container, workload.pod["spec"]
    probes = {probe: container[probe]["httpGet"]["path"] for probe in container if probe.endswith("Probe")}
    assert probes == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    assert container["resources"]["requests"].keys() == container["resources"]["limits"].keys()
    assert {"cpu", "memory", "ephemeral-storage"} == container["resources"]["limits"].keys()
    assert spec["terminationGracePeriodSeconds"] > STOP_TIMEOUT_S
    assert workload.manifest["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    (spread,) = spec["topologySpreadConstraints"]
    assert selects(spread["labelSelector"], workload.labels)


def test_selectors_find_the_pods_of_one_workload_and_no_other(overlay: Rendered) -> None:
    workloads = overlay.workloads
    for name, workload in workloads.items():
        selector = workload.manifest["spec"]["selector"]
        assert [other for other, found in workloads.items() if selects(selector, found.labels)] == [name]
    for budget in overlay.of("PodDisruptionBudget"):
        found = [
            name for name, workload in workloads.items() if selects(budget["spec"]["selector"], workload.labels)
        ]
        assert found == [budget["metadata"]["name"]]
    budgets = {budget["metadata"]["name"] for budget in overlay.of("PodDisruptionBudget")}
    assert budgets == workloads.keys() - {"postgres"}
    for service in overlay.of("Service"):
        selector = {"matchLabels": service["spec"]["selector"]}
        (workload,) = (found for found in workloads.values() if selects(selector, found.labels))
        ports = {port["name"] for port in workload.container["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


def test_each_agent_is_scaled_by_the_lag_of_its_consumer(production: Rendered) -> None:
    scaled = {
        manifest["spec"]["scaleTargetRef"]["name"]: manifest["spec"] for manifest in production.of("ScaledObject")
    }
    assert scaled.keys() == set(map(kubernetes_name, AGENTS))
    nodes = production.named("Service", "nats")["spec"]
    monitor = next(port["port"] for port in nodes["ports"] if port["name"] == "monitor")
    assert nodes["clusterIP"] == "None"
    for agent in AGENTS:
        spec = scaled[kubernetes_name(agent)]
        (trigger,) = spec["triggers"]
        assert trigger["type"] == "nats-jetstream"
        assert trigger["metadata"]["account"] == subjects.LOG_ACCOUNT
        assert trigger["metadata"]["stream"] == subjects.EVENTS_STREAM
        assert trigger["metadata"]["consumer"] == durables(agent)[subjects.EVENTS_STREAM]
        assert (
            trigger["metadata"]["natsServerMonitoringEndpoint"] == f"nats.{NAMESPACE}.svc.cluster.local:{monitor}"
        )
        # 0 would be for ever: a consumer that nobody has made yet counts as the whole stream, and then as nothing
        assert spec["minReplicaCount"] >= 1
        assert "replicas" not in production.service(agent).manifest["spec"]


def test_a_statefulset_of_the_bus_has_three_nodes_in_production_and_one_on_a_laptop() -> None:
    assert rendered("production").named("StatefulSet", "nats")["spec"]["replicas"] == 3
    assert rendered("local").named("StatefulSet", "nats")["spec"]["replicas"] == 1


def test_the_bus_finds_every_file_that_its_configuration_names(overlay: Rendered) -> None:
    there = _config_of_the_bus(overlay)
    queue, seen = [overlay.workloads["nats"].container["args"][1]], set()
    while queue:
        path = queue.pop()
        assert path in there, f"{path} is not mounted"
        seen.add(path)
        text = there[path] or ""
        queue += [f"/etc/nats/{name}" for name in re.findall(r'include "([^"]+)"', text)]
        queue += re.findall(r'"(/etc/nats/[^"]+)"', text)
    assert {"/etc/nats/node.conf", "/etc/nats/secrets/users.conf"} < seen
    assert ("/etc/nats/tls/tls.key" in seen) == (overlay.overlay == "production")


def _config_of_the_bus(overlay: Rendered) -> dict[str, str | None]:
    """What is in ``/etc/nats``; None: the content is a secret's."""
    pod = overlay.workloads["nats"].pod["spec"]
    (volume,) = (found for found in pod["volumes"] if found["name"] == "config")
    files: dict[str, str | None] = {}
    for source in volume["projected"]["sources"]:
        if "configMap" in source:
            files |= overlay.named("ConfigMap", source["configMap"]["name"])["data"]
        else:
            files |= dict.fromkeys(item["path"] for item in source["secret"]["items"])
    return {f"/etc/nats/{name}": text for name, text in files.items()}


def test_a_server_takes_the_configuration_of_a_laptop(tmp_path: Path) -> None:
    """With the secrets that `connectors deploy secrets` makes."""
    overlay = rendered("local")
    made = secrets.completed({}, "password", secrets.fresh)[secrets.SERVER]
    for path, text in _config_of_the_bus(overlay).items():
        file = tmp_path / path.removeprefix("/etc/nats/")
        file.parent.mkdir(exist_ok=True)
        file.write_text(made[file.name] if text is None else text)
    main = tmp_path / overlay.workloads["nats"].container["args"][1].removeprefix("/etc/nats/")
    check = subprocess.run(
        [find_binary(), "-t", "--config", main], env={"NATS_NAME": "nats-0"}, capture_output=True, check=False
    )
    assert check.returncode == 0, check.stderr


def test_every_secret_that_is_named_is_made_by_the_command_or_listed_as_the_operators(overlay: Rendered) -> None:
    named = {
        *(
            volume["secret"]["secretName"]
            for pod in _pods(overlay)
            for volume in pod["volumes"]
            if "secret" in volume
        ),
        *(
            entry["valueFrom"]["secretKeyRef"]["name"]
            for pod in _pods(overlay)
            for entry in pod["containers"][0].get("env", ())
            if "secretKeyRef" in entry.get("valueFrom", {})
        ),
    }
    operators = {"connectors-claude", "connectors-bus-tls", "connectors-gateway"}
    made = set(secrets.completed({}, "nkey", secrets.fresh))
    assert named <= made | (operators if overlay.overlay == "production" else set())
    assert {f"connectors-bus-{kubernetes_name(service)}" for service in Service} <= named


def _pods(overlay: Rendered) -> list[Manifest]:
    return [workload.pod["spec"] for workload in overlay.workloads.values()]


def test_secrets_are_named_and_never_there(overlay: Rendered) -> None:
    assert overlay.of("Secret") == ()
    secret_words = ("SU", "-----BEGIN", "sk-ant-")
    for text in strings(list(overlay.manifests)):
        assert not any(text.startswith(word) and len(text) > 20 for word in secret_words), text
    for workload in overlay.workloads.values():
        for variable in workload.container.get("env", ()):
            if any(word in variable["name"] for word in ("TOKEN", "KEY", "PASSWORD", "SEED", "STORE_URL")):
                assert "secretKeyRef" in variable.get("valueFrom", {}) or variable["value"].startswith(
                    "/etc/connectors/"
                )


def test_only_agents_but_the_tester_have_the_key_of_a_model(production: Rendered) -> None:
    with_key = {
        service for service in Service if "connectors-claude" in set(strings(production.service(service).pod))
    }
    assert with_key == WITH_MODEL
    assert "connectors-claude" not in set(strings(list(rendered("local").manifests)))


def test_only_who_runs_generated_code_has_the_profile_that_bubblewrap_needs(production: Rendered) -> None:
    profiles = {
        service: production.service(service).pod["spec"]["securityContext"]["seccompProfile"] for service in Service
    }
    confined = {"type": "Localhost", "localhostProfile": "connectors-sandbox.json"}
    assert {service for service, profile in profiles.items() if profile == confined} == RUNS_CODE
    assert all(profiles[service] == {"type": "RuntimeDefault"} for service in SERVICES if service not in RUNS_CODE)


def test_nodes_with_apparmor_have_a_component_that_names_their_profile(tmp_path: Path) -> None:
    name = "connectors-sandbox"
    layers = {
        "resources": KUBERNETES / "overlays" / "production",
        "components": KUBERNETES / "components" / "apparmor",
    }
    lines = [f"{kind}: [{os.path.relpath(folder, tmp_path)}]" for kind, folder in layers.items()]
    (tmp_path / "kustomization.yaml").write_text("\n".join(lines))
    found = rendered(str(tmp_path))
    for service in Service:
        pod = found.service(service).pod
        expected = {"type": "Localhost", "localhostProfile": name} if service in RUNS_CODE else None
        assert pod["spec"]["securityContext"].get("appArmorProfile") == expected
        assert list(violations(pod)) == []
    assert f"profile {name} " in (KUBERNETES / "apparmor" / name).read_text(encoding="utf-8")


def test_publisher_writes_what_the_gateway_reads(overlay: Rendered) -> None:
    claim = overlay.named("PersistentVolumeClaim", "output")
    assert claim["spec"]["accessModes"] == [
        {"local": "ReadWriteOnce", "production": "ReadWriteMany"}[overlay.overlay]
    ]
    mounts = {
        service: mount.get("readOnly", False)
        for service in Service
        for mount in overlay.service(service).container["volumeMounts"]
        if mount["mountPath"] == "/output"
    }
    assert mounts == {Service.PUBLISHER: False, Service.GATEWAY: True}


def test_nobody_but_the_event_store_has_the_url_of_the_database(overlay: Rendered) -> None:
    users = {name for name, found in overlay.workloads.items() if "connectors-postgres" in set(strings(found.pod))}
    assert users == {"event-store"} | ({"postgres"} if overlay.overlay == "local" else set())


def test_settings_point_at_files_that_are_mounted(overlay: Rendered) -> None:
    for service in Service:
        container = overlay.service(service).container
        settings = _settings(overlay, container)
        folders = [mount["mountPath"] for mount in container["volumeMounts"]]
        for name, value in settings.items():
            if name.endswith("_FILE"):
                assert value.rpartition("/")[0] in folders, f"{service}: {name} is {value}"


def _settings(overlay: Rendered, container: Manifest) -> dict[str, str]:
    (source,) = container["envFrom"]
    config = overlay.named("ConfigMap", source["configMapRef"]["name"])["data"]
    return {**config, **{entry["name"]: entry.get("value", "") for entry in container.get("env", ())}}
