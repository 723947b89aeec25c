"""The evaluator against a plain Decimal backtest: every order, and equity to the bar."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pytest

from genesis.backtest.detail import SymbolBacktest
from genesis.backtest.evaluator import EvaluationSetup, Evaluator
from genesis.backtest.result import COLUMN, NO_TRADES, VALID
from genesis.costs.model import CostModel
from genesis.market.panel import Panel
from genesis.strategy.cache import NodeCache
from genesis.strategy.exits import ExitClass
from genesis.strategy.policy_inputs import policy_nodes
from genesis.strategy.series import SeriesEvaluator
from genesis.strategy.strategy import PolicyParams, Strategy
from tests.oracle.decimal_backtest import Backtest, Bar, Book, Execution, Plan, Terms
from tests.oracle.wild_market import tightened, wild_panel, wild_strategy

MARKETS = (
    {},
    {"missing": 0.2, "funding": 6e-3},
    {"tick": 0.05, "lot": 0.5, "min_notional": 2_000.0, "missing": 0.0},
    {"ends": 350, "starts": 40},
    {"scale": 0.03, "tick": 0.01, "lot": 0.001},
)


def exact(values: npt.NDArray[np.float64]) -> list[Decimal | None]:
    return [None if math.isnan(v) else Decimal(float(v)) for v in values]


def oracle(
    panel: Panel, strategy: Strategy, setup: EvaluationSetup, shares: Sequence[Decimal] = ()
) -> Book:
    """Run the Decimal backtest on the same signals and ranges."""
    s, policy, costs = panel.symbols[0], strategy.policy, setup.costs
    values = SeriesEvaluator(panel, 0, NodeCache(1 << 24))
    signals = np.array([values.value(node) for _, node in strategy.rules.named()]).T.tolist()
    nodes = policy_nodes(policy)
    atr, vol = (
        [None] * panel.bars if node is None else exact(values.value(node)) for node in nodes
    )
    bars = [
        Bar(*(Decimal(float(x[t])) for x in (s.open, s.high, s.low, s.close)))
        if s.valid[t]
        else None
        for t in range(panel.bars)
    ]
    rates = [Decimal(float(r)) for r in s.funding_due]
    run = Backtest(plan(policy), terms(panel, setup, costs))
    return run.run(bars, [tuple(row) for row in signals], atr, vol, rates, shares)


def plan(policy: PolicyParams) -> Plan:
    return Plan(
        longs=policy.direction in ("both", "long"),
        shorts=policy.direction in ("both", "short"),
        size=Decimal(policy.size),
        vol_target_per_bar=Decimal(policy.vol_target) / Decimal(24 * 365).sqrt(),
        stop_atr=Decimal(policy.stop_atr),
        target_atr=Decimal(policy.target_atr),
        trail_atr=Decimal(policy.trail_atr),
        breakeven_atr=Decimal(policy.breakeven_atr),
        time_stop=policy.time_stop,
        cooldown=policy.cooldown,
        tighten_bars=policy.tighten_bars,
    )


def terms(panel: Panel, setup: EvaluationSetup, costs: CostModel) -> Terms:
    instrument = panel.symbols[0].instrument
    return Terms(
        taker=Decimal(costs.taker),
        maker=Decimal(costs.maker),
        slippage=Decimal(costs.slippage),
        leverage=Decimal(setup.leverage),
        maintenance=Decimal(instrument.maintenance_margin),
        capital=Decimal(setup.capital),
        tick=Decimal(str(instrument.tick)),
        lot=Decimal(str(instrument.lot)),
        min_notional=Decimal(instrument.min_notional),
    )


def check_orders(detail: SymbolBacktest, book: Book) -> None:
    assert len(detail.orders) == len(book.executions)
    for order, want in zip(detail.orders, book.executions, strict=True):
        assert (order.bar, order.reason) == (want.bar, want.why)
        assert order.size == pytest.approx(float(want.quantity), rel=1e-9)
        assert order.price == pytest.approx(float(want.price), rel=1e-9)
        assert order.fee == pytest.approx(float(want.fee), rel=1e-9)
        assert order.slippage == pytest.approx(float(want.slippage), rel=1e-9, abs=1e-12)


def check_equity(detail: SymbolBacktest, book: Book, setup: EvaluationSetup) -> None:
    want = np.array([float(e) for e in book.equity]) / setup.capital
    np.testing.assert_allclose(detail.equity, want, rtol=1e-9, atol=1e-11)
    assert detail.liquidated == book.liquidated


def check_exits(panel: Panel, detail: SymbolBacktest, book: Book) -> None:
    """Class of each exit from the Decimal stops; excursions from every price that counts."""
    s = panel.symbols[0]
    tick = Decimal(str(s.instrument.tick))
    for place, trade in enumerate(detail.trades):
        enter, *rest = book.executions[2 * place : 2 * place + 2]
        side = 1 if enter.quantity > 0 else -1
        prices = [enter.price]
        for t in range(trade.entry_bar, trade.exit_bar + 1):
            # Only who holds at the close has seen all of the bar.
            held = not rest or t < rest[0].bar or rest[0].why == "delisted"
            if s.valid[t] and held:
                prices += [Decimal(float(x[t])) for x in (s.open, s.high, s.low, s.close)]
        prices += [leave.price for leave in rest]
        moves = [side * (price / enter.price - 1) for price in prices]
        assert trade.mfe == pytest.approx(float(max(moves)), rel=1e-9, abs=1e-12)
        assert trade.mae == pytest.approx(float(-min(moves)), rel=1e-9, abs=1e-12)
        assert trade.exit_class == (class_of(rest[0], enter.price, side, tick) if rest else None)


def class_of(leave: Execution, entry: Decimal, side: int, tick: Decimal) -> ExitClass:
    if leave.why != "stop":
        return {
            "target": ExitClass.TARGET,
            "time stop": ExitClass.TIME_LIMIT,
            "exit signal": ExitClass.SIGNAL,
            "reversal": ExitClass.REVERSAL,
            "liquidation": ExitClass.LIQUIDATION,
            "delisted": ExitClass.DELISTED,
        }[leave.why]
    assert leave.stop is not None
    if abs(leave.stop - entry) <= tick:
        return ExitClass.BREAKEVEN
    digits = Decimal("1e-20")  # 40 digits are carried
    moved = leave.first_stop is None or (leave.stop - leave.first_stop) * side > digits
    return ExitClass.TRAILING_STOP if moved else ExitClass.STOP_LOSS


def check_metrics(evaluator: Evaluator, strategy: Strategy, book: Book) -> None:
    block = evaluator.evaluate(0, [strategy])
    capital = Decimal(evaluator.setup.capital)
    if not book.executions:
        assert block.status[0] == NO_TRADES
        return
    assert block.status[0] == VALID, block.reasons
    row = block.metrics[0]
    peak = worst = Decimal(0)
    for value in book.equity:
        peak = max(peak, value)
        worst = max(worst, peak - value)
    wanted = {
        "total_return": book.equity[-1] / capital,
        "max_drawdown": worst / capital,
        "fees": sum(x.fee for x in book.executions) / capital,
        "slippage": sum(x.slippage for x in book.executions) / capital,
        "funding": book.funding / capital,
        "orders": len(book.executions),
        "trades": sum(x.why != "entry" for x in book.executions),
        "liquidated": float(book.liquidated),
    }
    for name, value in wanted.items():
        assert row[COLUMN[name]] == pytest.approx(float(value), rel=1e-9, abs=1e-11), name
    last = [max(t for t in range(start, start + 24)) for start in range(0, 399, 24)]
    marks = [float(book.equity[min(t, 399)] / capital) for t in last]
    np.testing.assert_allclose(block.marks[0], marks, rtol=1e-9, atol=1e-11)


def run_case(seed: int, tightening: bool = False) -> tuple[Book, SymbolBacktest]:
    rng = np.random.default_rng(seed)
    panel = wild_panel(seed, 400, **MARKETS[seed % len(MARKETS)])
    setup = EvaluationSetup(
        costs=CostModel(taker=5e-4, maker=1e-4, slippage=float(rng.choice([0.0, 3e-4, 2e-3]))),
        leverage=float(rng.choice([2, 5, 12])),
        orders_per_bar=3.0,
    )
    strategy = tightened(wild_strategy(rng), rng) if tightening else wild_strategy(rng)
    evaluator = Evaluator(panel, setup)
    book, detail = oracle(panel, strategy, setup), evaluator.detail(0, strategy)
    check_orders(detail, book)
    check_equity(detail, book, setup)
    check_exits(panel, detail, book)
    check_metrics(evaluator, strategy, book)
    return book, detail


def test_random_strategies_agree_with_decimal_oracle() -> None:
    """120 strategies; the cases that are easy to miss must really occur."""
    seen: Counter[str] = Counter()
    for seed in range(120):
        book, detail = run_case(seed)
        entered: dict[int, str] = {}
        for order in detail.orders:
            seen[order.reason] += 1
            seen[f"{order.reason}, {order.phase}"] += 1
            if order.reason == "entry":
                entered = {order.bar: "entry"}
            elif order.bar in entered:
                seen[f"{order.reason} in the entry bar"] += 1
        seen["funded"] += book.funding != 0
        per_bar = Counter(order.bar for order in detail.orders)
        seen["three orders in a bar"] += 3 in per_bar.values()
    for case in (
        "exit signal",
        "reversal",
        "time stop",
        "stop, open, resting",
        "stop, within the bar",
        "stop in the entry bar",
        "target, open, resting",
        "target, within the bar",
        "target in the entry bar",
        "liquidation",
        "delisted",
        "funded",
        "three orders in a bar",
    ):
        assert seen[case] > 0, f"no case of: {case} ({seen})"
    assert seen["liquidation"] >= 5


def test_tightening_strategies_agree_with_decimal_oracle() -> None:
    """60 strategies whose stop comes nearer with time; every step and its end must occur."""
    seen: Counter[object] = Counter()
    for seed in range(200, 260):
        _, detail = run_case(seed, tightening=True)
        seen.update(trade.exit_class for trade in detail.trades)
    for kind in (ExitClass.STOP_LOSS, ExitClass.TRAILING_STOP, ExitClass.BREAKEVEN):
        assert seen[kind] > 20, seen


def test_strategies_whose_entries_were_cut_agree_with_decimal_oracle() -> None:
    """120 strategies, each entry refused, cut to some hundredths or left as asked, by chance."""
    seen: Counter[str] = Counter()
    for seed in range(120):
        rng = np.random.default_rng(seed)
        panel = wild_panel(seed, 400, **MARKETS[seed % len(MARKETS)])
        setup = EvaluationSetup(orders_per_bar=3.0)
        strategy = wild_strategy(rng)
        hundredths = rng.choice([0, 0, 1, 3, 37, 50, 81, 99, 100, 100], 400).tolist()
        shares = [Decimal(n) / 100 for n in hundredths]
        scales = {panel.symbols[0].symbol: np.array([n / 100 for n in hundredths])}
        evaluator = Evaluator(panel, setup, entry_scales=scales)
        book, detail = oracle(panel, strategy, setup, shares), evaluator.detail(0, strategy)
        check_orders(detail, book)
        check_equity(detail, book, setup)
        check_metrics(evaluator, strategy, book)
        asked = Evaluator(panel, setup).detail(0, strategy)
        entries = {order.bar for order in detail.orders if order.reason == "entry"}
        for order in detail.orders:
            if order.reason == "reversal":
                again = order.bar in entries
                seen["reversal that enters" if again else "reversal that only closes"] += 1
        seen["fewer entries"] += len(detail.orders) < len(asked.orders)
    for case in ("reversal that enters", "reversal that only closes", "fewer entries"):
        assert seen[case] > 10, seen
