"""Where a prepared toolchain is, and whether it is whole."""

from __future__ import annotations

import json
import os
import platform
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from infra.runtime.toolchain.pins import requirements, toolchain_key

CACHE_VARIABLE = "CONNECTORS_CACHE_DIR"
_READY = "ready.json"


def cache_dir() -> Path:
    """``$CONNECTORS_CACHE_DIR``, else ``agentic-connectors`` in ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    if own := os.environ.get(CACHE_VARIABLE):
        return Path(own).expanduser().resolve()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache").resolve() / "agentic-connectors"


@dataclass(frozen=True)
class Toolchain:
    """A prepared toolchain: a folder that is read, never written, once it is there.

    Call its tools as modules (``[str(toolchain.python), "-m", "pytest"]``): it has no console scripts.
    """

    root: Path

    @property
    def python(self) -> Path:
        """The interpreter of a venv that holds the whole pinned set (without pip)."""
        return self.root / "venv" / "bin" / "python"

    @property
    def site_packages(self) -> Path:
        """Where that venv's packages are."""
        major, minor = sys.version_info[:2]
        return self.root / "venv" / "lib" / f"python{major}.{minor}" / "site-packages"

    @property
    def wheelhouse(self) -> Path:
        """A folder with the wheel of every pin: enough to install a connector without a network."""
        return self.root / "wheelhouse"

    @property
    def pip(self) -> Path:
        """A folder with pip alone; put it on PYTHONPATH and run ``-m pip``."""
        return self.root / "pip"

    @property
    def base_python(self) -> Path:
        """The installation that the venv's interpreter belongs to; a sandbox has to show it, read-only."""
        return Path(sys.base_prefix)

    def is_ready(self) -> bool:
        """Whether it was completed, and nothing that it stands on has gone since."""
        try:
            wheels = json.loads((self.root / _READY).read_bytes())["wheels"]
        except (FileNotFoundError, NotADirectoryError, ValueError, KeyError):
            return False
        present = (self.wheelhouse / name for name in wheels)
        return self.python.exists() and self.pip.is_dir() and all(wheel.is_file() for wheel in present)

    def mark_ready(self) -> None:
        """Write the mark that `is_ready` looks for: the last step of preparing."""
        wheels = sorted(path.name for path in self.wheelhouse.glob("*.whl"))
        (self.root / _READY).write_text(json.dumps({"wheels": wheels}, indent=2), encoding="utf-8")


def locate(cache: Path | None = None) -> Toolchain:
    """The toolchain for this interpreter, prepared or not."""
    base = str(Path(sys.base_prefix).resolve())
    key = toolchain_key(requirements(), platform.python_version(), sysconfig.get_platform(), base)
    return Toolchain((cache or cache_dir()) / f"toolchain-{key}")
