"""The SQL copy: one suite, run on SQLite and on PostgreSQL."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

import contracts
from contracts import events as e
from contracts.artifacts import ArtifactRef
from contracts.envelope import Envelope, UnknownFact, wrap
from contracts.pipeline import Status, fold
from contracts.queries import (
    MAX_CHUNK_BYTES,
    MAX_PAGE_BYTES,
    ArtifactQuery,
    HistoriesQuery,
    HistoryQuery,
    PipelinesQuery,
    Place,
    StateQuery,
)
from services.event_store.database import milestones, read
from services.event_store.database.copy import Copy
from services.event_store.database.engine import open_engine
from services.event_store.database.folded import Message
from services.event_store.database.histories import histories
from services.event_store.database.snapshots import EVERY, Snapshots
from services.event_store.errors import Diverged, Gap
from tests.support.facts import START, interleaved, life, pipeline_id, subject


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


def messages(events: Sequence[Envelope], start: int = 1) -> list[Message]:
    return [Message(n, subject(event), event.encode(), event) for n, event in enumerate(events, start=start)]


def test_append_records_every_message_verbatim_and_in_order(engine: Engine) -> None:
    log = messages(list(interleaved([life(pipeline_id(n)) for n in range(3)])))
    copy = Copy(engine)
    for start in range(0, len(log), 7):
        copy.append(log[start : start + 7])
    stored = copy.stored(0, 100)
    assert [(row.sequence, row.subject, row.payload) for row in stored] == [
        (message.sequence, message.subject, message.payload) for message in log
    ]
    assert [row.previous for row in stored] == [max(0, sequence - 3) for sequence in range(1, 37)]
    assert copy.last_sequence() == 36


def test_append_again_after_a_restart_changes_nothing(engine: Engine) -> None:
    log = messages(life(pipeline_id(1)))
    Copy(engine).append(log[:5])
    restarted = Copy(engine)
    assert restarted.append(log[:5]) == 5
    assert restarted.append(log[3:]) == 12
    page = read.history(engine, HistoryQuery(pipeline=pipeline_id(1)))
    assert [fact.position for fact in page.events] == list(range(1, 13))


def test_append_with_a_hole_is_refused_and_writes_nothing(engine: Engine) -> None:
    log = messages(life(pipeline_id(1)))
    copy = Copy(engine)
    copy.append(log[:2])
    with pytest.raises(Gap) as late:
        copy.append(log[3:])
    assert (late.value.expected, late.value.got) == (3, 4)
    with pytest.raises(Gap):
        copy.append([log[2], log[4]])
    assert copy.last_sequence() == 2
    assert copy.append(log[2:]) == 12


def test_append_of_another_fact_at_a_known_sequence_stops_and_says_so(engine: Engine) -> None:
    copy = Copy(engine)
    copy.append(messages(life(pipeline_id(1))))
    with pytest.raises(Diverged, match="sequence 1"):
        copy.append(messages(life(pipeline_id(2))))
    assert copy.last_sequence() == 12


def test_append_keeps_a_message_that_is_no_fact_without_a_position(engine: Engine) -> None:
    events = life(pipeline_id(1))
    log = messages(events[:2])
    broken = Message.decode(3, f"pipelines.{pipeline_id(1)}.tests.passed", b"\xff\x00 no envelope")
    Copy(engine).append([*log, broken])
    Copy(engine).append(messages(events[2:], start=4))
    page = read.history(engine, HistoryQuery(pipeline=pipeline_id(1)))
    assert [(fact.position, fact.sequence) for fact in page.events][:3] == [(1, 1), (2, 2), (3, 4)]
    assert read.state(engine, StateQuery(pipeline=pipeline_id(1))).state == fold(events)
    assert Copy(engine).stored(2, 1)[0].payload == broken.payload


def test_append_keeps_a_fact_that_is_stored_twice(engine: Engine) -> None:
    events = life(pipeline_id(1))
    twice = [*events[:3], events[2], *events[3:]]
    Copy(engine).append(messages(twice))
    assert read.state(engine, StateQuery(pipeline=pipeline_id(1))).state == fold(twice)
    assert len(read.history(engine, HistoryQuery(pipeline=pipeline_id(1))).events) == 13


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"], indirect=True)
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_state_at_n_equals_the_fold_of_n_facts(engine: Engine, data: st.DataObject) -> None:
    copy = Copy(engine)
    pipeline = pipeline_id(1_000 + copy.last_sequence())
    events = life(pipeline)
    chosen = data.draw(st.lists(st.sampled_from(events), min_size=1, max_size=15))
    log = messages(chosen, start=copy.last_sequence() + 1)
    cut = data.draw(st.integers(0, len(log)))
    copy.append(log[:cut])
    Copy(engine).append(log[cut:])
    at = data.draw(st.integers(1, len(log)))
    answer = read.state(engine, StateQuery(pipeline=pipeline, at=at))
    assert answer.state == fold(chosen[:at])
    assert (answer.position, answer.sequence) == (at, log[at - 1].sequence)
    with pytest.raises(read.NotHere, match=f"has {len(log)} facts"):
        read.state(engine, StateQuery(pipeline=pipeline, at=len(log) + 1))


def test_state_of_an_unknown_pipeline_is_not_here(engine: Engine) -> None:
    with pytest.raises(read.NotHere, match="no pipeline"):
        read.state(engine, StateQuery(pipeline=pipeline_id(9)))
    with pytest.raises(read.NotHere, match="no pipeline"):
        read.history(engine, HistoryQuery(pipeline=pipeline_id(9)))


def test_history_pages_by_count_and_by_size_without_losing_a_fact(engine: Engine) -> None:
    events = life(pipeline_id(1))
    long = events[7].model_copy(update={"data": {**events[7].data, "code_version": "x" * (MAX_PAGE_BYTES // 2)}})
    events = [*events[:7], long, long, long, *events[8:]]
    Copy(engine).append(messages(events))
    after: int | None = 0
    seen, sizes = [], []
    while after is not None:
        page = read.history(engine, HistoryQuery(pipeline=pipeline_id(1), after=after, limit=4))
        seen += page.events
        sizes.append(sum(len(fact.event.encode()) for fact in page.events))
        after = page.next
    assert [fact.position for fact in seen] == list(range(1, 15))
    assert [fact.event for fact in seen] == events
    assert max(sizes) < MAX_PAGE_BYTES


def test_pipelines_are_listed_newest_first_with_filters_and_pages(engine: Engine) -> None:
    done = [life(pipeline_id(n), name="done") for n in range(3)]
    open_ = [life(pipeline_id(n), name="open")[:4] for n in range(10, 14)]
    Copy(engine).append(messages([event for each in (*done, *open_) for event in each]))
    first = read.pipelines(engine, PipelinesQuery(limit=3))
    assert [line.id for line in first.pipelines] == [pipeline_id(n) for n in (13, 12, 11)]
    rest = read.pipelines(engine, PipelinesQuery(before=first.next))
    assert [line.id for line in rest.pipelines] == [pipeline_id(n) for n in (10, 2, 1, 0)]
    assert rest.next is None
    assert rest.pipelines[-1].version == "0.1.0"
    assert (rest.pipelines[0].position, rest.pipelines[0].status) == (4, Status.RUNNING)
    assert rest.pipelines[0].submitted == open_[0][0].time
    assert rest.pipelines[0].updated == open_[0][-1].time
    named = read.pipelines(engine, PipelinesQuery(name="done", status=Status.SUCCESS))
    assert len(named.pipelines) == 3
    assert not read.pipelines(engine, PipelinesQuery(name="done", status=Status.FAILED)).pipelines


def test_a_fact_of_a_newer_version_is_kept_and_folded_when_the_code_knows_it(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = life(pipeline_id(1))
    newer = events[3].model_copy(update={"dataversion": 99})
    copy = Copy(engine)
    copy.append(messages([*events[:3], newer, *events[4:]]))
    line = read.pipelines(engine, PipelinesQuery()).pipelines[0]
    assert (line.readable, line.position, line.status) == (False, 12, Status.RUNNING)
    with pytest.raises(UnknownFact):
        read.state(engine, StateQuery(pipeline=pipeline_id(1)))
    assert read.state(engine, StateQuery(pipeline=pipeline_id(1), at=3)).state == fold(events[:3])

    monkeypatch.setattr("contracts.events.FixturesCreated.VERSION", 99)  # the upgrade
    assert Copy(engine).refold_unreadable() == 1
    line = read.pipelines(engine, PipelinesQuery()).pipelines[0]
    assert (line.readable, line.status) == (True, Status.SUCCESS)


def test_artifacts_are_kept_once_and_read_in_chunks(engine: Engine) -> None:
    content = bytes(range(256)) * 4096 + b"end"
    ref = ArtifactRef.of(content, "application/octet-stream")
    empty = ArtifactRef.of(b"", "text/plain")
    copy = Copy(engine)
    assert copy.lacking([ref.sha256, empty.sha256]) == {ref.sha256, empty.sha256}
    copy.mark_missing([ref], 7)
    assert copy.missing() == [(ref, 7)]
    copy.keep([(ref, content), (empty, b"")])
    copy.keep([(ref, content)])
    assert copy.lacking([ref.sha256, "0" * 64]) == {"0" * 64}
    assert copy.missing() == []
    read_back = b""
    while len(read_back) < ref.size:
        chunk = read.artifact(engine, ArtifactQuery(sha256=ref.sha256, offset=len(read_back)))
        assert 0 < len(chunk.content) <= MAX_CHUNK_BYTES
        read_back += type(chunk).model_validate_json(chunk.model_dump_json()).content
    assert read_back == content
    assert read.artifact(engine, ArtifactQuery(sha256=empty.sha256)).content == b""
    with pytest.raises(read.NotHere):
        read.artifact(engine, ArtifactQuery(sha256="0" * 64))


def test_counts_tell_how_much_there_is_and_what_is_missing(engine: Engine) -> None:
    copy = Copy(engine)
    assert read.counts(engine).facts == 0
    copy.append(messages([*life(pipeline_id(1)), *life(pipeline_id(2))[:2]]))
    lost = ArtifactRef.of(b"lost", "text/plain")
    copy.mark_missing([lost], 2)
    counts = read.counts(engine, problem="none really")
    assert (counts.facts, counts.last_sequence, counts.artifacts) == (14, 14, 0)
    assert (counts.pipelines[Status.SUCCESS], counts.pipelines[Status.RUNNING]) == (1, 1)
    assert [(missing.sha256, missing.sequence) for missing in counts.missing] == [(lost.sha256, 2)]
    assert counts.problem == "none really"


def test_sqlite_is_durable_and_lets_readers_read_while_it_is_written(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'events.db'}")
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
    with engine.begin() as writing:
        writing.execute(text("INSERT INTO missing_artifacts VALUES ('" + 64 * "a" + "', 'b', 1, 1)"))
        assert read.counts(engine).missing == ()
    assert len(read.counts(engine).missing) == 1
    engine.dispose()


# --- forks --------------------------------------------------------------------------------------


def forked(number: int, parent: int, at: int) -> list[Envelope]:
    """A fork that said two things of its own."""
    id = pipeline_id(number)
    facts = (e.PipelineForked(parent=pipeline_id(parent), at=at), e.PipelinePauseRequested())
    return [
        wrap(fact, id=f"{number}/{n}", pipeline=id, source="gateway", time=START, causation=None)
        for n, fact in enumerate(facts)
    ]


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_a_fork_shares_its_parents_facts_by_reference(engine: Engine, batch: int) -> None:
    """Of a fork of a fork, too, within what that one shares (at 3) and beyond it (at 6), in batches of any size."""
    parent, child = life(pipeline_id(1)), forked(2, parent=1, at=5)
    early, late = forked(3, parent=2, at=3), forked(4, parent=2, at=6)
    log = messages([*parent, *child, *early, *late])
    copy = Copy(engine)
    for start in range(0, len(log), batch):
        copy.append(log[start : start + batch])

    whole = {2: [*parent[:5], *child], 3: [*parent[:3], *early], 4: [*parent[:5], child[0], *late]}
    for number, events in whole.items():
        history = read.history(engine, HistoryQuery(pipeline=pipeline_id(number)))
        assert [recorded.event for recorded in history.events] == events
        assert [recorded.position for recorded in history.events] == list(range(1, len(events) + 1))
        for at in range(1, len(events) + 1):
            answer = read.state(engine, StateQuery(pipeline=pipeline_id(number), at=at))
            assert answer.state == fold(events[:at])
            page = read.history(engine, HistoryQuery(pipeline=pipeline_id(number), after=at - 1, limit=2))
            assert [recorded.event for recorded in page.events] == events[at - 1 : at + 1]
            assert page.next == (at + 1 if at + 1 < len(events) else None)
    assert len(copy.stored(0, 100)) == len(log), "a shared fact was copied"
    assert [row.previous for row in copy.stored(len(parent), 2)] == [0, len(parent) + 1]
    listed = read.pipelines(engine, PipelinesQuery()).pipelines
    assert [(line.name, line.position) for line in listed] == [("acme", 8), ("acme", 5), ("acme", 7), ("acme", 12)]
    assert (
        Copy(engine).append(messages(forked(5, 4, 7), start=len(log) + 1)) == len(log) + 2
    )  # read from the tables


def test_forks_of_each_other_end(engine: Engine) -> None:
    """Nobody of ours writes such a log; reading it must end all the same."""
    Copy(engine).append(messages([*forked(1, parent=2, at=9), *forked(2, parent=1, at=9)]))
    for number in (1, 2):
        assert read.history(engine, HistoryQuery(pipeline=pipeline_id(number))).position <= 5


def test_state_from_a_snapshot_is_the_state_from_the_beginning(engine: Engine) -> None:
    events = life(pipeline_id(1))
    late = [events[5].model_copy(update={"id": f"late {n}"}) for n in range(3 * EVERY)]
    long = [*events[:6], *late, *events[6:]]
    copy, snapshots = Copy(engine), Snapshots(kept=2)
    copy.append(messages(long))
    positions = [len(long), 3, EVERY - 1, EVERY, EVERY + 1, 2 * EVERY + 7, len(long) - 1, len(long)]

    for at in positions:
        query = StateQuery(pipeline=pipeline_id(1), at=at)
        asked = read.state(engine, query, snapshots)
        assert asked == read.state(engine, query)
        assert asked.state == fold(long[:at])
        assert (asked.submitted, asked.updated, asked.sequence) == (long[0].time, long[at - 1].time, at)


def test_snapshots_are_used_and_few(engine: Engine) -> None:
    snapshots = Snapshots(kept=2)
    events = life(pipeline_id(1))
    copy = Copy(engine)
    copy.append(messages([events[0], *(events[0] for _ in range(4 * EVERY))]))
    changed(engine, "DELETE FROM milestones")
    query = StateQuery(pipeline=pipeline_id(1), at=4 * EVERY)

    read.state(engine, query, snapshots)

    kept = [snapshots.before(pipeline_id(1), n * EVERY) for n in range(1, 5)]
    assert [moment.state.position if moment else 0 for moment in kept] == [0, 0, 3 * EVERY, 4 * EVERY]
    changed(engine, "DELETE FROM events")
    assert read.state(engine, query, snapshots).position == 4 * EVERY


def changed(engine: Engine, statement: str, **values: object) -> int:
    """How many rows."""
    with engine.begin() as connection:
        return connection.execute(text(statement), values).rowcount


def long_life() -> list[Envelope]:
    """More than two milestones, the answers that count around the first of them."""
    events = life(pipeline_id(1))
    late = [events[1].model_copy(update={"id": f"late {n}"}) for n in range(2 * EVERY)]
    return [*events[:3], *late[: EVERY - 7], *events[3:10], *late[EVERY - 7 :], *events[10:]]


@pytest.mark.parametrize("batch", [7, 5000])
def test_state_after_a_restart_is_folded_from_a_milestone_on(engine: Engine, batch: int) -> None:
    long, copy = long_life(), Copy(engine)
    child = forked(2, 1, EVERY + 3)
    child += [child[1].model_copy(update={"id": f"again {n}"}) for n in range(EVERY)]
    log = messages([*long, *child])
    for start in range(0, len(log), batch):
        copy.append(log[start : start + batch])
    histories = {pipeline_id(1): long, pipeline_id(2): [*long[: EVERY + 3], *child]}

    for at in (1, EVERY - 1, EVERY, EVERY + 1, 2 * EVERY - 1, 2 * EVERY, 2 * EVERY + 3):
        for pipeline, facts in histories.items():
            asked = read.state(engine, StateQuery(pipeline=pipeline, at=at))  # knows nothing, as after a start
            assert asked.state.model_dump_json() == fold(facts[:at]).model_dump_json()
            first = next((fact for fact in facts[:at] if fact.pipeline == pipeline), facts[0])
            assert (asked.submitted, asked.updated, asked.position) == (first.time, facts[at - 1].time, at)

    changed(engine, "DELETE FROM events WHERE position > 1 AND position < :at", at=EVERY)
    at = EVERY + 1
    assert read.state(engine, StateQuery(pipeline=pipeline_id(1), at=at)).state == fold(long[:at]), (
        "it was not used"
    )


def test_milestone_of_other_code_is_never_read_and_forgotten(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, long = Copy(engine), long_life()
    copy.append(messages(long))
    wrong = fold(long[:EVERY]).model_copy(update={"name": "other"}).model_dump_json()
    assert changed(engine, "UPDATE milestones SET state = :wrong WHERE position = :at", wrong=wrong, at=EVERY) == 1
    query = StateQuery(pipeline=pipeline_id(1), at=EVERY)
    assert read.state(engine, query).state.name == "other", "the wrong one must be one that this code would read"
    copy.forget_milestones()
    assert changed(engine, "UPDATE milestones SET sequence = sequence") == 2

    for code in ("newer", None):
        monkeypatch.setattr(milestones, "code", lambda code=code: code)
        assert read.state(engine, query).state == fold(long[:EVERY])
    Copy(engine).append(messages([long[-1]] * EVERY, start=len(long) + 1))
    assert changed(engine, "UPDATE milestones SET sequence = sequence") == 2, "kept, by nobody knows what code"
    copy.forget_milestones()
    assert changed(engine, "UPDATE milestones SET sequence = sequence") == 0


@pytest.mark.parametrize(
    "damage",
    [
        "state = '{'",
        "state = '{}'",
        "state = (SELECT state FROM milestones AS other WHERE other.position <> milestones.position)",
        "sequence = sequence - 1",
    ],
)
def test_milestone_that_is_not_whole_is_passed_over(engine: Engine, damage: str) -> None:
    long = long_life()
    Copy(engine).append(messages(long))
    assert changed(engine, f"UPDATE milestones SET {damage}") == 2

    assert read.state(engine, StateQuery(pipeline=pipeline_id(1))).state == fold(long)


def test_pipeline_that_this_code_cannot_read_has_no_milestones(engine: Engine) -> None:
    long = long_life()
    long[5] = long[5].model_copy(update={"dataversion": 99})
    Copy(engine).append(messages(long))

    assert changed(engine, "DELETE FROM milestones") == 0
    with pytest.raises(UnknownFact):
        read.state(engine, StateQuery(pipeline=pipeline_id(1), at=EVERY))


def test_code_that_folds_is_named_by_its_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = Path(shutil.copytree(contracts.__path__[0], tmp_path / "contracts"))
    name = milestones.code.__wrapped__
    today = name()

    monkeypatch.setattr(contracts, "__path__", [str(copied)])
    assert name() == today
    with (copied / "evolution" / "life.py").open("a") as file:
        file.write("\n# newer\n")
    assert name() not in (today, None)
    (copied / "pipeline.py").unlink()
    assert name() is None


@pytest.mark.parametrize("limit", [1, 7, 500])
def test_histories_in_pages_are_all_facts_of_all_pipelines(engine: Engine, limit: int) -> None:
    """One pipeline after another, a fork with what it shares, whatever the size of the pages."""
    lives = [life(pipeline_id(n)) for n in range(3)]
    forked = e.PipelineForked(parent=pipeline_id(1), at=4)
    fork = wrap(forked, id="f", pipeline=pipeline_id(9), source="gateway", time=lives[0][0].time, causation=None)
    Copy(engine).append(messages([*interleaved(lives), fork]))

    found: dict[str, list[tuple[int, str]]] = {}
    place: Place | None = Place()
    while place is not None:
        page = histories(engine, HistoriesQuery(begun=place.begun, after=place.after, limit=limit))
        assert sum(len(history.facts) for history in page.histories) <= limit
        for history in page.histories:
            assert history.pipeline in list(found)[-1:] or history.pipeline not in found
            found.setdefault(history.pipeline, []).extend((fact.position, fact.event.id) for fact in history.facts)
        place = page.next

    assert list(found) == [pipeline_id(n) for n in (0, 1, 2, 9)]
    expected = [*lives, [*lives[1][:4], fork]]
    assert list(found.values()) == [[(n, fact.id) for n, fact in enumerate(one, start=1)] for one in expected]
