"""From a document to a connector's code, without agents, bus or sandbox."""

from __future__ import annotations

from contracts.artifacts import Tree
from contracts.blueprint import ApiBlueprint
from services.generator.compiler import compile_connector
from services.research.study import study


def generated(document: bytes, where: str, name: str) -> Tree:
    """What research and generator make of an OpenAPI document as ``source-NAME``; ``where`` names it in errors."""
    made = study(document, where, name, None, {}, None, len(document))
    return compile_connector(ApiBlueprint.model_validate_json(made["blueprint"]), {}, frozenset())
