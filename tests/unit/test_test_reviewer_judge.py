from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import events
from contracts.blueprint import LinkHeaderPagination, NoPagination
from contracts.events import Verdict
from contracts.reports import Check, Isolation, Outcome, StreamProof, TestCase, TestReport
from services.generator.repair import repair
from services.test_reviewer.catalogue import CATALOGUE, explain
from services.test_reviewer.judge import MAX_MESSAGE, MAX_REASON, Judgement, Opinion, judge, unvouched
from tests.support import blueprints

STREAMS = ("contacts", "deals")
PASSED, FAILED, SKIPPED = Outcome
INVALID, VALID_FAIL, VALID_PASS = Verdict.INVALID, Verdict.VALID_FAIL, Verdict.VALID_PASS


def check(id_: str, outcome: Outcome = PASSED, message: str = "", *suspects: str, observed: str = "") -> Check:
    kind, place, _ = id_.split("/")
    stream = None if place == "connector" else place
    return Check(
        id=id_, kind=kind, stream=stream, outcome=outcome, message=message, suspects=suspects, observed=observed
    )


def case(id_: str, outcome: Outcome = PASSED, **more: Any) -> TestCase:
    return TestCase(id=f"tests/{id_}", outcome=outcome, **more)


READ = (check("completeness/contacts/page"), check("completeness/deals/page", observed="20 of 20 records"))
WELL = (case("test_read.py::test_contacts"),)


def report(
    *,
    checks: tuple[Check, ...] = READ,
    cases: tuple[TestCase, ...] = WELL,
    proven: tuple[str, ...] = STREAMS,
    unproven: tuple[str, ...] | dict[str, str] = (),
    degraded: tuple[str, ...] = (),
) -> TestReport:
    reasons = unproven if isinstance(unproven, dict) else dict.fromkeys(unproven, "")
    bad = tuple(StreamProof(stream=name, proven=False, reason=why) for name, why in reasons.items())
    return TestReport(
        mode=events.TesterMode.GENERATE,
        code="a" * 64,
        tests="b" * 64,
        fixtures="c" * 64,
        isolation=Isolation(kind="bubblewrap"),
        checks=checks,
        cases=cases,
        streams=tuple(StreamProof(stream=name, proven=True) for name in proven) + bad,
        degraded=degraded,
    )


def judged(
    degraded: tuple[str, ...] = (),
    parents: dict[str, str] | None = None,
    opinions: dict[str, Opinion] | None = None,
    **parts: Any,
) -> Judgement:
    return judge(report(**parts), STREAMS, degraded, parents=parents, opinions=opinions)


INCOMPLETE = check("completeness/deals/page+1", FAILED, "20 of 21 records", "pagination", "selector")
NO_SPEC = check("protocol/connector/spec", FAILED, "`spec` gave no specification; it exited with 1")
WRONG = case("test_read.py::test_deals", FAILED, stream="deals", message="assert 3 == 4")

VERDICTS: dict[str, tuple[Verdict, dict[str, Any]]] = {
    "all is well": (VALID_PASS, {}),
    "a check failed": (
        VALID_FAIL,
        {"checks": (*READ, INCOMPLETE), "proven": ("contacts",), "unproven": ("deals",)},
    ),
    "a check of the whole connector failed": (
        VALID_FAIL,
        {"checks": (*READ, check("secrets/connector/output", FAILED, "`check` wrote a secret"))},
    ),
    "a test failed, the check that it confirms passed": (
        INVALID,
        {"cases": (WRONG.model_copy(update={"confirms": "completeness/deals/page"}),), "proven": ("contacts",)},
    ),
    "a test failed, its stream is proven": (INVALID, {"cases": (WRONG,)}),
    "a test failed, the check that it confirms is unknown, its stream is proven": (
        INVALID,
        {"cases": (WRONG.model_copy(update={"confirms": "failures/deals/429"}),)},
    ),
    "a test failed, its stream is not proven": (
        VALID_FAIL,
        {"cases": (WRONG,), "proven": ("contacts",), "unproven": ("deals",)},
    ),
    "a test failed, the check that it confirms failed": (
        VALID_FAIL,
        {"checks": (*READ, INCOMPLETE), "cases": (WRONG.model_copy(update={"confirms": INCOMPLETE.id}),)},
    ),
    "a test failed, the check that it confirms was skipped": (
        VALID_FAIL,
        {
            "checks": (*READ, check("auth/connector/read-wrong", SKIPPED)),
            "cases": (case("test_read.py::test_refused", FAILED, confirms="auth/connector/read-wrong"),),
        },
    ),
    "a test of the connector failed, no check judges the same": (
        VALID_FAIL,
        {"cases": (case("test_config.py::test_title", FAILED, message="assert 'a' == 'b'"),)},
    ),
    "a wrong test beside a failed check": (VALID_FAIL, {"checks": (*READ, INCOMPLETE), "cases": (WRONG,)}),
    "the tests cannot be imported, the kit is content": (
        INVALID,
        {"cases": (case("test_read.py", FAILED, message="collection failure: No module named 'numpy'"),)},
    ),
    "a fixture is missing, the kit is content": (
        INVALID,
        {"cases": (case("test_read.py::test_a", FAILED, message="E       fixture 'server' not found"),)},
    ),
    "the tests' run broke down, the kit is content": (
        INVALID,
        {"cases": (case("", FAILED, message="the tests died of signal 9: out of memory"),)},
    ),
    "the tests cannot be imported, nor does the connector start": (
        VALID_FAIL,
        {
            "checks": (NO_SPEC,),
            "cases": (case("test_read.py", FAILED, message="collection failure: ImportError"),),
            "proven": (),
            "unproven": STREAMS,
        },
    ),
    "there are no tests, the kit is content": (INVALID, {"cases": ()}),
    "no test was run, the kit is content": (INVALID, {"cases": (case("test_read.py::test_a", SKIPPED),)}),
    "there are no tests, a check failed": (VALID_FAIL, {"checks": (*READ, INCOMPLETE), "cases": ()}),
    "nothing was judged": (VALID_FAIL, {"checks": (), "cases": (), "proven": ()}),
    "a stream was not judged, nothing failed": (VALID_PASS, {"proven": ("contacts",), "unproven": ("deals",)}),
    "a stream is left out, nothing failed": (
        VALID_PASS,
        {"degraded": ("deals",), "proven": ("contacts",), "unproven": ("deals",)},
    ),
    "a test of a stream that is left out failed": (
        INVALID,
        {"degraded": ("deals",), "cases": (WRONG,), "proven": ("contacts",), "unproven": ("deals",)},
    ),
}


@pytest.mark.parametrize("situation", VERDICTS)
def test_the_verdict_follows_from_what_happened(situation: str) -> None:
    expected, parts = VERDICTS[situation]
    found = judged(**parts)
    assert found.verdict is expected, found.reason


# --- what a model's opinion may change ------------------------------------------------------------

TITLE = case("test_config.py::test_title", FAILED, message="assert 'a' == 'b'")
UNPROVEN: dict[str, Any] = {"proven": ("contacts",), "unproven": ("deals",)}
OPINIONS: dict[str, tuple[Verdict, Verdict, dict[str, Any]]] = {
    "the test is wrong, no check judges the same": (INVALID, INVALID, {"cases": (TITLE,)}),
    "the code is wrong, no check judges the same": (VALID_FAIL, VALID_FAIL, {"cases": (TITLE,)}),
    "the test is wrong, its stream is not proven": (INVALID, INVALID, {"cases": (WRONG,), **UNPROVEN}),
    "the test is wrong, the check that it confirms was skipped": (
        INVALID,
        INVALID,
        {
            "checks": (*READ, check("auth/connector/read-wrong", SKIPPED)),
            "cases": (TITLE.model_copy(update={"confirms": "auth/connector/read-wrong"}),),
        },
    ),
    "the test is wrong, the check that it confirms failed": (
        VALID_FAIL,
        INVALID,
        {"checks": (*READ, INCOMPLETE), "cases": (TITLE.model_copy(update={"confirms": INCOMPLETE.id}),)},
    ),
    "the test is wrong, another check failed": (
        VALID_FAIL,
        INVALID,
        {"checks": (*READ, INCOMPLETE), "cases": (TITLE,)},
    ),
    "the test is wrong, the kit saw nothing work": (
        VALID_FAIL,
        INVALID,
        {"checks": (), "cases": (TITLE,), "proven": ()},
    ),
    "the code is wrong, its stream is proven": (INVALID, VALID_FAIL, {"cases": (WRONG,)}),
    "the code is wrong, the check that it confirms passed": (
        INVALID,
        VALID_FAIL,
        {"cases": (TITLE.model_copy(update={"confirms": "completeness/deals/page"}),)},
    ),
    "of tests that did not fail": (VALID_PASS, VALID_FAIL, {"cases": WELL}),
}


@pytest.mark.parametrize("situation", OPINIONS)
def test_an_opinion_is_heard_only_where_the_kit_says_nothing(situation: str) -> None:
    expected, opinion, parts = OPINIONS[situation]
    every = {one.id: Opinion(opinion, "line 3 expects what nothing states") for one in (TITLE, WRONG, *WELL)}
    found = judged(opinions=every, **parts)
    assert found.verdict is expected, found.reason


def test_a_failed_check_stays_the_codes_beside_a_test_that_an_opinion_finds_wrong() -> None:
    wrong = {TITLE.id: Opinion(INVALID, "nothing states a title")}
    items = judged(checks=(*READ, INCOMPLETE), cases=(TITLE,), opinions=wrong).feedback.items
    assert [(item.verdict, item.test) for item in items] == [(VALID_FAIL, None), (INVALID, TITLE.id)]


def test_feedback_has_the_opinions_reason_before_the_message() -> None:
    long = TITLE.model_copy(update={"message": "assert 'a' == 'b'\n" * 1000})
    for verdict, start in ((INVALID, f"{TITLE.id} is wrong: "), (VALID_FAIL, f"{TITLE.id}: ")):
        (item,) = judged(cases=(long,), opinions={TITLE.id: Opinion(verdict, "so it\nis")}).feedback.items
        assert item.message.startswith(f"{start}a model says: so it is; it expects other data than came: assert")
        assert len(item.message) <= MAX_MESSAGE


def test_asked_is_about_each_failed_test_that_the_kit_says_nothing_of_once() -> None:
    vouched = case("test_read.py::test_contacts", FAILED, stream="contacts")
    run = report(cases=(TITLE, vouched, WRONG, TITLE, *WELL), **UNPROVEN)
    assert unvouched(run, ()) == (TITLE, WRONG)
    assert unvouched(run, ("deals",)) == (TITLE,), "its stream is left out"
    named = TITLE.model_copy(update={"confirms": INCOMPLETE.id})
    assert unvouched(report(checks=(*READ, INCOMPLETE), cases=(named,)), ()) == (), "the kit saw it fail, too"
    assert unvouched(report(checks=(), cases=(TITLE,), proven=()), ()) == (), "the kit saw nothing work at all"


# --- what the feedback says -----------------------------------------------------------------------


def test_a_failed_check_names_its_stream_its_suspects_and_what_was_seen() -> None:
    bad = INCOMPLETE.model_copy(update={"observed": "2 requests"})
    (item,) = judged(checks=(*READ, bad), proven=("contacts",)).feedback.items
    assert (item.verdict, item.stream, item.suspects) == (VALID_FAIL, "deals", ("pagination", "selector"))
    assert item.message == "completeness/deals/page+1: 20 of 21 records (seen: 2 requests)"


def test_an_invalid_test_is_named_with_what_the_kit_saw() -> None:
    wrong = WRONG.model_copy(update={"confirms": "completeness/deals/page", "message": "assert 3 == 4\n" * 1000})
    (item,) = judged(cases=(*WELL, wrong)).feedback.items
    assert (item.verdict, item.test, item.stream) == (INVALID, "tests/test_read.py::test_deals", "deals")
    assert "the kit saw completeness/deals/page work (20 of 20 records)" in item.message
    assert len(item.message) <= MAX_MESSAGE


def test_what_is_the_codes_comes_before_what_is_the_tests() -> None:
    contacts = case("test_read.py::test_contacts", FAILED, stream="contacts", message="KeyError: 'id'")
    items = judged(checks=(*READ, INCOMPLETE), cases=(contacts, WRONG), proven=("contacts",)).feedback.items
    assert [(item.verdict, item.test) for item in items] == [
        (VALID_FAIL, None),
        (VALID_FAIL, WRONG.id),
        (INVALID, contacts.id),
    ]


def test_coverage_counts_the_blueprints_streams_and_names_all_that_are_not_proven() -> None:
    parts: dict[str, Any] = {"proven": ("contacts", "of_somebody_else"), "unproven": {"deals": "it was never read"}}
    found = judged(**parts)
    assert (found.proven, found.total, found.degraded) == (1, 2, ("deals",))


def test_a_stream_is_not_proven_if_it_is_left_out_or_a_check_of_it_failed() -> None:
    assert judged(degraded=("deals",)).degraded == ("deals",)
    assert judged(unproven=("contacts",)).degraded == ("contacts",), "of two words about a stream the worse counts"
    failing = check("schema/contacts/records", FAILED, "id: 'a' is not an integer", "json_schema")
    assert judged(checks=(*READ, failing)).degraded == ("contacts",)


def test_streams_that_nobody_could_judge_are_named_for_a_repair_unless_they_are_left_out() -> None:
    unbound = {"contacts": "the simulated API has no endpoint like it", "deals": "left out"}
    found = judged(degraded=("deals",), proven=(), unproven=unbound)
    (item,) = found.feedback.items
    assert (found.verdict, item.stream, item.suspects) == (VALID_PASS, "contacts", ("request", "parent"))
    assert "has no endpoint like it" in item.message


def test_tests_are_not_blamed_for_a_connector_that_does_not_start() -> None:
    broken = case("test_read.py", FAILED, message="collection failure: ImportError")
    for cases in ((broken,), ()):
        items = judged(checks=(NO_SPEC,), cases=cases, proven=()).feedback.items
        assert [item.verdict for item in items] == [VALID_FAIL] * (1 + len(cases))


# --- who is named decides what a repair changes ---------------------------------------------------


def refused(stream: str) -> Check:
    return check(f"completeness/{stream}/page", FAILED, "0 of 20 records", "request", "parent")


LOCKED = check("auth/connector/check", FAILED, "with good credentials `check` answers FAILED", "auth", "request")


def test_while_nobody_is_let_in_only_the_authentication_is_blamed() -> None:
    checks = (check("protocol/connector/discover"), LOCKED, refused("contacts"), refused("deals"))
    found = judged(checks=checks, proven=(), unproven=STREAMS)
    assert [(item.stream, item.suspects[0]) for item in found.feedback.items] == [(None, "auth")] * 3
    assert all(word in found.feedback.items[2].message for word in ("completeness/deals/page", "0 of 20"))


def test_the_door_is_open_if_any_good_credentials_are_taken_whatever_wrong_ones_do() -> None:
    one_way = check("auth/connector/check-token")
    other_way = LOCKED.model_copy(update={"id": "auth/connector/check-oauth"})
    lenient = LOCKED.model_copy(update={"id": "auth/connector/check-wrong"})
    for checks in ((one_way, other_way, refused("deals")), (lenient, refused("deals"))):
        assert judged(checks=checks, proven=()).feedback.items[-1].stream == "deals"


def test_a_stream_that_was_answered_is_blamed_for_itself_even_if_check_fails() -> None:
    answered = check("completeness/deals/page", FAILED, "0 of 20 records", "selector", "request")
    found = judged(checks=(LOCKED, answered), proven=())
    assert [(item.stream, item.suspects) for item in found.feedback.items[1:]] == [
        ("deals", ("selector", "request"))
    ]


def test_streams_are_blamed_for_themselves_once_another_could_be_read() -> None:
    found = judged(checks=(READ[0], LOCKED, refused("deals")), proven=("contacts",), unproven=("deals",))
    assert [item.stream for item in found.feedback.items] == [None, "deals"]


def test_an_unread_parent_is_blamed_for_what_its_children_lack() -> None:
    never_asked = check("completeness/notes/over-parents", FAILED, "0 of 9 records", "parent", "request")
    too_few = check("completeness/deals/over-parents", FAILED, "3 of 9 records", "parent", "pagination")
    broken = check("completeness/contacts/page", FAILED, "0 of 20 records", "selector", "request")
    found = judged(
        parents={"deals": "contacts", "notes": "deals"}, checks=(broken, too_few, never_asked), proven=()
    )
    assert [(item.stream, item.suspects) for item in found.feedback.items] == [
        ("contacts", ("selector", "request")),
        ("contacts", ()),
        ("contacts", ()),
    ]
    found = judged(parents={"deals": "contacts"}, checks=(broken, refused("deals")), proven=())
    assert [item.stream for item in found.feedback.items] == ["contacts", "contacts"]


def test_a_child_is_blamed_for_itself_if_its_parent_is_read_or_its_own_pages_are_at_fault() -> None:
    own = check("completeness/deals/over-parents", FAILED, "9 of 12 records", "pagination", "selector")
    above = check("completeness/deals/over-parents", FAILED, "0 of 12 records", "parent", "request")
    broken = check("completeness/contacts/page", FAILED, "0 of 20 records", "selector")
    for checks in ((broken, own), (READ[0], above)):
        found = judged(parents={"deals": "contacts"}, checks=checks, proven=())
        assert found.feedback.items[-1].stream == "deals"


def test_parents_that_go_in_a_circle_come_to_an_end() -> None:
    checks = (refused("contacts"), refused("deals"))
    found = judged(parents={"deals": "contacts", "contacts": "deals"}, checks=checks, proven=())
    assert {item.stream for item in found.feedback.items} <= {"contacts", "deals"}


def test_no_decision_of_a_readable_stream_is_blamed_for_how_the_connector_behaves() -> None:
    hasty = check("failures/deals/429", FAILED, "it asked again after 0.1 s, not 1 s")
    (item,) = judged(checks=(*READ, hasty), proven=("contacts",), unproven=("deals",)).feedback.items
    assert (item.stream, item.suspects) == (None, ())
    assert "failures/deals/429" in item.message
    both = judged(checks=(*READ, INCOMPLETE, hasty), proven=("contacts",)).feedback.items
    assert [item.stream for item in both] == ["deals", "deals"], "it cannot be read at every size"


def test_a_repair_keeps_what_works_and_moves_what_is_blamed() -> None:
    two = blueprints.stream("deals").model_copy(
        update={"pagination": blueprints.decided(NoPagination(), LinkHeaderPagination())}
    )
    known = blueprints.blueprint(blueprints.stream("contacts"), two)
    hasty = check("failures/deals/500", FAILED, "it gave up")

    def repaired(*checks: Check) -> tuple[dict[str, int], frozenset[str]]:
        found = judged(checks=checks, proven=())
        done = repair(known, {}, frozenset(), found.feedback.items)
        return done.choices, done.degraded

    assert repaired(*READ, INCOMPLETE) == ({"streams.deals.pagination": 1}, frozenset())
    assert repaired(*READ, hasty) == ({}, frozenset())
    assert repaired(check("protocol/connector/discover"), LOCKED, *map(refused, STREAMS)) == ({}, frozenset())
    assert repaired(NO_SPEC) == ({}, frozenset())


# --- words ----------------------------------------------------------------------------------------


def test_the_reason_counts_and_names_the_first_causes() -> None:
    parts: dict[str, Any] = {"checks": (*READ, INCOMPLETE), "proven": ("contacts",), "cases": (*WELL, WRONG)}
    reason = judged(**parts).reason
    assert reason.startswith("the code is at fault: 1 of 3 checks and 1 of 2 tests fail; 1 of 2 streams are proven")
    assert "completeness/deals/page+1: 20 of 21 records" in reason
    many = judged(checks=(*READ, INCOMPLETE), cases=(case("test_a.py::test_a", FAILED, stream="contacts"),) * 5)
    assert "completeness/deals/page+1: 20 of 21 records" in many.reason, "the code's causes come first"


def test_the_reason_of_a_pass_names_what_is_not_proven() -> None:
    assert judged().reason == "all 2 checks and 1 tests are well; 2 of 2 streams are proven"
    assert judged(proven=("contacts",)).reason.endswith("1 of 2 streams are proven; not proven: deals")


MESSAGES = {
    "SyntaxError: invalid syntax": "it is not valid Python",
    "failed on setup with \"fixture 'api' not found\"": "it asks for a fixture that does not exist",
    "collection failure": "it cannot be imported",
    "ModuleNotFoundError: No module named 'requests'": "it cannot be imported",
    "it did not run: pytest does not mention it": "the tests did not run to their end",
    "the tests took too long and were stopped after 60 s": "the tests did not run to their end",
    "pytest left no result; it died of signal 9": "the tests did not run to their end",
    "subprocess.TimeoutExpired: Command timed out after 30 s": "it does not end in time",
    "ConnectionRefusedError: [Errno 111] Connection refused": "it asks a server that the tests do not have",
    "AttributeError: 'Client' object has no attribute 'fetch'": "it uses what does not exist",
    "KeyError: 'id'": "it reads a field that is not there",
    "TypeError: read() takes 1 positional argument": "it calls something in the wrong way",
    "AssertionError: assert [1, 2] == [1, 2, 3]": "it expects other data than came",
    "assert process.returncode == 0": "it expects other data than came",
    "AssertionError: assert status.ok": "what it expects does not hold",
    "": "it fails",
}


@pytest.mark.parametrize("message", MESSAGES)
def test_the_catalogue_says_what_a_failure_means(message: str) -> None:
    assert explain(message).words == MESSAGES[message]


def test_the_catalogue_has_no_pattern_that_is_never_found() -> None:
    assert {pattern.words for pattern in CATALOGUE} <= set(MESSAGES.values())


# --- whatever is reported -------------------------------------------------------------------------

PLACES = st.sampled_from(("connector", *STREAMS, "unknown"))
IDS = st.builds(
    lambda kind, place, name: f"{kind}/{place}/{name}",
    st.sampled_from(("completeness", "failures", "auth", "protocol")),
    PLACES,
    st.sampled_from(("page", "429", "check", "spec")),
)
SUSPECTS = st.lists(st.sampled_from(("request", "parent", "pagination", "auth")), max_size=3, unique=True)
CHECKS = st.lists(
    st.builds(lambda id_, out, why: check(id_, out, "why", *why), IDS, st.sampled_from(Outcome), SUSPECTS),
    max_size=8,
    unique_by=lambda each: each.id,
)
CASES = st.lists(
    st.builds(
        case,
        st.from_regex(r"test_[a-z]{1,6}", fullmatch=True),
        st.sampled_from(Outcome),
        stream=st.none() | PLACES,
        confirms=st.none() | IDS,
        message=st.text(max_size=30) | st.sampled_from(sorted(MESSAGES)),
    ),
    max_size=6,
    unique_by=lambda each: each.id,
)
SOME = st.lists(st.sampled_from((*STREAMS, "unknown"))).map(tuple)
OPINION = st.none() | st.builds(Opinion, st.sampled_from((INVALID, VALID_FAIL)), st.text(max_size=30))


@given(CHECKS, CASES, SOME, SOME, SOME, st.dictionaries(PLACES, PLACES), st.lists(OPINION, min_size=6, max_size=6))
def test_whatever_is_reported_the_judgement_is_sound(
    checks: list[Check],
    cases: list[TestCase],
    proven: tuple[str, ...],
    unproven: tuple[str, ...],
    degraded: tuple[str, ...],
    parents: dict[str, str],
    said: list[Opinion | None],
) -> None:
    run = report(checks=tuple(checks), cases=tuple(cases), proven=proven, unproven=unproven)
    heard = {each.id: opinion for each, opinion in zip(cases, said, strict=False) if opinion}
    found = judge(run, STREAMS, degraded, parents=parents, opinions=heard)
    plain = judge(run, STREAMS, degraded, parents=parents)
    asked = {each.id for each in unvouched(run, degraded)}
    assert (found.proven, found.degraded) == (plain.proven, plain.degraded)
    assert {item for item in plain.feedback.items if item.test not in asked} == {
        item for item in found.feedback.items if item.test not in asked
    }
    for item in found.feedback.items:
        if item.test in asked:
            assert item.verdict is (heard[item.test].verdict if item.test in heard else VALID_FAIL)
    items = found.feedback.items
    blamed = [item.verdict for item in items]
    if run.failed_checks:
        assert found.verdict is VALID_FAIL
    for failing in run.failed_checks:
        assert any(item.verdict is VALID_FAIL and failing.id in item.message for item in items)
    for failed in run.failed_cases:
        assert [item.test for item in items].count(failed.id) == 1
    if run.failed_cases:
        assert found.verdict is not VALID_PASS
    assert (found.verdict is INVALID) == (INVALID in blamed and VALID_FAIL not in blamed)
    assert blamed == sorted(blamed, key=lambda verdict: verdict is INVALID)
    assert 0 <= found.proven <= found.total == len(STREAMS)
    assert found.proven + len(found.degraded) == found.total
    assert set(degraded) & set(STREAMS) <= set(found.degraded) <= set(STREAMS)
    assert 0 < len(found.reason) <= MAX_REASON
    assert "\n" not in found.reason
    assert all(len(item.message) <= MAX_MESSAGE for item in items)
