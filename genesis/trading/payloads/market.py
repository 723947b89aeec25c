"""What events say of the market: floats, as feeds tell them."""

from __future__ import annotations

from typing import ClassVar

from genesis.trading.events import EventType, Payload


class Quote(Payload, frozen=True):
    """Prices since the last quote, conflated while they wait: stops see the extremes."""

    type: ClassVar[EventType] = EventType.MARKET_DATA_UPDATED
    symbol: str
    last: float
    low: float
    high: float
    count: int = 1


class BarOpened(Payload, frozen=True):
    """A bar began; its open is the price that waiting market orders meet."""

    type: ClassVar[EventType] = EventType.BAR_OPENED
    symbol: str
    interval_ms: int
    open_ms: int
    open: float


class FundingDue(Payload, frozen=True):
    """Funding of a settled period, a fraction of notional; positive where longs pay."""

    type: ClassVar[EventType] = EventType.FUNDING_DUE
    symbol: str
    rate: float
    mark: float | None = None


class BarRange(Payload, frozen=True):
    """High and low of a bar, the open included."""

    type: ClassVar[EventType] = EventType.BAR_RANGE
    symbol: str
    open_ms: int
    high: float
    low: float


class BarClosed(Payload, frozen=True):
    """A bar is final, with what is known of funding (per 8 hours) and sentiment at its close."""

    type: ClassVar[EventType] = EventType.BAR_CLOSED
    symbol: str
    interval_ms: int
    open_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    funding: float = float("nan")
    sentiment: float = float("nan")


class BarCorrected(Payload, frozen=True):
    """The source changed a final bar; recorded, and decisions stay as they were."""

    type: ClassVar[EventType] = EventType.BAR_CORRECTED
    symbol: str
    open_ms: int
    field: str
    before: float
    after: float


class BarsMissing(Payload, frozen=True):
    """A symbol's bars jumped over some of the grid; they count as unknown."""

    type: ClassVar[EventType] = EventType.BARS_MISSING
    symbol: str
    interval_ms: int
    first_ms: int
    bars: int


class MarketState(Payload, frozen=True):
    """Book and context of a live market, told every few seconds: on record, decides nothing.

    Depths are the sizes of all levels that the exchange shows; ``funding`` is the hourly rate as
    it stands. What is not known is NaN.
    """

    type: ClassVar[EventType] = EventType.MARKET_STATE_UPDATED
    symbol: str
    bid: float
    bid_size: float
    bid_depth: float
    ask: float
    ask_size: float
    ask_depth: float
    mark: float
    oracle: float
    funding: float
    open_interest: float


class SentimentUpdated(Payload, frozen=True):
    """A source told fear and greed, or why it could not.

    ``index`` is 0 to 100, NaN where it is neutral because of ``note``; ``stamp_ms`` is the index's
    own time, 00:00 UTC of its day, -1 where there is none.
    """

    type: ClassVar[EventType] = EventType.SENTIMENT_UPDATED
    index: float
    stamp_ms: int
    source: str
    note: str = ""


class CandlesReady(Payload, frozen=True):
    """Every bar of this open time that will come has come: strategies may decide."""

    type: ClassVar[EventType] = EventType.CANDLE_STREAM_DATA_READY
    interval_ms: int
    open_ms: int
    symbols: tuple[str, ...]


class SymbolEnded(Payload, frozen=True):
    """The symbol has no further bar; positions are settled at its last close."""

    type: ClassVar[EventType] = EventType.SYMBOL_ENDED
    symbol: str
    close: float


class NewsReceived(Payload, frozen=True):
    """A news item; ``symbols`` empty means all."""

    type: ClassVar[EventType] = EventType.NEWS_RECEIVED
    news_id: str
    headline: str
    symbols: tuple[str, ...] = ()
    action: str = ""


class ScheduleDue(Payload, frozen=True):
    """A scheduled instant was reached."""

    type: ClassVar[EventType] = EventType.SCHEDULE_DUE
    schedule_id: str
    name: str
    symbols: tuple[str, ...] = ()
    action: str = ""


class InputQuarantined(Payload, frozen=True):
    """Input that was malformed or impossible: kept as text, acted on by nobody."""

    type: ClassVar[EventType] = EventType.INPUT_QUARANTINED
    source: str
    why: str
    content: str
