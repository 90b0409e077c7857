"""What a model's tools can reach: its workspace, and nothing else."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from contracts.errors import Rejected
from contracts.reports import Isolation
from infra.runtime import sandbox
from infra.runtime.artifacts import MemoryArtifacts
from infra.runtime.claude import commands
from infra.runtime.claude.brief import Brief, ToolName
from infra.runtime.claude.commands import BashInput, bash, unpacked
from infra.runtime.claude.tools import Tool, tools_of
from infra.runtime.claude.workspace import Workspace
from infra.runtime.trees import read_tree
from tests.support.claude import Desk, Done, brief
from tests.support.claude_server import by_turn, call, outcome, serving

EVERY: tuple[ToolName, ...] = ("read", "write", "edit", "glob", "grep", "bash")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    folder = tmp_path / "workspace"
    folder.mkdir()
    return Workspace(folder, MemoryArtifacts())


def tools(workspace: Workspace, names: tuple[ToolName, ...] = EVERY) -> dict[str, Tool]:
    asked = Brief(system="", task="", outcome=Done, tools=names)
    return {tool.name: tool for tool in tools_of(asked, workspace, unconfined=False)}


async def test_only_what_a_brief_names_exists(workspace: Workspace) -> None:
    assert list(tools(workspace, ("read", "glob"))) == ["read", "glob"]


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../secret", "/workspace/../../secret", "link/secret", "/workspace/build/x.txt", "/workshop/x"],
)
@pytest.mark.parametrize("name", ["read", "write", "edit", "grep"])
async def test_paths_outside_are_refused_links_too(workspace: Workspace, path: str, name: str) -> None:
    (workspace.folder.parent / "secret").write_text("secret")
    (workspace.folder / "link").symlink_to(workspace.folder.parent)
    given = {
        "read": {"file_path": path},
        "write": {"file_path": path, "content": "x"},
        "edit": {"file_path": path, "old_string": "secret", "new_string": "x"},
        "grep": {"path": path, "pattern": "s.cret"},
    }
    told = ""
    try:
        told = str(await tools(workspace)[name].run(given[name]))
    except Exception as error:  # the SDK's `ToolError`, or ours
        told = str(error)

    assert "s.cret" not in told.replace(path, "")
    assert ":secret" not in told
    assert (workspace.folder.parent / "secret").read_text() == "secret"
    assert read_tree(workspace.folder) == {}


async def test_grep_is_bounded_in_time_and_shows_relative_paths(workspace: Workspace) -> None:
    (workspace.folder / "a.txt").write_text("b" + "a" * 40 + "!\n")
    grep = tools(workspace)["grep"]

    assert await grep.run({"pattern": "^ba+"}) == f"a.txt:1:b{'a' * 40}!"
    with pytest.raises(Rejected, match="not a regular expression"):
        await grep.run({"pattern": "("})
    assert await grep.run({"pattern": "nothing", "glob": "*.py"}) == "no matches"


async def test_glob_is_sorted_by_path_whatever_changed_last(workspace: Workspace) -> None:
    for name in ("b", "a", "c"):
        (workspace.folder / name).write_text("")
    found = await tools(workspace)["glob"].run({"pattern": "*"})

    assert str(found).replace(str(workspace.folder), "/workspace").splitlines() == [
        "/workspace/a",
        "/workspace/b",
        "/workspace/c",
    ]


async def test_an_edit_that_would_not_fit_into_memory_is_refused(workspace: Workspace) -> None:
    (workspace.folder / "a").write_text("a" * 60_000)
    edit = {"file_path": "a", "old_string": "a", "new_string": "b" * 100_000, "replace_all": True}

    with pytest.raises(Rejected, match="too large"):
        await tools(workspace)["edit"].run(edit)


async def test_bash_reads_no_environment_home_or_network_and_leaves_only_files(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-very-secret-key")
    (tmp_path / "home.txt").write_text("my home")
    command = f"""
        env; cat {tmp_path}/home.txt; cat /proc/1/environ; ls ~ /root /home
        python - <<'PY'
import socket, os
try:
    socket.create_connection(("1.1.1.1", 53), 2); print("REACHED")
except OSError as error:
    print("no network")
os.mkfifo("pipe"); os.symlink("/etc/passwd", "link"); os.mkdir("build")
open("build/left.txt", "w").write("x"); open("kept.txt", "w").write("kept")
PY
        sleep 300 &
    """
    told = await bash(BashInput(command=command), workspace, unconfined=False)

    assert "no network" in told
    assert "REACHED" not in told
    assert "very-secret" not in told
    assert "my home" not in told
    assert read_tree(workspace.folder) == {"kept.txt": b"kept"}
    assert not (workspace.folder / "link").is_symlink()


async def test_bash_is_bounded_in_time_and_in_what_it_says(workspace: Workspace) -> None:
    with pytest.raises(Rejected, match=r"stopped after 1 s; no file was changed[\s\S]*begun"):
        await bash(BashInput(command="echo begun; touch x; sleep 60", timeout_s=1), workspace, unconfined=False)
    assert read_tree(workspace.folder) == {}

    told = await bash(BashInput(command="seq 1 100000; echo end >&2; exit 4"), workspace, unconfined=False)
    assert told.startswith("exit code 4\n1\n2\n")
    assert "bytes left out" in told
    assert told.endswith("100000\nend\n")
    assert len(told) < 3 * commands.OUTPUT_BYTES


async def test_bash_changes_and_removes_files_of_the_workspace(workspace: Workspace) -> None:
    (workspace.folder / "old.txt").write_text("old")
    (workspace.folder / "dir").mkdir()
    (workspace.folder / "dir/f.txt").write_text("f")
    await bash(BashInput(command="rm -r dir; mv old.txt dir; mkdir new; cp dir new/"), workspace, unconfined=False)

    assert read_tree(workspace.folder) == {"dir": b"old", "new/dir": b"old"}


async def test_bash_is_refused_without_isolation_unless_the_operator_opted_in(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none() -> Isolation:
        return Isolation(kind="process", note="not installed")

    monkeypatch.setattr(sandbox, "probe", none)
    with pytest.raises(Rejected, match="CONNECTORS_ALLOW_UNCONFINED_CODE"):
        await bash(BashInput(command="true"), workspace, unconfined=False)
    told = await bash(BashInput(command="pwd; echo x > y"), workspace, unconfined=True)
    assert told == "exit code 0\n/workspace\n"
    assert read_tree(workspace.folder) == {"y": b"x\n"}


def test_what_a_command_left_may_be_anything() -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for kind, name in ((tarfile.SYMTYPE, "link"), (tarfile.FIFOTYPE, "pipe"), (tarfile.LNKTYPE, "hard")):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            tar.addfile(member)
        tar.addfile(tarfile.TarInfo("ok.txt"))

    assert unpacked(packed.getvalue()) == {"ok.txt": b""}
    with pytest.raises(Rejected):
        unpacked(b"no tar" * 200)
    with pytest.raises(Rejected):
        unpacked(None)


@pytest.mark.parametrize("name", ["../up", "/abs", "a/../../up"])
async def test_a_tar_that_would_leave_the_workspace_changes_nothing(workspace: Workspace, name: str) -> None:
    with pytest.raises(Rejected):
        await workspace.replace({name: b"x", "fine": b"y"})

    assert read_tree(workspace.folder) == {}


async def test_a_workspace_that_grew_too_large_is_laid_out_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.runtime.claude.workspace.MAX_BYTES", 1000)
    steps = by_turn(
        call("write", file_path="a", content="x" * 600),
        call("write", file_path="b", content="x" * 600),
        outcome({"summary": "done"}),
    )
    async with serving(steps) as server:
        await Desk(server).model().converse(brief(), tmp_path)

    assert "nothing was kept" in str(server.requests[2].results)
    assert list(read_tree(tmp_path)) == ["a"]


HOSTILE_OUTPUTS = r"""
mkfifo pipe; mknod device c 1 5; ln -s /etc/passwd link; ln "$0" hard; truncate -s 1T huge
mkdir -p "$(printf 'd/%.0s' $(seq 300))"
printf x > "..x"; printf good > good.txt; ln good.txt twice.txt
python - <<'END'
import socket
socket.socket(socket.AF_UNIX).bind("listens")
END
true
"""


async def test_what_is_no_plain_file_is_not_taken_back(workspace: Workspace) -> None:
    told = await bash(BashInput(command=HOSTILE_OUTPUTS), workspace, unconfined=False)
    assert told.startswith("exit code 0"), told
    left = {path.name: path for path in workspace.folder.rglob("*")}
    assert (left["good.txt"].read_text(), left["twice.txt"].read_text()) == ("good", "good")
    assert not {"pipe", "device", "link", "hard", "listens"} & left.keys()
    assert left["huge"].stat().st_size == 0
    assert all(path.is_dir() or (path.is_file() and not path.is_symlink()) for path in left.values())
    assert all(workspace.folder in path.resolve().parents for path in left.values())


@pytest.mark.parametrize("name", [r"a\nb", r"\033[2J"])
async def test_name_that_is_none_elsewhere_is_refused_with_all_that_came_with_it(
    name: str, workspace: Workspace
) -> None:
    before = {path.name for path in workspace.folder.rglob("*")}
    command = f"printf x > \"$(printf '{name}')\"; printf x > beside.txt"
    with pytest.raises(Rejected):
        await bash(BashInput(command=command), workspace, unconfined=False)
    assert {path.name for path in workspace.folder.rglob("*")} == before
