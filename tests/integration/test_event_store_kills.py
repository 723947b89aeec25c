"""The event log against kill -9 at every crash point and at any instant, and a full disk."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from genesis.trading.store import EventReader, verify
from tests.conftest import REPOSITORY
from tests.integration.event_writer import BATCH
from tests.unit.trading.event_samples import mixed, open_store, same

POINTS = ["store.before_commit", "store.after_commit", "archive.before_segment"]
POINTS += ["archive.segment_written", "archive.anchored", "archive.rows_removed"]


def write_until_killed(folder: Path, point: str = "-", passes: int = 0, after: int = 0) -> int:
    """Number of the last event that the writer was told is stored, before it was killed.

    Without a crash point it is killed once it has acknowledged ``after`` more batches, at
    whatever it does then.
    """
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.event_writer", folder, point, str(passes)],
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
    )
    assert child.stdout is not None
    acknowledged = 0
    try:
        for count, line in enumerate(child.stdout, 1):
            acknowledged = int(line) if line.endswith(b"\n") else acknowledged
            if point == "-" and count == after:
                # A little into the next step, wherever that is.
                threading.Timer(random.Random(after).random() * 0.004, child.kill).start()
    finally:
        child.kill()
        child.stdout.close()
        assert child.wait(30) == -9
    return acknowledged


def judge(folder: Path, acknowledged: int) -> int:
    """Check what a killed writer left; number of its events."""
    for reopened in (False, True):
        if reopened:
            open_store(folder).close()
        report = verify(folder)
        assert report.damage is None
        assert report.events >= acknowledged
        assert report.events % BATCH == 0  # a batch is there or is not
        with EventReader(folder) as reader:
            got = list(reader.events())
            assert [event.seq for event in got] == list(range(1, report.events + 1))
            assert all(same(mixed(n), event) for n, event in enumerate(got))
            rows = reader.rows("orders")
            assert [row["ts_ms"] for row in rows] == ([report.events] if got else [])
    return report.events


@pytest.mark.parametrize("point", POINTS)
def test_a_writer_killed_at_a_crash_point_leaves_what_it_acknowledged(
    tmp_path: Path, point: str
) -> None:
    folder = tmp_path / "r"
    for passes in (0, 3):
        judge(folder, write_until_killed(folder, point, passes))


def test_a_writer_killed_at_any_instant_leaves_what_it_acknowledged(tmp_path: Path) -> None:
    folder = tmp_path / "r"
    for after in (1, 40):
        judge(folder, write_until_killed(folder, after=after))


@pytest.mark.slow
def test_a_writer_killed_forty_times_over_leaves_what_it_acknowledged(tmp_path: Path) -> None:
    folder, dice, events = tmp_path / "r", random.Random(3), 0
    for _ in range(40):
        acknowledged = write_until_killed(folder, after=dice.randrange(1, 120))
        after = judge(folder, acknowledged)
        assert after >= max(acknowledged, events)
        events = after
    assert verify(folder).segments > 40


FULL_DISK = """
import resource, sys
from pathlib import Path
from genesis.domain.errors import StorageError
from tests.unit.trading.event_samples import mixed, open_store

store = open_store(Path(sys.argv[1]), synchronous="FULL")
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, most))
done = 0
while True:
    batch = [mixed(n) for n in range(done, done + 50)]
    try:
        store.commit(batch, [("orders", ("last", "x", "1", done + 50))])
    except StorageError as error:
        assert {event.seq for event in batch} == {0}
        assert error.fix
        break
    done += 50
assert store.head.seq == done > 0
for _ in range(3):
    try:
        store.commit(batch)
        raise SystemExit("it was stored on a full disk")
    except StorageError:
        pass
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
store.commit(batch, [("orders", ("last", "x", "1", done + 50))])
assert batch[-1].seq == done + 50
store.close()
print(done + 50)
"""


def test_a_file_that_cannot_grow_loses_nothing_and_goes_on_when_it_can(tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", FULL_DISK, tmp_path / "r"],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        timeout=100,
    )
    assert answer.returncode == 0, answer.stderr
    assert judge_size(tmp_path / "r") == int(answer.stdout)


def judge_size(folder: Path) -> int:
    report = verify(folder)
    assert report.damage is None
    with EventReader(folder) as reader:
        assert reader.rows("orders")[0]["ts_ms"] == report.events
        assert all(same(mixed(n), event) for n, event in enumerate(reader.events()))
    return report.events


def test_a_segment_that_finds_no_room_is_not_archived_and_can_be_later(tmp_path: Path) -> None:
    script = """
import resource, sys
from pathlib import Path
import pyarrow.parquet
from genesis.domain.errors import StorageError
from tests.unit.trading.event_samples import filled_store

store = filled_store(Path(sys.argv[1]), 400)
store.archive(segment_events=100, before_seq=101)
store.checkpoint()
_, most = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, most))
try:
    store.archive(segment_events=100)
    raise SystemExit("it was archived on a full disk")
except StorageError as error:
    assert error.fix
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
assert len(store.archive(segment_events=100)) == 3
store.close()
"""
    answer = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "r"],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        timeout=100,
    )
    assert answer.returncode == 0, answer.stderr
    report = verify(tmp_path / "r")
    assert (report.damage, report.events, report.segments) == (None, 400, 4)
