"""Accounts: balances, positions, settings and what happened to them."""

from __future__ import annotations

from typing import Any

import msgspec

from genesis.exchange.venue.meta import Instrument
from genesis.exchange.venue.orders import Order
from genesis.exchange.venue.units import MICRO, ratio

# Entry cost is kept finer than money, so that many partial closes do not add up to a cent's
# millionth.
COST = 10**6
FILLS_KEPT = 10_000
HISTORY_KEPT = 2_000
_DEFAULT_LEVERAGE = 20


class Position(msgspec.Struct):
    """A perpetual position.

    Attributes
    ----------
    size : int
        Signed, on the market's grid.
    cost : int
        Signed entry value in steps of ``1e-8 / COST`` USD.
    margin : int
        Money set aside for an isolated position (its raw dollars); 0 for a cross one.
    funding_ever, funding_open, funding_change : int
        Funding paid: ever on this coin, since the position was opened, since its size changed.
    """

    size: int = 0
    cost: int = 0
    margin: int = 0
    funding_ever: int = 0
    funding_open: int = 0
    funding_change: int = 0

    def apply(self, delta: int, px: int) -> int:
        """Change the size at a price; return the realised profit in money, whole millionths."""
        profit = 0
        if self.size and (self.size > 0) != (delta > 0):
            closing = min(abs(delta), abs(self.size))
            share = ratio(self.cost * closing, abs(self.size))
            signed = closing if self.size > 0 else -closing
            profit = ratio(signed * px * COST - share, COST * MICRO) * MICRO
            self.cost -= share
            self.size -= signed
            delta += signed
            if not self.size:
                self.cost = self.funding_open = 0
        if delta:
            self.size += delta
            self.cost += delta * px * COST
        self.funding_change = 0
        return profit

    def unrealised(self, mark: int) -> int:
        """Profit at a mark price, in money."""
        return ratio(self.size * mark * COST - self.cost, COST)


class Fill(msgspec.Struct, frozen=True):
    """One side of a trade, as it was for its account."""

    tid: int
    oid: int
    asset: int
    buy: bool
    px: int
    sz: int
    ts_ms: int
    start: int
    direction: str
    profit: int
    fee: int
    fee_token: str
    crossed: bool
    hash: str
    cloid: str | None = None
    builder_fee: int = 0
    liquidated: str = ""
    mark: int = 0
    method: str = ""
    twap: int = 0


class ApiWallet(msgspec.Struct):
    """A key that may sign the trading actions of an account."""

    address: str
    name: str
    valid_until: int


class Twap(msgspec.Struct, kw_only=True):
    """An order executed in slices."""

    number: int
    user: str
    asset: int
    buy: bool
    size: int
    reduce_only: bool
    minutes: int
    randomize: bool
    started_ms: int
    slices: int
    done: int = 0
    executed: int = 0
    value: int = 0
    status: str = "activated"
    ended_ms: int = 0
    error: str = ""


class Account(msgspec.Struct, kw_only=True):
    """Everything about one address. Money in steps of 1e-8 USD.

    ``raw`` is the cash of the cross account: it takes the full value of trades, so that the
    account value is ``raw`` plus the signed value of the cross positions, whatever their entry.
    ``spot`` holds tokens by index in steps of 1e-8. ``guards`` are the reduce-only orders of each
    market, oldest first.
    """

    address: str
    raw: int = 0
    spot: dict[int, int] = {}
    spot_cost: dict[int, int] = {}
    positions: dict[int, Position] = {}
    leverage: dict[int, tuple[bool, int]] = {}
    orders: dict[int, Order] = {}
    guards: dict[int, list[int]] = {}
    past: dict[int, Order] = {}
    cloids: dict[str, int] = {}
    fills: list[Fill] = []
    funding: list[dict[str, Any]] = []
    ledger: list[dict[str, Any]] = []
    volume: int = 0
    daily: dict[int, tuple[int, int]] = {}
    wallets: list[ApiWallet] = []
    builders: dict[str, int] = {}
    twaps: list[Twap] = []
    cancel_at: int = 0
    cancels_fired: dict[int, int] = {}
    cooldown_until: int = 0
    liquidated_ms: int = 0
    referrer: str = ""
    abstraction: str = "default"
    master: str = ""
    label: str = ""
    # The venue's own traders have credit and no history.
    house: bool = False

    @property
    def unified(self) -> bool:
        """Whether spot dollars are margin: the account has one balance of them."""
        return self.abstraction in ("unifiedAccount", "portfolioMargin")

    @property
    def dollars(self) -> int:
        """Cash of the cross account; in a unified one spot dollars are part of it."""
        return self.raw + self.spot.get(0, 0) if self.unified else self.raw

    def lever(self, market: Instrument) -> tuple[bool, int]:
        """Return the margin mode of a market (whether cross) and its leverage."""
        found = self.leverage.get(market.asset)
        if found is not None:
            return found
        return not market.only_isolated, min(_DEFAULT_LEVERAGE, market.max_leverage)

    def size(self, asset: int) -> int:
        """Signed size of the position in a market."""
        position = self.positions.get(asset)
        return position.size if position is not None else 0

    def retire(self, order: Order) -> None:
        """Move an order to the history, and forget the oldest where there are too many."""
        self.orders.pop(order.oid, None)
        if order.reduce_only:
            guards = self.guards.get(order.asset, [])
            if order.oid in guards:
                guards.remove(order.oid)
        if self.house:
            return
        self.past[order.oid] = order
        if len(self.past) > HISTORY_KEPT:
            oldest = self.past.pop(next(iter(self.past)))
            if oldest.cloid is not None and self.cloids.get(oldest.cloid) == oldest.oid:
                del self.cloids[oldest.cloid]
