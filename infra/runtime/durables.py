"""Who has which durable consumer: what is provisioned, bound and allowed follows from here."""

from __future__ import annotations

from contracts import subjects
from contracts.services import AGENTS, Service

TIMERS_CONSUMER = "router-timers"


def durables(service: Service) -> dict[str, str]:
    """The names of one service's durables by their streams. Who has none on ``EVENTS`` reads in order from where it
    knows."""
    if service in AGENTS:
        return {subjects.EVENTS_STREAM: service.value}
    if service is Service.ROUTER:
        return {subjects.EVENTS_STREAM: service.value, subjects.TIMERS_STREAM: TIMERS_CONSUMER}
    return {}
