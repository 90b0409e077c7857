"""`make bench`: every benchmark, one after the other. Figures are printed, never asserted."""

from __future__ import annotations

import runpy

for name in ("overhead", "large_document"):
    print(f"--- {name}", flush=True)
    runpy.run_module(f"tests.benchmarks.{name}", run_name="__main__")
