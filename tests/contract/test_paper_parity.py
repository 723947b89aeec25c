"""Driven in lock-step, the paper gateway gives the fills of the backtest."""

from __future__ import annotations

import dataclasses
from collections import Counter

import numpy as np
import pytest

from genesis.backtest.evaluator import EvaluationSetup, Evaluator
from genesis.costs.model import CostModel
from genesis.exchange.paper.gateway import PaperGateway
from genesis.market.panel import Panel
from genesis.strategy.policy import REASONS
from genesis.strategy.strategy import Strategy
from genesis.trading.gateway import Side
from tests.contract.lockstep import ACCOUNT, LockStep
from tests.oracle.wild_market import wild_panel, wild_strategy

SEEDS = range(240)
WANTED = (
    "entry and stop in one bar",
    "gap through a stop",
    "reversal",
    "target and stop in one bar",
    "funding across the open",
    "liquidation",
    "delisted",
    "time stop",
    "target at the open",
)


def setup_of(rng: np.random.Generator) -> EvaluationSetup:
    noise = float(rng.choice([0.0, 0.5]))
    costs = CostModel(slippage=float(rng.uniform(0, 2e-3)), slippage_noise=noise, seed=3)
    return EvaluationSetup(
        costs=costs, leverage=float(rng.choice([2.0, 3.0, 10.0])), orders_per_bar=3.0
    )


def case(seed: int) -> tuple[Panel, EvaluationSetup, Strategy]:
    rng = np.random.default_rng(seed)
    ends = 279 if rng.uniform() < 0.7 else None
    steps = {"tick": 0.01, "lot": 0.001, "min_notional": 5.0} if rng.uniform() < 0.5 else {}
    tight = seed % 3 == 0  # both levels within the reach of many bars
    scale = 0.03 if tight else 0.012
    panel = wild_panel(seed, 300, ends=ends, missing=0.08, scale=scale, **steps)
    setup, strategy = setup_of(rng), wild_strategy(rng)
    if tight:
        policy = dataclasses.replace(strategy.policy, stop_atr=0.4, target_atr=0.4)
        strategy = dataclasses.replace(strategy, policy=policy)
    return panel, setup, strategy


def check(evaluator: Evaluator, strategy: Strategy, seen: Counter[str]) -> int:
    """Compare one paper run with its backtest; count the situations that occurred."""
    frame, setup = evaluator.frame(0), evaluator.setup
    gateway = PaperGateway({frame.instrument.symbol: frame.instrument}, setup.costs, setup.leverage)
    loop = LockStep(gateway, evaluator, strategy)
    fills = loop.run()
    orders = evaluator.orders(0, strategy)
    if orders.book.shape[0] == 0:
        assert fills == []
        return 0
    want = evaluator.detail(0, strategy).orders
    got = [(p.bar, p.fill.side, p.reason) for p in fills]
    sides = [Side.BUY if o.size > 0 else Side.SELL for o in want]
    reasons = [REASONS[int(code)] for code in orders.tags[:, 1]]
    assert got == list(zip((o.bar for o in want), sides, reasons, strict=True))
    for paper, order in zip(fills, want, strict=True):
        assert float(paper.fill.size) == pytest.approx(abs(order.size), rel=1e-12)
        assert float(paper.fill.price) == pytest.approx(order.price, rel=1e-9)
        assert float(paper.fill.fee) == pytest.approx(order.fee, rel=1e-9, abs=1e-12)
    tally(evaluator, orders.tags, orders.book, seen)
    state = gateway.account_state(ACCOUNT, 0)
    held = sum(o.size for o in want)
    sizes = [float(p.size) for p in state.positions]
    assert sizes == pytest.approx([] if abs(held) < 1e-9 else [held], rel=1e-12)
    return len(fills)


def tally(evaluator: Evaluator, tags: np.ndarray, book: np.ndarray, seen: Counter[str]) -> None:
    frame = evaluator.frame(0)
    reasons = [REASONS[int(code)] for code in tags[:, 1]]
    for k, (bar, _, phase) in enumerate(tags):
        reason = reasons[k]
        entered = k > 0 and tags[k - 1, 0] == bar and reasons[k - 1] == "entry"
        seen[reason] += 1
        seen["entry and stop in one bar"] += reason == "stop" and entered
        seen["gap through a stop"] += reason == "stop" and phase == 0
        seen["target at the open"] += reason == "target" and phase == 0
        if reason != "entry" and k > 0:
            bars = slice(int(tags[k - 1, 0]) + 1, int(bar) + 1)
            seen["funding across the open"] += bool(np.any(frame.due[bars] != 0.0))


def test_fills_equal_the_backtest() -> None:
    seen: Counter[str] = Counter()
    fills = sum(
        check(Evaluator(panel, setup), strategy, seen)
        for panel, setup, strategy in map(case, SEEDS)
    )
    assert fills > 3_000
    seen["target and stop in one bar"] = both_in_one_bar(SEEDS)
    assert {name: seen[name] for name in WANTED if seen[name] < 10} == {}, seen


def both_in_one_bar(seeds: range) -> int:
    """Stops that filled in a bar that reached the target of the position too."""
    count = 0
    for panel, setup, strategy in map(case, seeds):
        if strategy.policy.target_atr == 0.0 or strategy.policy.stop_atr == 0.0:
            continue
        evaluator = Evaluator(panel, setup)
        gateway = PaperGateway({"WILD": evaluator.frame(0).instrument}, setup.costs, setup.leverage)
        loop = Watching(gateway, evaluator, strategy)
        loop.run()
        count += loop.both
    return count


@dataclasses.dataclass
class Watching(LockStep):
    """Counts stops within a bar whose other extreme reached the target."""

    both: int = 0

    def answer(self, data: object) -> None:
        fill = getattr(data, "fill", None)
        if fill is not None and self.purposes.get(fill.client_id) == "stop":
            f, t = self.frame, self.bar
            long = fill.side is Side.SELL
            reached = f.high[t] >= self.state.target if long else f.low[t] <= self.state.target
            self.both += bool(reached)
        super().answer(data)  # type: ignore[arg-type]
