"""Damage of every kind is found and named: rows, files, anchors, bits."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from genesis.domain.errors import StorageError
from genesis.trading.store import EventReader, Fault, verify
from genesis.trading.store.anchors import FILE
from tests.unit.trading.event_samples import filled_store, mixed, same

LIVE, SEGMENT, EVENTS = 61, 20, 100
"""First live event, events a segment, events in all."""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log with three archived segments and forty live events."""
    home = tmp_path_factory.mktemp("sound")
    with filled_store(home / "r", EVENTS) as store:
        store.archive(segment_events=SEGMENT, before_seq=LIVE)
        store.write_snapshot(90, b"state" * 50)
    return home


@pytest.fixture
def run(sound: Path, tmp_path: Path) -> Path:
    """A copy of it to damage."""
    shutil.copytree(sound, tmp_path / "home")
    return tmp_path / "home" / "r"


def alter(run: Path, *statements: str) -> None:
    db = sqlite3.connect(run / "events.db")
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


def test_a_sound_log(run: Path) -> None:
    seen: list[tuple[int, int]] = []
    report = verify(run, lambda *at: seen.append(at))
    assert (report.ok, report.events, report.segments, report.head) == (True, EVENTS, 3, EVENTS)


def test_progress_is_told(tmp_path: Path) -> None:
    filled_store(tmp_path / "r", 2_500, batch=500).close()
    seen: list[tuple[int, int]] = []
    verify(tmp_path / "r", lambda *at: seen.append(at))
    assert seen == [(1_000, 2_500), (2_000, 2_500)]


@pytest.mark.parametrize(
    "change",
    [
        "type = 'order_filled'",
        "ts_ms = ts_ms + 1",
        "recorded_ms = recorded_ms + 1",
        "aggregate = aggregate || 'x'",
        "correlation = correlation || 'x'",
        "caused_by = caused_by + 1",
        "ordinal = ordinal + 1",
        "body = (SELECT body FROM events WHERE seq = 74)",
        "hash = zeroblob(32)",
    ],
)
def test_an_edit_of_any_column_is_named(run: Path, change: str) -> None:
    alter(run, f"UPDATE events SET {change} WHERE seq = 70")
    report = verify(run)
    assert report.damage is not None
    assert (report.damage.fault, report.damage.seq) == (Fault.EDITED, 70)
    assert report.damage.file.endswith("events.db")
    assert report.events == 69


@pytest.mark.parametrize(
    ("statements", "fault", "seq"),
    [
        (["DELETE FROM events WHERE seq = 70"], Fault.MISSING, 70),
        (["DELETE FROM events WHERE seq BETWEEN 61 AND 64"], Fault.MISSING, 61),
        (["DELETE FROM events WHERE seq >= 98"], Fault.TRUNCATED, 98),
        (["DELETE FROM events"], Fault.TRUNCATED, 61),
        (
            [
                "UPDATE events SET seq = -1 WHERE seq = 70",
                "UPDATE events SET seq = 70 WHERE seq = 75",
                "UPDATE events SET seq = 75 WHERE seq = -1",
            ],
            Fault.REORDERED,
            70,
        ),
        (["UPDATE events SET seq = 200 WHERE seq = 70"], Fault.REORDERED, 70),
        (["DELETE FROM events WHERE seq = 70", "UPDATE events SET seq = seq - 1 WHERE seq > 70"],
         Fault.EDITED, 70),
        (["UPDATE head SET hash = zeroblob(32)"], Fault.EDITED, 100),
        (["UPDATE head SET seq = 99"], Fault.EDITED, 100),
        (["UPDATE head SET archived_seq = 40"], Fault.MISSING, 41),
        (["UPDATE snapshots SET sha256 = zeroblob(32)"], Fault.EDITED, 90),
        (["DELETE FROM head"], Fault.CORRUPT, 1),
    ],
)  # fmt: skip
def test_rows_removed_moved_and_cut_off_are_named(
    run: Path, statements: list[str], fault: Fault, seq: int
) -> None:
    alter(run, *statements)
    report = verify(run)
    assert report.damage is not None
    assert (report.damage.fault, report.damage.seq) == (fault, seq), report.damage.text


def test_a_replay_does_not_pass_over_a_gap(run: Path) -> None:
    alter(run, "DELETE FROM events WHERE seq = 70")
    with EventReader(run) as reader, pytest.raises(StorageError, match="event 70 is missing"):
        list(reader.events())


def segment(run: Path, number: int) -> Path:
    return sorted((run / "archive").glob("*.parquet"))[number]


def rewrite(path: Path, change: Callable[[list], list]) -> None:  # type: ignore[type-arg]
    table = pq.read_table(path)
    rows = change(table.to_pylist())
    pq.write_table(pa.Table.from_pylist(rows, table.schema), path, compression="zstd")


def edit(rows: list) -> list:  # type: ignore[type-arg]
    rows[4]["aggregate"] = "other"
    return rows


def swap(rows: list) -> list:  # type: ignore[type-arg]
    rows[4], rows[9] = {**rows[9], "seq": rows[4]["seq"]}, {**rows[4], "seq": rows[9]["seq"]}
    return rows


@pytest.mark.parametrize(
    ("change", "fault", "seq"),
    [
        (edit, Fault.EDITED, 25),
        (swap, Fault.REORDERED, 25),
        (lambda rows: rows[:4] + rows[5:], Fault.MISSING, 25),
        (lambda rows: rows[:-3], Fault.TRUNCATED, 38),
        (lambda rows: rows, Fault.CHANGED_FILE, 21),
    ],
    ids=["edited", "reordered", "removed", "truncated", "rewritten"],
)
def test_a_changed_segment_is_named_and_not_read(
    run: Path,
    change: Callable[[list], list],  # type: ignore[type-arg]
    fault: Fault,
    seq: int,
) -> None:
    path = segment(run, 1)
    rewrite(path, change)
    report = verify(run)
    assert report.damage is not None
    assert (report.damage.fault, report.damage.seq) == (fault, seq), report.damage.text
    assert report.damage.file == str(path)
    with EventReader(run) as reader, pytest.raises(StorageError, match="was changed"):
        list(reader.events())


def test_a_torn_and_a_missing_segment_are_named(run: Path) -> None:
    path = segment(run, 2)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    damage = verify(run).damage
    assert damage is not None
    assert (damage.fault, damage.file, damage.seq) == (Fault.CHANGED_FILE, str(path), 41)
    path.unlink()
    damage = verify(run).damage
    assert damage is not None
    assert (damage.fault, damage.file, damage.seq) == (Fault.MISSING_FILE, str(path), 41)
    with EventReader(run) as reader:
        assert len(list(reader.events(61))) == 40  # what does not need it is there
        with pytest.raises(StorageError, match="is missing"):
            list(reader.events())


def anchors(run: Path, change: Callable[[list[dict]], list[dict]]) -> None:  # type: ignore[type-arg]
    path = run / "archive" / FILE
    lines = change([json.loads(line) for line in path.read_text().splitlines()])
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def forge(lines: list[dict]) -> list[dict]:  # type: ignore[type-arg]
    lines[1]["ts_max"] += 1
    return lines


@pytest.mark.parametrize(
    ("change", "fault", "seq"),
    [
        (forge, Fault.FORGED, 21),
        (lambda lines: [lines[0], lines[2]], Fault.MISSING, 21),
        (lambda lines: lines[:2], Fault.MISSING, 41),
        (lambda lines: [lines[1], lines[0], lines[2]], Fault.MISSING, 1),
        (lambda lines: [lines[0], lines[0], lines[1]], Fault.REORDERED, 21),
    ],
    ids=["forged", "removed", "cut off", "reordered", "doubled"],
)
def test_changed_anchors_are_named(
    run: Path,
    change: Callable[[list[dict]], list[dict]],  # type: ignore[type-arg]
    fault: Fault,
    seq: int,
) -> None:
    anchors(run, change)
    damage = verify(run).damage
    assert damage is not None
    assert (damage.fault, damage.seq) == (fault, seq), damage.text
    assert damage.file.endswith("anchors.jsonl")


def test_a_segment_with_an_anchor_of_its_own_needs_the_key(run: Path) -> None:
    """Whoever rewrites segment, anchor and hashes alike is stopped by the signature."""
    from genesis.trading.store.anchors import Anchor, file_hash, sign
    from genesis.trading.store.chain import link

    path = segment(run, 2)

    def forged(rows: list) -> list:  # type: ignore[type-arg]
        rows[-1]["correlation"] = "forged"
        names = [name for name in rows[-1] if name != "hash"]
        rows[-1]["hash"] = link(rows[-2]["hash"], tuple(rows[-1][name] for name in names))
        return rows

    rewrite(path, forged)
    last = pq.read_table(path)["hash"].to_pylist()[-1]
    alter(run, f"UPDATE head SET archived_hash = x'{last.hex()}'")

    def resign(lines: list[dict]) -> list[dict]:  # type: ignore[type-arg]
        lines[2] |= {"sha256": file_hash(path.read_bytes()), "hash_after": last.hex()}
        signed = sign(Anchor(**{**lines[2], "signature": ""}), b"a key of one's own" * 2)
        lines[2]["signature"] = signed.signature
        return lines

    anchors(run, resign)
    damage = verify(run).damage
    assert damage is not None
    assert (damage.fault, damage.seq) == (Fault.FORGED, 41)


def test_without_the_key_nothing_archived_is_believed(run: Path) -> None:
    (run.parent / "anchor.key").unlink()
    damage = verify(run).damage
    assert damage is not None
    assert damage.fault is Fault.FORGED
    assert "anchor.key is missing" in damage.text


def test_flipped_bits_of_the_database_are_found_or_harmless(run: Path) -> None:
    """Each flip ends in a named damage, or every event still reads as it was written."""
    path = run / "events.db"
    content = path.read_bytes()
    dice = random.Random(5)
    found = 0
    for _ in range(150):
        place, bit = dice.randrange(len(content)), dice.randrange(8)
        flipped = bytearray(content)
        flipped[place] ^= 1 << bit
        path.write_bytes(flipped)
        for extra in ("-wal", "-shm"):
            (run / f"events.db{extra}").unlink(missing_ok=True)
        try:
            report = verify(run)
        except StorageError:
            found += 1
            continue
        if report.ok:
            with EventReader(run) as reader:
                got = list(reader.events())
            assert len(got) == EVENTS
            assert all(same(mixed(n), event) for n, event in enumerate(got))
        else:
            assert report.damage is not None
            assert report.damage.text
            found += 1
    assert found > 20


def test_a_damaged_index_is_found_where_no_event_is(run: Path) -> None:
    """It would hide events from a question, though the chain of all of them holds."""
    path = run / "events.db"
    content = path.read_bytes()
    faults = []
    place = content.find(b"TPL_23")
    while place >= 0:
        path.write_bytes(content[:place] + b"TPL_99" + content[place + 6 :])
        damage = verify(run).damage
        assert damage is not None
        faults.append((damage.fault, damage.seq))
        place = content.find(b"TPL_23", place + 1)
    assert (Fault.CORRUPT, 0) in faults  # in the index
    assert any(seq > 0 for _, seq in faults)  # in the event


def test_every_flipped_bit_of_a_segment_is_found(run: Path) -> None:
    path = segment(run, 0)
    content = path.read_bytes()
    dice = random.Random(6)
    for _ in range(100):
        flipped = bytearray(content)
        flipped[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
        path.write_bytes(flipped)
        damage = verify(run).damage
        assert damage is not None
        assert damage.file == str(path)
