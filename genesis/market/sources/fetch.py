"""Fetching a dataset: every page goes to the store as it comes, so a broken fetch resumes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from genesis.domain.clock import Clock
from genesis.domain.errors import InputError
from genesis.domain.timeline import DAY_MS, format_ts, interval_ms
from genesis.market.bars import Bars, FundingRates
from genesis.market.dataset_spec import DatasetSpec
from genesis.market.recipes import demo_seed
from genesis.market.sources.network import Sleep
from genesis.market.store import BarStore

_WEEK_MS = 7 * DAY_MS

OnPage = Callable[[str, str, int], None]


def _silent(symbol: str, kind: str, rows: int) -> None:
    """Report no progress."""


class MarketSource(Protocol):
    """An exchange that candles and funding are read from."""

    venue: str

    def require(self, symbol: str) -> None:
        """Refuse a symbol that is not listed."""
        ...

    def earliest_ms(self, interval: str) -> int:
        """Where a fetch without a start begins."""
        ...

    def candles(self, symbol: str, interval: str, start_ms: int, end_ms: int) -> Iterator[Bars]:
        """Closed candles of a span, page by page."""
        ...

    def funding(self, symbol: str, start_ms: int, end_ms: int) -> Iterator[FundingRates]:
        """Settled rates of a span, page by page."""
        ...


@dataclass(frozen=True, slots=True)
class FetchResult:
    """What a symbol's fetch brought.

    Attributes
    ----------
    symbol : str
    bars, funding : int
        Rows that were new.
    first_ms, last_ms : int or None
        Span of the bars in the store now.
    note : str
        What the venue could not serve, for people.
    """

    symbol: str
    bars: int
    funding: int
    first_ms: int | None
    last_ms: int | None
    note: str = ""


def source_for(venue: str, clock: Clock, sleep: Sleep, base_url: str | None = None) -> MarketSource:
    """Choose the source of a venue: Hyperliquid's own SDK, ccxt for every other.

    Raises
    ------
    InputError
        If the venue cannot be fetched from.
    """
    if venue == "synth":
        raise InputError(
            "venue 'synth' is no exchange", fix="make synthetic bars with genesis data synth"
        )
    seed = demo_seed(venue)
    if seed is not None:
        raise InputError(
            f"venue '{venue}' is no exchange", fix=f"make its bars with genesis demo --seed {seed}"
        )
    if venue == "hyperliquid":
        from genesis.market.sources.hyperliquid import HyperliquidSource

        return HyperliquidSource(clock, sleep, base_url)
    from genesis.market.sources.ccxt import CcxtSource

    return CcxtSource(venue, clock, sleep, base_url)


def fetch(
    store: BarStore,
    source: MarketSource,
    spec: DatasetSpec,
    clock: Clock,
    *,
    funding: bool = True,
    replace: bool = False,
    on_page: OnPage = _silent,
) -> list[FetchResult]:
    """Fetch a dataset's bars and funding into the store.

    Without a start, a stored series is continued from its last row, and a new one begins where
    the source does. Each page is stored at once: what a failing network left is kept.

    Parameters
    ----------
    store : BarStore
    source : MarketSource
    spec : DatasetSpec
    clock : Clock
    funding : bool
        Whether to read funding too.
    replace : bool
        Whether a fetched row counts that differs from the stored one.
    on_page : callable
        ``on_page(symbol, "bars" or "funding", rows so far)``.

    Raises
    ------
    DataError
        If a symbol is not listed (before anything is fetched), or rows conflict.
    InfrastructureError
        If the source cannot be reached.
    """
    for symbol in spec.symbols:
        source.require(symbol)
    return [
        _fetch_symbol(store, source, spec, symbol, clock, funding, replace, on_page)
        for symbol in spec.symbols
    ]


def _fetch_symbol(
    store: BarStore,
    source: MarketSource,
    spec: DatasetSpec,
    symbol: str,
    clock: Clock,
    funding: bool,
    replace: bool,
    on_page: OnPage,
) -> FetchResult:
    end = clock.now_ms() if spec.end_ms is None else spec.end_ms
    held = store.read_bars(spec.venue, symbol, spec.interval)
    earliest = source.earliest_ms(spec.interval)
    start = spec.start_ms
    if start is None:
        start = int(held.ts_ms[-1]) if held is not None else earliest
    seen = bars = rates = 0
    for page in source.candles(symbol, spec.interval, start, end):
        if len(page):
            bars += store.write_bars(spec.venue, symbol, spec.interval, page, replace=replace).added
        seen += len(page)
        on_page(symbol, "bars", seen)
    now_held = store.read_bars(spec.venue, symbol, spec.interval)
    if funding:
        rates = _fetch_funding(store, source, spec, symbol, end, replace, on_page)
    first = int(now_held.ts_ms[0]) if now_held is not None else None
    last = int(now_held.ts_ms[-1]) if now_held is not None else None
    note = ""
    if first is None:
        note = "the venue has no closed bar in that span"
    elif spec.start_ms is not None and first >= spec.start_ms + interval_ms(spec.interval):
        note = "the venue serves nothing earlier"
    elif spec.start_ms is None and held is not None and now_held is not None:
        note = _hole_after(int(held.ts_ms[-1]), now_held, interval_ms(spec.interval))
    return FetchResult(symbol, bars, rates, first, last, note)


def _hole_after(stamp: int, bars: Bars, length: int) -> str:
    """Say so if a continued series does not go on with the bar after the last one it had."""
    later = bars.ts_ms[bars.ts_ms > stamp]
    if not later.size or int(later[0]) == stamp + length:
        return ""
    span = f"{format_ts(stamp + length)} to {format_ts(int(later[0]) - length)}"
    return f"bars are missing that the venue no longer serves: {span}"


def _fetch_funding(
    store: BarStore,
    source: MarketSource,
    spec: DatasetSpec,
    symbol: str,
    end: int,
    replace: bool,
    on_page: OnPage,
) -> int:
    """Read funding over the stored bars, continuing a stored series from its first hole."""
    bars = store.read_bars(spec.venue, symbol, spec.interval)
    if bars is None:
        return 0
    # A week before the first bar, so that the rate is known from the first bar on.
    start = (spec.start_ms or int(bars.ts_ms[0])) - _WEEK_MS
    held = store.read_funding(spec.venue, symbol)
    if held is not None and int(held.ts_ms[0]) <= start + _WEEK_MS:
        # An earlier span whose fetch broke off leaves a hole before the rows that were there.
        holes = np.flatnonzero((np.diff(held.ts_ms) > DAY_MS) & (held.ts_ms[1:] > start))
        start = max(start, int(held.ts_ms[holes[0] if holes.size else -1]))
    added = seen = 0
    for page in source.funding(symbol, max(start, 0), end):
        added += store.write_funding(spec.venue, symbol, page, replace=replace).added
        seen += len(page)
        on_page(symbol, "funding", seen)
    return added
