"""From a dataset's name to its panel: one regular timeline, nothing filled, nothing from later."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genesis.domain.canonical import array_hash, content_hash
from genesis.domain.errors import DataError, did_you_mean
from genesis.domain.instrument import Instrument, base_asset
from genesis.domain.timeline import format_ts, interval_ms
from genesis.market import funding as funding_timeline
from genesis.market import sentiment as sentiment_timeline
from genesis.market.bars import Bars, FundingRates, SentimentIndex
from genesis.market.dataset_spec import DatasetSpec, parse
from genesis.market.panel import ARRAYS, Panel, SymbolSeries
from genesis.market.recipes import recipes
from genesis.market.store import BarStore

__all__ = [
    "DatasetSpec",
    "SymbolData",
    "build",
    "default_instrument",
    "load",
    "parse",
    "require_stored",
    "split_sealed",
    "stored_bars",
]

DEFAULT_SENTIMENT = "fear_greed"

# Half of the initial margin at the asset's largest leverage on Hyperliquid (40x BTC, 25x ETH,
# 20x SOL and XRP, 10x for most others), used for every venue that declares nothing.
_MAINTENANCE = {"BTC": 0.0125, "ETH": 0.02, "SOL": 0.025, "XRP": 0.025}
_MAINTENANCE_OTHERS = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class SymbolData:
    """Rows of one symbol before they are laid on a timeline.

    Attributes
    ----------
    instrument : Instrument
    bars : Bars
        Sorted, unique, on the grid.
    funding : FundingRates or None
        None: no funding at all (zero due, field unknown).
    """

    instrument: Instrument
    bars: Bars
    funding: FundingRates | None


def default_instrument(symbol: str) -> Instrument:
    """Continuous instrument for data without metadata, with a maintenance margin by base asset."""
    base = base_asset(symbol)
    return Instrument(symbol, base, maintenance_margin=_MAINTENANCE.get(base, _MAINTENANCE_OTHERS))


def load(
    store: BarStore, spec: DatasetSpec, instruments: Mapping[str, Instrument] | None = None
) -> Panel:
    """Read a dataset as a panel.

    Parameters
    ----------
    store : BarStore
    spec : DatasetSpec
    instruments : mapping of symbol to Instrument, optional
        Trading rules where they are known; others are continuous. Given rules enter the hash.

    Raises
    ------
    DataError
        If a series is missing (with the lines that make it), a symbol is unknown, no bar lies in
        the span, or a symbol has no funding and the spec has no rule for that.
    StorageError
        If a stored file is damaged.
    """
    bars = stored_bars(store, spec)
    rates = _funding(store, spec, bars)
    given = instruments or {}
    members = [
        SymbolData(given.get(symbol) or default_instrument(symbol), bars[symbol], rates[symbol])
        for symbol in spec.symbols
    ]
    return build(spec, members, _sentiment(store, spec), declared=tuple(given))


def stored_bars(store: BarStore, spec: DatasetSpec) -> dict[str, Bars]:
    """Bars of each symbol of a dataset, in its span.

    Raises
    ------
    DataError
        If a symbol has none at all, or none in the span.
    """
    return {symbol: _in_span(store, spec, symbol) for symbol in require_stored(store, spec)}


def build(
    spec: DatasetSpec,
    members: list[SymbolData],
    sentiment: SentimentIndex | None = None,
    declared: tuple[str, ...] = (),
) -> Panel:
    """Lay symbols on one regular timeline, from the first bar of any to the last bar of any.

    Parameters
    ----------
    spec : DatasetSpec
        Names the result.
    members : list of SymbolData
        In the spec's order.
    sentiment : SentimentIndex, optional
    declared : tuple of str
        Symbols whose instrument was given as metadata and therefore enters the hash.
    """
    length = interval_ms(spec.interval)
    first = min(int(member.bars.ts_ms[0]) for member in members)
    last = max(int(member.bars.ts_ms[-1]) for member in members)
    ts_ms = np.arange(first, last + length, length, dtype=np.int64)
    mood = (
        np.full(ts_ms.size, np.nan)
        if sentiment is None
        else sentiment_timeline.align(sentiment, ts_ms, length)
    )
    symbols = tuple(_lay(member, ts_ms, length, mood) for member in members)
    digest = _dataset_hash(spec, ts_ms, symbols, declared)
    return Panel(spec.text, spec.venue, length, ts_ms, symbols, digest)


def split_sealed(panel: Panel, fraction: float) -> tuple[Panel, int]:
    """Cut off the sealed tail, which the search never receives.

    Parameters
    ----------
    panel : Panel
    fraction : float
        Share of the timeline that is sealed, in [0, 1).

    Returns
    -------
    search : Panel
        The first ``floor((1 - fraction) T)`` bars, as views.
    start : int
        Place of the first sealed bar.

    Raises
    ------
    DataError
        If the fraction is out of range or leaves no bar to search on.
    """
    if not 0.0 <= fraction < 1.0:
        raise DataError(
            f"sealed share {fraction} is out of range", fix="use a value from 0 to below 1, 0.2"
        )
    # 1e-9: the share 0.2 of 10 bars must be 2, though 10 * (1 - 0.2) may round below 8
    start = math.floor(panel.bars * (1.0 - fraction) + 1e-9)
    if start < 1:
        raise DataError(
            f"a sealed share of {fraction} leaves nothing of {panel.bars} bars to search on",
            fix="seal less, or use a longer span",
        )
    return panel.sliced(0, start), start


def _lay(
    member: SymbolData, ts_ms: npt.NDArray[np.int64], length: int, mood: npt.NDArray[np.float64]
) -> SymbolSeries:
    bars = member.bars
    places = (bars.ts_ms - ts_ms[0]) // length
    valid = np.zeros(ts_ms.size, dtype=bool)
    valid[places] = True

    def spread(column: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        out = np.full(ts_ms.size, np.nan)
        out[places] = column
        return out

    if member.funding is None or not len(member.funding):
        due, known = np.zeros(ts_ms.size), np.full(ts_ms.size, np.nan)
    else:
        due, known = funding_timeline.align(member.funding, ts_ms, length)
    return SymbolSeries(
        instrument=member.instrument,
        open=spread(bars.open),
        high=spread(bars.high),
        low=spread(bars.low),
        close=spread(bars.close),
        volume=spread(bars.volume),
        valid=valid,
        first=int(places[0]),
        last=int(places[-1]),
        funding_due=due,
        funding=known,
        sentiment=mood,
        has_funding=member.funding is not None,
    )


def _dataset_hash(
    spec: DatasetSpec,
    ts_ms: npt.NDArray[np.int64],
    symbols: tuple[SymbolSeries, ...],
    declared: tuple[str, ...],
) -> str:
    rules = {
        s.symbol: [s.instrument.tick, s.instrument.lot, s.instrument.min_notional,
                   s.instrument.maintenance_margin]
        for s in symbols if s.symbol in declared
    }  # fmt: skip
    columns = {s.symbol: array_hash(*(getattr(s, name) for name in ARRAYS)) for s in symbols}
    return content_hash(
        {
            "venue": spec.venue,
            "symbols": list(spec.symbols),
            "interval": spec.interval,
            "timestamps": array_hash(ts_ms),
            "columns": columns,
            "instruments": rules,
        }
    )


def require_stored(store: BarStore, spec: DatasetSpec) -> tuple[str, ...]:
    """Symbols of a dataset, all of which have bars in the store.

    Raises
    ------
    DataError
        If one has none, with the command lines that bring them in.
    """
    known = store.symbols(spec.venue)
    missing = [s for s in spec.symbols if spec.interval not in store.intervals(spec.venue, s)]
    if not missing:
        return spec.symbols
    if not known:
        hint = did_you_mean(spec.venue, store.venues())
        what = f"the store has no bars of venue '{spec.venue}'{hint}"
    elif missing[0] not in known:
        hint = did_you_mean(missing[0], known)
        what = f"the store has no symbol '{missing[0]}' of {spec.venue}{hint}"
    else:
        held = ", ".join(store.intervals(spec.venue, missing[0]))
        what = f"the store has {missing[0]} of {spec.venue} at {held}, not at {spec.interval}"
    raise DataError(
        what,
        why=f"dataset {spec.text} needs {', '.join(missing)}",
        fix="make it with one of\n"
        + "\n".join(f"  {line}" for line in recipes(store, spec, missing)),
    )


def _in_span(store: BarStore, spec: DatasetSpec, symbol: str) -> Bars:
    bars = store.read_bars(spec.venue, symbol, spec.interval)
    assert bars is not None
    low = 0 if spec.start_ms is None else int(np.searchsorted(bars.ts_ms, spec.start_ms, "left"))
    high = (
        len(bars) if spec.end_ms is None else int(np.searchsorted(bars.ts_ms, spec.end_ms, "right"))
    )
    if low >= high:
        raise DataError(
            f"{symbol} of {spec.venue} has no {spec.interval} bar in the span of {spec.text}",
            why=f"its bars go from {format_ts(int(bars.ts_ms[0]))} "
            f"to {format_ts(int(bars.ts_ms[-1]))}",
            fix="choose a span inside that, leave the symbol out, or fetch more bars",
        )
    return bars.take(slice(low, high))


def _funding(
    store: BarStore, spec: DatasetSpec, bars: Mapping[str, Bars]
) -> dict[str, FundingRates | None]:
    rates = {symbol: store.read_funding(spec.venue, symbol) for symbol in spec.symbols}
    without = [symbol for symbol, own in rates.items() if own is None]
    rule = spec.fallback
    if not without or rule.kind == "none":
        return rates
    if rule.kind == "required":
        raise DataError(
            f"{len(without)} of {len(spec.symbols)} symbols have no funding series: "
            f"{', '.join(without)}",
            why="a backtest without funding flatters; what stands in for it must be said",
            fix="set the dataset's funding (--funding) to none, constant:0.0001 or proxy:SYMBOL, "
            "or import the series",
        )
    if rule.kind == "proxy":
        stand_in = store.read_funding(spec.venue, rule.symbol)
        if stand_in is None:
            raise DataError(
                f"the funding proxy {rule.symbol} of {spec.venue} has no funding series",
                fix="name a symbol whose funding is in the store (genesis data list), or import it",
            )
        return {symbol: stand_in if own is None else own for symbol, own in rates.items()}
    first = min(int(b.ts_ms[0]) for b in bars.values())
    last = max(int(b.ts_ms[-1]) for b in bars.values())
    fixed = funding_timeline.constant_rates(rule.rate, first, last)
    return {symbol: fixed if own is None else own for symbol, own in rates.items()}


def _sentiment(store: BarStore, spec: DatasetSpec) -> SentimentIndex | None:
    if spec.sentiment is False:
        return None
    if spec.sentiment is True:
        return store.read_sentiment(DEFAULT_SENTIMENT)
    index = store.read_sentiment(spec.sentiment)
    if index is None:
        raise DataError(
            f"the store has no sentiment index '{spec.sentiment}'",
            fix=f"genesis data import FILE.csv --sentiment {spec.sentiment}",
        )
    return index
