"""The retry policy: limits and thresholds that the router applies. Recorded in ``pipeline.submitted``."""

from __future__ import annotations

import hashlib
from typing import Literal

from pydantic import Field, model_validator

from contracts.base import Frozen


class Policy(Frozen):
    """How often each loop may turn and what counts as good enough. "3" means that three rounds happen,
    unless one changes nothing: then the others would not either."""

    test_repairs: int = Field(default=3, ge=0, le=20, description="rounds of tests.requested(FIX)")
    code_repairs: int = Field(default=3, ge=0, le=20, description="rounds of generation.requested(FIX)")
    review_cycles: int = Field(default=2, ge=0, le=20, description="rounds of generation.requested(IMPROVE)")
    researches: int = Field(default=1, ge=0, le=5, description="rounds of research.requested for gaps")
    agent_retries: int = Field(default=3, ge=0, le=20, description="retries of one task after transient failures")
    retry_backoff_s: float = Field(default=2.0, ge=0, le=600, description="wait before the first retry; doubles")
    partial_percent: int = Field(default=80, ge=1, le=100, description="stream coverage that may be published")
    research_percent: int = Field(default=50, ge=0, le=100, description="below this, research is asked first")
    approval: Literal["none", "required"] = Field(default="none", description="ask a person before publishing")
    budget_usd: float = Field(
        default=20.0,
        ge=0,
        allow_inf_nan=False,
        description="model turns of one pipeline; at the limit a person is asked for as much again (0: no turns)",
    )

    @model_validator(mode="after")
    def _thresholds_are_ordered(self) -> Policy:
        if self.research_percent > self.partial_percent:
            raise ValueError("research_percent must not exceed partial_percent")
        return self

    def budget_after(self, grants: int) -> float:
        """USD that a pipeline may spend on model turns once a person has granted more so many times."""
        return self.budget_usd * (1 + grants)

    @property
    def hash(self) -> str:
        """12 hexadecimal digits that name these values in every decision."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]
