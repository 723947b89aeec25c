"""A consumer that is not there while its queue grows: 10,014 intents, and every process is well."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from genesis.trading.events import Event, Lane
from genesis.trading.events import EventType as T
from genesis.trading.inbox import Inbox
from genesis.trading.payloads import (
    IntentExpired,
    OperatorCommand,
    OpportunityRejected,
    OrderRejected,
    SignalGenerated,
    TradeIntent,
    TradingHalted,
    TradingResumed,
)
from tests.integration.stalled_rig import HOUR, MINUTE, LiveRun, another
from tests.unit.trading.core_rig import ACCOUNT, COIN, NAME

QUEUED = 10_014
NOTICED_WITHIN_S = 10


@pytest.fixture
def run(tmp_path: Path) -> LiveRun:
    """A run that has traded: in at one open, out at a later one."""
    made = LiveRun(tmp_path / "run")
    for price, wish in ((100.0, "long"), (101.0, ""), (102.0, "exit_long"), (103.0, "")):
        made.bar(price, wish)
        made.second()
    assert len(made.exchange.sent) == 2
    assert made.monitor.healthy
    assert made.status.healthy
    assert not made.alerts
    return made


def queue_intents(run: LiveRun) -> tuple[set[str], int]:
    """Let a producer publish 10,014 intents in ten seconds while nobody consumes.

    Returns
    -------
    names : set of str
    noticed : int
        Seconds from the first one until the watch raised an alert.
    """
    (first, *_) = run.log(T.TRADE_INTENT)
    assert isinstance(first.data, TradeIntent)
    run.running = False
    names: set[str] = set()
    noticed = 0
    for second in range(1, 12):
        for _ in range(min(1_000, QUEUED - len(names))):
            now = run.clock.now_ms()
            intent = another(first.data, len(names), now + MINUTE)
            names.add(intent.intent_id)
            run.bus.publish(Event(intent, now, NAME, intent.causality.plan_id))
        run.second()
        if not noticed and not run.monitor.healthy:
            noticed = second
    assert len(names) == QUEUED
    return names, noticed


def test_ten_thousand_queued_intents_are_noticed_and_none_is_fired_late(run: LiveRun) -> None:
    sent, before = len(run.exchange.sent), run.loop.handled
    names, noticed = queue_intents(run)

    # Seen by progress, in time, and told without the loop, which has done nothing since.
    assert 0 < noticed <= NOTICED_WITHIN_S
    assert run.loop.handled == before
    assert run.stage("execution").stalled
    assert run.stage("execution").lag == QUEUED
    assert run.stage("bus:high").stalled
    assert run.stage("execution").last_ms < run.clock.ms - NOTICED_WITHIN_S * 1000
    assert not run.status.healthy
    titles = {alert["title"] for alert in run.alerts if alert["level"] == "critical"}
    assert titles == {"stage execution stalled", "stage bus:high stalled"}
    assert f"{run.stderr.getvalue()}".count("critical: stage execution stalled") == 1
    assert "no progress: bus:high, execution" in run.monitor.closed()

    # An hour later the consumer is back.
    run.clock.ms += HOUR
    run.running = True
    run.work()
    expired = run.log(T.INTENT_EXPIRED)
    assert {e.data.intent_id for e in expired if isinstance(e.data, IntentExpired)} == names
    assert len(expired) == QUEUED
    assert len(run.exchange.sent) == sent
    rows = run.table("journal", "kind LIKE '%expired%'")
    assert {row["intent_id"] for row in rows} == names
    assert {row["origin_kind"] for row in rows} == {"tick"}

    # Halted before the first of them was looked at, and until the watch has seen them all go.
    halted = [e for e in run.log(T.TRADING_HALTED) if isinstance(e.data, TradingHalted)]
    assert {e.data.scope for e in halted} == {"stage:bus:high", "stage:execution"}
    stalls = run.log(T.STAGE_STALLED)
    assert max(e.seq for e in stalls) < min(e.caused_by for e in expired)
    run.bar(104.0, "long")
    refused = run.log(T.OPPORTUNITY_REJECTED)[-1].data
    assert isinstance(refused, OpportunityRejected)
    assert "stalled" in refused.reason
    assert len(run.exchange.sent) == sent

    # It moves: trading resumes, and the next candle decides afresh.
    run.seconds(2)
    assert run.monitor.healthy
    assert run.status.healthy
    resumed = [e.data for e in run.log(T.TRADING_RESUMED)]
    scopes = {d.scope for d in resumed if isinstance(d, TradingResumed)}
    assert scopes == {"stage:bus:high", "stage:execution"}
    assert run.status.halts == {}
    run.bar(105.0, "long")
    assert len(run.exchange.sent) == sent + 1
    run.bar(106.0)
    assert run.core.desk.ledger.position(ACCOUNT, COIN.symbol) > 0

    refold = run.refolded()
    assert not refold.divergences
    assert not refold.pending()
    assert refold.core.state_hash == run.core.state_hash


def test_signals_that_waited_open_nothing_either(run: LiveRun) -> None:
    """Without any watch: a signal is as old as its bar, whenever it is looked at."""
    sent = len(run.exchange.sent)
    (first, *_) = run.log(T.SIGNAL_GENERATED)
    assert isinstance(first.data, SignalGenerated)
    run.running = False
    for _ in range(50):
        run.bus.publish(Event(first.data, run.clock.now_ms(), NAME))
    run.clock.ms += HOUR
    run.running = True
    run.work()
    assert len(run.log(T.INTENT_EXPIRED)) == 50
    assert len(run.exchange.sent) == sent


def test_candles_that_waited_are_decided_on_and_their_entries_expire(run: LiveRun) -> None:
    sent = len(run.exchange.sent)
    run.running = False
    run.bar(104.0, "long")
    run.clock.ms += 2 * MINUTE
    run.running = True
    run.work()
    assert len(run.log(T.INTENT_EXPIRED)) == 1
    assert len(run.exchange.sent) == sent
    run.bar(105.0, "long")
    assert len(run.exchange.sent) == sent + 1


def in_its_own_thread(act: Callable[[], object]) -> None:
    thread = Thread(target=act, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()


def test_a_full_lane_does_not_hold_up_the_watch(tmp_path: Path) -> None:
    run = LiveRun(tmp_path / "run", lanes={Lane.CRITICAL: 1})
    run.bar(100.0, "long")
    (first, *_) = run.log(T.TRADE_INTENT)
    run.running = False
    run.bus.publish(Event(first.data, run.clock.ms))
    run.bus.publish(Event(TradingHalted("symbol:X", "fills the lane"), run.clock.ms))
    for _ in range(NOTICED_WITHIN_S):
        in_its_own_thread(run.second)
    assert run.stage("execution").stalled
    assert run.alerts
    assert not run.status.healthy
    assert [e.type for e in run.bus.peek() if e.lane is Lane.CRITICAL] == [T.TRADING_HALTED]
    # As soon as there is room the loop hears of it, although it was noticed long before.
    run.bus.drain(4)
    in_its_own_thread(run.watchdog.tick)
    assert [e.type for e in run.bus.peek() if e.lane is Lane.CRITICAL] == [T.STAGE_STALLED]


def test_a_dead_consumer_is_noticed_before_anything_waits(tmp_path: Path) -> None:
    living = True
    run = LiveRun(tmp_path / "run", alive=lambda: living)
    run.bar(100.0)
    run.second()
    assert run.monitor.healthy
    living = run.running = False
    run.second()
    assert run.stage("loop").stalled
    assert run.stage("loop").lag == 0
    assert [a["title"] for a in run.alerts] == ["stage loop stalled"]
    living = run.running = True
    run.seconds(2)
    assert run.monitor.healthy
    assert [a["title"] for a in run.alerts][-1] == "stage loop moves again"
    assert run.status.halts == {}


def test_an_exchange_that_does_not_answer_halts_new_risk(run: LiveRun) -> None:
    run.exchange.mute = True
    run.bar(104.0, "long")
    assert len(run.exchange.sent) == 3
    run.seconds(NOTICED_WITHIN_S)
    assert run.stage("gateway").stalled
    run.second()
    assert "stage:gateway" in run.status.halts
    report = run.stage("gateway")
    assert (report.lag, report.entered, report.left) == (1, 3, 2)


def test_later_answers_do_not_hide_the_order_that_has_none(run: LiveRun) -> None:
    run.exchange.mute = True
    run.bar(104.0, "long")
    lost = run.exchange.sent[-1]
    run.exchange.mute = False
    flow = run.loop.flow
    for number in range(8):  # others go out and are answered all the time
        flow.sent += 1
        flow.awaiting[f"0x{number:032x}"] = flow.sent
        run.second()
        flow.awaiting.pop(f"0x{number:032x}")
    assert lost.client_id in flow.awaiting
    assert run.stage("gateway").stalled


def test_a_run_that_died_halted_is_not_halted_for_ever(tmp_path: Path) -> None:
    run = LiveRun(tmp_path / "run")
    run.bar(100.0, "long")
    (first, *_) = run.log(T.TRADE_INTENT)
    run.running = False
    run.bus.publish(Event(first.data, run.clock.ms))
    run.seconds(7)
    run.running = True
    run.work()
    assert "stage:execution" in run.core.desk.halts
    run.session.close()  # before the watch has seen it move

    again = LiveRun(tmp_path / "run")
    again.clock.ms = run.clock.ms
    assert "stage:execution" in again.core.desk.halts
    again.seconds(2)
    assert again.core.desk.halts == {}


def test_the_latch_holds_what_adds_risk_before_the_loop_has_heard_of_it(tmp_path: Path) -> None:
    run = LiveRun(tmp_path / "run", publish=False)
    run.bar(100.0, "long")
    run.bar(101.0)
    assert [order.reduce_only for order in run.exchange.sent] == [False]
    nobody_takes = OperatorCommand("CMD_1", "halt", "test", "me")
    Inbox(run.folder).send(nobody_takes, run.clock.ms)
    run.seconds(7)
    assert run.stage("inbox").stalled
    assert run.core.desk.halts == {}
    run.bar(102.0, "exit_long")
    run.bar(103.0, "long")
    run.bar(104.0)
    assert [order.reduce_only for order in run.exchange.sent] == [False, True]
    refused = run.log(T.ORDER_REJECTED)[-1].data
    assert isinstance(refused, OrderRejected)
    assert refused.reason == "latched"
    assert refused.text == "no progress: inbox"
    assert Inbox(run.folder).consumed("CMD_1")
    run.second()
    assert run.monitor.closed() == ""
