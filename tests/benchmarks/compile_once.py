"""``python -m tests.benchmarks.compile_once DOCUMENT FOLDER``: a connector's code from a document without a bus."""

from __future__ import annotations

import sys
from pathlib import Path

from contracts.blueprint import ApiBlueprint
from services.generator.compiler import compile_connector
from services.research.study import study


def main(document: Path, folder: Path) -> None:
    content = document.read_bytes()
    made = study(content, document.name, "benchmark", None, {}, None, len(content))
    blueprint = ApiBlueprint.model_validate_json(made["blueprint"])
    for path, code in compile_connector(blueprint, {}, frozenset()).items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(code)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
