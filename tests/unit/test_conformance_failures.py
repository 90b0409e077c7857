"""What counts as trying the same request again."""

from __future__ import annotations

import pytest

from infra.runtime.simulator import Seen
from services.tester.conformance.failures import same_request

FIRST = Seen(1, "POST", "/search", "POST /search", 429, query={"limit": "5"}, body="a")


@pytest.mark.parametrize(
    ("path", "query", "body", "same"),
    [
        ("/search", {"limit": "5"}, "a", True),
        ("/other", {"limit": "5"}, "a", False),
        ("/search", {"limit": "5", "page": "2"}, "a", False),
        ("/search", {"limit": "5"}, "b", False),  # the next page of a search that pages in its body
    ],
)
def test_a_request_is_tried_again_if_all_of_it_comes_again(path, query, body, same):
    assert same_request(Seen(2, "POST", path, "POST /search", 200, query=query, body=body), FIRST) is same
