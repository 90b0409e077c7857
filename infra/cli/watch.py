"""A pipeline in the terminal: a line for each fact, and below them what the agents are doing right now."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from contracts.envelope import Envelope
from contracts.pipeline import PipelineState, evolve, outstanding
from infra.cli.describe import Line, describe

_STYLE = {"plain": "", "good": "green", "bad": "red", "wait": "yellow"}
_MARK = {"plain": "·", "good": "✓", "bad": "✗", "wait": "→"}


class Board:
    """Follows one pipeline: feed it with envelopes and progress messages; use it as a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=8, transient=True)
        self._progress: dict[str, str] = {}
        self._began: float | None = None
        self.state = PipelineState()

    def __enter__(self) -> Board:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def fact(self, envelope: Envelope) -> None:
        """Fold a fact and print its line."""
        self.state = evolve(self.state, envelope)
        at = envelope.time.timestamp()
        self._began = at if self._began is None else self._began
        self._print(at - self._began, describe(envelope.fact()))
        self._progress = {task.service: self._progress.get(task.service, "") for task in outstanding(self.state)}
        self._refresh()

    def progress(self, service: str, message: str) -> None:
        """Show what ``service`` says that it is doing."""
        if service in self._progress:
            self._progress[service] = message
            self._refresh()

    def _print(self, seconds: float, line: Line) -> None:
        text = Text.assemble(
            (f"{seconds:6.1f} s  ", "dim"),
            (f"{_MARK[line.tone]} ", _STYLE[line.tone]),
            (f"{line.actor:<14}", "bold"),
            (line.text, _STYLE[line.tone]),
        )
        self._console.print(text, soft_wrap=True)

    def _refresh(self) -> None:
        rows = [Spinner("dots", Text(f"{name:<14}{said}", "dim")) for name, said in sorted(self._progress.items())]
        self._live.update(Group(*rows))
