"""One pinned set of dependencies for generated connectors, prepared once per machine in the cache folder."""

from infra.runtime.toolchain.build import prepare, prepare_async
from infra.runtime.toolchain.install import install_offline
from infra.runtime.toolchain.pins import BUILD, RUNTIME, TEST, pins
from infra.runtime.toolchain.place import Toolchain, cache_dir, locate
from infra.runtime.toolchain.process import ToolFailed

__all__ = [
    "BUILD",
    "RUNTIME",
    "TEST",
    "ToolFailed",
    "Toolchain",
    "cache_dir",
    "install_offline",
    "locate",
    "pins",
    "prepare",
    "prepare_async",
]
