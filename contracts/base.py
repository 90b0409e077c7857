"""The base of every contract: frozen, and forgiving towards fields of a newer version."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, StringConstraints

_new, _set = object.__new__, object.__setattr__


class Frozen(BaseModel):
    """An immutable value. Unknown fields are ignored, so an older reader survives a newer writer."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def changed(self, changes: dict[str, Any]) -> Self:
        """``model_copy(update=changes)`` at half its cost, for the fold, which makes one copy a fact. As there, new
        values are not validated."""
        made, given = _new(self.__class__), self.__pydantic_fields_set__
        values = self.__dict__.copy()
        values.update(changes)
        _set(made, "__dict__", values)
        _set(made, "__pydantic_fields_set__", given if changes.keys() <= given else given | changes.keys())
        _set(made, "__pydantic_extra__", None)
        _set(made, "__pydantic_private__", None)
        return made


Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=50)]
"""A connector's name: lower case words joined by single hyphens, 1 to 50 characters."""

PipelineId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
"""A UUID as 32 hexadecimal digits: safe as one token of a NATS subject."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
