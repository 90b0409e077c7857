"""What is deployed beside the images: the bus's configuration, the secrets, docker-compose.yml."""

from __future__ import annotations

import json
import shutil
import stat
import subprocess
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from contracts.services import AGENTS, Service
from infra.cli import secrets
from infra.cli.main import app
from infra.runtime.bus_users import USERS, files
from infra.runtime.nkey import public_key
from tests.support.manifests import RUNS_CODE
from tests.support.oci import SECCOMP

ROOT = Path(__file__).parents[2]
COMPOSE, WITH_MODEL = ROOT / "docker-compose.yml", ROOT / "infra" / "deploy" / "docker-compose.claude.yml"
NATS = ROOT / "infra" / "deploy" / "nats"
MODEL_AGENTS = {agent.value for agent in AGENTS} - {"tester"}


# --- the bus ------------------------------------------------------------------------------------


def test_users_of_the_bus_are_those_that_the_table_gives() -> None:
    for name, text in files().items():
        assert (NATS / name).read_text() == text, f"run `connectors deploy users`: {name} is of another table"


def test_users_are_written_where_it_is_said(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["deploy", "users", str(tmp_path)]).exit_code == 0
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == files()


# --- secrets ------------------------------------------------------------------------------------


def deploy_secrets(folder: Path, *more: str) -> str:
    result = CliRunner().invoke(app, ["deploy", "secrets", str(folder), *more])
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("more", [(), ("--nkeys",)])
def test_secrets_are_made_once_and_only_their_owner_gets_at_them(tmp_path: Path, more: tuple[str, ...]) -> None:
    folder = tmp_path / "secrets"
    deploy_secrets(folder, *more)
    made = secrets.read(folder)
    deploy_secrets(folder, *more)
    assert secrets.read(folder) == made
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    key = "nkey.seed" if more else "password"
    values = [made[secrets.of_user(user)][key] for user in USERS]
    values += [made[secrets.SERVER]["cluster.password"], made[secrets.POSTGRES]["password"]]
    assert len(set(values)) == len(USERS) + 2
    assert min(map(len, values)) >= 32


def test_user_that_is_new_gets_its_secret_and_the_server_hears_of_it(tmp_path: Path) -> None:
    deploy_secrets(tmp_path)
    before = secrets.read(tmp_path)
    shutil.rmtree(tmp_path / "connectors-bus-tester")
    deploy_secrets(tmp_path)
    after = secrets.read(tmp_path)
    assert after["connectors-bus-tester"] != before["connectors-bus-tester"]
    assert after["connectors-bus-tester"]["password"] in after[secrets.SERVER]["users.conf"]
    assert {name for name in before if before[name] != after[name]} == {"connectors-bus-tester", secrets.SERVER}


def test_server_knows_public_keys_only(tmp_path: Path) -> None:
    deploy_secrets(tmp_path, "--nkeys")
    made = secrets.read(tmp_path)
    for user in USERS:
        seed = made[secrets.of_user(user)]["nkey.seed"]
        assert f'NKEY_{user.upper()}: "{public_key(seed)}"' in made[secrets.SERVER]["users.conf"]
        assert seed not in made[secrets.SERVER]["users.conf"]


def test_kubernetes_gets_what_is_in_the_folder(tmp_path: Path) -> None:
    shown = json.loads(deploy_secrets(tmp_path, "--kubernetes"))
    found = {
        item["metadata"]["name"]: {key: b64decode(value).decode() for key, value in item["data"].items()}
        for item in shown["items"]
    }
    assert found == secrets.read(tmp_path)
    assert all(name == name.lower() and "_" not in name for name in found)


@pytest.mark.parametrize("command", ["secrets", "users"])
def test_folder_that_cannot_be_written_is_one_line(tmp_path: Path, command: str) -> None:
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(app, ["deploy", command, str(tmp_path / "file" / "folder")])
    assert result.exit_code == 1
    assert f"(at {tmp_path / 'file' / 'folder'})" in result.output
    assert result.output.count("\n") == 1


def test_file_that_is_no_key_is_one_line_and_not_shown(tmp_path: Path) -> None:
    deploy_secrets(tmp_path, "--nkeys")
    (tmp_path / "connectors-bus-tester" / "nkey.seed").write_text("SUpposed")
    result = CliRunner().invoke(app, ["deploy", "secrets", str(tmp_path), "--nkeys"])
    assert (result.exit_code, result.output.count("\n")) == (1, 1)
    assert "connectors-bus-tester" in result.output
    assert "SUpposed" not in result.output


# --- docker-compose.yml -------------------------------------------------------------------------


def compose(*documents: Path) -> dict[str, Any]:
    """As Debian's docker-compose understands it."""
    binary = shutil.which("docker-compose")
    if binary is None:
        pytest.skip("no docker-compose: apt-get install docker-compose")
    given = [argument for document in documents for argument in ("--file", str(document))]
    done = subprocess.run([binary, *given, "config"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    read: dict[str, Any] = yaml.safe_load(done.stdout)
    return read


@pytest.fixture(scope="module")
def plain() -> dict[str, Any]:
    return compose(COMPOSE)


def test_compose_has_a_block_for_each_service_and_its_stores(plain: dict[str, Any]) -> None:
    stores = {"nats-0", "nats-1", "nats-2", "postgres"}
    assert set(plain["services"]) == {service.value for service in Service} | stores


def test_compose_confines_every_container(plain: dict[str, Any]) -> None:
    for name, block in plain["services"].items():
        assert block["read_only"], name
        assert block["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in block["security_opt"], name
        assert "privileged" not in block, name
        assert ("ports" in block) is (name == "gateway")
    for service in Service:
        assert plain["services"][service]["user"] == "10001:10001"
    (port,) = plain["services"]["gateway"]["ports"]
    assert port == "127.0.0.1:8002:8002/tcp"


def test_compose_lets_only_what_runs_generated_code_make_namespaces(plain: dict[str, Any]) -> None:
    loosened = {name: block["security_opt"][1:] for name, block in plain["services"].items()}
    assert {name for name, options in loosened.items() if options} == RUNS_CODE
    for name in RUNS_CODE:
        seccomp, apparmor = loosened[name]
        assert ROOT / seccomp.removeprefix("seccomp:") == SECCOMP
        assert apparmor == "apparmor:unconfined"  # docker-default denies every mount


def test_compose_gives_each_service_its_own_secret_and_none_in_its_environment(plain: dict[str, Any]) -> None:
    made = secrets.completed({}, "password", secrets.fresh)
    for name, secret in plain["secrets"].items():
        folder, key = Path(secret["file"]).relative_to(ROOT / "secrets").parts
        assert key in made[folder], name
    for service in Service:
        block = plain["services"][service]
        own = {one["target"]: Path(plain["secrets"][one["source"]]["file"]) for one in block["secrets"]}
        assert own.pop("bus").parent.name == secrets.of_user(service)
        assert set(own) == ({"url"} if service is Service.EVENT_STORE else set())
        for variable in block["environment"]:
            assert not any(word in variable for word in ("PASSWORD", "KEY", "SECRET")) or variable.endswith("_FILE")


def test_compose_lets_nothing_that_runs_generated_code_out(plain: dict[str, Any]) -> None:
    networks = {name: set(block["networks"]) for name, block in plain["services"].items()}
    assert plain["networks"]["bus"]["internal"]
    assert plain["networks"]["store"]["internal"]
    assert {name for name, joined in networks.items() if "web" in joined} == {"research", "gateway"}
    assert {name for name, joined in networks.items() if "store" in joined} == {"event_store", "postgres"}
    assert networks["tester"] == {"bus"}


def test_compose_with_a_model_gives_its_key_to_agents_only_and_never_to_the_tester() -> None:
    found = compose(COMPOSE, WITH_MODEL)["services"]
    for name, block in found.items():
        sources = {one["source"] for one in block.get("secrets", ())}
        assert ("claude" in sources) is (name in MODEL_AGENTS)
        assert ("ANTHROPIC_API_KEY_FILE" in block.get("environment", {})) is (name in MODEL_AGENTS)
        assert "ANTHROPIC_API_KEY" not in block.get("environment", {})
    assert set(found["tester"]["networks"]) == {"bus"}
