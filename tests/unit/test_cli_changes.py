"""What is different between two moments: of values, of trees, and how it is shown without obeying it."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import events as e
from contracts.blueprint import Request
from contracts.pipeline import fold
from contracts.reports import Check, Isolation, Outcome, StreamProof, TestCase, TestReport
from infra.cli.changes import blueprint_changes, report_changes, state_changes
from infra.cli.printable import printable
from infra.cli.tree_diff import MOST_LINES, tree_diff
from tests.support import scripted as s
from tests.support.blueprints import small_crm
from tests.support.lives import scripted

TREES = st.dictionaries(
    st.sampled_from(["a.py", "b.py", "src/c.py"]),
    st.lists(st.sampled_from(["x = 1", "y = 2", "", "z = '\u2028'", "\x0c"]), max_size=6).flatmap(
        lambda lines: st.sampled_from(["\n".join(lines), "\n".join(lines) + "\n"])
    ),
)


def test_state_changes_name_what_moved_and_nothing_else() -> None:
    log = scripted(s.bad_code(7), s.good())
    at = next(n for n, fact in enumerate(log.facts, start=1) if fact.type == "tests.reviewed")

    changes = state_changes(fold(log.facts[: at - 1]), fold(log.facts[: at + 1]))

    told = {".".join(change.where): (change.before, change.after) for change in changes}
    assert told["counters.code_repairs"] == (0, 1)
    assert told["coverage"] == (None, {"proven": 7, "total": 10})
    assert {where.split(".")[0] for where in told} <= {
        "counters", "coverage", "tasks", "verdict", "unproven", "feedback", "judged",
    }  # fmt: skip
    assert state_changes(log.state, log.state) == []


def test_an_artifact_changes_as_a_whole() -> None:
    log = scripted(s.bad_code(7), s.good())
    codes = [n for n, fact in enumerate(log.facts, start=1) if fact.type == "connector.generated"]

    changes = state_changes(*(fold(log.facts[:at]) for at in codes))

    (code,) = [change for change in changes if change.where == ("code",)]
    assert code.before["sha256"] != code.after["sha256"]


def test_blueprint_changes_are_decisions_not_their_reasons() -> None:
    before = small_crm()
    first, *rest = before.streams
    less_sure = first.primary_key.model_copy(update={"confidence": 0.123, "evidence": ()})
    moved = first.request.model_copy(update={"value": Request(path="/elsewhere")})
    changed = first.model_copy(update={"primary_key": less_sure, "request": moved})
    after = before.model_copy(update={"streams": (changed, *rest[1:])})

    changes = blueprint_changes(before, after)

    assert [change.where for change in changes] == [
        ("streams", first.name, "request", "path"),
        ("streams", rest[0].name),
    ]
    assert (changes[0].after, changes[1].after) == ("/elsewhere", None)
    assert {change.before for change in blueprint_changes(None, before)} == {None}


def report(outcome: Outcome, *, proven: bool) -> TestReport:
    return TestReport(
        mode=e.TesterMode.RERUN,
        code="0" * 64,
        tests="0" * 64,
        fixtures="0" * 64,
        isolation=Isolation(kind="process"),
        checks=(
            Check(id="completeness/crm/page+1", kind="completeness", outcome=outcome, stream="crm"),
            Check(id="auth/connector/check", kind="auth", outcome=Outcome.PASSED),
        ),
        cases=(TestCase(id="test_a", outcome=Outcome.PASSED),),
        streams=(StreamProof(stream="crm", proven=proven),),
    )


def test_report_changes_are_outcomes() -> None:
    changes = report_changes(report(Outcome.FAILED, proven=False), report(Outcome.PASSED, proven=True))

    assert [(change.where, change.before, change.after) for change in changes] == [
        (("stream", "crm"), "not proven", "proven"),
        (("check", "completeness/crm/page+1"), "failed", "passed"),
    ]


def test_tree_diff_tells_added_deleted_changed_binary_and_huge() -> None:
    before = {"gone.py": b"x\n", "same.py": b"1\n", "changed.py": b"a\nb\n", "logo.png": b"\x89PNG\0"}
    after = {"new.py": b"y", "same.py": b"1\n", "changed.py": b"a\nc\n", "logo.png": b"\xff\xfe"}
    after["huge.py"] = b"x\n" * (MOST_LINES + 1)

    files = {file.path: file for file in tree_diff(before, after)}

    assert {path: file.status for path, file in files.items()} == {
        "changed.py": "changed", "gone.py": "deleted", "huge.py": "added", "logo.png": "changed", "new.py": "added",
    }  # fmt: skip
    assert files["changed.py"].text == "--- a/changed.py\n+++ b/changed.py\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n"
    assert (files["changed.py"].added, files["changed.py"].removed) == (1, 1)
    assert files["new.py"].text.startswith("--- /dev/null\n+++ b/new.py\n")
    assert files["new.py"].text.endswith("+y\n\\ No newline at end of file\n")
    assert (files["logo.png"].note, files["huge.py"].note) == ("binary", f"more than {MOST_LINES:,} lines")


@settings(max_examples=25, deadline=None)
@given(before=TREES, after=TREES)
def test_git_applies_the_diff_of_any_two_trees(before: dict[str, str], after: dict[str, str]) -> None:
    """git, because GNU patch takes an empty file for one that is not there."""
    old, new = ({path: text.encode() for path, text in tree.items()} for tree in (before, after))
    patch = "".join(file.text for file in tree_diff(old, new))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path, text in before.items():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_bytes(text.encode())
        if patch:
            command = ["git", "apply", "--whitespace=nowarn", "-"]
            subprocess.run(command, cwd=folder, input=patch.encode(), check=True, capture_output=True)
        for path in {*before, *after}:
            there = (folder / path).read_bytes().decode() if (folder / path).is_file() else ""
            assert there == after.get(path, "")


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("plain é text\twith\nlines", "plain é text\twith\nlines"),
        ("\x1b]0;title\x07\x1b[31mred", "\\x1b]0;title\\x07\\x1b[31mred"),
        ("over\rwritten", "over\\rwritten"),
        ("\u202etxt.exe", "\\u202etxt.exe"),
    ],
)
def test_control_characters_are_spelled_out(hostile: str, shown: str) -> None:
    assert printable(hostile) == shown
