"""A trading loop of a few lines: the backtest's policy, with orders sent to a paper gateway.

It drives a gateway with the events of a panel in the phases of a lock-step run and answers fills
as the trading loop does: protective orders after an entry, the entry of a reversal after its
close, the other exit canceled when one has filled.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np

from genesis.backtest.evaluator import Evaluator, policy_nodes
from genesis.strategy.node import Node
from genesis.strategy.policy import (
    REASONS,
    PolicyState,
    decide,
    new_state,
    on_fill,
    policy_numbers,
)
from genesis.strategy.strategy import NEVER, Strategy
from genesis.trading.events import Event
from genesis.trading.gateway import OrderKind, OrderRequest, Side, VenueFill
from genesis.trading.payloads import (
    BarClosed,
    BarOpened,
    BarRange,
    FundingDue,
    OrderFilled,
    OrderRejected,
    Payload,
    SymbolEnded,
)

ACCOUNT = "paper/one"


def exact(value: float) -> Decimal:
    return Decimal(repr(float(value)))


@dataclass
class PaperFill:
    """A fill, with the bar it fell in and why the loop had asked for it."""

    bar: int
    reason: str
    fill: VenueFill


@dataclass
class LockStep:
    """One strategy on one symbol of a panel, traded through a gateway."""

    gateway: Any
    evaluator: Evaluator
    strategy: Strategy
    symbol: int = 0
    account: str = ACCOUNT
    fills: list[PaperFill] = field(default_factory=list)
    rejected: list[OrderRejected] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.replies: deque[Event] = deque()
        self.gateway.connect(self.replies.append)
        self.frame = self.evaluator.frame(self.symbol)
        self.name = self.frame.instrument.symbol
        self.params = policy_numbers(
            self.strategy.policy, self.frame.instrument, self.frame.capital, self.frame.periods
        )
        self.state: PolicyState = new_state()
        self.position = self.entry = 0.0
        self.purposes: dict[str, str] = {}
        self.resting: dict[str, tuple[str, float]] = {}
        self.entry_after_close = 0.0
        self.sent = 0

    def run(self) -> list[PaperFill]:
        """Trade the whole panel."""
        signals = self.signals()
        f = self.frame
        step = int(f.ts_ms[1] - f.ts_ms[0])
        for t in range(f.last + 1):
            if not f.valid[t]:
                continue
            self.bar = t
            now = int(f.ts_ms[t])
            if f.due[t] != 0.0:
                self.show(FundingDue(self.name, float(f.due[t])), now)
            self.show(BarOpened(self.name, step, now, float(f.open[t])), now)
            self.show(BarRange(self.name, now, float(f.high[t]), float(f.low[t])), now + step)
            prices = (float(x[t]) for x in (f.open, f.high, f.low, f.close))
            self.show(BarClosed(self.name, step, now, *prices, 1.0), now + step)
            self.decide(t, [int(s[t]) for s in signals[:4]], [float(s[t]) for s in signals[4:]])
        if f.last < f.valid.size - 1:
            self.show(SymbolEnded(self.name, float(f.close[f.last])), int(f.ts_ms[f.last]) + step)
        return self.fills

    def signals(self) -> list[Any]:
        """Entries and exits, range and volatility per bar, as the backtest reads them."""
        values = self.evaluator._values(self.symbol)
        out = [
            self.frame.none if node == NEVER else values.value(node)
            for _, node in self.strategy.rules.named()
        ]
        nodes: tuple[Node | None, Node | None] = policy_nodes(self.strategy.policy)
        return out + [self.frame.close if n is None else values.value(n) for n in nodes]

    def show(self, data: Payload, ts_ms: int) -> None:
        """Show an event to the exchange and answer everything that comes of it."""
        self.gateway.on_market(Event(data, ts_ms))
        self.settle()

    def settle(self) -> None:
        self.gateway.settle()
        while self.replies:
            self.answer(self.replies.popleft().data)
            self.gateway.settle()

    def send(self, purpose: str, size: float, kind: OrderKind, price: float | None = None) -> None:
        self.sent += 1
        client_id = f"0x{self.sent:032x}"
        self.purposes[client_id] = purpose
        if kind is not OrderKind.MARKET:
            assert price is not None
            self.resting[kind] = (client_id, price)
        side = Side.BUY if size > 0.0 else Side.SELL
        self.gateway.submit(
            OrderRequest(
                f"ORD_{self.sent}",
                client_id,
                self.account,
                self.name,
                side,
                kind,
                exact(abs(size)),
                None if price is None else exact(price),
                reduce_only=purpose != "entry",
            )
        )

    def decide(self, t: int, signals: list[int], readings: list[float]) -> None:
        """Ask the policy at a close, send its market order, move the stop."""
        self.entry_after_close = 0.0
        close = float(self.frame.close[t])
        self.state, leaving, pending = decide(
            self.state, self.params, self.position, self.entry, t, close, *readings, *signals
        )
        if self.position != 0.0:
            self.protect()
        if leaving:
            self.entry_after_close = pending
            self.send(REASONS[leaving], -self.position, OrderKind.MARKET)
        elif pending:
            self.send("entry", pending, OrderKind.MARKET)
        self.settle()

    def protect(self) -> None:
        """Bring stop and target at the exchange to where the policy has them."""
        for kind, level in (
            (OrderKind.STOP, self.state.stop),
            (OrderKind.TARGET, self.state.target),
        ):
            known = self.resting.get(kind)
            if not np.isfinite(level) or (known and known[1] == level):
                continue
            if known is None:
                self.send(str(kind), -self.position, kind, level)
                continue
            side = Side.SELL if self.position > 0.0 else Side.BUY
            self.resting[kind] = (known[0], level)
            self.gateway.modify(
                OrderRequest(
                    "",
                    known[0],
                    self.account,
                    self.name,
                    side,
                    kind,
                    exact(abs(self.position)),
                    exact(level),
                    reduce_only=True,
                )
            )

    def answer(self, data: Payload) -> None:
        if isinstance(data, OrderRejected):
            self.rejected.append(data)
            if data.reason == "reduce_only":
                self.entry_after_close = 0.0
        if not isinstance(data, OrderFilled):
            return
        fill = data.fill
        cause = {"liquidation": "liquidation", "delisted": "delisted"}.get(fill.cause)
        reason = cause or self.purposes[fill.client_id]
        self.fills.append(PaperFill(self.bar, reason, fill))
        before, size = self.position, float(fill.size)
        after = before + (size if fill.side is Side.BUY else -size)
        self.entry = float(fill.price) if after != 0.0 else 0.0
        self.state = on_fill(self.state, self.params, self.bar, before, after, self.entry)
        self.position = after
        if after != 0.0:
            self.protect()
            return
        for kind, (client_id, _) in tuple(self.resting.items()):
            if client_id != fill.client_id and cause is None:
                self.gateway.cancel(self.account, self.name, client_id)
            del self.resting[kind]
        wanted, self.entry_after_close = self.entry_after_close, 0.0
        if wanted and reason not in ("stop", "target") and cause is None:
            self.send("entry", wanted, OrderKind.MARKET)
