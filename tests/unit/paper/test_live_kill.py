"""A kill's sequence on an exchange and a loop that may fail: it goes on until nothing is left."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from genesis.domain.errors import InfrastructureError, StorageError
from genesis.exchange.hyperliquid.sweep import Remains
from genesis.paper import live_kill
from genesis.paper.live_kill import KillSequence
from genesis.trading.kill_latch import KillOrder
from genesis.trading.kill_report import KillReport, read_kill_report
from genesis.trading.payloads import OperatorCommand

LEFT = Remains("a", 2, ("BTC 1",))
NOTHING = Remains("a", 0, ())


class Clock:
    def now_ms(self) -> int:
        return 1_000

    def monotonic(self) -> float:
        return time.monotonic()


class Gate:
    shut_at: float = 0.0

    def shut(self) -> None:
        self.shut_at = time.monotonic()


class Driver:
    """A loop that turns, or fails at once."""

    def __init__(self, fails: bool = False) -> None:
        self.fails, self.waited = fails, 0.0

    def until(self, _: Callable[[], bool], timeout_s: float) -> bool:
        if self.fails:
            raise RuntimeError("an event that no handler can take")
        self.waited += timeout_s
        return False


class Exchange:
    """Answers one after the other; the last one again and again."""

    def __init__(self, *answers: Remains | Exception) -> None:
        self.answers = list(answers)
        self.asked = 0

    def sweep(self, account: str, *, flatten: bool) -> Remains:
        self.asked += 1
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(found, Exception):
            raise found
        return found


def kill(
    folder: Path,
    exchange: Exchange,
    driver: Driver | None,
    *,
    accounts: tuple[str, ...] = ("a",),
    given_up: Callable[[], bool] = lambda: False,
) -> tuple[KillReport, KillSequence, list[str]]:
    said: list[str] = []

    def publish(command: OperatorCommand, _: str) -> None:
        if driver is not None and driver.fails:
            raise RuntimeError("an event that no handler can take")
        said.append(command.command)

    sequence = KillSequence(
        driver,
        Gate(),
        exchange,
        accounts,
        publish,
        folder,
        Clock(),  # type: ignore[arg-type]
    )
    return sequence.run(KillOrder("why", "ann", 5), given_up), sequence, said


def test_the_loop_is_told_first_and_the_exchange_asked_until_nothing_is_left(
    tmp_path: Path,
) -> None:
    exchange = Exchange(LEFT, LEFT, NOTHING)
    report, sequence, said = kill(tmp_path, exchange, Driver())
    assert said == ["halt", "flatten"]
    assert report.done
    assert exchange.asked == 3
    assert sequence.failure is None
    assert read_kill_report(tmp_path) == report


def test_an_order_that_asks_for_more_takes_the_place_of_one_at_work(tmp_path: Path) -> None:
    exchange, driver = Exchange(LEFT, LEFT, NOTHING), Driver()
    said: list[str] = []
    orders = [KillOrder("keep", "ann", 5, flatten=False), KillOrder("all", "bob", 9)]
    sequence = KillSequence(
        driver,
        Gate(),
        exchange,
        ("a",),
        lambda command, _: said.append(command.command),
        tmp_path,
        Clock(),  # type: ignore[arg-type]
    )
    report = sequence.run(
        orders[0], lambda: False, lambda: orders[0] if exchange.asked < 1 else orders[1]
    )
    assert said == ["halt", "cancel_entries", "flatten"]
    assert report.done
    assert (report.flatten, report.latched_ms) == (True, 9)


@pytest.mark.parametrize("driver", [Driver(fails=True), None])
def test_a_loop_that_fails_or_is_not_there_stops_nothing(
    tmp_path: Path, driver: Driver | None
) -> None:
    began = time.monotonic()
    exchange = Exchange(LEFT, NOTHING)
    report, sequence, said = kill(tmp_path, exchange, driver)
    assert report.done
    assert said == []
    assert exchange.asked == 2
    assert (sequence.failure is None) == (driver is None)
    assert time.monotonic() - began >= live_kill.FIRST_S + live_kill.AGAIN_S - 0.05


def test_what_was_not_seen_for_certain_is_not_the_end(tmp_path: Path) -> None:
    """An order may be on its way: that nothing rests now says little."""
    flying = Remains("a", 0, (), seen=False, heard=False, trouble="1 requests may still be on it")
    exchange = Exchange(flying, flying, NOTHING)
    report, _, _ = kill(tmp_path, exchange, Driver())
    assert report.done
    assert exchange.asked == 3


def test_pauses_are_short_while_nobody_answers_and_grow_while_it_refuses(tmp_path: Path) -> None:
    silent = Remains("a", 1, (), heard=False, trouble="429")
    driver = Driver()
    kill(tmp_path, Exchange(*[silent] * 10, NOTHING), driver)
    assert driver.waited == pytest.approx(live_kill.FIRST_S + 10 * live_kill.UNHEARD_S)
    refused = Remains("a", 1, (), trouble="Order must have minimum value of $10.")
    driver = Driver()
    kill(tmp_path, Exchange(*[refused] * 10, NOTHING), driver)
    doubled = sum(min(live_kill.AGAIN_S * 2**n, live_kill.LONGEST_S) for n in range(1, 11))
    assert driver.waited == pytest.approx(live_kill.FIRST_S + doubled)


def test_an_account_that_cannot_be_reached_keeps_no_other_waiting(tmp_path: Path) -> None:
    exchange = Exchange(InfrastructureError("no answer"), NOTHING)
    report, _, _ = kill(tmp_path, exchange, Driver(), accounts=("a", "b"))
    assert report.done
    assert exchange.asked == 4


def test_who_gives_up_is_told_what_is_left_and_why(tmp_path: Path) -> None:
    dust = Remains("a", 0, ("BTC 0.0001",), trouble="BTC 0.0001 stays open: too small")
    report, _, _ = kill(tmp_path, Exchange(dust), Driver(), given_up=lambda: True)
    assert not report.done
    assert report.verified
    assert "positions a BTC 0.0001: BTC 0.0001 stays open: too small" in report.text


def test_a_full_disk_keeps_no_account_from_being_emptied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise StorageError("no space is left")

    monkeypatch.setattr(live_kill, "write_kill_report", full)
    exchange = Exchange(Remains("a", 1, (), heard=False, trouble="429"), LEFT, NOTHING)
    with pytest.raises(StorageError):
        kill(tmp_path, exchange, Driver())
    assert exchange.asked == 3
