"""Says what the scripted Claude says, between the facts that `connectors generate` shows."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from tests.support.claude_server import MessagesRequest, Reply
from tests.support.claude_server.replies import Answer
from tests.support.claude_server.scripts import Script


@dataclass(frozen=True)
class Narrated:
    """``script``, with the words that come before a call told as a line of their own."""

    script: Script
    console: Console

    def reply(self, request: MessagesRequest) -> Answer:
        answer = self.script.reply(request)
        if isinstance(answer, Reply) and len(answer.content) > 1:
            for words in (block["text"] for block in answer.content if block["type"] == "text"):
                self.console.print(line(agent_of(request.marker), words), soft_wrap=True)
        return answer


def agent_of(marker: str) -> str:
    """``generator`` of ``<!-- agent: generator mode: FIX version: 1 -->``."""
    return marker.partition("agent: ")[2].partition(" ")[0]


def line(agent: str, words: str) -> Text:
    """Below the columns of `infra.cli.watch.Board`."""
    return Text.assemble(f"{'':10}", ("» ", "cyan"), (f"{agent:<14}", "dim"), (f"“{words}”", "italic dim"))
