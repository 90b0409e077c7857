from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from contracts.errors import Permanent
from contracts.services import AGENTS, Service
from infra.runtime.claude.announce import announced_models
from infra.runtime.claude.settings import ClaudeSettings
from infra.runtime.nats_server import NatsServer
from infra.runtime.processes import COLLECTOR_KEYS, without_keys
from infra.runtime.stack import StackConfig, service_environments


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY_FILE", "ANTHROPIC_BASE_URL", "CLAUDE_MODEL"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("value", [None, ""])
def test_without_a_key_nothing_is_announced(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    if value is not None:
        monkeypatch.setenv("ANTHROPIC_API_KEY", value)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:1")

    assert announced_models(Service.TESTER) == ()
    assert ClaudeSettings().key() is None


def test_each_agent_has_the_model_that_is_set_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "some-key")
    assert announced_models(Service.TEST_REVIEWER) == ("claude-opus-5",)
    monkeypatch.setenv("CLAUDE_MODEL", "claude-sonnet-5-5")
    monkeypatch.setenv("CONNECTORS_TEST_REVIEWER_MODEL", "claude-opus-5-5")
    assert announced_models(Service.TEST_REVIEWER) == ("claude-opus-5-5",)
    assert announced_models(Service.GENERATOR) == ("claude-sonnet-5-5",)


def test_the_key_may_be_in_a_file_and_is_never_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("some-key\n")
    monkeypatch.setenv("ANTHROPIC_API_KEY_FILE", str(file))
    assert ClaudeSettings().key() == "some-key"
    monkeypatch.setenv("ANTHROPIC_API_KEY", "other-key")
    assert "other-key" not in repr(ClaudeSettings())
    file.write_text("")
    with pytest.raises(Permanent, match="is empty"):
        ClaudeSettings().key()
    file.unlink()
    with pytest.raises(Permanent, match="cannot be read"):
        ClaudeSettings().key()


def test_what_is_no_agent_inherits_nothing_of_the_models_client() -> None:
    given = {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": "u", "OTEL_EXPORTER_OTLP_HEADERS": "h", "PATH": "p"}
    assert without_keys(given) == {"PATH": "p"}
    assert without_keys(given, keep=COLLECTOR_KEYS) == {"OTEL_EXPORTER_OTLP_HEADERS": "h", "PATH": "p"}


def test_without_a_key_a_service_loads_nothing_of_the_engine() -> None:
    code = (
        "import sys, infra.runtime.agent_loop, infra.runtime.service; from infra.runtime.claude import announce;"
        "from contracts.services import AGENTS, Service; assert announce.announced_models(Service.TESTER) == ();"
        "print([m for m in sys.modules if m.startswith('anthropic') or m.startswith('infra.runtime.claude.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={})
    assert done.stdout.strip() == "['infra.runtime.claude.announce']"


def test_of_a_stack_only_agents_and_no_bus_get_the_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "key-of-nobody")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x=key-of-nobody")
    config = StackConfig(tmp_path, tmp_path)
    environments = service_environments(config, NatsServer(tmp_path / "nats"), port=1)

    def given(name: str) -> set[Service]:
        return {service for service, env in environments.items() if name in env}

    assert given("ANTHROPIC_API_KEY") == set(AGENTS)
    assert given("OTEL_EXPORTER_OTLP_HEADERS") == {Service.GATEWAY}
