"""A real browser without a window, driven over its debugging pipe (the Chrome DevTools Protocol)."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",  # root and containers have none; the only page it opens is ours
    "--disable-gpu",
    "--window-size=1280,900",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)
_LAUNCH = """
import fcntl, os, sys
commands, answers = (fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3])
os.dup2(commands, 3), os.dup2(answers, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""The browser reads commands from file descriptor 3 and answers on 4."""


def find_browser() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Tab:
    """One page. ``complaints`` is what its console says is wrong, ``dialogs`` the questions that it asked, all of
    which are answered with yes."""

    def __init__(self, commands: int, answers: asyncio.StreamReader) -> None:
        self._commands = commands
        self._answers = answers
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._session: str | None = None
        self.complaints: list[str] = []
        self.dialogs: list[str] = []

    async def open(self, url: str) -> None:
        target = await self.send("Target.createTarget", url="about:blank")
        attached = await self.send("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            await self.send(f"{domain}.enable")
        await self.send("Page.navigate", url=url)

    async def send(self, method: str, **params: Any) -> Any:
        async with asyncio.timeout(20):
            return await self._command(method, **params)

    def _command(self, method: str, **params: Any) -> asyncio.Future[Any]:
        number = len(self._waiting) + 1
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        command = {"id": number, "method": method, "params": params}
        if self._session is not None:
            command["sessionId"] = self._session
        os.write(self._commands, json.dumps(command).encode() + b"\0")
        return future

    async def evaluate(self, expression: str) -> Any:
        """Raises:
        AssertionError: the expression threw.
        """
        answer = await self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def text(self, selector: str = "body") -> str:
        """What a person reads there."""
        node = f"document.querySelector({json.dumps(selector)})"
        found: str = await self.evaluate(f"{node}?.checkVisibility() ? {node}.innerText : ''")
        return found

    async def until(self, selector: str, wanted: str, *, timeout_s: float = 15) -> str:
        """The text at ``selector``, as soon as it contains ``wanted``.

        Raises:
            AssertionError: it did not in time.
        """
        end = asyncio.get_running_loop().time() + timeout_s
        while wanted not in (text := await self.text(selector)):
            assert asyncio.get_running_loop().time() < end, f"no {wanted!r} in {text!r}; {self.complaints}"
            await asyncio.sleep(0.05)
        return text

    async def listen(self) -> None:
        """Take in what the browser says, until it ends."""
        while said := await self._answers.readuntil(b"\0"):
            message = json.loads(said[:-1])
            if "id" in message:
                future = self._waiting[message["id"]]
                if "error" in message:
                    future.set_exception(AssertionError(message["error"]))
                elif not future.done():
                    future.set_result(message["result"])
            else:
                self._heard(message["method"], message["params"])

    def _heard(self, event: str, params: Any) -> None:
        if event == "Runtime.exceptionThrown" or (
            event == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert")
        ):
            self.complaints.append(json.dumps(params))
        elif event == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(json.dumps(params["entry"]))
        elif event == "Page.javascriptDialogOpening":
            self.dialogs.append(params["message"])
            self._command("Page.handleJavaScriptDialog", accept=True)


@asynccontextmanager
async def browsing(browser: str, profile: Path, *flags: str) -> AsyncIterator[Tab]:
    """A tab of a browser of its own, with ``profile`` as its folder."""
    from_us, commands = os.pipe()
    answers, from_it = os.pipe()
    argv = [str(from_us), str(from_it), browser, *FLAGS, f"--user-data-dir={profile}", *flags, "about:blank"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _LAUNCH,
        *argv,
        pass_fds=(from_us, from_it),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    os.close(from_us)
    os.close(from_it)
    reader = asyncio.StreamReader(limit=16 * 1024 * 1024)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(answers, "rb"))
    tab = Tab(commands, reader)
    listening = asyncio.create_task(tab.listen())
    try:
        yield tab
    finally:
        os.close(commands)  # the browser ends when nobody can command it
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
