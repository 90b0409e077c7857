"""The output folder: who has which version, what is published, and the newest package as a folder to look into.

    connectors/source-NAME/0.1.0/            reserved for one pipeline; published once it has a catalogue.json
    connector-implementations/source-NAME/   the newest published version's package
    connector-implementations/source-NAME.edited-0.1.0/   what somebody had changed there, kept

Every step is one rename or is repeated harmlessly, so a crash between any two leaves nothing half-made; a lock for
each name keeps processes apart. All of it blocks.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from contracts.artifacts import Tree, TreeManifest
from contracts.catalogue import CatalogueEntry
from contracts.errors import Rejected
from infra.runtime.locks import locked
from infra.runtime.trees import is_by_product, read_tree, write_tree
from services.publisher.versions import next_version, parse_version

CATALOGUE = "catalogue.json"
_OWNER = "pipeline"


@dataclass(frozen=True)
class Shelf:
    """The versions of one connector below ``output``; ``distribution`` is ``source-NAME``."""

    output: Path
    distribution: str

    @property
    def versions(self) -> Path:
        return self.output / "connectors" / self.distribution

    @property
    def shown(self) -> Path:
        return self.output / "connector-implementations" / self.distribution

    def folder(self, version: str) -> Path:
        return self.versions / version

    def reserve(self, pipeline: str) -> str:
        """The version of ``pipeline``: the one it has already, else the next, which nobody else gets."""
        self.versions.mkdir(parents=True, exist_ok=True)
        with locked(self.versions / ".lock"):
            taken = {folder.name: folder for folder in self.versions.iterdir() if parse_version(folder.name)}
            for version, folder in taken.items():
                if _owner(folder) == pipeline:
                    return version
            version = next_version(taken)
            new = Path(tempfile.mkdtemp(prefix=".reserving-", dir=self.versions))
            new.chmod(0o755)
            (new / _OWNER).write_text(pipeline, encoding="utf-8")
            new.rename(self.folder(version))
            return version

    def entry(self, version: str) -> CatalogueEntry | None:
        """What is published as ``version``; None if it is only reserved."""
        try:
            return CatalogueEntry.model_validate_json((self.folder(version) / CATALOGUE).read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def put(self, entry: CatalogueEntry, files: Mapping[str, bytes]) -> None:
        """Write the files of a version, the catalogue entry last: it is what makes the version a published one."""
        folder = self.folder(entry.version)
        with locked(self.versions / ".lock"):
            for name, content in files.items():
                _replace(folder / name, content)
            _replace(folder / CATALOGUE, entry.model_dump_json(indent=2).encode())

    def show(self, version: str, tree: Tree) -> Path | None:
        """Make ``tree`` what is shown, unless a newer version is. An edited folder is moved aside.

        Returns:
            Where an edited folder was moved to, or None.
        """
        with locked(self.versions / ".lock"):
            published = list(self._published())
            newest = max((entry.version for entry in published), key=_rank, default=version)
            if _rank(newest) > _rank(version):
                return None
            self.shown.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{self.distribution}-", dir=self.shown.parent) as scratch:
                new = Path(scratch) / "new"
                write_tree(new, tree)
                kept = self._clear(published, Path(scratch) / "old")
                new.rename(self.shown)
            return kept

    def _clear(self, published: list[CatalogueEntry], old: Path) -> Path | None:
        """Move away what is shown: to be deleted if it is as we wrote it, else to where it is kept."""
        if not os.path.lexists(self.shown):
            return None
        current = _manifest_hash(self.shown)
        if any(entry.package.sha256 == current for entry in published):
            self.shown.rename(old)
            return None
        kept = self._free_name(_stated_version(self.shown))
        self.shown.rename(kept)
        return kept

    def _free_name(self, version: str) -> Path:
        base = self.shown.with_name(f"{self.distribution}.edited-{version}")
        names = (base.with_name(f"{base.name}-{number}") if number > 1 else base for number in range(1, 10_000))
        return next(path for path in names if not os.path.lexists(path))

    def _published(self) -> Iterator[CatalogueEntry]:
        for folder in self.versions.iterdir():
            if parse_version(folder.name) and (entry := self.entry(folder.name)):
                yield entry


def _owner(folder: Path) -> str | None:
    try:
        return (folder / _OWNER).read_text(encoding="utf-8").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _rank(version: str) -> tuple[int, int, int]:
    return parse_version(version) or (0, 0, 0)


def _replace(path: Path, content: bytes) -> None:
    new = path.with_name(f".{path.name}.new")
    new.write_bytes(content)
    os.replace(new, path)


def _manifest_hash(folder: Path) -> str | None:
    """The hash of the tree in ``folder`` as a package would have; None for what no package can be."""
    if folder.is_symlink() or not folder.is_dir() or _has_link(folder):
        return None
    try:
        return TreeManifest.of(read_tree(folder)).ref.sha256
    except Rejected:
        return None


def _has_link(folder: Path) -> bool:
    for current, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not is_by_product(name)]
        if any(os.path.islink(os.path.join(current, name)) for name in (*folders, *names)):
            return True
    return False


def _stated_version(folder: Path) -> str:
    """The version in the folder's ``pyproject.toml``, else ``unknown``."""
    try:
        lines = (folder / "pyproject.toml").read_text(encoding="utf-8", errors="replace")[:10_000].splitlines()
    except OSError:
        return "unknown"
    stated = (line.partition("=")[2].strip(" \"'") for line in lines if line.startswith("version"))
    return next((version for version in stated if parse_version(version)), "unknown")
