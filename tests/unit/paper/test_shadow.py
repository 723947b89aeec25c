"""The backtest beside a live run: on the bars of its log, from where the run began."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from genesis.backtest.portfolio import backtest_strategy
from genesis.backtest.setup import EvaluationSetup
from genesis.costs.model import CostModel
from genesis.domain.instrument import Instrument
from genesis.paper.logged import LoggedRun, panel_of
from genesis.paper.shadow import NO_BACKTEST, NO_BAR, Shadow, shadow_of
from genesis.strategy.language import Market, sma
from genesis.strategy.strategy import PolicyParams, Rules, Strategy
from genesis.strategy.text import dump_strategy
from genesis.trading.gateway import Side, VenueFill
from genesis.trading.payloads import BarClosed, DeploymentAdded, RunStarted

MINUTE, CAPITAL = 60_000, 10_000.0
COSTS = CostModel(slippage=0.0)
RULES = Instrument("SOL", "SOL", tick=0.01, lot=0.01, min_notional=10.0, maintenance_margin=0.025)


def follower() -> Strategy:
    m = Market()
    average = sma(m.close, 3)
    return Strategy(
        Rules(long=m.close > average, exit_long=m.close < average),
        PolicyParams(size=0.5),
    )


def logged(closes: list[float], began: int, fills: list[VenueFill]) -> LoggedRun:
    """A log of bars, of which those before ``began`` only warmed up."""
    bars = [
        BarClosed("SOL", MINUTE, k * MINUTE, before, max(before, at), min(before, at), at, 1.0)
        for k, (before, at) in enumerate(zip([closes[0], *closes], closes, strict=False))
    ]
    strategy = follower()
    added = DeploymentAdded(
        deployment="one",
        strategy_id=strategy.id,
        strategy=dump_strategy(strategy),
        account="paper/one",
        symbol="SOL",
        instrument={n: getattr(RULES, n) for n in RULES.__dataclass_fields__},
        capital=CAPITAL,
        interval_ms=MINUTE,
        anchor_ms=0,
        options={"trade_from_ms": began * MINUTE + 1},
    )
    started = RunStarted(run="r", mode="testnet", build="b", settings={})
    return LoggedRun("r", 1, "00", started, [added], bars={"SOL": bars}, fills=fills)


def market() -> list[float]:
    rng = np.random.default_rng(3)
    return [float(x) for x in np.round(100.0 * np.exp(np.cumsum(rng.normal(0, 0.004, 120))), 2)]


def mirrored(closes: list[float], began: int) -> list[VenueFill]:
    """What a run would fill that does as the backtest from its first decision on."""
    run = logged(closes, began, [])
    setup = EvaluationSetup(costs=COSTS, capital=CAPITAL)
    panel = panel_of(run)
    (symbol,) = backtest_strategy(panel, follower(), setup, decide_from=began).symbols
    return [
        VenueFill(
            account="paper/one",
            symbol="SOL",
            client_id=f"c{number}",
            venue_id=str(number),
            fill_id=str(number),
            side=Side.BUY if order.size > 0 else Side.SELL,
            size=Decimal(repr(abs(order.size))),
            price=Decimal(repr(order.price)),
            fee=Decimal(repr(order.fee)),
            ts_ms=order.bar * MINUTE + 1,
            maker=False,
            reference=Decimal(repr(order.price)),
        )
        for number, order in enumerate(symbol.orders)
    ]


def found(run: LoggedRun) -> Shadow:
    shadow = shadow_of(run, COSTS, 3.0)
    assert isinstance(shadow, Shadow)
    return shadow


def test_a_run_that_does_as_its_backtest_is_the_same_fill_for_fill() -> None:
    closes = market()
    fills = mirrored(closes, 50)
    shadow = found(logged(closes, 50, fills))
    told = shadow.fidelity
    assert told.fills_matched == told.fills_backtest == told.fills_paper == len(fills) > 4
    assert told.position_match == told.held_match == 1.0
    assert told.slippage_error_bp == 0.0
    assert told.causes == {}
    assert shadow.ts_ms[0] == 50 * MINUTE
    assert len(shadow.ts_ms) == len(closes) - 50


def test_a_fill_that_the_run_lacks_and_a_worse_price_are_seen() -> None:
    closes = market()
    fills = mirrored(closes, 50)
    lacking = found(logged(closes, 50, fills[:-2])).fidelity
    assert lacking.causes == {"missing fill": 2}
    assert lacking.fills_paper == len(fills) - 2
    worse = [
        fill
        if fill.side is Side.SELL
        else VenueFill(**{n: getattr(fill, n) for n in fill.__struct_fields__} | {
            "price": fill.price * Decimal("1.0005")
        })
        for fill in fills
    ]  # fmt: skip
    assert found(logged(closes, 50, worse)).fidelity.slippage_bias_bp > 1.0


def test_what_happened_in_the_warm_up_is_not_compared() -> None:
    """A collapse there would end the backtest's account by liquidation."""
    closes = market()
    begun = [closes[0] * 3.0 + k for k in range(40)] + closes[40:]
    fills = mirrored(begun, 50)
    assert len(fills) > 4
    assert found(logged(begun, 50, fills)).fidelity.position_match == 1.0


def test_too_few_bars_and_none_after_the_beginning_say_so() -> None:
    assert shadow_of(logged(market()[:2], 1, []), COSTS, 3.0) == NO_BACKTEST
    assert shadow_of(logged(market(), 500, []), COSTS, 3.0) == NO_BAR


def test_another_timeline_carries_the_curve() -> None:
    shadow = found(logged(market(), 50, []))
    ends = np.array([0, 50 * MINUTE, shadow.ts_ms[-1], shadow.ts_ms[-1] + 9 * MINUTE])
    assert shadow.at(ends).tolist() == [
        0.0, shadow.equity[0], shadow.equity[-1], shadow.equity[-1]
    ]  # fmt: skip
