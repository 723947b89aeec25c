"""A kill when something else is wrong as well: the loop, the log, the account, the moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from genesis.domain.errors import RefusedError
from genesis.exchange.hyperliquid.gateway import HyperliquidGateway
from genesis.paper import live
from genesis.paper.live_end import WindDown
from genesis.system.clock import SystemClock
from genesis.system.kill import look, rearm, set_latch
from genesis.trading.kill_latch import KillLatch, KillOrder, SeenLatch
from genesis.trading.payloads import SentimentUpdated
from genesis.trading.store import EventReader
from tests.integration.hyperliquid.live_paper_rig import Bench, bench
from tests.integration.hyperliquid.live_rig import live_rig, until
from tests.integration.hyperliquid.test_kill import by_hand, empty, holding, killed
from tests.unit.market.test_fear_greed import Server, answer, server

__all__ = ["server"]
BTC = 0


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Bench]:
    with live_rig(tmp_path / "venue") as rig, bench(rig, tmp_path / "home") as made:
        rig.price(100.0)
        for _ in range(24):
            rig.advance(15_000)
        yield made


def _kill(desk: Bench) -> None:
    set_latch(desk.workspace, "enough", "ann", SystemClock())


def test_a_loop_that_fails_at_the_same_time_keeps_no_account_from_being_emptied(
    desk: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    sitting = holding(desk)
    loop = sitting.engine.session.loop

    def fail() -> int:
        _kill(desk)
        raise RuntimeError("an event that no handler can take")

    monkeypatch.setattr(loop, "step", fail)
    error = killed(sitting)
    assert empty(desk.rig)
    assert "an event that no handler can take" in error.why
    assert "no orders rest at the exchange, no position" in error.what


def test_a_log_that_cannot_be_opened_keeps_no_account_from_being_emptied(
    desk: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    sitting = holding(desk)
    sitting.stop()
    log = desk.workspace.home / "trading" / "net" / "events.db"
    log.write_bytes(b"not a log" * 1_000)
    _kill(desk)
    with pytest.raises(RefusedError, match="was killed: no orders rest") as refused:
        desk.resume()
    assert "without its log" in refused.value.why
    assert empty(desk.rig)
    (run,) = look(desk.workspace, KillLatch(desk.workspace.home).read() or KillOrder())
    assert run.done


def test_orders_of_somebody_else_keep_no_account_from_being_emptied(desk: Bench) -> None:
    sitting = desk.start()
    sitting.bars(2, 101.0)
    sitting.stop()
    by_hand(desk.rig, BTC, "0.01", 0.9, "Gtc")
    with pytest.raises(RefusedError, match="nobody here sent"):
        desk.resume()
    _kill(desk)
    killed(desk.resume())
    assert empty(desk.rig)


def test_a_kill_while_a_run_is_being_stopped_is_carried_out(
    desk: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C keeps positions with their stops; the kill that comes after it does not."""
    sitting = holding(desk)
    run = WindDown.run

    def slowly(end: WindDown, *, flatten: bool) -> str:
        _kill(desk)
        return run(end, flatten=flatten)

    monkeypatch.setattr(WindDown, "run", slowly)
    sitting.wanted.set()
    killed(sitting)
    assert empty(desk.rig)


def test_the_signal_leaves_a_latch_where_the_file_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os
    import signal

    from genesis.cli.paper_testnet import kill_by_signal
    from genesis.domain.errors import StorageError
    from genesis.system.workspace import Workspace

    def full(*_: Any) -> None:
        raise StorageError("no space is left")

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found")

    before = signal.getsignal(signal.SIGUSR1)
    latch = KillLatch(tmp_path)
    monkeypatch.setattr("getpass.getuser", nobody)  # a container without an entry for its user
    with kill_by_signal(Workspace(tmp_path)):
        os.kill(os.getpid(), signal.SIGUSR1)
        until(lambda: bool(latch.closed()))
        assert "SIGUSR1" in latch.closed()
        latch.lift()
        monkeypatch.setattr(KillLatch, "set", full)
        os.kill(os.getpid(), signal.SIGUSR1)
        until(lambda: bool(latch.closed()))
    assert signal.getsignal(signal.SIGUSR1) is before


def test_sentiment_comes_beside_the_loop_and_its_silence_stops_nothing(
    desk: Bench, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    from genesis.trading.feeds import sentiment

    monkeypatch.setattr(sentiment, "EVERY_S", 0.02)
    now = desk.rig.venue.clock.now_ms()
    today = now - now % 86_400_000
    server.status = 503
    sitting = _with_sentiment(desk, server.address)
    until(lambda: len(_told(sitting)) == 1)
    server.status, server.body = 200, answer("12", today)
    sitting.bars(11)
    until(lambda: len(_told(sitting)) == 2)
    first, second = _told(sitting)
    assert "503" in first.note or "does not answer" in first.note
    assert (second.index, second.stamp_ms, second.source) == (12.0, today, server.address)
    book = sitting.engine.core._guard.book
    assert book.market.sentiment(desk.rig.venue.clock.now_ms()).index == 12.0
    sitting.stop()
    again = _with_sentiment(desk, "off", resume=True)
    assert (
        again.engine.core._guard.book.market.sentiment(desk.rig.venue.clock.now_ms()).index == 12.0
    ), "it is in the log"
    assert again.engine._sentiment is None
    again.stop()


def test_a_local_exchange_has_no_sentiment_unless_an_address_is_given(desk: Bench) -> None:
    sitting = desk.start()
    assert sitting.engine._sentiment is None
    sitting.stop()


def _with_sentiment(desk: Bench, address: str, *, resume: bool = False) -> Any:
    return (desk.resume if resume else desk.start)(sentiment=address)


def _told(sitting: Any) -> list[SentimentUpdated]:
    assert isinstance(sitting.engine, live.LivePaperEngine)
    time.sleep(0.02)
    with EventReader(sitting.engine.session.store.folder) as reader:
        kinds = (SentimentUpdated.type,)
        return [event.data for event in reader.events(types=kinds)]  # type: ignore[misc]


def hung(sitting: Any, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Let the loop of a run hang from here on; what is returned lets it go on."""
    loop, held, inside = sitting.engine.session.loop, threading.Event(), threading.Event()
    step = loop.step

    def hang() -> int:
        inside.set()
        held.wait(60.0)
        return step()

    monkeypatch.setattr(loop, "step", hang)
    assert inside.wait(20.0)
    return held


def test_a_loop_that_hangs_or_is_busy_keeps_no_account_from_being_emptied(
    desk: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while rules are compiled at the beginning, or on a disk that does not answer."""
    sitting = holding(desk)
    held = hung(sitting, monkeypatch)
    _kill(desk)
    until(lambda: empty(desk.rig))
    until(
        lambda: look(desk.workspace, KillLatch(desk.workspace.home).read() or KillOrder())[0].done
    )
    assert sitting.alive, "the loop still hangs"
    held.set()
    killed(sitting)
    assert empty(desk.rig)
    assert sitting.position("SOL") == 0, "the books follow"


def _rearm(desk: Bench) -> None:
    rearm(desk.workspace, "too early", "bob", SystemClock())


def test_what_began_under_the_latch_never_trades_whatever_is_rearmed_meanwhile(
    desk: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps what it found in the account, so that it may only empty it."""
    sitting = holding(desk)
    sitting.stop()
    by_hand(desk.rig, BTC, "0.01", 0.9, "Gtc")
    _kill(desk)
    connect = HyperliquidGateway.connect

    def slowly(gateway: HyperliquidGateway, *args: Any) -> None:
        _rearm(desk)
        connect(gateway, *args)

    monkeypatch.setattr(HyperliquidGateway, "connect", slowly)
    killed(desk.resume())
    assert empty(desk.rig)
    assert KillLatch(desk.workspace.home).read() is None


def test_a_start_that_saw_the_latch_begins_nothing_after_it_is_lifted(desk: Bench) -> None:
    latch = SeenLatch(desk.workspace.home)
    _kill(desk)
    assert latch.closed()
    _rearm(desk)
    with pytest.raises(RefusedError, match="nothing is traded"):
        desk.start(latch=latch)
    assert not (desk.workspace.home / "trading" / "net").exists()


def test_a_kill_that_was_begun_beside_the_loop_ends_it_though_it_is_rearmed(
    desk: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    sitting = holding(desk)
    held = hung(sitting, monkeypatch)
    _kill(desk)
    until(lambda: empty(desk.rig))
    _rearm(desk)
    held.set()
    killed(sitting)
    assert empty(desk.rig)
