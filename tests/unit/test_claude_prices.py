from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from contracts.errors import Permanent
from contracts.turns import Usage
from infra.runtime.claude.prices import cost, load_prices, most

PRICES = load_prices()


def body(**changes: Any) -> bytes:
    return json.dumps({"model": "claude-opus-5", "max_tokens": 1000, "messages": [], **changes}).encode()


def test_each_kind_of_token_has_its_price() -> None:
    million = 1_000_000
    assert cost(Usage(input_tokens=million), "claude-opus-5", PRICES) == (5.0, True)
    assert cost(Usage(output_tokens=million), "claude-opus-5", PRICES) == (25.0, True)
    assert cost(Usage(cache_creation_input_tokens=million), "claude-opus-5", PRICES) == (6.25, True)
    assert cost(Usage(cache_read_input_tokens=million), "claude-opus-5", PRICES) == (0.5, True)
    assert cost(Usage(web_search_requests=1000, web_fetch_requests=9), "claude-opus-5", PRICES) == (10.0, True)


@pytest.mark.parametrize("model", ["claude-opus-4-5-20251101", "claude-opus-4-5", "claude-opus-4-5-latest"])
def test_a_dated_id_has_the_price_of_its_family(model: str) -> None:
    assert PRICES.of(model) == PRICES.models["claude-opus-4-5"]


def test_an_unknown_model_costs_as_much_as_the_dearest() -> None:
    usage = Usage(input_tokens=10, output_tokens=10, cache_read_input_tokens=10, cache_creation_input_tokens=10)
    unknown, priced = cost(usage, "gpt-oss", PRICES)

    assert not priced
    assert all(unknown >= cost(usage, model, PRICES)[0] for model in PRICES.models)


def test_the_most_that_a_turn_can_cost_is_never_less_than_it_costs() -> None:
    request = body(messages=[{"role": "user", "content": "x" * 40_000}])
    used = Usage(cache_creation_input_tokens=len(request) // 3, output_tokens=1000)

    assert most(request, PRICES) > cost(used, "claude-opus-5", PRICES)[0]


def test_every_search_and_every_fetched_page_is_counted_beforehand() -> None:
    search = {"type": "web_search_20260318", "name": "web_search", "max_uses": 5}
    fetch = {"type": "web_fetch_20260318", "name": "web_fetch", "max_uses": 2, "max_content_tokens": 30_000}
    extra = most(body(tools=[search, fetch]), PRICES) - most(body(), PRICES)

    assert extra > 5 * 0.01 + 60_000 * 6.25 / 1_000_000


def test_a_file_adds_and_replaces_prices(tmp_path: Path) -> None:
    own = tmp_path / "prices.toml"
    own.write_text(
        "[models]\nlocal = { input = 0, output = 0, cache_write = 0, cache_read = 0 }\n"
        "claude-opus-5 = { input = 1, output = 1, cache_write = 1, cache_read = 1 }\n"
    )
    prices = load_prices(own)

    assert cost(Usage(output_tokens=1_000_000), "local", prices) == (0.0, True)
    assert prices.models["claude-opus-5"].output == 1
    assert prices.models["claude-opus-4-8"] == PRICES.models["claude-opus-4-8"]
    assert prices.web_search_per_1000 == PRICES.web_search_per_1000


@pytest.mark.parametrize("text", ["models = 3", "[models]\nx = { input = -1 }", "not toml"])
def test_a_file_of_another_form_is_an_error_that_names_it(tmp_path: Path, text: str) -> None:
    own = tmp_path / "prices.toml"
    own.write_text(text)
    with pytest.raises(Permanent, match=r"prices\.toml"):
        load_prices(own)
