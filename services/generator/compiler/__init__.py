"""From an `ApiBlueprint` to a connector: pure, and the same bytes for the same input."""

from services.generator.compiler.compile import compile_connector
from services.generator.compiler.feasible import left_out

__all__ = ["compile_connector", "left_out"]
