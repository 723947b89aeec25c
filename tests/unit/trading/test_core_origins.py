"""Schedules and news as origins, and opportunities that led to nothing."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from genesis.trading.deployment import DeploymentOptions
from genesis.trading.events import Event
from genesis.trading.events import EventType as T
from genesis.trading.feeds.merged import MergedFeed
from genesis.trading.feeds.origins import NewsProvider, ScheduleProvider
from genesis.trading.gateway import OrderKind
from genesis.trading.origin_actions import ACTIONS
from genesis.trading.payloads import (
    NewsReceived,
    OpportunityRejected,
    OrderSubmit,
    PositionClosed,
    ScheduleDue,
    TradeIntent,
    TradingHalted,
    TradingResumed,
)
from tests.unit.trading.core_rig import GUARDED, HOUR, NAKED, NAME, START, Rig, Script, kinds, of
from tests.unit.trading.test_core_flows import rows


def held(**more: object) -> Rig:
    rig = Rig(GUARDED, **more)  # type: ignore[arg-type]
    rig.warm()
    rig.bar(wish="long")
    rig.bar()
    assert rig.position == Decimal(50)
    return rig


def news(action: str, *symbols: str) -> NewsReceived:
    return NewsReceived("news-1", "Something happened", symbols, action)


def schedule(action: str, *symbols: str) -> ScheduleDue:
    return ScheduleDue("weekly", "the weekly one", symbols, action)


@pytest.mark.parametrize(("origin", "kind"), [(news, "news"), (schedule, "schedule")])
def test_flatten_closes_the_position_with_that_origin(origin, kind: str) -> None:  # type: ignore[no-untyped-def]
    rig = held()
    events = rig.say(origin("flatten"))
    (intent,) = of(events, TradeIntent)
    assert (intent.scope, intent.causality.origin.kind) == ("CLOSE", kind)
    assert intent.causality.origin.seq == events[0].seq
    rig.bar()
    assert rig.position == 0
    assert [c.reason for c in rig.all(PositionClosed)] == [kind]
    (trade,) = rows(rig, "trades")
    assert trade["exit_reason"] == kind
    fills = [row for row in rows(rig, "journal") if row["kind"] == "fill"]
    assert [row["origin_kind"] for row in fills] == ["tick", kind]


def test_flatten_takes_back_what_would_enter() -> None:
    exchange = Script()
    rig = Rig(options=DeploymentOptions(algorithm="iceberg", slices=2), exchange=exchange)
    rig.bar(wish="long")
    rig.say(news("flatten"))
    assert exchange.canceled == [exchange.submitted[0].client_id]
    assert rig.deployment.work is None
    assert rig.deployment.plan_id == ""


def test_flatten_does_not_wait_for_a_slow_close() -> None:
    exchange = Script()
    rig = Rig(options=DeploymentOptions(algorithm="iceberg", slices=2), exchange=exchange)
    rig.bar(wish="long")
    rig.fill(exchange.submitted[-1])
    rig.fill(exchange.submitted[-1])
    rig.bar(wish="exit_long")
    rig.say(schedule("flatten"))
    last = exchange.submitted[-1]
    assert (last.kind, last.size, last.reduce_only) == (OrderKind.MARKET, Decimal(50), True)


def test_flatten_without_a_position_does_nothing() -> None:
    rig = Rig()
    rig.bar()
    assert kinds(rig.say(news("flatten"))) == [T.NEWS_RECEIVED]


def test_only_the_symbols_that_are_named() -> None:
    rig = held()
    assert kinds(rig.say(news("flatten", "ETH"))) == [T.NEWS_RECEIVED]
    assert kinds(rig.say(news("pause", "ETH"))) == [T.NEWS_RECEIVED]
    assert of(rig.say(news("flatten", "ETH", "BTC")), OrderSubmit) != []


def test_pause_keeps_entries_away_until_resume() -> None:
    rig = Rig()
    rig.bar()
    (halted,) = of(rig.say(schedule("pause", "BTC")), TradingHalted)
    assert halted.scope == "symbol:BTC"
    assert "the weekly one" in halted.reason
    rig.bar(wish="long")
    rig.bar(wish="long")
    assert rig.position == 0
    assert all("the weekly one" in r.reason for r in rig.all(OpportunityRejected))
    assert len(rig.all(OpportunityRejected)) == 2
    (resumed,) = of(rig.say(schedule("resume", "BTC")), TradingResumed)
    assert resumed.scope == "symbol:BTC"
    rig.bar(wish="long")
    rig.bar()
    assert rig.position == Decimal(50)


def test_a_paused_position_may_be_left() -> None:
    rig = held()
    rig.say(news("pause"))
    rig.bar(wish="exit_long")
    rig.bar()
    assert rig.position == 0


def test_a_schedule_does_not_lift_what_a_person_halted() -> None:
    rig = Rig()
    rig.bar()
    rig.core.desk.halts["symbol:BTC"] = "somebody: do not trade this"
    assert of(rig.say(schedule("pause")), TradingHalted) == []
    assert of(rig.say(schedule("resume")), TradingResumed) == []
    assert rig.core.desk.halts == {"symbol:BTC": "somebody: do not trade this"}


def test_deployments_on_one_symbol_are_paused_once() -> None:
    rig = Rig()
    rig.deploy(name="DEP_B", account="paper/b")
    assert len(of(rig.say(news("pause")), TradingHalted)) == 1
    assert len(of(rig.say(news("resume")), TradingResumed)) == 1


def test_news_without_an_action_are_on_record_only() -> None:
    rig = held()
    assert kinds(rig.say(news(""))) == [T.NEWS_RECEIVED]
    assert kinds(rig.say(schedule(""))) == [T.SCHEDULE_DUE]
    assert set(ACTIONS) == {"flatten", "pause", "resume"}


class HandBars:
    """Bars of one symbol that barely move, as a feed."""

    symbols = ("BTC",)
    interval_ms, anchor_ms = HOUR, START

    def __init__(self, wishes: list[str]) -> None:
        rig = Rig()
        self._phases = []
        take = rig.driver.take
        rig.driver.take = lambda phase: (self._phases.append(phase), take(phase))  # type: ignore[method-assign,func-returns-value]
        for wish in wishes:
            rig.bar(wish=wish)
        self.end_ms = START + len(wishes) * HOUR

    def phases(self, start_ms: int | None = None):  # type: ignore[no-untyped-def]
        return iter([p for p in self._phases if start_ms is None or p.ts_ms >= start_ms])

    def count_before(self, ts_ms: int) -> int:
        return sum(p.ts_ms < ts_ms for p in self._phases)


def test_origins_from_files_through_the_merged_feed(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        "version: 1\nschedules:\n"
        '  - {id: night, at: "04:30", symbols: [BTC], action: pause}\n'
        '  - {id: day, at: "06:30", symbols: [BTC], action: resume}\n'
    )
    (tmp_path / "n.yaml").write_text(
        "version: 1\nnews:\n"
        "  - {at: 2024-01-01T02:30, headline: A fork, symbols: [BTC], action: flatten, id: fork}\n"
    )
    feed = MergedFeed(
        HandBars(["long", "", "", "long", "long", "long", "long", "long", ""]),  # type: ignore[arg-type]
        [
            ScheduleProvider(tmp_path / "s.yaml", ["BTC"], ACTIONS),
            NewsProvider(tmp_path / "n.yaml", ["BTC"], ACTIONS),
        ],
    )
    rig = Rig()
    story = []
    for phase in feed.phases():
        rig.driver.take(phase)
        story.append((phase.ts_ms - START, rig.position))
    by_hour = dict(story)
    assert by_hour[1 * HOUR] == 50, "the open after the first close"
    assert by_hour[int(2.5 * HOUR)] == 50, "flatten waits for a price"
    assert by_hour[3 * HOUR] == 0
    assert by_hour[4 * HOUR] == 50, "the wish of 03:00 to 04:00"
    assert [c.reason for c in rig.all(PositionClosed)] == ["news"]
    halts = [e for e in rig.log.events if isinstance(e.data, TradingHalted | TradingResumed)]
    assert [e.ts_ms - START for e in halts] == [int(4.5 * HOUR), int(6.5 * HOUR)]


# ---- rejected opportunities ------------------------------------------------------------------


def journalled(rig: Rig) -> list[tuple[str, str]]:
    return [
        (str(row["kind"]), str(row["text"]))
        for row in rows(rig, "journal")
        if row["kind"] == "rejected_opportunity"
    ]


def test_a_refused_signal_is_on_record_with_its_reason() -> None:
    from genesis.risk.limits import HardLimits

    rig = Rig(limits=HardLimits(max_order=0.4))
    rig.bar(wish="long")
    assert rig.all(OrderSubmit) == []
    (rejected,) = rig.all(OpportunityRejected)
    assert (rejected.stage, rejected.risk_id != "") == ("planning", True)
    assert "order over capital is 0.5, the limit is 0.4" in rejected.reason
    (entry,) = [r for r in rows(rig, "journal") if r["kind"] == "rejected_opportunity"]
    assert entry["risk_ids"] == f'["{rejected.risk_id}"]'
    assert entry["signal_ids"] == f'["{rejected.signal_id}"]'
    assert entry["origin_kind"] == "tick"


@pytest.mark.parametrize(
    ("policy", "wish", "why"),
    [
        (NAKED.__class__(direction="short"), "long", "the policy does not trade this side"),
        (NAKED.__class__(direction="long"), "short", "the policy does not trade this side"),
        (NAKED.__class__(stop_atr=1.0), "long", "cooldown, or no size can be made"),
    ],
)
def test_what_the_policy_forbids_is_on_record_once(policy: object, wish: str, why: str) -> None:
    rig = Rig(policy)  # type: ignore[arg-type]
    for _ in range(3):
        rig.bar(wish=wish)
    assert [(r.stage, r.reason) for r in rig.all(OpportunityRejected)] == [("policy", why)]
    assert len(journalled(rig)) == 1


def test_an_order_below_the_least_notional_is_no_order() -> None:
    from tests.unit.trading.core_rig import STEPPED

    rig = Rig(instrument=STEPPED, capital=15.0)  # half of it is below 10
    rig.bar(wish="long")
    assert rig.all(OrderSubmit) == []
    assert [r.stage for r in rig.all(OpportunityRejected)] == ["policy"]


def test_a_position_that_a_stop_took_in_the_same_breath_is_not_closed_again() -> None:
    exchange = Script()
    rig = Rig(GUARDED, exchange=exchange)
    rig.warm()
    rig.bar(wish="long")
    rig.fill(exchange.submitted[0])
    rig.bar(wish="exit_long")
    stop = next(o for o in exchange.submitted if o.kind is OrderKind.STOP)
    close = exchange.submitted[-1]
    rig.fill(stop, 98.0)
    rig.reject(close, "reduce_only")
    assert rig.position == 0
    assert [c.reason for c in rig.all(PositionClosed)] == ["stop"]
    assert rig.deployment.closing == ""
    assert rig.core.desk.orders.open_orders() == []
    assert isinstance(rig.log.events[0], Event)
    assert rig.deployment.id == NAME
