"""What the risk manager is told: markets and accounts, as the loop has seen them.

It is a part of the fold: bars, marks, results, orders and a person's permits go in, in the order
of the log, and the manager's answers depend on nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from genesis.domain.timeline import MINUTE_MS
from genesis.risk.assessment import RiskMetrics
from genesis.risk.book import Permit
from genesis.risk.breakers import CONSEQUENCES
from genesis.risk.levels import RiskLevel
from genesis.risk.limits import RiskView
from genesis.risk.manager import GeneticRiskManager, RiskProfile
from genesis.risk.regime import MarketState
from genesis.risk.state import RiskState
from genesis.trading.desk import Desk
from genesis.trading.payloads import (
    AlertRaised,
    BarClosed,
    BreakerTripped,
    DeploymentAdded,
    RiskLevelChanged,
    SentimentUpdated,
)


class RiskBook:
    """Markets and accounts as risk sees them.

    Parameters
    ----------
    desk : Desk
    manager : GeneticRiskManager

    Attributes
    ----------
    accounts : dict of str to RiskState
    permits : dict of str to Permit
        By account.
    """

    def __init__(self, desk: Desk, manager: GeneticRiskManager) -> None:
        self._desk = desk
        self._manager = manager
        self._market: MarketState | None = None
        self._levels: dict[str, RiskLevel] = {}
        self.accounts: dict[str, RiskState] = {}
        self.permits: dict[str, Permit] = {}

    @property
    def market(self) -> MarketState:
        """Markets; there are some as soon as there is a deployment."""
        assert self._market is not None
        return self._market

    @property
    def enforced(self) -> bool:
        """Whether decisions change orders."""
        return self._manager.profile is RiskProfile.ENFORCE

    # ---- intake ----------------------------------------------------------------------------

    def on_added(self, data: DeploymentAdded, capital: Decimal) -> None:
        """Take a new deployment: its account, and the length of its bars."""
        if self._market is None:
            self._market = MarketState(data.interval_ms)
        self.accounts.setdefault(data.account, RiskState()).on_flow(float(capital))

    def on_bar(self, data: BarClosed, ts_ms: int) -> None:
        """Take a closed bar and what it knows of sentiment."""
        if self._market is None or data.interval_ms != self._market.interval_ms:
            return
        self._market.on_bar(data.symbol, data.open_ms, data.close, data.volume)
        if math.isfinite(data.sentiment):
            self._market.on_sentiment(ts_ms, data.sentiment)

    def on_sentiment(self, data: SentimentUpdated) -> None:
        """Take what a live source says; a value that is none is told, and changes nothing.

        So an extreme value holds until a calm one is seen, and no silence makes it less.
        """
        if data.note:
            text = f"{data.note}; {data.source} is asked again"
            self._desk.emit(AlertRaised("info", "sentiment", "no fear and greed", text), "")
        elif self._market is not None:
            self._market.on_sentiment(data.stamp_ms, data.index)

    def on_symbol_ended(self, symbol: str) -> None:
        """Drop a symbol that has no further bar."""
        if self._market is not None:
            self._market.forget(symbol)

    def due(self, account: str) -> bool:
        """Whether the last mark of an account is a minute old."""
        return self._desk.now_ms - self.accounts[account].marked_ms >= MINUTE_MS

    def mark(self, account: str, equity: Decimal) -> None:
        """Take the equity of an account as it is now."""
        self.accounts[account].on_mark(self._desk.now_ms, float(equity))

    def assess(self, account: str, equity: Decimal, view: RiskView) -> RiskMetrics:
        """Mark an account, keep the breakers that trip, and put on record what changed."""
        self.mark(account, equity)
        state, now = self.accounts[account], self._desk.now_ms
        past = self._desk.warming_ms > 0
        metrics = self._manager.assess(state, self.market, view, now, past=past)
        for trip in state.latch(metrics.tripped):
            tripped = BreakerTripped(
                account, trip.breaker, trip.value, trip.limit, trip.until_ms, trip.text
            )
            self._desk.emit(tripped, account)
            grave = CONSEQUENCES[trip.breaker].level.reduces_only
            title = f"circuit breaker {trip.breaker}"
            self._alert("critical" if grave else "warning", title, f"{account}: {trip.text}")
        before = self._levels.get(account, RiskLevel.LOW)
        if metrics.level is not before:
            self._levels[account] = metrics.level
            why = "; ".join([t.text for t in metrics.breakers] + list(metrics.cautions))
            changed = RiskLevelChanged(account, before.name, metrics.level.name, why)
            self._desk.emit(changed, account)
        return metrics

    def _alert(self, level: str, title: str, text: str) -> None:
        if self.enforced:
            self._desk.emit(AlertRaised(level, "risk", title, text), "")

    # ---- a person --------------------------------------------------------------------------

    def permit(self, account: str, by: str, until_ms: int, reason: str) -> None:
        """Let new risk through at level HIGH, for a while."""
        self.permits[account] = Permit(by, until_ms, reason)

    def rearm(self, account: str, breaker: str) -> bool:
        """Re-arm a breaker that a person has to; False where it is not tripped."""
        state = self.accounts.get(account)
        return state is not None and state.rearm(breaker)

    # ---- state -----------------------------------------------------------------------------

    def plain(self) -> dict[str, Any]:
        """State for a snapshot."""
        return {
            "market": None if self._market is None else self._market.plain(),
            "accounts": {name: state.plain() for name, state in self.accounts.items()},
            "permits": {name: [p.by, p.until_ms, p.reason] for name, p in self.permits.items()},
            "levels": {name: int(level) for name, level in self._levels.items()},
        }

    def restore(self, value: Mapping[str, Any]) -> None:
        """Continue from `plain`."""
        market = value["market"]
        self._market = None if market is None else MarketState.restore(market)
        self.accounts = {k: RiskState.restore(v) for k, v in value["accounts"].items()}
        self.permits = {k: Permit(*row) for k, row in value["permits"].items()}
        self._levels = {name: RiskLevel(level) for name, level in value["levels"].items()}
