"""Which Messages API the agents talk to: the real one, the real one through a recorder, or a recording."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import Rejected
from infra.runtime.claude.settings import ClaudeSettings
from infra.runtime.toolchain.place import cache_dir
from tests.support.claude_server.recording import Recordings, recording, replaying

API_URL = "https://api.anthropic.com"


@dataclass(frozen=True)
class Api:
    """``record``: where to keep what the API answers; ``replay``: a recording that is asked instead of it."""

    record: Path | None = None
    replay: Path | None = None

    def refuse_without(self, settings: ClaudeSettings) -> None:
        """
        Raises:
            Rejected: there is no key, or no such recording.
            Permanent: the file of the key cannot be read.
        """
        if self.replay is not None:
            if not Recordings(self.replay).there:
                raise Rejected("nothing is recorded there; RECORD=name and a key do that", where=str(self.replay))
        elif settings.key() is None:
            raise Rejected(
                "there is no key, so there is no model to evaluate: set ANTHROPIC_API_KEY or "
                "ANTHROPIC_API_KEY_FILE, or serve what was recorded (REPLAY=name)"
            )

    @asynccontextmanager
    async def serving(self, settings: ClaudeSettings) -> AsyncIterator[Mapping[str, str]]:
        """What services need in their environment, beyond what they have, to reach it."""
        if self.replay is not None:
            async with replaying(self.replay) as url:
                yield {**_beside(url), "ANTHROPIC_API_KEY": "of-nobody", "ANTHROPIC_API_KEY_FILE": ""}
        elif self.record is not None:
            async with recording(self.record, settings.base_url or API_URL) as url:
                yield _beside(url)
        else:
            yield {}


def _beside(url: str) -> dict[str, str]:
    """The proxy that leads to the real API does not lead to this machine."""
    direct = [os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), "127.0.0.1"]
    return {"ANTHROPIC_BASE_URL": url, "no_proxy": ",".join(name for name in direct if name)}


def place(name: str) -> Path:
    """The folder of a recording. A name alone is below the cache of this user: what is recorded belongs to nobody's
    repository."""
    return cache_dir() / "recordings" / Path(name).expanduser()
