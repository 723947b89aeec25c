"""The dispatcher: it never holds up who raises alerts, and loses none whatever fails."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from genesis.monitoring.alerts.channels import FileChannel
from genesis.monitoring.alerts.dispatcher import AlertDispatcher
from genesis.monitoring.alerts.levels import AlertLevel
from genesis.monitoring.alerts.message import Message
from genesis.monitoring.alerts.outbox import Outbox
from genesis.monitoring.alerts.queries import counts, list_alerts
from genesis.monitoring.alerts.settings import AlertSettings
from genesis.system.clock import SystemClock
from tests.unit.monitoring.alert_rig import FakeChannel, Rig, slot


class HangingChannel(FakeChannel):
    """Takes a message and says nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.release = threading.Event()

    def send(self, message: Message) -> None:
        self.entered.set()
        assert self.release.wait(60)
        super().send(message)


@pytest.fixture
def hanging() -> Iterator[HangingChannel]:
    channel = HangingChannel()
    yield channel
    channel.release.set()


def threaded(home: Path, *channels: FakeChannel, capacity: int = 1000) -> AlertDispatcher:
    clock = SystemClock()
    slots = [
        slot(f"channel{n}", channel, timeout_s=0.2 if isinstance(channel, HangingChannel) else 4.0)
        for n, channel in enumerate(channels)
    ]
    outbox = Outbox(home, clock)
    return AlertDispatcher(outbox, slots, AlertSettings(), clock, capacity=capacity)


def lines(home: Path) -> list[dict]:  # type: ignore[type-arg]
    path = home / "alerts" / "alerts.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_raising_an_alert_does_not_wait_for_a_channel_that_hangs(
    tmp_path: Path, hanging: HangingChannel
) -> None:
    other = FakeChannel()
    dispatcher = threaded(tmp_path, hanging, other)
    dispatcher.start()
    dispatcher.raise_alert("critical", "c", "first", "")
    assert hanging.entered.wait(10)
    began = time.monotonic()
    for n in range(100):
        dispatcher.raise_alert("critical", "c", f"t{n}", "")
    assert time.monotonic() - began < 1.0
    deadline = time.monotonic() + 30
    while len(other.got) < 102 and time.monotonic() < deadline:
        time.sleep(0.01)
    titles = other.titles
    assert titles.count("first") == 1
    assert {f"t{n}" for n in range(100)} <= set(titles)
    assert "channel channel0 fails" in titles
    dispatcher.close(0.1)


def test_a_hanging_channel_is_an_alert_within_five_seconds(
    tmp_path: Path, hanging: HangingChannel
) -> None:
    other = FakeChannel()
    slots = [slot("phone", hanging, timeout_s=4.0), slot("mail", other, AlertLevel.EMERGENCY)]
    clock = SystemClock()
    dispatcher = AlertDispatcher(Outbox(tmp_path, clock), slots, AlertSettings(), clock)
    dispatcher.start()
    began = time.monotonic()
    dispatcher.raise_alert("critical", "c", "urgent", "")
    while "urgent" not in other.titles and time.monotonic() - began < 20:
        time.sleep(0.01)
    assert time.monotonic() - began <= 5.0
    dispatcher.close(0.1)


def test_a_late_answer_counts_and_nothing_is_sent_again(
    tmp_path: Path, hanging: HangingChannel
) -> None:
    dispatcher = threaded(tmp_path, hanging)
    dispatcher.start()
    dispatcher.raise_alert("critical", "c", "x", "")
    outbox = Outbox(tmp_path, SystemClock())
    deadline = time.monotonic() + 20
    while not any(a.title == "channel channel0 fails" for a in list_alerts(outbox)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    hanging.release.set()
    while counts(outbox)["delivered"] < 1 and time.monotonic() < deadline:
        time.sleep(0.02)
    dispatcher.close(1.0)
    assert hanging.titles.count("x") == 1


def test_a_full_queue_writes_to_the_file_counts_and_tells(tmp_path: Path) -> None:
    rig = Rig(tmp_path, capacity=3)
    for n in range(10):
        rig.dispatcher.raise_alert("critical", "c", f"t{n}", "")
    assert [line["title"] for line in lines(tmp_path)] == [f"t{n}" for n in range(3, 10)]
    assert rig.dispatcher.health().overflowed == 7
    rig.settle()
    assert {"t0", "t1", "t2"} <= set(rig.file.titles)
    told = next(m for m in rig.phone.got if m.component == "alerts")
    assert told.text.startswith("7 alerts")
    assert told.level is AlertLevel.CRITICAL


def test_after_its_end_alerts_go_to_the_file(tmp_path: Path) -> None:
    dispatcher = threaded(tmp_path, FakeChannel())
    dispatcher.start()
    assert dispatcher.close(5.0)
    dispatcher.raise_alert("critical", "c", "late", "")
    assert [line["title"] for line in lines(tmp_path)] == ["late"]


def test_neither_a_broken_file_nor_a_broken_stream_reaches_who_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FileChannel, "append", lambda *_, **__: 1 / 0)
    monkeypatch.setattr("sys.stderr", None)
    rig = Rig(tmp_path, capacity=1)
    for _ in range(3):
        rig.dispatcher.raise_alert("critical", "c", "t", "")
    assert rig.dispatcher.health().overflowed == 2


def test_closing_delivers_what_was_raised_just_before(tmp_path: Path) -> None:
    channel = FakeChannel()
    dispatcher = threaded(tmp_path, channel)
    dispatcher.start()
    for n in range(20):
        dispatcher.raise_alert("critical", "c", f"t{n}", "")
    assert dispatcher.close(30.0)
    assert channel.titles == [f"t{n}" for n in range(20)]


# ---- an outbox that cannot be written ------------------------------------------------------


def test_without_an_outbox_alerts_are_told_at_once_and_stored_later(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    (tmp_path / "alerts").write_text("a file where the folder should be")
    rig.dispatcher.raise_alert("critical", "c", "x", "y")
    rig.dispatcher.raise_alert("info", "c", "same", "")
    rig.dispatcher.raise_alert("info", "c", "same", "")
    for _ in range(4):
        assert rig.dispatcher.turn()
    assert rig.phone.titles == ["x"]
    assert rig.file.titles == ["x", "same"]  # windows of silence hold here too
    assert "could not be stored" in rig.phone.got[0].body
    assert rig.dispatcher.health().trouble
    (tmp_path / "alerts").unlink()
    rig.settle()
    assert rig.phone.titles == ["x", "x"]
    assert "possibly a repetition" in rig.phone.got[1].text
    assert rig.dispatcher.health().trouble == ""
    assert len(list_alerts(rig.outbox, suppressed=True)) == 3


def test_memory_stays_bounded_while_nothing_can_be_stored(tmp_path: Path) -> None:
    rig = Rig(tmp_path, capacity=5)
    (tmp_path / "alerts").write_text("")
    for n in range(40):
        rig.dispatcher.raise_alert("critical", "c", f"t{n}", "")
        rig.dispatcher.turn()
    assert rig.dispatcher.health().waiting <= 5
    assert rig.phone.titles == [f"t{n}" for n in range(40)]


# ---- several processes ---------------------------------------------------------------------


def test_one_delivers_and_when_it_ends_another_takes_over(tmp_path: Path) -> None:
    first = Rig(tmp_path)
    first.settle()
    second = Rig(tmp_path, clock=first.clock)
    second.tell("critical", "from the second")
    assert second.phone.titles == []
    assert (first.dispatcher.health().delivers, second.dispatcher.health().delivers) == (
        True,
        False,
    )
    first.settle()
    assert first.phone.titles == ["from the second"]
    first.close()
    second.tell("critical", "after the first")
    assert second.phone.titles == ["after the first"]


def test_what_another_process_was_sending_is_repeated_once_and_told_as_such(tmp_path: Path) -> None:
    class Ended(BaseException):
        pass

    class Killed(FakeChannel):
        def send(self, message: Message) -> None:
            super().send(message)
            raise Ended

    killed = Killed()
    first = Rig(tmp_path, slots=[slot("phone", killed)])
    for n in range(3):
        first.dispatcher.raise_alert("critical", "c", f"t{n}", "")
    with pytest.raises(Ended):
        first.dispatcher.turn()
    assert first.dispatcher._lock is not None
    first.dispatcher._lock.release()
    phone = FakeChannel()
    second = Rig(tmp_path, clock=first.clock, slots=[slot("phone", phone)])
    second.settle()
    assert killed.titles == ["t0"]
    assert [(m.title, m.repeated) for m in phone.got] == [
        ("t0", True),
        ("t1", False),
        ("t2", False),
    ]


def test_two_threads_may_write_the_outbox_at_the_same_time(tmp_path: Path) -> None:
    rigs = [Rig(tmp_path) for _ in range(3)]

    def work(rig: Rig) -> None:
        for n in range(20):
            rig.dispatcher.raise_alert("critical", "c", f"t{n}", "")
            rig.dispatcher.turn()

    threads = [threading.Thread(target=work, args=(rig,)) for rig in rigs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for rig in rigs:
        rig.settle()
    assert len(list_alerts(rigs[0].outbox, limit=100)) == 60
    assert sum(len(rig.phone.got) for rig in rigs) == 60
