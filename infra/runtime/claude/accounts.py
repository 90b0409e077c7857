"""What a pipeline has spent, kept so that agents at work at the same time never spend more than its budget.

The arithmetic is `contracts.turns.Account`; here it is read, changed and written back if nobody was faster.
"""

from __future__ import annotations

import asyncio
import fcntl
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from contracts import subjects
from contracts.errors import BudgetReached, Transient
from contracts.turns import Account, Reply
from infra.runtime.bus import Bus
from infra.runtime.claude.ledger import patiently, publish_after
from infra.runtime.health import Health

_MAX_ATTEMPTS = 50

Change = Callable[[Account], Account | None]
"""Pure: the account as it shall be; None: it stays as it is."""


class Accounts(Protocol):
    """The account of one pipeline."""

    async def change(self, change: Change) -> Account | None:
        """Write what ``change`` makes of the newest account; asked again if another one was written meanwhile.

        Returns:
            The new account, or None if ``change`` left it.
        """


class MemoryAccounts:
    """For tests."""

    def __init__(self) -> None:
        self.account = Account()

    async def change(self, change: Change) -> Account | None:
        changed = change(self.account)
        self.account = changed or self.account
        return changed


class FolderAccounts:
    """A file below a run folder, locked while it is changed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def change(self, change: Change) -> Account | None:
        return await asyncio.to_thread(self._locked, change)

    def _locked(self, change: Change) -> Account | None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            known = Account.model_validate_json(self._path.read_bytes()) if self._path.exists() else Account()
            changed = change(known)
            if changed is not None:
                new = self._path.with_suffix(".new")
                new.write_text(changed.model_dump_json())
                os.replace(new, self._path)
            return changed


class BusAccounts:
    """The newest message on ``accounts.<pipeline>``, changed by compare-and-set."""

    def __init__(self, bus: Bus, health: Health, pipeline: str) -> None:
        self._bus = bus
        self._health = health
        self._subject = subjects.account(pipeline)

    async def change(self, change: Change) -> Account | None:
        return await patiently(lambda: self._change(change), self._health)

    async def _change(self, change: Change) -> Account | None:
        for attempt in range(_MAX_ATTEMPTS):
            stored = await self._bus.reader.last(subjects.TURNS_STREAM, self._subject)
            last, known = (stored.sequence, Account.model_validate_json(stored.data)) if stored else (0, Account())
            changed = change(known)
            if changed is None:
                return None
            content = changed.model_dump_json().encode()
            if await publish_after(self._bus, self._subject, content, last):
                return changed
            await asyncio.sleep(0.001 * attempt)
        raise Transient(
            f"other agents changed the account first {_MAX_ATTEMPTS} times in a row", where=self._subject
        )


class Till:
    """Reserves, settles and releases what one agent's turns cost, against the pipeline's budget."""

    def __init__(self, accounts: Accounts, limit_usd: float) -> None:
        self._accounts = accounts
        self._limit_usd = limit_usd

    async def reserve(self, request: str, most_usd: float) -> None:
        """Take room for a turn before it is sent.

        Raises:
            BudgetReached: it could cost more than is left.
        """
        if await self._accounts.change(lambda account: account.reserve(request, most_usd, self._limit_usd)) is None:
            raise BudgetReached(
                f"the next turn may cost up to {most_usd:.2f} USD: the pipeline could spend more than its budget of"
                f" {self._limit_usd:.2f} USD"
            )

    async def settle(self, reply: Reply) -> None:
        """Count what the turn really cost; does nothing if it was counted before."""
        await self._accounts.change(lambda account: account.settle(reply))

    async def pay(self, reply: Reply) -> None:
        """Count a turn that was paid and is not used: cut off, or received a second time by a rival."""
        await self._accounts.change(lambda account: _with(account, reply))

    async def release(self, request: str) -> None:
        """Give back the room of a turn that was never answered."""
        await self._accounts.change(
            lambda account: account.release(request) if request in account.reserved else None
        )


def _with(account: Account, reply: Reply) -> Account | None:
    """``reply`` counted, and what is reserved left as it is: a rival's turn may still run on it."""
    room = account.reserve(reply.request, 0, math.inf)
    counted = room.settle(reply) if room else None
    return counted and Account(spent=counted.spent, reserved=account.reserved)
