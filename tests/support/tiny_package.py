"""A connector as it was compiled, of one stream with pages, and the tests that we write for it."""

from __future__ import annotations

import json
from functools import cache

from infra.runtime.documents import load
from services.fixtures.inference.infer import infer as simulate
from services.generator.compiler import compile_connector
from services.research.openapi.engine import infer as research
from services.tester.conformance import Knowledge, endpoints_of, parents_of
from services.tester.package_tests import Material, write_tests
from services.tester.work import Package
from tests.support.tiny_document import document


@cache
def tiny() -> tuple[Package, dict[str, bytes]]:
    """The package ``source_tiny`` without tests, and the tests."""
    whole = document()
    known = load(json.dumps({**whole, "paths": {"/contacts": whole["paths"]["/contacts"]}}).encode(), where="tiny")
    blueprint, api = research(known, name="tiny", document_url=None), simulate(known)
    code = compile_connector(blueprint, {}, frozenset())
    spec = json.loads(code["src/source_tiny/spec.json"])["connectionSpecification"]
    knowledge = Knowledge(
        endpoints=endpoints_of(blueprint, {}, api), parents=parents_of(blueprint, {}), streams=("contacts",)
    )
    return Package(code, api, blueprint), dict(write_tests(Material("source_tiny", spec, api, knowledge)))
