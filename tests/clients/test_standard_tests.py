"""The standard tests of airbyte-cdk pass on a generated connector: all of them, none skipped."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import pytest

from infra.cli.demo import DOCUMENT
from infra.cli.sample_crm.data import TOKEN
from tests.support.installed import Installed, installed
from tests.support.paged_api import Answer, Api, serving
from tests.support.peers import QUIET, Peer, Unavailable, peer
from tests.support.sample_crm import serving_sample_crm

HERE = Path(__file__).parent

IN_PROCESS = {"check", "config_matches_spec", "discover", "spec", "basic_read", "fail_read_with_bad_catalog"}
IN_IMAGE = {
    *("build_and_spec", "spec_backward_compatibility", "build_and_check", "build_and_config_matches_spec"),
    *("build_and_discover", "build_and_read"),
}
ALL = {f"test_{name}" for name in IN_PROCESS} | {f"test_docker_image_{name}" for name in IN_IMAGE}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def cdk() -> Peer:
    try:
        return peer(HERE / "airbyte-cdk.txt")
    except Unavailable as error:
        pytest.skip(str(error))


def test_standard_tests_of_the_cdk_pass(cdk: Peer, tmp_path: Path) -> None:
    connector = installed(DOCUMENT, "sample-crm", tmp_path)
    with serving_sample_crm() as base_url, published(connector) as registry:
        configure(connector, base_url)
        outcomes = run_suite(cdk, connector, registry, tmp_path)
    assert outcomes == dict.fromkeys(ALL, "passed")


def test_standard_tests_fail_without_data(cdk: Peer, tmp_path: Path) -> None:
    """The suite does meet this connector: with an API that refuses it, what has to fail fails."""
    connector = installed(DOCUMENT, "sample-crm", tmp_path)
    with serving(Api()) as api, published(connector) as registry:
        configure(connector, api.url)
        outcomes = run_suite(cdk, connector, registry, tmp_path)
    failed = {name for name, outcome in outcomes.items() if outcome != "passed"}
    image = "test_docker_image_build_and_"
    assert failed == {"test_check", "test_basic_read", f"{image}check", f"{image}read"}


def configure(connector: Installed, base_url: str) -> None:
    """What `acceptance-test-config.yml` of the package asks its user for."""
    secrets = connector.folder / "secrets"
    secrets.mkdir()
    credentials = {"auth_type": "access_token", "access_token": TOKEN}
    (secrets / "config.json").write_text(json.dumps({"credentials": credentials, "base_url": base_url}))


@contextmanager
def published(connector: Installed) -> Iterator[str]:
    """A registry in which an earlier version of the connector, with the same specification, was published."""
    said = subprocess.run([connector.script, "spec"], capture_output=True, check=True)
    entry = {"spec": json.loads(said.stdout)["spec"], "dockerImageTag": "0.0.1"}
    with serving(Api()) as api:
        for registry in ("oss", "cloud"):
            path = f"/{registry}/airbyte/{connector.folder.name}/latest"
            api.routes[path] = lambda asked: Answer(body=entry)
        yield f"{api.url}/{{registry}}/{{docker_repository}}/{{version}}"


def run_suite(cdk: Peer, connector: Installed, registry: str, folder: Path) -> dict[str, str]:
    """Name of each standard test -> its outcome."""
    report = folder / "junit.xml"
    tools = folder / "bin"
    tools.mkdir()
    docker = tools / "docker"
    docker.write_text(f"#!{cdk.python}\n{(HERE / 'docker_stand_in.py').read_text()}")
    docker.chmod(0o755)
    suite = connector.folder / "test_airbyte_standards.py"
    suite.write_text((HERE / "standard_suite.py").read_text())
    command: list[str | Path] = [cdk.python, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += [
        "-p",
        "airbyte_cdk.test.standard_tests.pytest_hooks",
        f"--rootdir={connector.folder}",
        f"--junitxml={report}",
    ]
    command += ["-W", "error::airbyte_cdk.test.standard_tests.DiscoveredCatalogWarning"]
    command += ["--connector-image=none", "--read-from-streams=all", suite]
    environment = {
        **QUIET,
        "PATH": f"{tools}:{os.environ['PATH']}",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "CONNECTOR_ROOT": str(connector.folder),
        "CONNECTOR_SCRIPT": str(connector.script),
        "PUBLISHED_SPECS": registry,
    }
    done = subprocess.run(
        command, cwd=connector.folder, env=environment, capture_output=True, text=True, check=False, timeout=800
    )
    assert report.exists(), done.stdout[-3000:] + done.stderr[-3000:]
    print(done.stdout)
    return {
        case.attrib["name"].split("[")[0]: _outcome(case) for case in ElementTree.parse(report).iter("testcase")
    }


def _outcome(case: ElementTree.Element) -> str:
    return next((child.tag for child in case if child.tag in {"failure", "error", "skipped"}), "passed")
