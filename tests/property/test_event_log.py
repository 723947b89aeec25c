"""A log that was torn at any byte is a prefix of what was committed, with a valid chain."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis.domain.errors import GenesisError
from genesis.trading.events import Event
from genesis.trading.store import EventReader, verify
from tests.unit.trading.event_samples import mixed, open_store, same

BATCHES = (3, 1, 16, 1, 1, 40, 7, 1, 30)
ENDS = [sum(BATCHES[:n]) for n in range(len(BATCHES) + 1)]


@pytest.fixture(scope="module")
def torn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[int, int]]]:
    """Copy of a run as a dead process leaves it, and where the bytes of each commit end."""
    home = tmp_path_factory.mktemp("torn")
    store = open_store(home / "live")
    store.checkpoint()
    sizes = []
    for n, size in enumerate(BATCHES):
        events = [mixed(k) for k in range(ENDS[n], ENDS[n + 1])]
        store.commit(events, [("orders", (f"O{n}", "x", "1", n))])
        # The file is longer: behind the last frame lie those from before the checkpoint.
        sizes.append((32 + store.wal_pages * (24 + 4_096), ENDS[n] + size))
    (home / "dead").mkdir()
    for name in ("events.db", "events.db-wal"):
        shutil.copy(home / "live" / name, home / "dead" / name)
    store.close()
    return home / "dead", sizes


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_log_cut_at_any_byte_is_a_valid_prefix(
    torn: tuple[Path, list[tuple[int, int]]],
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
) -> None:
    dead, sizes = torn
    content = (dead / "events.db-wal").read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    damage = data.draw(st.booleans())
    folder = tmp_path_factory.mktemp("copy") / "live"
    folder.mkdir()
    shutil.copy(dead / "events.db", folder / "events.db")
    torn_tail = b"\xa5" * 37 if damage else b""
    (folder / "events.db-wal").write_bytes(content[:cut] + torn_tail)
    whole = max((events for size, events in sizes if size <= cut), default=0)

    report = verify(folder)
    assert report.damage is None
    assert report.events == whole
    with EventReader(folder) as reader:
        got = list(reader.events())
        assert len(reader.rows("orders")) == ENDS.index(whole)
    assert len(got) == whole
    assert all(same(mixed(n), event) for n, event in enumerate(got))
    with open_store(folder) as store:
        assert store.head.seq == whole
        store.commit([mixed(whole)], [])
    assert verify(folder).events == whole + 1
    shutil.rmtree(folder.parent)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_log_with_a_flipped_bit_gives_a_valid_prefix_or_a_named_error(
    torn: tuple[Path, list[tuple[int, int]]],
    tmp_path_factory: pytest.TempPathFactory,
    data: st.DataObject,
) -> None:
    dead, _ = torn
    name = data.draw(st.sampled_from(["events.db", "events.db-wal"]))
    content = bytearray((dead / name).read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    folder = tmp_path_factory.mktemp("copy") / "live"
    shutil.copytree(dead, folder)
    (folder / name).write_bytes(content)
    got = prefix_or_none(folder)
    if got is not None:
        assert len(got) in ENDS
        assert all(same(mixed(n), event) for n, event in enumerate(got))
    shutil.rmtree(folder.parent)


def prefix_or_none(folder: Path) -> list[Event] | None:
    """Events of a log that is said to be sound, None if it is said what is wrong with it."""
    try:
        if not verify(folder).ok:
            return None
        with EventReader(folder) as reader:
            return list(reader.events())
    except GenesisError:
        return None
