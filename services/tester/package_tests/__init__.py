"""The package's own tests: written from evidence, repaired, run in the sandbox."""
