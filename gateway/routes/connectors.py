"""``/connectors``: what is published, and its files."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import FileResponse

from gateway.answers import ConnectorAnswer, ConnectorLine, ConnectorList, version_links
from gateway.catalogue import NAME, VERSION, Catalogue
from gateway.problems import not_found
from gateway.routes import TheBackend

router = APIRouter(prefix="/connectors", tags=["connectors"])

Name = Annotated[str, Path(pattern=NAME, max_length=50)]
Version = Annotated[str, Path(pattern=VERSION)]
MEDIA_TYPES = {".whl": "application/vnd.pypa.wheel+zip", ".gz": "application/gzip", ".json": "application/json"}


@router.get("")
async def connectors(backend: TheBackend) -> ConnectorList:
    """All connectors, by name, each with its newest version."""
    return await asyncio.to_thread(_list, backend.catalogue)


@router.get("/{name}")
async def connector(name: Name, backend: TheBackend) -> ConnectorAnswer:
    """One connector, all its versions."""
    return await asyncio.to_thread(_describe, backend.catalogue, name, None)


@router.get("/{name}/{version}")
async def version(name: Name, version: Version, backend: TheBackend) -> ConnectorAnswer:
    """One version."""
    return await asyncio.to_thread(_describe, backend.catalogue, name, version)


@router.get("/{name}/{version}/{file}", response_class=FileResponse)
async def download(
    name: Name, version: Version, file: Annotated[str, Path(max_length=200)], backend: TheBackend
) -> FileResponse:
    """Wheel, sdist, test report or review of a version."""
    path = await asyncio.to_thread(backend.catalogue.file, name, version, file)
    if path is None:
        raise not_found(f"source-{name} {version} has no such file")
    return FileResponse(path, media_type=MEDIA_TYPES.get(path.suffix), filename=path.name)


def _list(catalogue: Catalogue) -> ConnectorList:
    newest = [versions[0] for name in catalogue.names() if (versions := catalogue.versions(name))]
    return ConnectorList(
        connectors=tuple(
            ConnectorLine(
                name=entry.name,
                version=entry.version,
                outcome=entry.outcome,
                links={"self": f"/connectors/{entry.name}", **version_links(entry)},
            )
            for entry in newest
        )
    )


def _describe(catalogue: Catalogue, name: str, version: str | None) -> ConnectorAnswer:
    entries = [entry for entry in catalogue.versions(name) if version in (None, entry.version)]
    if not entries:
        raise not_found(f"no connector source-{name}{f' {version}' if version else ''} is published")
    described = ({**entry.model_dump(mode="json"), "links": version_links(entry)} for entry in entries)
    return ConnectorAnswer(name=name, versions=tuple(described))
