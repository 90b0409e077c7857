"""``python -m services.generator``: run the generator on the bus."""

from __future__ import annotations

from infra.runtime.service import run_agent
from services.generator.handler import agent
from services.generator.settings import Settings

run_agent(agent(Settings()))
