"""The writer: numbers, chain, transactions, tables, snapshots, locks, the clock."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import apsw
import msgspec
import pytest

from genesis.domain.errors import InputError, RefusedError, StorageError
from genesis.trading.payloads import encode
from genesis.trading.store import EventReader, EventStore, verify
from genesis.trading.store.opening import WAL_PAGES
from genesis.trading.tables import Table
from tests.unit.trading.event_samples import (
    ORDERS,
    HandClock,
    filled_store,
    mixed,
    open_store,
    same,
)


def stored(folder: Path) -> list[tuple]:  # type: ignore[type-arg]
    db = sqlite3.connect(folder / "events.db")
    rows = db.execute("SELECT * FROM events ORDER BY seq").fetchall()
    db.close()
    return rows


def test_what_is_committed_is_read_back(tmp_path: Path) -> None:
    sent = [mixed(n) for n in range(500)]
    with open_store(tmp_path / "r") as store:
        for first in range(0, 500, 32):
            store.commit(sent[first : first + 32], [])
        assert store.head.seq == 500
    with EventReader(tmp_path / "r") as reader:
        got = list(reader.events())
    assert [e.seq for e in got] == list(range(1, 501)) == [e.seq for e in sent]
    assert all(same(a, b) for a, b in zip(sent, got, strict=True))
    assert [e.recorded_ms for e in got] == [e.recorded_ms for e in sent]


def test_a_log_of_market_time_knows_when_it_was_created(tmp_path: Path) -> None:
    for name, born, created in (("r", HandClock(900), "900"), ("s", None, "5")):
        with open_store(tmp_path / name, HandClock(5), born=born) as store:
            store.commit([mixed(1)], [])
        with EventReader(tmp_path / name) as reader:
            assert reader.meta["created_ms"] == created
            assert reader.event(1).recorded_ms == 5


def test_chain_is_sha256_over_the_hash_before_and_every_field(tmp_path: Path) -> None:
    sent = [mixed(n) for n in range(9)]
    clock = HandClock(5)
    with open_store(tmp_path / "r", clock) as store:
        store.commit(sent[:4], [])
        clock.ms = 77
        store.commit(sent[4:], [])
        head = store.head
    previous = bytes(32)
    for n, event in enumerate(sent, 1):
        fields = [n, event.type.value, event.ts_ms, 5 if n < 5 else 77, event.aggregate]
        fields += [event.correlation, event.caused_by, event.ordinal, encode(event.data)]
        previous = hashlib.sha256(previous + msgspec.msgpack.encode(fields)).digest()
    assert head == (9, previous)


def test_a_reopened_log_goes_on_where_it_ended(tmp_path: Path) -> None:
    with filled_store(tmp_path / "r", 30) as store:
        head = store.head
    with open_store(tmp_path / "r", quick_check=True) as store:
        assert store.head == head
        store.commit([mixed(1)], [])
        assert store.head.seq == 31
    assert verify(tmp_path / "r").ok


def test_the_recorded_time_never_goes_back_and_says_so(tmp_path: Path) -> None:
    clock = HandClock(1_000)
    with open_store(tmp_path / "r", clock) as store:
        store.commit([mixed(0)], [])
        clock.ms = 400
        store.commit([mixed(1)], [])
        assert (store.clock_behind_ms, store.clock_steps_back) == (600, 1)
        clock.ms = 500
        store.commit([mixed(2)], [])
        assert (store.clock_behind_ms, store.clock_steps_back) == (500, 1)
        clock.ms = 1_001
        store.commit([mixed(3)], [])
        assert (store.clock_behind_ms, store.clock_steps_back) == (0, 1)
    clock.ms = 900
    with open_store(tmp_path / "r", clock) as store:
        store.commit([mixed(4)], [])
        assert store.clock_behind_ms == 101
    assert [row[3] for row in stored(tmp_path / "r")] == [1_000, 1_000, 1_000, 1_001, 1_001]


def test_rows_go_with_their_events_and_replace_by_key(tmp_path: Path) -> None:
    with open_store(tmp_path / "r") as store:
        store.commit(
            [mixed(0)],
            [
                ("orders", ("ORD_1", "NEW", "1.50", 1)),
                ("orders", ("ORD_2", "NEW", None, 2)),
                ("orders", ("ORD_1", "FILLED", "1.50", 3)),
            ],
        )
        store.commit([], [("orders", ("ORD_2", "CANCELED", "2", 4))])
        with EventReader(tmp_path / "r") as reader:
            rows = reader.rows("orders", "ts_ms > :least", {"least": 0}, order="order_id DESC")
            assert reader.rows("orders", "ts_ms > ?", (9,)) == []
            assert reader.tables() == ["orders"]
            with pytest.raises(InputError, match="no table 'fills'"):
                reader.rows("fills")
    assert rows == [
        {"order_id": "ORD_2", "state": "CANCELED", "price": "2", "ts_ms": 4},
        {"order_id": "ORD_1", "state": "FILLED", "price": "1.50", "ts_ms": 3},
    ]


@pytest.mark.parametrize("point", ["store.before_commit", "store.after_commit"])
def test_a_commit_is_all_or_nothing_around_its_crash_points(tmp_path: Path, point: str) -> None:
    armed = False

    def probe(name: str) -> None:
        if armed and name == point:
            raise KeyboardInterrupt

    store = open_store(tmp_path / "r", probe=probe)
    store.commit([mixed(0)], [("orders", ("A", "x", "1", 1))])
    armed = True
    late = mixed(1)
    with pytest.raises(KeyboardInterrupt):
        store.commit([late], [("orders", ("A", "y", "1", 1))])
    done = point == "store.after_commit"
    assert store.head.seq == (2 if done else 1)
    assert late.seq == (2 if done else 0)
    armed = False
    if not done:
        store.commit([late], [("orders", ("A", "y", "1", 1))])
    store.close()
    with EventReader(tmp_path / "r") as reader:
        assert reader.rows("orders")[0]["state"] == "y"
    assert verify(tmp_path / "r").events == 2


def test_a_full_disk_stores_nothing_of_the_batch_and_the_same_call_succeeds_later(
    tmp_path: Path,
) -> None:
    store = filled_store(tmp_path / "r", 40)
    pages = store._db.pragma("page_count")
    store._db.pragma("max_page_count", pages)
    batch = [mixed(n) for n in range(2_000)]
    with pytest.raises(StorageError) as raised:
        store.commit(batch, [("orders", ("A", "x", "1", 1))])
    assert raised.value.why == "the disk is full"
    assert "free space" in raised.value.fix
    assert store.head.seq == 40
    assert {event.seq for event in batch} == {0}
    store._db.pragma("max_page_count", 1_000_000)
    store.commit(batch, [("orders", ("A", "x", "1", 1))])
    store.close()
    report = verify(tmp_path / "r")
    assert (report.ok, report.events) == (True, 2_040)


def test_a_row_that_no_table_takes_stores_nothing(tmp_path: Path) -> None:
    with open_store(tmp_path / "r") as store:
        with pytest.raises(StorageError, match="1 events could not be stored"):
            store.commit([mixed(0)], [("orders", ("A", "x", "1", "no number"))])
        with pytest.raises(KeyError):
            store.commit([mixed(0)], [("unknown", (1,))])
        assert store.head.seq == 0
        store.commit([mixed(0)], [])
        assert store.head.seq == 1


def test_another_program_that_locks_the_file_is_named(tmp_path: Path) -> None:
    store = filled_store(tmp_path / "r", 4)
    store._db.set_busy_timeout(20)
    other = apsw.Connection(str(tmp_path / "r" / "events.db"))
    other.execute("BEGIN IMMEDIATE")
    event = mixed(9)
    with pytest.raises(StorageError) as raised:
        store.commit([event], [])
    assert "another program" in raised.value.why
    other.execute("ROLLBACK")
    other.close()
    store.commit([event], [])
    assert event.seq == 5
    store.close()


def test_a_long_reader_holds_nobody_up_and_the_write_ahead_log_shrinks_after_it(
    tmp_path: Path,
) -> None:
    store = open_store(tmp_path / "r")
    other = apsw.Connection(str(tmp_path / "r" / "events.db"))
    store.commit([mixed(0)], [])
    other.execute("BEGIN")
    assert other.execute("SELECT count(*) FROM events").get == 1
    while store.wal_pages < 5 * WAL_PAGES:
        store.commit([mixed(n) for n in range(2_000)], [])
    assert other.execute("SELECT count(*) FROM events").get == 1
    grown = (tmp_path / "r" / "events.db-wal").stat().st_size
    assert grown > 5 * WAL_PAGES * 4_096
    other.execute("ROLLBACK")
    other.close()
    store.commit([mixed(0)], [])  # moves everything
    store.commit([mixed(0)], [])  # begins the write-ahead log anew
    assert store.wal_pages < WAL_PAGES
    assert (tmp_path / "r" / "events.db-wal").stat().st_size <= 4 * WAL_PAGES * 4_096
    store.close()
    assert verify(tmp_path / "r").ok


def test_the_write_ahead_log_stays_near_its_bound(tmp_path: Path) -> None:
    with open_store(tmp_path / "r") as store:
        largest = 0
        for _ in range(60):
            store.commit([mixed(n) for n in range(500)], [])
            largest = max(largest, store.wal_pages)
    assert largest < 2 * WAL_PAGES


HOLDER = """
import sys
from pathlib import Path
from tests.unit.trading.event_samples import open_store
store = open_store(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
"""


def test_a_second_writer_in_another_process_is_refused_by_its_id(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "r")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        with pytest.raises(RefusedError) as raised:
            open_store(tmp_path / "r")
        assert str(child.pid) in raised.value.why
        child.kill()  # a lock of the operating system goes with its process
        child.wait()
        open_store(tmp_path / "r").close()
    finally:
        child.kill()
        child.wait()


def test_a_second_writer_in_this_process_is_refused_too(tmp_path: Path) -> None:
    with open_store(tmp_path / "r"):
        with pytest.raises(RefusedError, match="another process writes"):
            open_store(tmp_path / "r")
        with EventReader(tmp_path / "r") as reader:
            assert reader.head.seq == 0
    open_store(tmp_path / "r").close()


def test_a_later_schema_and_another_run_and_another_file_are_refused(tmp_path: Path) -> None:
    filled_store(tmp_path / "r", 3).close()
    with pytest.raises(InputError, match="log of the run r, not of s"):
        EventStore.open(tmp_path / "r", run="s", tables=[], clock=HandClock())
    db = apsw.Connection(str(tmp_path / "r" / "events.db"))
    db.pragma("user_version", 2)
    db.close()
    with pytest.raises(RefusedError, match="later version"):
        open_store(tmp_path / "r")
    with pytest.raises(RefusedError, match="later version"):
        EventReader(tmp_path / "r")
    other = tmp_path / "other"
    other.mkdir()
    foreign = sqlite3.connect(other / "events.db")
    foreign.execute("CREATE TABLE t(x)")
    foreign.commit()
    foreign.close()
    with pytest.raises(StorageError, match="no event store"):
        open_store(other)
    with pytest.raises(InputError, match="durability"):
        open_store(tmp_path / "x", synchronous="MAYBE")


def test_no_database_is_named_as_such(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    folder.mkdir()
    (folder / "events.db").write_bytes(b"this is no database, but text" * 100)
    with pytest.raises(StorageError) as raised:
        open_store(folder)
    assert "no SQLite database" in raised.value.why
    with pytest.raises(StorageError, match="cannot read"):
        EventReader(folder)
    with pytest.raises(StorageError, match="there is no log"):
        EventReader(tmp_path / "nothing")


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with filled_store(tmp_path / "r", 10) as store:
            store.archive(segment_events=5)
            files = [path for path in (tmp_path / "r").rglob("*") if path.is_file()]
            modes = {path.name: path.stat().st_mode & 0o777 for path in files}
    finally:
        os.umask(before)
    assert {"events.db", "events.db-wal", "events.db-shm", "writer.lock"} <= set(modes)
    assert set(modes.values()) == {0o600}
    folders = [tmp_path / "r", tmp_path / "r" / "archive"]
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o700}
    assert (tmp_path / "anchor.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("change", "seq"),
    [
        ("UPDATE events SET body = x'00' WHERE seq = 27", 27),
        ("DELETE FROM events WHERE seq = 29", 29),
        ("DELETE FROM events WHERE seq >= 28", 28),
        ("UPDATE head SET hash = zeroblob(32)", 30),
    ],
)
def test_a_damaged_end_is_not_built_upon(tmp_path: Path, change: str, seq: int) -> None:
    filled_store(tmp_path / "r", 30).close()
    db = sqlite3.connect(tmp_path / "r" / "events.db")
    db.execute(change)
    db.commit()
    db.close()
    with pytest.raises(StorageError, match=f"damaged at event {seq}"):
        open_store(tmp_path / "r")


def test_tables_grow_columns_at_their_end_and_refuse_other_ones(tmp_path: Path) -> None:
    with open_store(tmp_path / "r") as store:
        store.commit([mixed(0)], [("orders", ("A", "x", "1", 1))])
    wider = Table("orders", {**ORDERS.columns, "note": "TEXT"}, ["order_id"])
    with open_store(tmp_path / "r", tables=[wider]) as store:
        store.commit([], [("orders", ("B", "x", "1", 1, "hello"))])
        with EventReader(tmp_path / "r") as reader:
            assert [row["note"] for row in reader.rows("orders")] == [None, "hello"]
    with pytest.raises(StorageError, match="other columns"):
        open_store(tmp_path / "r", tables=[Table("orders", {"other": "TEXT"}, ["other"])])


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (Table("events", {"a": "TEXT"}, ["a"]), "store's own"),
        (Table("bad name", {"a": "TEXT"}, ["a"]), "no name"),
        (Table("t", {"a": "DECIMAL"}, ["a"]), "DECIMAL"),
        (Table("t", {"a": "TEXT"}, ["b"]), "no column b"),
        (Table("t", {"a": "TEXT"}, []), "no key"),
        (Table("t", {"a": "TEXT"}, ["a"], [["c"]]), "no column c"),
    ],
)
def test_declarations_are_checked(tmp_path: Path, table: Table, why: str) -> None:
    with pytest.raises(StorageError) as raised:
        open_store(tmp_path / "r", tables=[table])
    assert why in raised.value.why
    open_store(tmp_path / "r").close()  # and the lock was given back


def test_snapshots_come_back_and_only_the_last_stay(tmp_path: Path) -> None:
    with filled_store(tmp_path / "r", 100) as store:
        assert store.latest_snapshot() is None
        states = {seq: os.urandom(100) * seq for seq in (10, 20, 30, 40)}
        for seq, state in states.items():
            store.write_snapshot(seq, state)
        assert store.latest_snapshot() == (40, states[40])
        assert store.latest_snapshot(39) == (30, states[30])
        assert store.latest_snapshot(19) is None  # 10 made room
        store._db.execute("UPDATE snapshots SET state = x'00112233' WHERE seq = 40")
        assert store.latest_snapshot() == (30, states[30])  # a damaged one is passed over
        store._db.execute(
            "UPDATE snapshots SET (size, state) ="
            " (SELECT size, state FROM snapshots WHERE seq = 20) WHERE seq = 40"
        )
        assert store.latest_snapshot() == (30, states[30])  # and so is another one in its place
    with EventReader(tmp_path / "r") as reader:
        assert reader.latest_snapshot(30) == (30, states[30])


def test_a_checkpoint_that_fails_does_not_unsay_the_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(tmp_path / "r")
    batch = [mixed(n) for n in range(6_000)]

    def fail() -> None:
        raise StorageError("no room", fix="free space")

    with monkeypatch.context() as broken:
        broken.setattr(store, "checkpoint", fail)
        while store.checkpoint_failure is None:
            seq = store.head.seq
            store.commit(batch, [])
            assert store.head.seq == seq + 6_000 == batch[-1].seq
    store.commit([mixed(0)], [])
    assert store.checkpoint_failure is None
    store.close()
    assert verify(tmp_path / "r").ok


class Liar:
    """A database that carries COMMIT out and tells of a failure, or of an interruption."""

    def __init__(self, db: apsw.Connection, error: BaseException) -> None:
        self._db, self._error = db, error

    def __getattr__(self, name: str) -> object:
        return getattr(self._db, name)

    def execute(self, sql: str, *more: object) -> object:
        done = self._db.execute(sql, *more)  # type: ignore[call-overload]
        if sql == "COMMIT":
            raise self._error
        return done


@pytest.mark.parametrize("error", [apsw.IOError("told too late"), KeyboardInterrupt()])
def test_a_commit_that_stands_is_not_told_as_failed(tmp_path: Path, error: BaseException) -> None:
    """Whoever was told so would store the same events twice."""
    store, events = open_store(tmp_path / "r"), [mixed(n) for n in range(3)]
    db, store._db = store._db, Liar(store._db, error)  # type: ignore[assignment]
    if isinstance(error, KeyboardInterrupt):
        with pytest.raises(KeyboardInterrupt):
            store.commit(events)
    else:
        store.commit(events)
    store._db = db
    assert [event.seq for event in events] == [1, 2, 3]
    assert store.head.seq == 3
    store.commit([mixed(9)])
    store.close()
    assert [row[0] for row in stored(tmp_path / "r")] == [1, 2, 3, 4]
    assert verify(tmp_path / "r").ok
