"""What is under review, as plain data."""

from __future__ import annotations

from dataclasses import dataclass

from contracts.artifacts import Tree
from contracts.blueprint import ApiBlueprint, Choices
from contracts.reports import TestReport


@dataclass(frozen=True)
class Subject:
    """A generated connector with all that is known about it. ``name`` is the connector's slug."""

    name: str
    code: Tree
    tests: Tree
    blueprint: ApiBlueprint
    report: TestReport
    code_sha256: str
    choices: Choices
    degraded: tuple[str, ...] = ()

    @property
    def distribution(self) -> str:
        return f"source-{self.name}"

    @property
    def package(self) -> str:
        """The import name: ``source_`` and the slug with underscores."""
        return self.distribution.replace("-", "_")

    @property
    def source(self) -> dict[str, bytes]:
        """The Python files of the package."""
        return _python(self.code)

    @property
    def test_source(self) -> dict[str, bytes]:
        return _python(self.tests)


def _python(tree: Tree) -> dict[str, bytes]:
    return {path: content for path, content in sorted(tree.items()) if path.endswith(".py")}
