"""What one request to a model took and cost: for its span and the metrics."""

from __future__ import annotations

import time

from contracts.turns import Reply
from infra.runtime.claude import genai
from infra.runtime.telemetry import metrics
from infra.runtime.telemetry.spans import Span


class Meter:
    """Runs from when it is made. ``model`` is what was asked for: what a server calls itself is no label."""

    def __init__(self, service: str, model: str, span: Span) -> None:
        self._labels = (service, model)
        self._span = span
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def ended(self, outcome: str) -> None:
        """``ok``, ``cut_off``, ``unreachable``, or an HTTP status."""
        metrics.MODEL_SECONDS.labels(*self._labels, outcome).observe(self.seconds)
        if outcome != "ok":
            self._span.fail(outcome)

    def paid(self, reply: Reply) -> None:
        """Count what ``reply`` cost, once, whether it can be used or not."""
        used = reply.usage
        kinds = {
            "input": used.input_tokens,
            "output": used.output_tokens,
            "cache_read": used.cache_read_input_tokens,
            "cache_write": used.cache_creation_input_tokens,
        }
        for kind, tokens in kinds.items():
            metrics.MODEL_TOKENS.labels(*self._labels, kind).inc(tokens)
        metrics.MODEL_COST_USD.labels(*self._labels).inc(reply.cost_usd)
        self._span.set(genai.response(reply))
