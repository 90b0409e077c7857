"""The package's own tests: written from the document's evidence, repaired, and run in the sandbox."""

from services.tester.package_tests.fix import rewrite
from services.tester.package_tests.run import run_all, run_tests
from services.tester.package_tests.write import Material, concessions_of, write_tests

__all__ = ["Material", "concessions_of", "rewrite", "run_all", "run_tests", "write_tests"]
