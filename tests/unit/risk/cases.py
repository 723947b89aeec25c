"""Markets, accounts and orders for the tests of the risk manager."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np

from genesis.domain.timeline import HOUR_MS
from genesis.risk.book import Exposure
from genesis.risk.limits import OrderFacts, RiskView
from genesis.risk.regime import MarketState
from genesis.risk.state import RiskState

# A Wednesday, 12:00 UTC.
NOW = 1_735_732_800_000
BARS = 300
CAPITAL = 100_000.0


def returns_of(
    *, deviation: float = 0.004, strength: float = 0.0, calm: bool = True, seed: int = 1
) -> list[float]:
    """Hourly log returns whose last 168 have a stated trend, in a calm or in a wild end."""
    rng = np.random.default_rng(seed)
    noise = rng.standard_normal(BARS - 1)
    scale = np.full(BARS - 1, deviation)
    scale[:-60] *= 2.0 if calm else 0.5
    out = noise * scale
    last = out[-168:]
    sd = last.std(ddof=1)
    out[-168:] += strength * sd / math.sqrt(168) - last.mean()
    return [float(one) for one in out]


def add_symbol(
    market: MarketState,
    symbol: str,
    returns: Sequence[float],
    *,
    price: float = 100.0,
    volume: float = 1e6,
    now: int = NOW,
) -> None:
    """Feed bars whose last one closes at `now` at a price."""
    closes = price * np.exp(np.cumsum([0.0, *returns]))
    closes *= price / closes[-1]
    first = now - len(closes) * HOUR_MS
    for place, close in enumerate(closes.tolist()):
        assert market.on_bar(symbol, first + place * HOUR_MS, close, volume)


def market_of(symbols: Sequence[str] = ("BTC", "ETH", "SOL"), **options: Any) -> MarketState:
    """A market of independent symbols that all look alike."""
    market = MarketState(HOUR_MS)
    for place, symbol in enumerate(symbols):
        add_symbol(market, symbol, returns_of(seed=place + 1, **options))
    return market


def account(equity: float = CAPITAL, now: int = NOW) -> RiskState:
    """An account that has only ever had one equity."""
    state = RiskState()
    state.on_mark(now - HOUR_MS, equity)
    state.on_mark(now, equity)
    return state


def exposure(symbol: str, position: float = 0, buying: float = 0, selling: float = 0) -> Exposure:
    """Units at a price of 100."""
    return Exposure(symbol, Decimal(position), Decimal(buying), Decimal(selling), Decimal(100))


def view_of(*exposures: Exposure, symbol: str = "BTC", **changes: Any) -> RiskView:
    """A consistent snapshot of an account with 100,000 of capital."""
    own = next((one for one in exposures if one.symbol == symbol), exposure(symbol))
    gross = sum((abs(e.position) + max(e.buying, e.selling)) * e.price for e in exposures)
    values: dict[str, Any] = {
        "capital": Decimal(100_000),
        "position": own.position,
        "buying": own.buying,
        "selling": own.selling,
        "gross": Decimal(gross),
        "account_capital": Decimal(100_000),
        "daily_pnl": Decimal(0),
        "recent_orders": 0,
        "exposures": exposures,
    }
    return RiskView(**(values | changes))


def order_of(size: float = 10, symbol: str = "BTC", **changes: Any) -> OrderFacts:
    """A market order at a price of 100."""
    values: dict[str, Any] = {
        "account": "main",
        "symbol": symbol,
        "size": Decimal(size),
        "price": Decimal(100),
        "reference": Decimal(100),
        "reduce_only": False,
        "ts_ms": NOW,
    }
    return OrderFacts(**(values | changes))
