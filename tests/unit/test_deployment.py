"""Who there is in the code is who is deployed: each service has everything that it needs, and nobody else has."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
import yaml
from pydantic_settings import BaseSettings

from contracts.services import Service
from gateway.settings import Settings as GatewaySettings
from infra.deploy.lock import LOCKS
from infra.runtime.bus_users import ADMIN
from infra.runtime.claude.settings import ClaudeSettings
from infra.runtime.settings import BusSettings
from infra.runtime.toolchain.place import CACHE_VARIABLE
from services.event_store.settings import Settings as StoreSettings
from services.publisher.settings import Settings as PublisherSettings
from tests.support.locks import pyproject
from tests.support.manifests import KUBERNETES, OVERLAYS, kubernetes_name
from tests.support.process import ROOT

SERVICES = set(map(str, Service))
NATS = ROOT / "infra" / "deploy" / "nats"
SETTINGS = (BusSettings, ClaudeSettings, GatewaySettings, StoreSettings, PublisherSettings)
OTHER_EXTRAS = {"cli", "embedded", "claude", "tracing", "all", "dev"}
OTHER_LOCKS = {"build", "constraints"}


def test_each_service_has_a_block_in_compose_that_builds_its_image() -> None:
    blocks = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    built = {name: block["build"]["args"]["SERVICE"] for name, block in blocks.items() if "build" in block}
    assert built == {service: service for service in SERVICES}


def test_each_service_has_a_folder_of_manifests_and_an_image_in_both_overlays() -> None:
    names = {kubernetes_name(service) for service in Service}
    folder = KUBERNETES / "base" / "services"
    assert {path.name for path in folder.iterdir() if path.is_dir()} == names
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))["resources"]
    assert {name for name in listed if not name.endswith(".yaml")} == names
    for overlay in OVERLAYS:
        text = (KUBERNETES / "overlays" / overlay / "kustomization.yaml").read_text(encoding="utf-8")
        images = {image["name"].rpartition("/")[2] for image in yaml.safe_load(text)["images"]}
        assert images == SERVICES, overlay


def test_each_service_has_an_extra_and_a_lock() -> None:
    assert pyproject().keys() - {"", "build"} == SERVICES | OTHER_EXTRAS
    assert {path.stem for path in LOCKS.glob("*.txt")} == SERVICES | OTHER_LOCKS


@pytest.mark.parametrize(
    ("file", "names"), [("users.conf", r'"user": "(\w+)"'), ("users-nkeys.conf", r"\$NKEY_(\w+)")]
)
def test_each_service_has_a_user_of_the_bus(file: str, names: str) -> None:
    found: Iterable[str] = re.findall(names, (NATS / file).read_text(encoding="utf-8"))
    assert sorted(map(str.lower, found)) == sorted({*SERVICES, ADMIN})


def test_each_service_can_be_started() -> None:
    folders = {path.parent.name for path in (ROOT / "services").glob("*/__main__.py")}
    assert folders | {Service.GATEWAY} == SERVICES
    assert (ROOT / "gateway" / "__main__.py").is_file()


def test_what_is_set_for_a_container_is_read_by_something() -> None:
    """A name that is misspelt changes nothing and says nothing."""
    deploy = ROOT / "infra" / "deploy"
    files = (ROOT / "docker-compose.yml", deploy / "Dockerfile", *deploy.rglob("*.y*ml"))
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    named = set(re.findall(r"\b(?:CONNECTORS|ANTHROPIC)_[A-Z_]+\b", text))
    assert len(named) > 10
    read = {name for settings in SETTINGS for name in _variables(settings)}
    assert named <= read | {CACHE_VARIABLE}


def _variables(settings: type[BaseSettings]) -> Iterable[str]:
    prefix = settings.model_config.get("env_prefix", "")
    for name, field in settings.model_fields.items():
        yield str(field.validation_alias or f"{prefix}{name}".upper())
