"""What is known of a published version: the entry that publisher writes and gateway and command line read."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, Field

from contracts.artifacts import ArtifactRef
from contracts.base import Frozen, PipelineId, Sha256, Slug


class CatalogueEntry(Frozen):
    """``catalogue.json`` of one version, in ``connectors/source-NAME/VERSION/``; its presence means: published.

    ``code`` is the hash of the tree that was tested and reviewed; ``package`` differs from it only by the tests,
    their results and the version. ``degraded`` streams were left out of the connector, ``unproven`` ones are in
    it but were not proven to be read completely.
    """

    name: Slug
    distribution: str
    version: str
    title: str = ""
    outcome: Literal["success", "partial"]
    streams: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()
    unproven: tuple[str, ...] = ()
    score: int = Field(ge=0, le=100)
    pipeline: PipelineId
    published: AwareDatetime
    code: Sha256
    package: ArtifactRef
    wheel: ArtifactRef
    wheel_file: str
    sdist: ArtifactRef
    sdist_file: str
    report: ArtifactRef
    review: ArtifactRef
