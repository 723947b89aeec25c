"""Live market data: candles, trades, best prices, contexts and funding into the loop's bars.

The exchange's candles are the truth; trades only tell the price inside a bar. The stream shows a
candle as it was now and then, and not always its end: each bar is read once more when it is over,
and its successor waits for that. What a broken connection hid is fetched in the same way.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Sequence
from typing import Any

from genesis.domain.errors import DataError, InfrastructureError
from genesis.domain.timeline import HOUR_MS, interval_ms
from genesis.exchange.hyperliquid.delivery import Delivery
from genesis.exchange.hyperliquid.market_state import MarketStates
from genesis.exchange.hyperliquid.settings import StreamSettings
from genesis.exchange.hyperliquid.shapes import UNREADABLE, Json, candle
from genesis.exchange.hyperliquid.stream import Stream
from genesis.exchange.hyperliquid.transport import Transport
from genesis.exchange.hyperliquid.waits import Waits
from genesis.trading.events import Event
from genesis.trading.feeds.builder import BarBuilder, Gap
from genesis.trading.feeds.live import LiveMarket
from genesis.trading.intake import Intake
from genesis.trading.payloads import (
    AlertRaised,
    ConnectionChanged,
    InputQuarantined,
    Quote,
)
from genesis.trading.plausible import IntakeRules

_ADVANCE_S = 0.5
_CONTENT = 2_000
_FUNDING_AFTER_MS = 15_000
"""How long after the hour its funding rate is asked for."""
_SETTLED_MS = 500
"""How long after its end a bar is read once more, if no later one began before."""
_FIRST_RETRY_S, _LONGEST_RETRY_S = 0.5, 15.0
_CANDLES_A_CALL = 5_000


def market_subscriptions(symbols: Sequence[str], interval: str) -> list[dict[str, str]]:
    """What is subscribed to for some coins; middle prices show once a second that it lives."""
    wanted: list[dict[str, str]] = [{"type": "allMids"}]
    for coin in symbols:
        wanted.append({"type": "candle", "coin": coin, "interval": interval})
        wanted += [
            {"type": kind, "coin": coin} for kind in ("trades", "bbo", "l2Book", "activeAssetCtx")
        ]
    return wanted


class MarketFeed:
    """Bars and quotes of some coins; runs on one event loop.

    Parameters
    ----------
    symbols : sequence of str
        Coins by the exchange's names.
    interval : str
        ``1m`` … ``1d``.
    transport : Transport
    waits : Waits
    delivery : Delivery
        Takes the events.
    ws_url : str
    settings : StreamSettings
    random_ : random.Random
    name : str
        Of the source in events.
    grace_ms : int
        How long after its end a bar is waited for.
    rules : IntakeRules, optional
    """

    def __init__(
        self,
        symbols: Sequence[str],
        interval: str,
        transport: Transport,
        waits: Waits,
        delivery: Delivery,
        ws_url: str,
        settings: StreamSettings,
        random_: random.Random,
        *,
        name: str = "hyperliquid:market",
        grace_ms: int = 2_000,
        rules: IntakeRules | None = None,
    ) -> None:
        if not symbols:
            raise DataError("there is no market to follow", fix="name at least one")
        self.interval, self.interval_ms = interval, interval_ms(interval)
        self._symbols = tuple(symbols)
        self._transport = transport
        self._waits = waits
        self._delivery = delivery
        self._name = name
        self.builder = BarBuilder(symbols, self.interval_ms, 0, grace_ms, backfill=self)
        self.intake = Intake(symbols, self.interval_ms, 0, rules, source=name)
        self.live = LiveMarket(waits, self.intake, self.builder, delivery.put, quotes=False)
        wanted = market_subscriptions(symbols, interval)
        self.stream = Stream(
            ws_url, lambda: transport.session, waits, settings, random_, self, list(wanted)
        )
        self.states = MarketStates(waits, delivery.put)
        self._newest: dict[str, int] = {}
        self._final: dict[str, int] = {}
        self._held: dict[str, Json] = {}
        self._asking: set[str] = set()
        self._traded: dict[str, int] = {}
        self._funded: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._down = False
        self.ready = asyncio.Event()
        self.backfilled = 0

    async def run(self) -> None:
        """Follow the markets until it is cancelled."""
        self._spawn(self._tick())
        self._spawn(self._settlements())
        try:
            await self.stream.run()
        finally:
            for task in list(self._tasks):
                task.cancel()

    # ---- the stream ------------------------------------------------------------------------

    def on_frame(self, channel: str, data: Any) -> None:
        """Take in a message; one that cannot be read is kept and acted on by nobody."""
        try:
            if channel == "candle":
                self._candle(data)
            elif channel == "trades":
                for row in data:
                    self._trade(row)
            else:
                self.states.take(channel, data)
        except UNREADABLE as error:
            self.on_malformed(f"{channel}: {data!r}", f"{type(error).__name__}: {error}")

    def on_malformed(self, text: str, why: str) -> None:
        """Keep what cannot be read."""
        self._delivery.tell(InputQuarantined(self._name, why, text[:_CONTENT]), self._name)

    def on_refused(self, text: str) -> None:
        """The exchange refuses a subscription."""
        data = AlertRaised("critical", self._name, "a subscription was refused", text)
        self._delivery.tell(data, self._name)

    def full(self) -> bool:
        """Whether reading should wait."""
        return self._delivery.full

    async def on_up(self) -> None:
        """Every subscription stands: fetch what happened meanwhile."""
        for symbol in self._symbols:
            await self._catch_up(symbol)
        if self._down:
            self._down = False
            self._delivery.tell(ConnectionChanged(self._name, True, "back-filled"), self._name)
        self.ready.set()

    def on_down(self, why: str) -> None:
        """The stream is lost: prices are old from now on."""
        if not self._down:
            self._down = True
            self._delivery.tell(ConnectionChanged(self._name, False, why), self._name)

    # ---- messages --------------------------------------------------------------------------

    def _candle(self, row: Json) -> None:
        """Take in a candle; one that begins waits until the one before was read to its end."""
        if row["i"] != self.interval:
            return
        symbol, open_ms = str(row["s"]), int(row["t"])
        before = open_ms - self.interval_ms
        if self._newest.get(symbol, open_ms) <= before and self._final.get(symbol, 0) < before:
            self._held[symbol] = row
            self._confirm(symbol, before)
            return
        self._pass(symbol, row)

    def _pass(self, symbol: str, row: Json, *, final: bool = False) -> None:
        open_ms = int(row["t"])
        values = candle(row)
        self._newest[symbol] = max(self._newest.get(symbol, open_ms), open_ms)
        self.live.candle(symbol, open_ms, values, final=final)

    def _confirm(self, symbol: str, open_ms: int) -> None:
        if symbol not in self._asking:
            self._asking.add(symbol)
            start = min(self._newest.get(symbol, open_ms), open_ms)
            self._spawn(self._fetch(symbol, start, self._waits.now_ms()))

    def _trade(self, row: Json) -> None:
        """A trade is a price of this moment; those of a snapshot are from before."""
        symbol, at = str(row["coin"]), int(row["time"])
        price = float(row["px"])
        if at < self._traded.get(symbol, self._waits.now_ms() - self.interval_ms):
            return
        self._traded[symbol] = at
        for event in self.intake.check(Event(Quote(symbol, price, price, price), at, symbol)):
            self._delivery.put(event)

    # ---- what is missing -------------------------------------------------------------------

    def missing(self, gap: Gap) -> None:
        """Hear from the builder that bars did not come; they are fetched."""
        until = gap.first_ms + gap.bars * self.interval_ms - 1
        self._spawn(self._fetch(gap.symbol, gap.first_ms, until))

    async def _catch_up(self, symbol: str) -> None:
        now = self._waits.now_ms()
        last = self._newest.get(symbol, now - self.interval_ms)
        await self._fetch(symbol, self.builder.slot(last), now)

    async def _fetch(self, symbol: str, start_ms: int, end_ms: int) -> None:
        """Fetch candles and build them in; tries until it succeeds."""
        wait = _FIRST_RETRY_S
        while True:
            try:
                await self._fetch_once(symbol, start_ms, end_ms)
                return
            except (InfrastructureError, *UNREADABLE) as error:
                title = f"candles of {symbol} are missing"
                data = AlertRaised("warning", self._name, title, str(error))
                self._delivery.tell(data, self._name)
            finally:
                self._asking.discard(symbol)
                self._release(symbol)  # better a bar that is corrected later than none
            await self._waits.sleep(wait)
            wait = min(2.0 * wait, _LONGEST_RETRY_S)

    async def _fetch_once(self, symbol: str, start_ms: int, end_ms: int) -> None:
        oldest = end_ms - _CANDLES_A_CALL * self.interval_ms
        wanted = {
            "coin": symbol,
            "interval": self.interval,
            "startTime": max(start_ms, oldest),
            "endTime": end_ms,
        }
        rows = await self._transport.info({"type": "candleSnapshot", "req": wanted})
        for row in sorted(rows, key=lambda row: int(row["t"])):
            over = int(row["t"]) + self.interval_ms <= end_ms
            self._pass(symbol, row, final=over)
            if over:
                self._final[symbol] = max(self._final.get(symbol, 0), int(row["t"]))
        # A bar without a trade has no candle: it was asked for all the same.
        ended = self.builder.slot(end_ms) - self.interval_ms
        self._final[symbol] = max(self._final.get(symbol, 0), ended)
        self.backfilled += len(rows)

    def _release(self, symbol: str) -> None:
        held = self._held.pop(symbol, None)
        if held is not None:
            self._pass(symbol, held)

    # ---- time ------------------------------------------------------------------------------

    async def _tick(self) -> None:
        while True:
            await self._waits.sleep(_ADVANCE_S)
            before = self.builder.slot(self._waits.now_ms() - _SETTLED_MS) - self.interval_ms
            for symbol in self._symbols if self.stream.up else ():
                if self._final.get(symbol, before) < before:
                    self._confirm(symbol, before)
            self.live.advance()

    async def _settlements(self) -> None:
        """Learn each hour's settled funding rate soon after the hour."""
        while True:
            await self._waits.sleep(_ADVANCE_S)
            hour = (self._waits.now_ms() - _FUNDING_AFTER_MS) // HOUR_MS * HOUR_MS
            for symbol in self._symbols:
                if self._funded.get(symbol, 0) < hour:
                    await self._settle(symbol, hour)

    async def _settle(self, symbol: str, hour: int) -> None:
        start = self._funded.get(symbol, hour - 2 * HOUR_MS) + 1
        asked = {"type": "fundingHistory", "coin": symbol, "startTime": start}
        try:
            rows = await self._transport.info(asked)
            for row in rows:
                # Stamps are some milliseconds after the hour that they settle.
                at = int(row["time"]) // HOUR_MS * HOUR_MS
                if at > self._funded.get(symbol, 0):
                    context = self.states.contexts.get(symbol)
                    mark = context.oracle if context is not None else None
                    self.builder.settled(symbol, float(row["fundingRate"]), at, HOUR_MS, mark)
                    self._funded[symbol] = at
        except InfrastructureError:
            await self._waits.sleep(_LONGEST_RETRY_S)
            return  # it is asked again
        except UNREADABLE as error:
            self.on_malformed(f"fundingHistory of {symbol}", f"{type(error).__name__}: {error}")
        self._funded[symbol] = max(self._funded.get(symbol, 0), hour)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
