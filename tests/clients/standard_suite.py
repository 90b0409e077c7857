"""Runs in the CDK's venv, by its pytest: Airbyte's standard tests of the connector CONNECTOR_ROOT.

The suites expect a Python class of the CDK. Ours is a command, as any connector is to the platform: every place
where they would call the class runs CONNECTOR_SCRIPT instead, and every assertion is theirs. The published version
that the spec is compared with comes from a registry on loopback, PUBLISHED_SPECS.
"""

import os
from pathlib import Path

import pytest
from airbyte_cdk.test import entrypoint_wrapper
from airbyte_cdk.test.standard_tests import _spec_compatibility
from airbyte_cdk.test.standard_tests.util import create_connector_test_suite
from airbyte_cdk.utils.docker import run_docker_airbyte_command

Suite = create_connector_test_suite(connector_directory=Path(os.environ["CONNECTOR_ROOT"]))


class Command:
    """What the suites take for a connector; they look for a method of this name."""

    def spec(self, logger):
        raise NotImplementedError("it is run as a process")


def run_process(source, args, *_, **__):
    """In place of the CDK's entry point in this process. Despite its name what it calls runs any command."""
    return run_docker_airbyte_command([os.environ["CONNECTOR_SCRIPT"], *args])


@pytest.fixture(autouse=True)
def _as_a_process(monkeypatch):
    monkeypatch.setattr(entrypoint_wrapper, "_run_command", run_process)
    monkeypatch.setattr(_spec_compatibility, "REGISTRY_ENTRY_URL_TEMPLATE", os.environ["PUBLISHED_SPECS"])


class TestStandards(Suite):
    @classmethod
    def create_connector(cls, scenario):
        return Command()
