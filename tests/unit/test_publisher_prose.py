from __future__ import annotations

import pytest
from pydantic import ValidationError

from services.publisher.package import merge
from services.publisher.prose import Prose, faults, known_hosts, with_prose
from tests.support import sample_package as sample

KNOWN = sample.blueprint().model_copy(update={"document_url": "https://Docs.example.com:8443/openapi.yaml"})
HOSTS = known_hosts(KNOWN)


def prose(text: str = "It reads contacts.", notes: str = "One list, one page.") -> Prose:
    return Prose(readme_intro=text, implementation_notes=notes)


def test_prose_may_point_to_the_api_and_its_document() -> None:
    assert frozenset({"api.example.com", "docs.example.com:8443"}) == HOSTS
    bad = KNOWN.model_copy(update={"document_url": "https://evil.example @x/ a sentence"})
    assert known_hosts(bad) == {"api.example.com"}


@pytest.mark.parametrize(
    "text",
    [
        "It reads `contacts` (see https://api.example.com/contacts), *all*.\n\n- a < b, a <= b\n- `items[0]`",
        "**https://docs.example.com:8443**: https://API.example.com.",
        "`@odata.nextLink` names the next page.",
    ],
)
def test_plain_words_and_the_apis_own_addresses_are_published(text: str) -> None:
    assert faults(prose(text), HOSTS) is None


REFUSED = {
    "<script>alert(1)</script>": "HTML",
    "<!-- a model's words: end -->": "HTML",
    "<https://api.example.com>": "HTML",
    "[docs](https://api.example.com)": "a link or an image",
    "![x](//evil.example/pixel.png)": "a link or an image",
    "[docs][1]\n\n[1]: https://api.example.com": "a link or an image",
    "```\npip install evil\n```": "a code block",
    "~~~\npip install evil\n~~~": "a code block",
    "see https://evil.example/": "points to 'evil.example'",
    "see HTTPS://EVIL.example": "points to 'evil.example'",
    "see www.evil.example": "points to 'www.evil.example'",
    "see ftp://evil.example": "points to 'evil.example'",
    "write to somebody@evil.example": "points to 'evil.example'",
    "see https://api.example.com@evil.example/": "points to 'api.example.com@evil.example'",
    "see https://api.example.com\\@evil.example/": "points to",
    "see https://evil.example\\@api.example.com/": "points to",
    "see https://api.example.com.evil.example/": "points to",
    "see https://api.example.com:8443/": "points to",
    "see https://api.example.com/?to=https://evil.example": "points to 'evil.example'",
    "see https://api.example.com,https://evil.example": "points to",
    "it is \u202egood": "cannot be seen",
    "it is\rgood": "cannot be seen",
    "it is\u2028# good": "cannot be seen",
}


@pytest.mark.parametrize("text", REFUSED)
def test_prose_that_leads_elsewhere_or_is_more_than_words_is_refused(text: str) -> None:
    for refused, place in ((prose(text), "readme_intro: "), (prose(notes=text), "implementation_notes: ")):
        found = faults(refused, HOSTS)
        assert found is not None
        assert REFUSED[text] in found
        assert found.startswith(place)


@pytest.mark.parametrize("text", ["", " \n", "x" * 1501])
def test_prose_is_there_and_bounded(text: str) -> None:
    with pytest.raises(ValidationError):
        prose(text)
    with pytest.raises(ValidationError):
        prose(notes=text * 4)


def test_prose_stands_quoted_below_the_title_and_after_the_notes() -> None:
    code = {"README.md": b"# source-tiny\n\nFacts.\n", "IMPLEMENTATION.md": b"# How\n\nFacts.\n", "a.py": b"x"}
    tree = with_prose(code, prose("# Heading\n\n- a\n- b", "Notes."))
    assert tree["README.md"].decode() == (
        "# source-tiny\n\n"
        "<!-- a model's words: begin -->\n\n"
        "> *Written by a model that read this package. Nothing in it was measured.*\n>\n"
        "> # Heading\n>\n> - a\n> - b\n\n"
        "<!-- a model's words: end -->\n\n"
        "Facts.\n"
    )
    assert tree["IMPLEMENTATION.md"].startswith(b"# How\n\nFacts.\n\n<!-- a model's words: begin -->\n\n> *Written")
    assert tree["IMPLEMENTATION.md"].endswith(b"\n>\n> Notes.\n\n<!-- a model's words: end -->\n")
    assert tree["a.py"] == b"x"


def test_prose_of_papers_that_are_not_there_or_have_no_title_does_no_harm() -> None:
    tree = with_prose({"README.md": b"Facts."}, prose())
    assert set(tree) == {"README.md"}
    assert tree["README.md"].endswith(b"<!-- a model's words: end -->\n\nFacts.")


def test_merge_changes_nothing_but_the_papers_for_prose() -> None:
    code, tests = sample.package(), sample.package_tests()
    report = sample.report(code, tests)
    plain = merge("tiny", "0.1.0", code, tests, report)
    said = merge("tiny", "0.1.0", code, tests, report, prose())
    assert {path for path in said if said[path] != plain.get(path)} == {"README.md", "IMPLEMENTATION.md"}
    assert said.keys() == plain.keys()
