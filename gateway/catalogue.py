"""What is published, read from the output folder: ``connectors/source-NAME/VERSION/`` (see `CatalogueEntry`).

All of it blocks; run it in threads. Names and versions must be checked before they come here (`NAME`, `VERSION`).
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

from pydantic import ValidationError

from contracts.catalogue import CatalogueEntry

logger = logging.getLogger(__name__)

NAME = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
VERSION = r"^\d{1,9}\.\d{1,9}\.\d{1,9}$"
REPORTS = ("report.json", "review.json")


class Catalogue:
    """The published connectors below ``output_dir``."""

    def __init__(self, output_dir: Path) -> None:
        self._connectors = output_dir / "connectors"

    def names(self) -> list[str]:
        """Of all connectors with at least one published version, sorted."""
        if not self._connectors.is_dir():
            return []
        found = (folder.name.removeprefix("source-") for folder in self._connectors.glob("source-*"))
        return sorted(name for name in found if re.fullmatch(NAME, name) and self.versions(name))

    def versions(self, name: str) -> list[CatalogueEntry]:
        """Newest first; empty: nothing of this name is published."""
        entries = [entry for folder in self._folder(name).glob("*.*.*") if (entry := _entry(folder))]
        return sorted(entries, key=lambda entry: tuple(map(int, entry.version.split("."))), reverse=True)

    def file(self, name: str, version: str, file: str) -> Path | None:
        """A file of a published version, if it is one that the catalogue names."""
        folder = self._folder(name) / version
        entry = _entry(folder)
        if entry is None or file not in (entry.wheel_file, entry.sdist_file, *REPORTS):
            return None
        path = folder / file
        return (
            path if path.is_file() and not path.is_symlink() and path.resolve().parent == folder.resolve() else None
        )

    def _folder(self, name: str) -> Path:
        return self._connectors / f"source-{name}"


def _entry(folder: Path) -> CatalogueEntry | None:
    if not re.fullmatch(VERSION, folder.name):
        return None
    try:
        return CatalogueEntry.model_validate_json((folder / "catalogue.json").read_bytes())
    except FileNotFoundError:
        return None  # reserved, not published
    except (ValidationError, OSError) as error:
        logger.warning("%s cannot be read: %s", folder, error)
        return None
