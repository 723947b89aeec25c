"""A simulated account in plain Python, under the real risk manager: slow, and written to be read.

It shares with the simulator the position policies and the drawn path, nothing else: market, account
and orders are `MarketState`, `RiskState` and `GeneticRiskManager`, as a trader has them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np

from genesis.costs.margin import liquidation_level
from genesis.evolution.risk.paths import MarketPath
from genesis.evolution.risk.scenario import START_MS, AccountSettings
from genesis.market.panel import Panel
from genesis.risk.book import Exposure
from genesis.risk.genome import RiskGenome
from genesis.risk.levels import RiskLevel
from genesis.risk.limits import OrderFacts, RiskView
from genesis.risk.manager import GeneticRiskManager
from genesis.risk.regime import MarketState
from genesis.risk.state import RiskState
from genesis.strategy.cache import NodeCache
from genesis.strategy.node import Node, series
from genesis.strategy.policy import (
    PolicyNumbers,
    PolicyState,
    decide,
    new_state,
    on_fill,
    policy_numbers,
)
from genesis.strategy.policy_inputs import policy_nodes
from genesis.strategy.series import SeriesEvaluator
from genesis.strategy.strategy import NEVER, Strategy

YEAR_MS = 365 * 86_400_000


@dataclass
class Holder:
    """One symbol of the account."""

    numbers: PolicyNumbers
    signals: list[np.ndarray]
    own_atr: np.ndarray
    own_vol: np.ndarray
    atr: np.ndarray
    state: PolicyState = field(default_factory=new_state)
    position: float = 0.0
    entry: float = 0.0
    paid: float = 0.0
    stop: float = 0.0
    target: float = 0.0
    best: float = 0.0
    range: float = 0.0
    wait: float = 0.0
    wait_range: float = 0.0
    leaving: bool = False
    previous: float = 0.0
    trade: float = 0.0


class ReferenceAccount:
    """Trades one scenario.

    Parameters
    ----------
    genome, path, panel, strategies, settings
        As the simulator has them; the panel is that of the path.
    """

    def __init__(
        self,
        genome: RiskGenome,
        path: MarketPath,
        panel: Panel,
        strategies: list[Strategy],
        settings: AccountSettings,
    ) -> None:
        self.path, self.panel, self.settings = path, panel, settings
        self.manager = GeneticRiskManager(genome)
        self.risk = RiskState()
        self.market = MarketState(settings.interval_ms)
        self.cash = settings.capital
        self.names = [s.symbol for s in panel.symbols]
        self.holders = [self._holder(i, s) for i, s in enumerate(strategies)]
        self.forced = self.trades = self.refused = 0

    def _holder(self, i: int, strategy: Strategy) -> Holder:
        from dataclasses import replace

        values = SeriesEvaluator(self.panel, i, NodeCache(1 << 26))
        policy = replace(strategy.policy, size=1.0, vol_target=0.0)
        share = self.settings.capital * self.settings.exposure / len(self.panel.symbols)
        numbers = policy_numbers(
            policy,
            self.panel.symbols[i].instrument,
            share,
            YEAR_MS / self.settings.interval_ms,
        )
        nothing = np.zeros(self.panel.bars)
        atr, vol = policy_nodes(policy)
        true_range = Node("atr", (series("high"), series("low"), series("close")), (14,))
        return Holder(
            numbers,
            [
                np.zeros(self.panel.bars) if node == NEVER else values.value(node)
                for _, node in strategy.rules.named()
            ],
            nothing if atr is None else values.value(atr),
            nothing if vol is None else values.value(vol),
            values.value(true_range),
        )

    def run(self) -> np.ndarray:
        """Equity at each close of the traded bars."""
        equity = []
        self.risk.on_mark(START_MS, self.cash)
        for t in range(self.panel.bars):
            closed = int(self.panel.ts_ms[t]) + self.settings.interval_ms
            if self.path.halted[t]:
                if t >= self.settings.warm_up:
                    equity.append(equity[-1] if equity else self.settings.capital)
                continue
            self._learn(t)
            if t < self.settings.warm_up:
                continue
            for i in range(len(self.holders)):
                self._inside(i, t)
            value = self.cash + sum(
                h.position * self.path.close[i, t] for i, h in enumerate(self.holders)
            )
            equity.append(value)
            self.risk.on_mark(closed, value)
            self._at_close(t, closed)
        return np.array(equity)

    def _learn(self, t: int) -> None:
        stamp = int(self.panel.ts_ms[t])
        for i, name in enumerate(self.names):
            self.market.on_bar(name, stamp, self.path.close[i, t], self.path.volume[i, t])
        index = self.path.sentiment[0, t]
        if math.isfinite(index):
            self.market.on_sentiment(stamp + self.settings.interval_ms, index)

    # ---- inside a bar ----------------------------------------------------------------------

    def _fill(self, holder: Holder, size: float, price: float, spread: float, rests: bool) -> float:
        settings = self.settings
        slip = 0.0 if rests else settings.slippage * spread
        fee = settings.maker if rests else settings.taker
        paid = price * (1.0 + slip) if size > 0 else price * (1.0 - slip)
        flow = -size * paid - abs(size) * paid * fee
        self.cash += flow
        holder.trade += flow
        return paid

    def _flat(
        self, holder: Holder, price: float, rests: bool, bar: int, spread: float, ts: float
    ) -> None:
        self._fill(holder, -holder.position, price, spread, rests)
        holder.state = on_fill(holder.state, holder.numbers, bar, holder.position, 0.0, 0.0)
        self.risk.on_result(int(ts), holder.trade)
        self.trades += 1
        holder.position = holder.trade = 0.0

    def _levels(self, i: int, holder: Holder) -> tuple[float, float, float]:
        long = holder.position > 0
        stops, targets = (holder.state.stop, holder.stop), (holder.state.target, holder.target)
        margin = self.panel.symbols[i].instrument.maintenance_margin
        liquidation = liquidation_level(
            holder.position, holder.entry, holder.paid, self.settings.leverage, margin
        )
        stop = max(stops) if long else min(stops)
        return stop, (min(targets) if long else max(targets)), liquidation

    def _inside(self, i: int, t: int) -> None:
        path, holder = self.path, self.holders[i]
        bar, spread = t - self.settings.warm_up, path.spread[t]
        start = START_MS + bar * self.settings.interval_ms
        due = sum(path.due[i, k] for k in self._halt_before(t)) + path.due[i, t]
        if holder.position and due:
            charge = holder.position * holder.previous * due
            self.cash -= charge
            holder.trade -= charge
            holder.paid += charge
        open_ = path.open[i, t]
        if holder.position:
            stop, target, liquidation = self._levels(i, holder)
            side = math.copysign(1.0, holder.position)
            worst = max(stop, liquidation) if side > 0 else min(stop, liquidation)
            if (open_ - worst) * side <= 0.0:
                holder.wait = 0.0
                self._flat(holder, open_, False, bar, spread, start)
            elif (open_ - target) * side >= 0.0:
                holder.wait = 0.0
                self._flat(holder, open_, True, bar, spread, start)
            elif holder.leaving:
                self._flat(holder, open_, False, bar, spread, start)
        if holder.wait:
            self._enter(holder, bar, open_, spread)
        if holder.position:
            stop, target, liquidation = self._levels(i, holder)
            side = math.copysign(1.0, holder.position)
            worst = max(stop, liquidation) if side > 0 else min(stop, liquidation)
            low, high = path.low[i, t], path.high[i, t]
            end = start + self.settings.interval_ms - 1
            if side > 0 and low <= worst:
                self._flat(holder, min(open_, worst), False, bar, spread, end)
            elif side < 0 and high >= worst:
                self._flat(holder, max(open_, worst), False, bar, spread, end)
            elif side > 0 and high >= target:
                self._flat(holder, max(open_, target), True, bar, spread, end)
            elif side < 0 and low <= target:
                self._flat(holder, min(open_, target), True, bar, spread, end)

    def _halt_before(self, t: int) -> list[int]:
        found = []
        while t > 0 and self.path.halted[t - 1]:
            t -= 1
            found.append(t)
        return found[::-1]

    def _enter(self, holder: Holder, bar: int, open_: float, spread: float) -> None:
        size, holder.wait = holder.wait, 0.0
        holder.entry = self._fill(holder, size, open_, spread, False)
        holder.position, holder.paid, holder.range = size, 0.0, holder.wait_range
        holder.state = on_fill(holder.state, holder.numbers, bar, 0.0, size, holder.entry)
        side = math.copysign(1.0, size)
        holder.best = holder.entry
        holder.stop, holder.target = self._protection(side, holder)

    def _protection(self, side: float, holder: Holder) -> tuple[float, float]:
        """Stop, the tighter of the fixed and the trailing one, and target, as the genes ask."""
        genes = self.manager.genome.genes
        fixed = holder.entry - side * genes.stop_atr * holder.range
        trail = holder.best - side * genes.trail_atr * holder.range
        target = holder.entry + side * genes.take_profit_atr * holder.range
        if math.isnan(fixed) or math.isnan(trail):
            return math.nan, target
        return (max(fixed, trail) if side > 0.0 else min(fixed, trail)), target

    # ---- at a close ------------------------------------------------------------------------

    def _at_close(self, t: int, now: int) -> None:
        for i, holder in enumerate(self.holders):
            holder.leaving = False
            holder.previous = self.path.close[i, t]
            if holder.position:
                side = math.copysign(1.0, holder.position)
                if (holder.previous - holder.best) * side > 0:
                    holder.best = holder.previous
                holder.stop, _ = self._protection(side, holder)
        metrics = self.manager.assess(self.risk, self.market, self._view(0, t), now)
        self.risk.latch(metrics.tripped)
        for i, holder in enumerate(self.holders):
            asked = self._asked(i, holder, t)
            if metrics.level is RiskLevel.EMERGENCY and holder.position:
                holder.leaving = True
                self.forced += 1
            if asked:
                self._submit(i, holder, asked, t, now)

    def _asked(self, i: int, holder: Holder, t: int) -> float:
        long, short, exit_long, exit_short = (int(s[t]) for s in holder.signals)
        holder.state, reason, size = decide(
            holder.state,
            holder.numbers,
            holder.position,
            holder.entry,
            t - self.settings.warm_up,
            self.path.close[i, t],
            holder.own_atr[t],
            holder.own_vol[t],
            long,
            short,
            exit_long,
            exit_short,
        )
        holder.leaving = reason != 0
        most = self.settings.capital / len(self.holders) / self.path.close[i, t]
        return float(np.clip(size, -most, most))

    def _submit(self, i: int, holder: Holder, asked: float, t: int, now: int) -> None:
        # The entry of a reversal is judged when its close is filled.
        held = holder.position
        if holder.leaving:
            holder.position = 0.0
        price = Decimal(repr(float(self.path.close[i, t])))
        order = OrderFacts("account", self.names[i], Decimal(repr(asked)), price, price, False, now)
        decision = self.manager.evaluate_trade_risk(order, self._view(i, t), self.risk, self.market)
        holder.position = held
        size = abs(float(decision.size)) if decision.approved else 0.0
        lot = holder.numbers.lot
        if lot:
            size = math.floor(size / lot + 1e-9) * lot
        if size < 1e-9 or size * self.path.close[i, t] < holder.numbers.min_notional:
            self.refused += 1
            return
        holder.wait = math.copysign(size, asked)
        holder.wait_range = holder.atr[t]
        self.risk.on_order(now)

    def _view(self, i: int, t: int) -> RiskView:
        capital = self.settings.capital
        exposures, gross = [], Decimal(0)
        for k, holder in enumerate(self.holders):
            price = Decimal(repr(float(self.path.close[k, t])))
            position, wait = Decimal(repr(holder.position)), Decimal(repr(holder.wait))
            buying, selling = max(wait, Decimal(0)), max(-wait, Decimal(0))
            exposures.append(Exposure(self.names[k], position, buying, selling, price))
            gross += (abs(position) + abs(wait)) * price
        own = exposures[i]
        return RiskView(
            capital=Decimal(repr(capital / len(self.holders))),
            position=own.position,
            buying=own.buying,
            selling=own.selling,
            gross=gross,
            account_capital=Decimal(repr(capital)),
            daily_pnl=Decimal(0),
            recent_orders=0,
            exposures=tuple(exposures),
        )
