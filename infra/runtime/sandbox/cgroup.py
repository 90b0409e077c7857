"""The kernel's own bound on the processes of one sandbox: a control group, where one may be made.

`RLIMIT_NPROC` does not bind root (man 2 getrlimit: CAP_SYS_RESOURCE), not even in a user namespace whose root it
is, and whoever looks from outside loses against a fork bomb on a busy machine: it doubles meanwhile.
https://docs.kernel.org/admin-guide/cgroup-v2.html#pid, https://docs.kernel.org/admin-guide/cgroup-v1/pids.html
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import tempfile
from pathlib import Path

logger = logging.getLogger(__name__)

HIERARCHIES = (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup"))
"""Of version 1, and of version 2: the first that lets a group be made counts."""

_REMOVE_ROUNDS = 100
_REMOVE_EVERY_S = 0.01


class Group:
    """Holds one sandbox; whatever its members start is a member, too."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, root: int) -> None:
        """Process ``root`` and all below it, which must not fork against us yet. From the top: what a member starts
        is one already, what it had started before is among its children."""
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            (self._folder / "cgroup.procs").write_text(str(root))
            for child in Path(f"/proc/{root}/task/{root}/children").read_text().split():
                self.take(int(child))

    async def remove(self) -> None:
        """Once its members are dead; the kernel may take a moment to notice."""
        for _ in range(_REMOVE_ROUNDS):
            with contextlib.suppress(OSError):
                os.rmdir(self._folder)
                return
            await asyncio.sleep(_REMOVE_EVERY_S)
        logger.warning("the control group %s could not be removed", self._folder)


def group(most: int) -> Group | None:
    """A new one for at most ``most`` processes and threads; ``None`` where we may make none: as somebody else than
    root, for whom `RLIMIT_NPROC` does it, or in most containers."""
    for hierarchy in HIERARCHIES:
        try:
            folder = Path(tempfile.mkdtemp(prefix="connectors-", dir=hierarchy))
        except OSError:
            continue
        try:
            (folder / "pids.max").write_text(str(most))
        except OSError:  # another controller's hierarchy, or one that does not hand this one down
            os.rmdir(folder)
            continue
        return Group(folder)
    return None
