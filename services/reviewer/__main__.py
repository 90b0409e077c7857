"""``python -m services.reviewer``: run the reviewer on the bus."""

from __future__ import annotations

from infra.runtime.service import run_agent
from services.reviewer.handler import agent
from services.reviewer.settings import Settings

if __name__ == "__main__":
    run_agent(agent(Settings()))
