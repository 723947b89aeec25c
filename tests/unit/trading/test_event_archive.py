"""Archiving: what moves, what a crash at each step leaves, what a reader sees meanwhile."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from genesis.domain.errors import InputError, StorageError
from genesis.trading.events import EventType
from genesis.trading.store import EventReader, verify
from tests.unit.trading.event_samples import HandClock, filled_store, mixed, open_store, same

STEPS = ["archive.before_segment", "archive.segment_written", "archive.anchored"]
STEPS += ["archive.rows_removed"]


class Crash(BaseException):
    pass


def segments(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "archive").glob("*.parquet"))


def whole(folder: Path, events: int) -> None:
    """Check that a log is sound and says what was sent, whether from the archive or not."""
    report = verify(folder)
    assert report.damage is None
    assert report.events == events
    with EventReader(folder) as reader:
        got = list(reader.events())
        assert [e.seq for e in got] == list(range(1, events + 1))
        assert all(same(mixed(n), event) for n, event in enumerate(got))
        assert [e.seq for e in reader.events(newest_first=True)] == list(range(events, 0, -1))


def test_whole_segments_move_and_the_rest_stays(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    with filled_store(tmp_path / "r", 95) as store:
        anchors = store.archive(
            before_seq=80, segment_events=25, progress=lambda *at: seen.append(at)
        )
        assert [(a.first, a.last) for a in anchors] == [(1, 25), (26, 50), (51, 75)]
        assert store.archive(before_seq=80, segment_events=25) == []
        assert store._db.execute("SELECT min(seq), count(*) FROM events").get == (76, 20)
        store.commit([mixed(n) for n in range(95, 105)], [])
    assert seen == [(25, 75), (50, 75), (75, 75)]
    whole(tmp_path / "r", 105)
    with open_store(tmp_path / "r") as store:
        store.archive(segment_events=30)
        assert store.head.seq == 105
    assert verify(tmp_path / "r").segments == 4
    whole(tmp_path / "r", 105)


def test_everything_can_be_archived_and_the_log_goes_on(tmp_path: Path) -> None:
    with filled_store(tmp_path / "r", 20) as store:
        store.archive(segment_events=20)
    with open_store(tmp_path / "r") as store:
        store.commit([mixed(20)], [])
    whole(tmp_path / "r", 21)


def test_age_counts_by_the_time_of_recording(tmp_path: Path) -> None:
    clock = HandClock(0)
    with open_store(tmp_path / "r", clock) as store:
        for n in range(40):
            clock.ms = n * 10
            store.commit([mixed(n)], [])
        assert [a.last for a in store.archive(older_than_ms=235, segment_events=8)] == [8, 16, 24]
        assert store.archive(older_than_ms=319, segment_events=8)[-1].last == 32
    whole(tmp_path / "r", 40)


def test_nonsense_is_refused(tmp_path: Path) -> None:
    with filled_store(tmp_path / "r", 20) as store, pytest.raises(InputError):
        store.archive(segment_events=0)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("reopened", [True, False])
def test_a_crash_at_any_step_loses_nothing_and_is_repaired(
    tmp_path: Path, step: str, reopened: bool
) -> None:
    live = tmp_path / "live" / "r"

    def probe(name: str) -> None:
        if name == step and len(segments(live)) >= (1 if step == STEPS[0] else 2):
            raise Crash

    store = filled_store(live, 30, probe=probe)
    with pytest.raises(Crash):
        store.archive(segment_events=10)
    # What the disk holds at this instant, as a dead process would leave it.
    shutil.copytree(tmp_path / "live", tmp_path / "dead")
    if not reopened:
        store.close()
        whole(live, 30)
        store = open_store(live)
        assert len(store.archive(segment_events=10)) == (1 if step in STEPS[2:] else 2)
        store.close()
        whole(live, 30)
        return
    store.close()
    dead = tmp_path / "dead" / "r"
    whole(dead, 30)
    with open_store(dead) as store:
        written = ["segment-000000000001-000000000010.parquet"]
        if step in STEPS[2:]:
            written.append("segment-000000000011-000000000020.parquet")
        assert segments(dead) == written
        assert store._db.execute("SELECT min(seq) FROM events").get == 10 * len(written) + 1
        store.archive(segment_events=10)
    assert verify(dead).segments == 3
    whole(dead, 30)


@pytest.mark.parametrize("cut", [1, 40, 200])
def test_a_torn_anchor_is_no_anchor(tmp_path: Path, cut: int) -> None:
    store = filled_store(tmp_path / "r", 20)
    store.archive(segment_events=10, before_seq=11)

    def probe(name: str) -> None:
        if name == "archive.anchored":
            raise Crash

    store._probe = probe
    with pytest.raises(Crash):
        store.archive(segment_events=10)
    path = tmp_path / "r" / "archive" / "anchors.jsonl"
    content = path.read_bytes()
    path.write_bytes(content[:-cut])
    store.close()
    whole(tmp_path / "r", 20)
    with open_store(tmp_path / "r") as store:
        assert len(segments(tmp_path / "r")) == 1
        store.archive(segment_events=10)
    assert verify(tmp_path / "r").segments == 2
    assert path.read_bytes().count(b"\n") == 2


def test_whatever_a_crash_left_behind_the_last_anchor_is_written_over(tmp_path: Path) -> None:
    with filled_store(tmp_path / "r", 20) as store:
        store.archive(segment_events=10, before_seq=11)
        path = tmp_path / "r" / "archive" / "anchors.jsonl"
        path.write_bytes(path.read_bytes() + b"{" + b"x" * 2_000)
        store.archive(segment_events=10)
    assert path.read_bytes().count(b"\n") == 2
    assert path.read_bytes().endswith(b"}\n")
    whole(tmp_path / "r", 20)


def test_leftovers_of_a_killed_archiver_are_removed(tmp_path: Path) -> None:
    with filled_store(tmp_path / "r", 20) as store:
        store.archive(segment_events=10, before_seq=11)
    part = tmp_path / "r" / "archive" / ".segment-000000000011-000000000020.parquet.9-0.part"
    part.write_bytes(b"half")
    open_store(tmp_path / "r").close()
    assert not part.exists()
    whole(tmp_path / "r", 20)


def test_a_damaged_log_is_not_archived(tmp_path: Path) -> None:
    with filled_store(tmp_path / "r", 2_000, batch=500) as store:
        store._db.execute("UPDATE events SET aggregate = 'x' WHERE seq = 17")
        with pytest.raises(StorageError, match="damaged at event 17, so nothing was archived"):
            store.archive(segment_events=50)
        assert segments(tmp_path / "r") == []


def test_an_anchor_that_contradicts_the_log_is_not_followed(tmp_path: Path) -> None:
    def probe(name: str) -> None:
        if name == "archive.anchored":
            raise Crash

    store = filled_store(tmp_path / "r", 20, probe=probe)
    with pytest.raises(Crash):
        store.archive(segment_events=10)
    store.close()
    path = tmp_path / "r" / "archive" / segments(tmp_path / "r")[0]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StorageError, match="does not fit the log"):
        open_store(tmp_path / "r")
    path.unlink()
    with pytest.raises(StorageError, match="cannot read"):
        open_store(tmp_path / "r")


def test_a_lost_key_is_not_replaced_behind_signed_segments(tmp_path: Path) -> None:
    with filled_store(tmp_path / "r", 20) as store:
        store.archive(segment_events=10, before_seq=11)
        (tmp_path / "anchor.key").unlink()
        with pytest.raises(StorageError, match=r"key .* is missing"):
            store.archive(segment_events=10)


def test_a_reader_goes_on_while_the_writer_archives(tmp_path: Path) -> None:
    store = filled_store(tmp_path / "r", 6_000, batch=500)
    with EventReader(tmp_path / "r") as reader, EventReader(tmp_path / "r") as other:
        forwards, backwards = reader.events(), other.events(newest_first=True)
        got = [next(forwards).seq for _ in range(100)]
        tog = [next(backwards).seq for _ in range(100)]
        store.archive(segment_events=1_500)
        got += [event.seq for event in forwards]
        tog += [event.seq for event in backwards]
    store.close()
    assert got == list(range(1, 6_001))
    assert tog == list(range(6_000, 0, -1))


def test_conditions_hold_in_the_archive_as_in_the_database(tmp_path: Path) -> None:
    with filled_store(tmp_path / "a", 400) as store, filled_store(tmp_path / "b", 400):
        store.archive(segment_events=30, before_seq=300)
    questions: list[dict] = [  # type: ignore[type-arg]
        {"types": [EventType.ORDER_ACCEPTED]},
        {"types": ["order_submit", "bar_closed"], "limit": 70},
        {"types": [EventType.RUN_FINISHED]},
        {"aggregate": "ORD_3"},
        {"aggregate": ""},
        {"aggregate": "BTC", "types": ["bar_closed", "order_submit"]},
        {"correlation": "TPL_70"},
        {"correlation": ""},
        {"since_ms": 1_000_000, "until_ms": 1_100_000},
        {"since_ms": 9_000_000, "types": ["bar_closed"]},
        {"since_ms": 10**12},
        {"since_ms": 15_000_000},
        {"since_ms": 15_000_000, "newest_first": True},
        {"aggregate": "ORD_5", "types": ["order_accepted"]},
        {"start": 200, "until": 320},
        {"newest_first": True, "limit": 5},
        {"newest_first": True, "types": ["order_accepted"], "until": 250},
        {"newest_first": True, "since_ms": 1_000, "until_ms": 90_000},
        {"limit": 0},
    ]
    with EventReader(tmp_path / "a") as archived, EventReader(tmp_path / "b") as live:
        for question in questions:
            expected = [e.seq for e in brute_force(question)]
            assert [e.seq for e in archived.events(**question)] == expected, question
            assert [e.seq for e in live.events(**question)] == expected, question
        assert archived.count(["order_accepted"]) == live.count(["order_accepted"]) == 100
        assert archived.count() == 400
        assert archived.count([]) == 0
        event = archived.event(7)
        assert event is not None
        assert same(event, mixed(6))
        assert archived.event(401) is None


def brute_force(question: dict) -> list:  # type: ignore[type-arg]
    events = []
    for n in range(400):
        event = mixed(n)
        event.seq = n + 1
        events.append(event)
    q = dict(question)
    first, last = q.pop("start", 1), q.pop("until", 400)
    events = [e for e in events if first <= e.seq <= last]
    if "types" in q:
        wanted = {str(EventType(t)) for t in q["types"]}
        events = [e for e in events if e.type.value in wanted]
    for name in ("aggregate", "correlation"):
        if name in q:
            events = [e for e in events if getattr(e, name) == q[name]]
    events = [e for e in events if q.get("since_ms", 0) <= e.ts_ms <= q.get("until_ms", 10**15)]
    if q.get("newest_first"):
        events.reverse()
    return events[: q.get("limit", 400)]


def test_a_page_boundary_is_no_boundary_for_a_question(tmp_path: Path) -> None:
    with filled_store(tmp_path / "r", 9_000, batch=500):
        pass
    with EventReader(tmp_path / "r") as reader:
        kinds = ["order_accepted", "order_submit", "bar_closed"]
        expected = [n for n in range(1, 9_001) if n % 4 != 0]
        assert [e.seq for e in reader.events(types=kinds)] == expected
        assert [e.seq for e in reader.events(types=kinds, newest_first=True)] == expected[::-1]


def test_an_unknown_type_is_named(tmp_path: Path) -> None:
    filled_store(tmp_path / "r", 3).close()
    with EventReader(tmp_path / "r") as reader, pytest.raises(InputError) as raised:
        list(reader.events(types=["order_fill"]))
    assert "did you mean 'order_filled'" in raised.value.what
