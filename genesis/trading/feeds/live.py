"""Live market data on its way to the bus: checked, built into bars, checked again, published."""

from __future__ import annotations

from genesis.domain.clock import Clock
from genesis.trading.events import Event
from genesis.trading.feeds.builder import BarBuilder
from genesis.trading.gateway import Sink
from genesis.trading.intake import Intake
from genesis.trading.payloads import Quote


class LiveMarket:
    """Where the adapter of an exchange puts its trades and candles; used by one thread.

    Parameters
    ----------
    clock : Clock
    intake : Intake
    builder : BarBuilder
        Of the same grid as the intake.
    sink : callable
        Takes the events; may block while the bus is full.
    quotes : bool
        Whether trades are published as quotes too, for stops inside a bar.
    """

    def __init__(
        self, clock: Clock, intake: Intake, builder: BarBuilder, sink: Sink, *, quotes: bool = True
    ) -> None:
        self._clock = clock
        self._intake = intake
        self._builder = builder
        self._sink = sink
        self._quotes = quotes
        self._quoted: dict[str, int] = {}
        self._now_ms = 0

    def trade(self, symbol: str, ts_ms: int, price: float, size: float) -> None:
        """Take in a trade, by the exchange's time."""
        now = self.advance()
        refused = self._intake.trade(symbol, ts_ms, price, size)
        if refused:
            self._send(refused)
            return
        self._publish(self._builder.trade(symbol, ts_ms, price, size, now))
        if self._quotes and ts_ms >= self._quoted.get(symbol, ts_ms):
            # a late trade belongs to its bar, but is no price of this moment
            self._quoted[symbol] = ts_ms
            self._publish([Event(Quote(symbol, price, price, price), ts_ms, symbol)])

    def candle(
        self,
        symbol: str,
        open_ms: int,
        values: tuple[float, float, float, float, float],
        *,
        final: bool = False,
    ) -> None:
        """Take in a bar as the exchange sees it now: open, high, low, close, volume."""
        now = self.advance()
        refused = self._intake.candle(symbol, open_ms, values, now)
        if refused:
            self._send(refused)
            return
        self._publish(self._builder.candle(symbol, open_ms, values, now, final=final))

    def advance(self) -> int:
        """Let time pass, to be called at least once a second; returns the time."""
        now = self._time()
        # what is over is published before later prices move the level that it is checked against
        self._publish(self._builder.advance(now))
        self._send(self._intake.watch(now))
        return now

    def _time(self) -> int:
        """Time that does not go back; that the clock did is told."""
        now = self._clock.now_ms()
        self._send(self._intake.clock(now))
        self._now_ms = max(self._now_ms, now)
        return self._now_ms

    def _publish(self, events: list[Event]) -> None:
        for event in events:
            self._send(self._intake.check(event))

    def _send(self, events: list[Event]) -> None:
        for event in events:
            self._sink(event)
