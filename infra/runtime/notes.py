"""Notes for a model, as text of a file. Pure.

What stands in them comes from documents, tests and generated code: texts are cut short and stand on one line each.
"""

from __future__ import annotations

from collections.abc import Iterable

from contracts.reports import Feedback

MAX_ITEMS = 200
MAX_TEXT = 1_000


def section(title: str, lines: Iterable[str]) -> str:
    """A heading and one bullet per line."""
    shown = [f"- {' '.join(line[: 2 * MAX_TEXT].split())[:MAX_TEXT]}" for line in lines]
    more = [f"- and {len(shown) - MAX_ITEMS} more"] if len(shown) > MAX_ITEMS else []
    return "\n".join([f"# {title}", "", *(shown[:MAX_ITEMS] or ["Nothing."]), *more, ""])


def feedback_note(items: Iterable[Feedback]) -> bytes:
    """What has to change, one bullet each."""
    return section("What has to change", (_told(item) for item in items)).encode()


def _told(item: Feedback) -> str:
    about = [f"stream {item.stream}"] if item.stream else []
    about += [f"test {item.test}"] if item.test else []
    about += [f"suspected: {', '.join(item.suspects)}"] if item.suspects else []
    return f"({'; '.join(about) or 'the whole connector'}) {item.message}"
