"""A pipeline in the terminal: a line for each fact, and below them what the agents are doing right now."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from contracts.envelope import Envelope
from contracts.events import PipelineForked
from contracts.pipeline import PipelineState, Status, evolve, outstanding
from infra.cli.describe import Line, describe
from infra.runtime import clock
from infra.runtime.agent import WARNING

_STYLE = {"plain": "", "good": "green", "bad": "red", "wait": "yellow"}
_MARK = {"plain": "·", "good": "✓", "bad": "✗", "wait": "→"}


class Board:
    """Follows one pipeline: feed it with envelopes and progress messages; use it as a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=8, transient=True)
        self._progress: dict[str, str] = {}
        self._told: set[tuple[str, str]] = set()
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
        if self._began is None or envelope.type == PipelineForked.TYPE:  # what a fork shares was long before
            self._began = at
        self._print(at - self._began, describe(envelope.fact()))
        if self.state.approval == envelope.id:
            hint = f"connectors approve {self.state.id}   (or deny{self._more()})"
            self._console.print(f"{'':27}{hint}", style="dim", soft_wrap=True)
        self._progress = {task.service: self._progress.get(task.service, "") for task in outstanding(self.state)}
        self._refresh()

    def _more(self) -> str:
        return f"; {self.state.policy.budget_usd:,.2f} USD more" if self.state.approval_about == "budget" else ""

    def progress(self, service: str, message: str) -> None:
        """Show what ``service`` says that it is doing; a warning stays, once."""
        if message.startswith(WARNING) and (service, message) not in self._told:
            self._told.add((service, message))
            self._later(Line(service, message, "wait"))
        if service in self._progress:
            self._progress[service] = message
            self._refresh()

    def waiting(self, service: str, task: str, why: str) -> None:
        """Say, once for each task and reason, that nobody works on it."""
        if (task, why) not in self._told:
            self._told.add((task, why))
            self._later(Line(service, f"waits: {why}", "wait"))

    def _later(self, line: Line) -> None:
        """A line that is no fact, and so has no time of its own."""
        now = clock.epoch_s()
        self._print(now - (self._began or now), line)

    def _print(self, seconds: float, line: Line) -> None:
        text = Text.assemble(
            (f"{seconds:6.1f} s  ", "dim"),
            (f"{_MARK[line.tone]} ", _STYLE[line.tone]),
            (f"{line.actor:<14}", "bold"),
            (line.text, _STYLE[line.tone]),
        )
        self._console.print(text, soft_wrap=True)

    def _refresh(self) -> None:
        waiting = sorted(self._progress.items())
        if self.state.approval is not None:
            waiting.append(("you", f"have to approve{self._more()}"))
        if self.state.status is Status.PAUSED:
            waiting.append(("you", "have to resume"))
        rows = [Spinner("dots", Text(f"{name:<14}{said}", "dim")) for name, said in waiting]
        self._live.update(Group(*rows))
