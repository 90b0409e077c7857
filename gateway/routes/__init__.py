"""One module for each kind of thing that can be asked for."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Header, Path, Request

from contracts.base import PipelineId
from gateway.backend import Backend, Parts


def backend(request: Request) -> Backend:
    found: Backend = request.app.state.backend
    return found


def parts(request: Request) -> Parts:
    return backend(request).parts


TheBackend = Annotated[Backend, Depends(backend)]
TheParts = Annotated[Parts, Depends(parts)]
Id = Annotated[PipelineId, Path(description="32 hexadecimal digits")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="the same key again is the same request: it is done once and answered the same way",
    ),
]
