"""``python -m services.tester``: run the tester on the bus."""

from __future__ import annotations

from infra.runtime.service import run_agent
from services.tester.handler import agent
from services.tester.settings import Settings

if __name__ == "__main__":
    run_agent(agent(Settings()))
