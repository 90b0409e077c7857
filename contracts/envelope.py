"""The frozen message: a fact and what is known about it, with the names of CloudEvents 1.0.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md (structured JSON). ``causation``,
``dataversion`` and ``imported`` are extension attributes.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any, Literal

from pydantic import AwareDatetime

from contracts.base import Frozen, PipelineId
from contracts.errors import Permanent
from contracts.events import FACTS, Fact
from contracts.upcasts import upcast

_NAMESPACE = uuid.UUID("6d5a5a4e-51f5-4c0f-9d0b-6a1f2f6f7a10")


_VALIDATE: dict[str, Callable[[Any], Fact]] = {
    name: model.__pydantic_validator__.validate_python for name, model in FACTS.items()
}
"""Type -> its `model_validate`, without the options, which cost as much as a small fact."""


class UnknownFact(Permanent):
    """A type or version that this reader does not know: a newer writer is about. Never thrown away."""


class Envelope(Frozen):
    """One message of the log. ``imported``: it was said elsewhere and is here to be read, never to be acted on."""

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: str
    type: str
    dataversion: int
    time: AwareDatetime
    subject: PipelineId
    causation: str | None = None
    imported: Literal[True] | None = None
    data: dict[str, Any]

    @property
    def pipeline(self) -> str:
        return self.subject

    def fact(self) -> Fact:
        """The typed fact, brought to the current version.

        Raises:
            UnknownFact: the type, or its version, is newer than this code.
        """
        model, version = FACTS.get(self.type), self.dataversion
        if model is None or version > model.VERSION:
            raise UnknownFact(
                f"{self.type} version {version} is newer than this code, which has to be updated", where=self.id
            )
        data = self.data if version == model.VERSION else upcast(self.type, version, self.data)
        return _VALIDATE[self.type](data)

    def encode(self) -> bytes:
        return self.model_dump_json(exclude_none=True).encode()

    @classmethod
    def decode(cls, payload: bytes) -> Envelope:
        return _decode(payload)


_decode: Callable[[bytes], Envelope] = Envelope.__pydantic_validator__.validate_json


def event_id(pipeline: str, task: str, service: str) -> str:
    """The id of ``service``'s answer to ``task``: independent of the outcome, so one task has one answer."""
    return uuid.uuid5(_NAMESPACE, f"{pipeline}/{task}/{service}").hex


def wrap(fact: Fact, *, id: str, pipeline: str, source: str, time: datetime, causation: str | None) -> Envelope:
    """Put a fact into its envelope. ``causation`` is the event id of the fact that it answers."""
    return Envelope(
        id=id,
        source=source,
        type=fact.TYPE,
        dataversion=fact.VERSION,
        time=time,
        subject=pipeline,
        causation=causation,
        data=fact.model_dump(mode="json"),
    )
