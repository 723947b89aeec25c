"""What a market did before a run began: stored candles as the events of final bars."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from math import nan

from genesis.domain.errors import InfrastructureError
from genesis.domain.instrument import Instrument
from genesis.domain.timeline import interval_ms
from genesis.exchange.hyperliquid.gateway import HyperliquidGateway
from genesis.exchange.hyperliquid.rules import MarketRule
from genesis.exchange.hyperliquid.shapes import UNREADABLE, candle
from genesis.trading.events import Event
from genesis.trading.payloads import BarClosed, BarOpened, BarRange, CandlesReady
from genesis.trading.plausible import bar_fault

Candles = dict[int, tuple[float, float, float, float, float]]
"""Open, high, low, close and volume by open time."""


def stored_candles(
    gateway: HyperliquidGateway, symbols: Sequence[str], interval: str, start_ms: int, end_ms: int
) -> dict[str, Candles]:
    """Candles that opened within [start_ms, end_ms); impossible ones are left out; blocks.

    Raises
    ------
    InfrastructureError
        If the exchange does not answer, or not with candles.
    """
    found: dict[str, Candles] = {}
    for symbol in symbols:
        wanted = {
            "coin": symbol,
            "interval": interval,
            "startTime": start_ms,
            "endTime": end_ms - 1,
        }
        rows = gateway.info({"type": "candleSnapshot", "req": wanted})
        try:
            candles = {int(row["t"]): candle(row) for row in rows}
        except UNREADABLE as error:
            raise InfrastructureError(
                f"the candles of {symbol} cannot be read", why=f"{type(error).__name__}: {error}"
            ) from None
        found[symbol] = {
            at: bar
            for at, bar in candles.items()
            if start_ms <= at < end_ms and not bar_fault(*bar)
        }
    return found


def past_bars(
    candles: Mapping[str, Candles], interval: str, start_ms: int, end_ms: int
) -> Iterator[Event]:
    """Events of the bars that opened within [start_ms, end_ms), in the order of replay.

    Funding and sentiment of that time are unknown (NaN).
    """
    length = interval_ms(interval)
    for at in range(start_ms, end_ms, length):
        here = [(name, bars[at]) for name, bars in candles.items() if at in bars]
        for name, bar in here:
            yield Event(BarOpened(name, length, at, bar[0]), at, name)
        end = at + length
        for name, bar in here:
            yield Event(BarRange(name, at, bar[1], bar[2]), end, name)
            yield Event(BarClosed(name, length, at, *bar, nan, nan), end, name)
        if here:
            yield Event(CandlesReady(length, at, tuple(name for name, _ in here)), end)


def instrument_of(rule: MarketRule, price: float, min_notional: Decimal) -> Instrument:
    """Trading rules of a market; the price step is the one that holds around a price."""
    tick = rule.step(Decimal(repr(price))) if price > 0.0 else rule.finest
    return Instrument(
        symbol=rule.coin,
        base=rule.coin,
        tick=float(tick),
        lot=float(rule.lot),
        min_notional=float(min_notional),
        maintenance_margin=0.5 / rule.max_leverage,
    )
