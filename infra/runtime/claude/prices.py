"""What a turn cost, and what it can cost at the most. The arithmetic is pure; the prices are in ``prices.toml``."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from contracts.base import Frozen
from contracts.errors import Permanent
from contracts.turns import Usage

_OWN = Path(__file__).parent / "prices.toml"
_MILLION = 1_000_000
_BYTES_PER_TOKEN = 2
"""Of a request's JSON: text has about four, so this is more than its tokens whatever it holds."""

_DATED = re.compile(r"-\d{8}$|-latest$")


class Price(Frozen):
    """USD per million tokens; ``cache_write`` for five minutes."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cache_write: float = Field(ge=0)
    cache_read: float = Field(ge=0)


class Prices(Frozen):
    """By model, and USD per 1,000 web searches."""

    models: dict[str, Price]
    web_search_per_1000: float = Field(default=0, ge=0)

    def of(self, model: str) -> Price | None:
        """The price of ``model``; a dated id has that of its family."""
        return self.models.get(model) or self.models.get(_DATED.sub("", model))

    @property
    def dearest(self) -> Price:
        """A price that no known model exceeds in anything."""
        return Price(**{kind: max(getattr(p, kind) for p in self.models.values()) for kind in Price.model_fields})


def cost(usage: Usage, model: str, prices: Prices) -> tuple[float, bool]:
    """What ``usage`` cost in USD, and whether the model's price is known; if not, the dearest one is taken."""
    known = prices.of(model)
    price = known or prices.dearest
    tokens = (
        usage.input_tokens * price.input
        + usage.output_tokens * price.output
        + usage.cache_creation_input_tokens * price.cache_write
        + usage.cache_read_input_tokens * price.cache_read
    )
    searches = usage.web_search_requests * prices.web_search_per_1000 / 1000
    return tokens / _MILLION + searches, known is not None


def most(body: bytes, prices: Prices) -> float:
    """The most in USD that the turn that this request (JSON) asks for can cost.

    All of it is written to the cache, all of ``max_tokens`` is used, and every search allowed is made. Pages that
    the server fetches or finds are input, too: as many tokens as a fetch may bring, and `_SEARCH_TOKENS` a search.
    """
    request = json.loads(body)
    price = prices.of(request["model"]) or prices.dearest
    searches = sum(_uses(tool) for tool in _server_tools(request, "web_search"))
    fetched = sum(_uses(tool) * tool.get("max_content_tokens", 0) for tool in _server_tools(request, "web_fetch"))
    given = len(body) / _BYTES_PER_TOKEN + fetched + searches * _SEARCH_TOKENS
    dearest_input = max(price.input, price.cache_write)
    tokens: float = given * dearest_input + request["max_tokens"] * price.output
    return tokens / _MILLION + searches * prices.web_search_per_1000 / 1000


_SEARCH_TOKENS = 20_000


def _server_tools(request: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    return [tool for tool in request.get("tools", ()) if str(tool.get("type", "")).startswith(f"{name}_")]


def _uses(tool: Mapping[str, Any]) -> int:
    uses: int = tool.get("max_uses") or 0
    return uses


@lru_cache
def load_prices(added: Path | None = None) -> Prices:
    """Our prices, with those of the file ``added`` in their place.

    Raises:
        Permanent: a file cannot be read, or is of another form.
    """
    ours = Prices.model_validate(tomllib.loads(_OWN.read_text()))
    if added is None:
        return ours
    try:
        theirs = Prices.model_validate({"models": {}, **tomllib.loads(added.read_text())})
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise Permanent(f"the file of prices cannot be used: {error}", where=str(added)) from error
    changes = {name: getattr(theirs, name) for name in theirs.model_fields_set}
    return ours.model_copy(update={**changes, "models": {**ours.models, **theirs.models}})
