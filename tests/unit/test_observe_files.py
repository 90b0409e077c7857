"""The dashboard and the alerts as files; `test_observed.py` compares what they ask for with what is exported."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import promql_parser
import pytest
import typer
import yaml

from contracts.services import Service
from infra.cli.main import app
from tests.support.promql import FOLDER, base, dashboard, exported, faults, names, queries, rules

TESTS = Path(__file__).parents[1]
KNOWN = {"x_total": {"service": {"tester"}}, "y": {"service": {"tester"}, "version": {"1"}}}


def test_panels_have_ids_of_their_own_and_overlap_nowhere() -> None:
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for at in (panel["gridPos"] for panel in panels)
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_every_panel_reads_from_the_chosen_prometheus() -> None:
    board = dashboard()
    kinds = {variable["name"]: variable["type"] for variable in board["templating"]["list"]}
    assert kinds == {"datasource": "datasource", "service": "query"}
    shown = [panel for panel in board["panels"] if panel["type"] != "row"]
    assert {panel["datasource"]["uid"] for panel in shown} == {"${datasource}"}
    assert {target["datasource"]["uid"] for panel in shown for target in panel["targets"]} == {"${datasource}"}
    rows = [panel["title"] for panel in board["panels"] if panel["type"] == "row"]
    assert rows == ["Pipelines", "Agents", "Verdicts", "Models", "Platform"]


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_an_alert_says_what_happened_and_what_to_do(rule: dict[str, dict[str, str]]) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert len(rule["annotations"]["summary"]) > 15
    assert len(rule["annotations"]["description"]) > 80


def test_alerts_name_commands_that_exist() -> None:
    whole = typer.main.get_command(app)
    assert isinstance(whole, typer.core.TyperGroup)
    told = " ".join(rule["annotations"]["description"] for rule in rules())
    named = set(re.findall(r"`connectors ([a-z]+)", told))
    assert named
    assert named <= whole.commands.keys()


def test_every_service_is_missed() -> None:
    [expression] = [str(rule["expr"]) for rule in rules() if rule["alert"] == "ConnectorsServiceMissing"]
    assert set(re.findall(r'service="(\w+)"', expression)) == set(Service)


def test_every_expression_parses() -> None:
    assert len(queries()) > 50


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("sum(z)", "no metric z"),
        ('x_total{job="a"}', "no label job of x_total"),
        ('x_total{service="testr"}', "no service=testr of x_total"),
        ("sum by (version) (rate(x_total[5m]))", "nothing has the label version"),
        ("sum by (version) (rate(x_total[5m]) * on (instance) group_left (version) y)", None),
    ],
)
def test_what_nobody_exports_is_found(expression: str, fault: str | None) -> None:
    assert faults(promql_parser.parse(expression), KNOWN) == ([fault] if fault else [])


def test_a_series_is_known_by_its_labels_and_their_values() -> None:
    text = (
        '# TYPE x_total counter\nx_total{service="tester"} 1\n# TYPE y gauge\ny{service="tester",version="1"} 1\n'
    )
    assert exported(text) == KNOWN
    assert (base("x_total"), base("y")) == ("x", "y")
    assert "connectors_ready" in {name for _, query in queries() for name in names(query)}


@pytest.fixture
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("no promtool: apt install prometheus")
    return found


def test_prometheus_takes_the_rules(promtool: str) -> None:
    done = subprocess.run([promtool, "check", "rules", FOLDER / "alerts.yaml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_alerts_fire_when_they_should_and_only_then(promtool: str, tmp_path: Path) -> None:
    """Without their texts, which promtool would compare, too."""
    groups = [{"name": "all", "rules": [{**rule, "annotations": {}} for rule in rules()]}]
    (tmp_path / "alerts.yaml").write_text(yaml.safe_dump({"groups": groups}))
    shutil.copy(TESTS / "support" / "alerts_test.yaml", tmp_path)
    done = subprocess.run(
        [promtool, "test", "rules", tmp_path / "alerts_test.yaml"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
