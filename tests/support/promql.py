"""The expressions of the dashboard and the alerts, and whether what they ask for is there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import promql_parser as promql
import yaml
from prometheus_client.parser import text_string_to_metric_families

FOLDER = Path(__file__).parents[2] / "infra" / "deploy" / "observe"
BY_PROMETHEUS = {"instance", "job"}
"""Labels that it adds to whatever it scrapes."""

_VARIABLES = {"$__rate_interval": "5m", "$__range": "6h", "$service": ".*"}

Exported = Mapping[str, Mapping[str, set[str]]]
"""Name of a series -> its labels -> their values."""


def dashboard() -> dict[str, Any]:
    board: dict[str, Any] = json.loads((FOLDER / "dashboard.json").read_text())
    return board


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def queries() -> list[tuple[str, Any]]:
    """Where each expression is, and its tree.

    Raises:
        ValueError: one does not parse.
    """
    shown = [
        (panel["title"], target["expr"]) for panel in dashboard()["panels"] for target in panel.get("targets", ())
    ]
    asked = [(rule["alert"], rule["expr"]) for rule in rules()]
    return [(where, promql.parse(_plain(expression))) for where, expression in shown + asked]


def _plain(expression: str) -> str:
    for variable, value in _VARIABLES.items():
        expression = expression.replace(variable, value)
    return expression


def exported(text: str) -> Exported:
    """The series in what a service answers to ``/metrics``."""
    found: dict[str, dict[str, set[str]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return found


def base(series: str) -> str:
    """The metric that a series belongs to, as `prometheus_client` names it."""
    for suffix in ("_bucket", "_count", "_sum", "_total"):
        series = series.removesuffix(suffix)
    return series


def names(query: Any) -> list[str]:
    return [selector.name for selector in _parts(query, promql.VectorSelector)]


def faults(query: Any, known: Exported) -> list[str]:
    """What ``query`` asks for and nobody exports."""
    found = []
    for selector in _parts(query, promql.VectorSelector):
        labels = known.get(selector.name)
        if labels is None:
            found.append(f"no metric {selector.name}")
            continue
        for matcher in selector.matchers.matchers:
            values = labels.get(matcher.name)
            if values is None:
                found.append(f"no label {matcher.name} of {selector.name}")
            elif matcher.op in (promql.MatchOp.Equal, promql.MatchOp.NotEqual) and matcher.value not in values:
                found.append(f"no {matcher.name}={matcher.value} of {selector.name}")
    for part in _parts(query, promql.AggregateExpr):
        wanted = set(part.modifier.labels) if part.modifier else set()
        there = {label for name in names(part) for label in known.get(name, ())}
        found += [f"nothing has the label {label}" for label in wanted - there - BY_PROMETHEUS]
    return found


def _parts(query: Any, kind: type[Any]) -> Iterator[Any]:
    seen: list[Any] = []

    def visit(part: Any) -> None:
        if isinstance(part, kind):
            seen.append(part)

    promql.walk(query, visit)
    yield from seen
