"""What Kubernetes is given: an overlay as ``kubectl kustomize`` renders it, and questions to it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from contracts.services import Service

KUBERNETES = Path(__file__).parents[2] / "infra" / "deploy" / "kubernetes"
OVERLAYS = ("local", "production")
RUNS_CODE = frozenset({Service.GENERATOR, Service.TESTER, Service.REVIEWER, Service.PUBLISHER})
COMPONENT = "app.kubernetes.io/component"

Manifest = Mapping[str, Any]
Labels = Mapping[str, str]


@dataclass(frozen=True)
class Workload:
    """A Deployment or StatefulSet: what makes pods of one kind."""

    manifest: Manifest

    @property
    def name(self) -> str:
        return str(self.manifest["metadata"]["name"])

    @property
    def pod(self) -> Manifest:
        """The pod's template: its metadata and its spec."""
        template: Manifest = self.manifest["spec"]["template"]
        return template

    @property
    def labels(self) -> Labels:
        labels: Labels = self.pod["metadata"]["labels"]
        return labels

    @property
    def container(self) -> Manifest:
        """Its only container."""
        (container,) = self.pod["spec"]["containers"]
        found: Manifest = container
        return found


@dataclass(frozen=True)
class Rendered:
    """All resources of one overlay."""

    overlay: str
    manifests: tuple[Manifest, ...]

    def of(self, kind: str) -> tuple[Manifest, ...]:
        return tuple(manifest for manifest in self.manifests if manifest["kind"] == kind)

    def named(self, kind: str, name: str) -> Manifest:
        (found,) = (manifest for manifest in self.of(kind) if manifest["metadata"]["name"] == name)
        return found

    @property
    def workloads(self) -> dict[str, Workload]:
        made = (*self.of("Deployment"), *self.of("StatefulSet"))
        return {str(manifest["metadata"]["name"]): Workload(manifest) for manifest in made}

    def service(self, service: Service) -> Workload:
        return Workload(self.named("Deployment", kubernetes_name(service)))


def kubernetes_name(service: Service) -> str:
    """Names of Kubernetes have no underscores."""
    return service.value.replace("_", "-")


@cache
def rendered(overlay: str) -> Rendered:
    """An overlay by its name, or any folder by its path. Skips where there is no kubectl; one run for each."""
    if shutil.which("kubectl") is None:
        pytest.skip("there is no kubectl (1.27 or later) to render the overlays: install it")
    done = subprocess.run(
        ["kubectl", "kustomize", str(KUBERNETES / "overlays" / overlay)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Rendered(overlay, tuple(yaml.safe_load_all(done.stdout)))


def strings(value: object) -> Iterator[str]:
    """All texts anywhere in ``value``."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
