"""The board of `connectors generate`: what stays on it."""

from __future__ import annotations

import io

from rich.console import Console

from infra.cli.watch import Board
from infra.runtime.agent import WARNING


def test_a_warning_stays_once_and_other_progress_does_not() -> None:
    text = io.StringIO()
    with Board(Console(file=text, width=200)) as board:
        for message in ("running 4 files", f"{WARNING}the connector runs unconfined", "3 streams read"):
            board.progress("tester", message)
            board.progress("tester", message)
    assert text.getvalue().count("the connector runs unconfined") == 1
    assert "4 files" not in text.getvalue()
