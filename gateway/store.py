"""Questions to the event store over the bus."""

from __future__ import annotations

from typing import TypeVar

import nats.errors
from nats.aio.client import Client
from pydantic import BaseModel, ValidationError

from contracts import subjects
from contracts.queries import Answer, Query, Refusal
from gateway.problems import Problem, invalid, not_found, unavailable

R = TypeVar("R", bound=BaseModel)


class Refused(Exception):
    """The store's refusal, or ``unavailable`` when it does not answer at all."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.what)
        self.refusal = refusal

    def problem(self) -> Problem:
        """As the user sees it."""
        what = self.refusal.what
        match self.refusal.kind:
            case "not_found":
                return not_found(what)
            case "invalid":
                return invalid("invalid-request", what)
            case _:
                return unavailable(what)


class Store:
    """Asks; holds nothing."""

    def __init__(self, nc: Client, *, timeout_s: float) -> None:
        self._nc = nc
        self._timeout_s = timeout_s

    async def ask(self, name: str, query: Query, result: type[R], *, timeout_s: float | None = None) -> R:
        """
        Raises:
            Refused: there is no result.
        """
        try:
            reply = await self._nc.request(
                subjects.query(name), query.model_dump_json().encode(), timeout=timeout_s or self._timeout_s
            )
            answer = Answer[result].model_validate_json(reply.data)  # type: ignore[valid-type]
        except (TimeoutError, nats.errors.Error) as error:
            raise Refused(Refusal(kind="unavailable", what="the event store does not answer")) from error
        except ValidationError as error:
            raise Refused(Refusal(kind="unavailable", what="the event store's answer cannot be read")) from error
        if answer.refusal is not None:
            raise Refused(answer.refusal)
        if answer.result is None:
            raise Refused(Refusal(kind="unavailable", what="the event store's answer is empty"))
        return answer.result
