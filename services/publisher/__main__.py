"""``python -m services.publisher``: run the publisher on the bus."""

from __future__ import annotations

from infra.runtime.service import run_agent
from services.publisher.handler import agent
from services.publisher.settings import Settings

if __name__ == "__main__":
    run_agent(agent(Settings()))
