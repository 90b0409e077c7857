"""The agents' prompts: versioned files beside each agent, ``services/<service>/prompts/<mode>.md``.

The first line of each says whose it is, ``<!-- agent: generator mode: FIX version: 1 -->``, and stays in it.
"""

from __future__ import annotations

import re
from importlib import resources

from contracts.services import Service

_SLOT = re.compile(r"\{\{(\w+)\}\}")


def prompt(service: Service, mode: str, **values: str) -> str:
    """The prompt of ``service`` for ``mode``, with ``values`` in its slots (``{{name}}``).

    What stands in braces in a value is no slot.

    Raises:
        FileNotFoundError: there is no such prompt.
        ValueError: a slot has no value, a value no slot, or the first line names another prompt.
    """
    file = resources.files("services") / service.value / "prompts" / f"{mode}.md"
    text = file.read_text(encoding="utf-8")
    if not re.match(rf"<!-- agent: {service.value} mode: {mode} version: \d+ -->\n", text):
        raise ValueError(f"the first line of {service.value}/prompts/{mode}.md does not say whose it is")
    if (slots := set(_SLOT.findall(text))) != values.keys():
        raise ValueError(f"{service.value}/prompts/{mode}.md has the slots {sorted(slots)}, not {sorted(values)}")
    return _SLOT.sub(lambda slot: values[slot[1]], text)
