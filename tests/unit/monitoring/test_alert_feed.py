"""Alerts of a run reach the outbox exactly once, whatever is started again."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from genesis.monitoring.alerts.feed import AlertFeed
from genesis.monitoring.alerts.levels import AlertLevel
from genesis.monitoring.alerts.queries import list_alerts
from genesis.trading.crash_points import no_probe
from genesis.trading.events import Event
from genesis.trading.payloads import AlertRaised, TradingHalted
from genesis.trading.store import EventReader, EventStore
from tests.unit.monitoring.alert_rig import Rig
from tests.unit.trading.event_samples import HandClock


def run_folder(home: Path) -> Path:
    return home / "trading" / "paper_1"


def write(folder: Path, *titles: str, level: str = "critical", archive: bool = False) -> None:
    with EventStore.open(folder, run=folder.name, tables=[], clock=HandClock()) as store:
        for title in titles:
            halted = Event(TradingHalted("run", title), 1)
            raised = Event(AlertRaised(level, "halt", title, "why"), 77, "BTC")
            store.commit([halted, raised])
        if archive:
            store.archive(segment_events=2)


def followed(home: Path, **settings: bool) -> Rig:
    return Rig(home, feeds=[AlertFeed(run_folder(home), **settings)])


def test_alerts_of_a_run_are_told_with_where_they_come_from(tmp_path: Path) -> None:
    write(run_folder(tmp_path), "a", "b")
    rig = followed(tmp_path)
    rig.settle()
    assert rig.phone.titles == ["a", "b"]
    first = rig.phone.got[0]
    assert (first.source, first.component, first.happened_ms) == ("paper_1", "halt", 77)
    assert first.level is AlertLevel.CRITICAL
    assert "about: BTC" in first.text
    assert "next: genesis audit flow paper_1" in first.body
    write(run_folder(tmp_path), "c")
    rig.later(1_000)
    assert rig.phone.titles == ["a", "b", "c"]


def test_a_restart_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    seen = []
    for n in range(4):
        write(run_folder(tmp_path), f"t{n}", archive=n == 2)
        rig = followed(tmp_path)
        rig.settle()
        seen += rig.phone.titles
        rig.close()
    assert seen == ["t0", "t1", "t2", "t3"]


def test_two_followers_of_a_run_take_each_alert_once(tmp_path: Path) -> None:
    first, second = followed(tmp_path), followed(tmp_path)
    for n in range(6):
        write(run_folder(tmp_path), f"t{n}")
        for rig in (first, second, first):
            rig.later(1_000)
    assert first.phone.titles + second.phone.titles == [f"t{n}" for n in range(6)]
    assert len(list_alerts(first.outbox)) == 6


@pytest.mark.parametrize("point", ["store.before_commit", "store.after_commit"])
def test_a_crash_at_a_commit_neither_loses_nor_doubles(tmp_path: Path, point: str) -> None:
    class Crash(BaseException):
        pass

    write(run_folder(tmp_path), "a", "b", "c")
    told: list[str] = []
    for fatal in itertools.count(1):
        rig = followed(tmp_path)
        passes = itertools.count(1)

        def probe(name: str, passes=passes, fatal=fatal) -> None:  # type: ignore[no-untyped-def]
            if name == point and next(passes) == fatal:
                raise Crash

        rig.outbox._probe = probe
        try:
            rig.settle()
        except Crash:
            told += rig.phone.titles
            if rig.dispatcher._lock is not None:
                rig.dispatcher._lock.release()
            continue
        told += rig.phone.titles
        break
    rig.outbox._probe = no_probe
    assert fatal > 2
    assert [row.title for row in list_alerts(rig.outbox)] == ["c", "b", "a"]
    assert set(told) == {"a", "b", "c"}
    with EventReader(rig.outbox.folder) as reader:
        assert {row["state"] for row in reader.rows("deliveries")} == {"delivered"}


def test_a_run_that_was_never_followed_can_be_followed_from_now(tmp_path: Path) -> None:
    write(run_folder(tmp_path), "old")
    rig = followed(tmp_path, from_now=True)
    rig.settle()
    write(run_folder(tmp_path), "new")
    rig.later(1_000)
    assert rig.phone.titles == ["new"]


def test_a_run_may_begin_after_its_feed(tmp_path: Path) -> None:
    rig = followed(tmp_path)
    rig.settle()
    write(run_folder(tmp_path), "a")
    rig.later(1_000)
    assert rig.phone.titles == ["a"]


def test_a_log_that_cannot_be_read_is_an_alert_once(tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    folder.mkdir(parents=True)
    (folder / "events.db").write_bytes(b"no database at all" * 100)
    rig = followed(tmp_path)
    rig.later(1_000)
    assert rig.phone.titles == []  # it may be new, and not laid out yet
    for _ in range(30):
        rig.later(1_000)
    assert rig.phone.titles == ["the alerts of paper_1 cannot be followed"]
    (folder / "events.db").unlink()
    write(folder, "a")
    rig.later(1_000)
    assert rig.phone.titles[-1] == "a"


def test_more_alerts_than_one_reading_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("genesis.monitoring.alerts.feed.MOST", 3)
    write(run_folder(tmp_path), *[f"t{n}" for n in range(10)])
    rig = followed(tmp_path)
    rig.settle()
    for _ in range(4):
        rig.later(1_000)
    assert rig.phone.titles == [f"t{n}" for n in range(10)]


def test_without_an_outbox_alerts_of_a_run_are_told_at_once_and_stored_later(
    tmp_path: Path,
) -> None:
    rig = followed(tmp_path)
    rig.settle()
    (tmp_path / "alerts").rename(tmp_path / "away")
    (tmp_path / "alerts").write_text("a file where the folder should be")
    write(run_folder(tmp_path), "a")
    rig.clock.ms += 1_000
    for _ in range(3):
        rig.dispatcher.turn()
    assert rig.phone.titles == ["a"]
    (tmp_path / "alerts").unlink()
    (tmp_path / "away").rename(tmp_path / "alerts")
    rig.later(1_000)
    assert rig.phone.titles == ["a", "a"]
    assert "possibly a repetition" in rig.phone.got[1].text
    assert [row.title for row in list_alerts(rig.outbox)] == ["a"]
