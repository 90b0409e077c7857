"""``python -m services.research``"""

from __future__ import annotations

from infra.runtime.service import run_agent
from services.research.handler import agent
from services.research.settings import Settings

if __name__ == "__main__":
    run_agent(agent(Settings()))
