"""A question to every agent at once: nobody knows how many will answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import nats.errors
from nats.aio.client import Client
from pydantic import BaseModel, ValidationError

logger = logging.getLogger(__name__)

M = TypeVar("M", bound=BaseModel)


async def ask_all(
    nc: Client, subject: str, answer: type[M], *, timeout_s: float, enough: Callable[[Sequence[M]], bool]
) -> list[M]:
    """What is answered on ``subject`` until that is ``enough``, or the time is over."""
    found: list[M] = []
    inbox = nc.new_inbox()
    replies = await nc.subscribe(inbox)
    try:
        await nc.publish(subject, b"", reply=inbox)
        async with asyncio.timeout(timeout_s):
            while not enough(found):
                reply = await replies.next_msg(timeout=timeout_s)
                if (reply.headers or {}).get("Status"):  # 503: nobody listens
                    break
                found += _read(reply.data, answer)
    except (TimeoutError, nats.errors.Error) as error:
        logger.debug("some agents did not answer: %r", error)
    finally:
        await replies.unsubscribe()
    return found


def _read(payload: bytes, answer: type[M]) -> list[M]:
    try:
        return [answer.model_validate_json(payload)]
    except ValidationError as error:
        logger.warning("an agent's answer is no %s: %s", answer.__name__, error)
        return []
