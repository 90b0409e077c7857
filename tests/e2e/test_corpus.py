"""Real documents through a real stack: each ends in a published connector with every stream proven."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.support.stack import connectors, running_up

SPECS = Path(os.environ.get("CORPUS_DIR", Path(__file__).parents[3] / "shared")) / "specs"
FOUND = {path.stem: path for path in SPECS.glob("*") if path.suffix in (".json", ".yaml")} if SPECS.is_dir() else {}
QUICK = ("game_of_thrones", "capsule_crm")
SLOWER = (
    *("refuge_restrooms", "nyt_article_search", "circleci", "runscope", "postmark", "paypal_transactions"),
    *("google_calendar", "netlify"),
)
pytestmark = [
    pytest.mark.skipif(not FOUND, reason=f"no documents in {SPECS}: set CORPUS_DIR"),
    pytest.mark.timeout(1200),
]


@pytest.mark.parametrize(
    "names", [pytest.param(QUICK, id="quick"), pytest.param(SLOWER, id="slower", marks=pytest.mark.slow)]
)
def test_documents_end_published_with_every_stream_proven(names: tuple[str, ...], tmp_path: Path) -> None:
    output = tmp_path / "output"
    with running_up(tmp_path / "data", output) as (_, url):
        for name in names:
            connector = name.replace("_", "-")
            done = connectors("generate", connector, "--spec", FOUND[name], "--url", url, timeout_s=300)
            assert done.returncode == 0, f"{name}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
            package = output / "connector-implementations" / f"source-{connector}"
            results = json.loads((package / "tests/test_results.json").read_text())
            unproven = [proof for proof in results["streams"] if not proof["proven"]]
            assert results["streams"], name
            assert not unproven, name
