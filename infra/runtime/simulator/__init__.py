"""A server that behaves as an API's document promises: `Simulator` serves a `SimulatedApi` and counts."""

from infra.runtime.simulator.plan import Count, Fault, Plan, Size, Throttle
from infra.runtime.simulator.simulator import Row, Seen, Simulator

__all__ = ["Count", "Fault", "Plan", "Row", "Seen", "Simulator", "Size", "Throttle"]
