"""Real documents through a real stack: each ends in a published connector with every stream proven."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.corpus.__main__ import main as scoreboard
from tests.corpus.folder import ROOT, documents
from tests.support.stack import connectors, running_up

FOUND = documents()
QUICK = ("capsule_crm",)
"""``game_of_thrones`` goes the same way in the test of the scoreboard."""

SLOWER = (
    *("game_of_thrones", "refuge_restrooms", "nyt_article_search", "circleci", "runscope", "postmark"),
    *("paypal_transactions", "google_calendar", "netlify"),
)
pytestmark = [
    pytest.mark.skipif(not FOUND, reason=f"no documents in {ROOT}: set CORPUS_DIR"),
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


def test_the_scoreboard_tells_what_came_of_a_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = tmp_path / "scores.json"
    assert scoreboard(["--only", "game_of_thrones", "--json", str(told)]) == 0
    (run,) = json.loads(told.read_text())["runs"]
    assert (run["outcome"], run["unproven"]) == ("success", {})
    assert run["proven"] == run["total"] == run["streams"] > 0
    assert "1 of 1 documents" in capsys.readouterr().out


def test_the_scoreboard_of_research_alone_judges_it_by_the_truth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = tmp_path / "scores.json"
    assert scoreboard(["--research-only", "--only", "postmark", "--differences", "--json", str(told)]) == 0
    answers = json.loads(told.read_text())["answers"]
    assert {answer["document"] for answer in answers} == {"postmark"}
    shown = capsys.readouterr().out
    assert all(part in shown for part in ("against the truth of postmark", "pagination kind", "calibration"))


def test_the_scoreboard_names_what_there_is_when_a_name_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert scoreboard(["--only", "no-such-document"]) == 2
    assert "there is no no-such-document; there are" in capsys.readouterr().err
