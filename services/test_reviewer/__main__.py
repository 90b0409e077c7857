"""``python -m services.test_reviewer``: run the test reviewer on the bus."""

from __future__ import annotations

from infra.runtime.service import run_agent
from services.test_reviewer.handler import agent
from services.test_reviewer.settings import Settings

if __name__ == "__main__":
    run_agent(agent(Settings()))
