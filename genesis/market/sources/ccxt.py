"""Candles and funding of other exchanges through ccxt, an optional extra."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from genesis.domain.clock import Clock
from genesis.domain.errors import DataError, InfrastructureError, InputError, did_you_mean
from genesis.domain.timeline import DAY_MS, interval_ms
from genesis.market.bars import Bars, FundingRates
from genesis.market.funding import whole_hours
from genesis.market.sources.network import Retries, Sleep

# Our venue names that are no ccxt exchange id.
EXCHANGES = {
    "binance_perp": "binanceusdm",
    "binance_spot": "binance",
    "bybit_perp": "bybit",
    "bybit_spot": "bybit",
    "coinbase_spot": "coinbase",
}
_PAGE_BARS = 1_000
# What an empty page surely covered: exchanges cut the 1,000 bars asked for to as few as these.
_LEAST_BARS = 100
# The smallest page of funding rates among exchanges, what fits in one of rates settled every 8
# hours (90 rows), and what does whatever the period (96 rows of hourly ones).
_FUNDING_PAGE = 100
_FUNDING_WINDOW_MS = 30 * DAY_MS
_SHORT_WINDOW_MS = 4 * DAY_MS
_GRACE_MS = 2_000
_DEFAULT_SPAN_MS = 365 * DAY_MS


def is_known(venue: str) -> bool:
    """Whether a venue can be read here; ccxt is asked only where it is installed."""
    if venue in EXCHANGES:
        return True
    try:
        return venue in importlib.import_module("ccxt").exchanges
    except ImportError:
        return False


class CcxtSource:
    """Reads market data of an exchange that ccxt knows.

    Parameters
    ----------
    venue : str
        A ccxt exchange id, or one of `EXCHANGES`.
    clock : Clock
    sleep : callable
    base_url : str, optional
        Server that answers in the exchange's place; paths stay the same.
    timeout_s : float
    attempts : int

    Raises
    ------
    InputError
        If ccxt is not installed or knows no such exchange.
    """

    def __init__(
        self,
        venue: str,
        clock: Clock,
        sleep: Sleep,
        base_url: str | None = None,
        timeout_s: float = 15.0,
        attempts: int = 5,
    ) -> None:
        self.venue = venue
        self._clock = clock
        self._ccxt = _library(venue)
        name = EXCHANGES.get(venue, venue)
        if name not in self._ccxt.exchanges:
            known = [*EXCHANGES, *self._ccxt.exchanges]
            raise InputError(
                f"no exchange '{venue}' is known{did_you_mean(venue, known)}",
                fix="use hyperliquid, a ccxt exchange id, or one of "
                + ", ".join(EXCHANGES)
                + "; what comes from elsewhere comes in by genesis data import FILE",
            )
        self._exchange = getattr(self._ccxt, name)(
            {"enableRateLimit": True, "timeout": int(timeout_s * 1000)}
        )
        if base_url:
            self._exchange.urls["api"] = _redirected(self._exchange.urls["api"], base_url)
        if venue.endswith("_spot"):
            self._exchange.options["defaultType"] = "spot"
        self._retries = Retries(f"{name} (ccxt)", self._transient, sleep, attempts)

    def require(self, symbol: str) -> None:
        """Refuse a symbol that the exchange does not list.

        Raises
        ------
        DataError
        """
        self._market(symbol)

    def earliest_ms(self, interval: str) -> int:
        """A year back: where a fetch without a start begins."""
        length = interval_ms(interval)
        return (self._clock.now_ms() - _DEFAULT_SPAN_MS) // length * length

    def candles(self, symbol: str, interval: str, start_ms: int, end_ms: int) -> Iterator[Bars]:
        """Closed candles with open times in ``[start_ms, end_ms]``, page by page.

        Raises
        ------
        DataError
            If the exchange has no such interval.
        InfrastructureError
            If it cannot be reached.
        """
        if interval not in (self._exchange.timeframes or {}):
            raise DataError(
                f"{self.venue} has no {interval} candles",
                fix=f"use one of {', '.join(self._exchange.timeframes or {})}",
            )
        unified, length = self._market(symbol)["symbol"], interval_ms(interval)
        cursor = -(-start_ms // length) * length
        last = min(end_ms, self._clock.now_ms() - _GRACE_MS - length)
        while cursor <= last:
            since = cursor
            rows = self._read(
                lambda since=since: self._exchange.fetch_ohlcv(unified, interval, since, _PAGE_BARS)
            )
            bars = _bars(rows)
            yield bars.take((bars.ts_ms >= cursor) & (bars.ts_ms <= last))
            # An empty page is a time before listing or an outage, not the end.
            reached = int(bars.ts_ms[-1]) if len(bars) else -1
            cursor = (
                reached if reached >= cursor else cursor + (_LEAST_BARS - 1) * length
            ) + length

    def funding(self, symbol: str, start_ms: int, end_ms: int) -> Iterator[FundingRates]:
        """Settled rates with stamps in ``[start_ms, end_ms]``; nothing for a spot market.

        Raises
        ------
        InfrastructureError
            If the exchange cannot be reached.
        """
        market = self._market(symbol)
        if not market.get("swap") or not self._exchange.has.get("fetchFundingRateHistory"):
            return
        cursor, window = start_ms, _FUNDING_WINDOW_MS
        while cursor <= end_ms:
            since, until = cursor, min(cursor + window - 1, end_ms)
            rows = self._read(
                lambda since=since, until=until: self._exchange.fetch_funding_rate_history(
                    market["symbol"], since, None, {"until": until}
                )
            )
            # A full page may be cut at either end: some exchanges serve a span's newest rows only.
            if len(rows) >= _FUNDING_PAGE and window > _SHORT_WINDOW_MS:
                window = _SHORT_WINDOW_MS
                continue
            stamps = np.array([int(row["timestamp"]) for row in rows], dtype=np.int64)
            rates = np.array([float(row["fundingRate"]) for row in rows], dtype=np.float64)
            stamps, first = np.unique(stamps, return_index=True)
            inside = (stamps >= since) & (stamps <= until)
            if np.any(inside):
                yield FundingRates(whole_hours(stamps[inside]), rates[first][inside])
            cursor = until + 1

    def _market(self, symbol: str) -> dict[str, Any]:
        if not self._exchange.markets:
            self._read(self._exchange.load_markets)
        markets, by_id = self._exchange.markets, self._exchange.markets_by_id
        if symbol in markets:
            return dict(markets[symbol])
        same = by_id.get(symbol, [])
        spot = self.venue.endswith("_spot")
        for market in same:
            if bool(market.get("spot")) == spot:
                return dict(market)
        if same:
            return dict(same[0])
        names = [*markets, *by_id]
        raise DataError(
            f"{self.venue} lists no symbol '{symbol}'{did_you_mean(symbol, names)}",
            fix="use the exchange's own symbol or ccxt's (BTC/USDT:USDT)",
        )

    def _read(self, call: Any) -> Any:
        try:
            return self._retries.run(call)
        except self._ccxt.BaseError as error:
            raise InfrastructureError(
                f"{self.venue} refused a request ({type(error).__name__})",
                why=str(error)[:300],
                fix="check symbol, interval and dates",
            ) from error

    def _transient(self, error: Exception) -> float | None:
        if isinstance(error, (self._ccxt.RateLimitExceeded, self._ccxt.DDoSProtection)):
            return 5.0
        return 0.5 if isinstance(error, self._ccxt.NetworkError) else None


def _library(venue: str) -> Any:
    try:
        return importlib.import_module("ccxt")
    except ImportError as error:
        raise InputError(
            f"fetching from '{venue}' needs ccxt, which is not installed",
            fix="in the repository: .venv/bin/python -m pip install -e '.[ccxt]'; or fetch from"
            " hyperliquid, or import files",
        ) from error


def _redirected(api: Any, base_url: str) -> Any:
    if isinstance(api, dict):
        return {key: _redirected(value, base_url) for key, value in api.items()}
    return base_url.rstrip("/") + urlsplit(str(api)).path


def _bars(rows: list[list[Any]]) -> Bars:
    table = np.array(
        [[np.nan if cell is None else float(cell) for cell in row[1:6]] for row in rows]
    ).reshape(-1, 5)
    stamps = np.array([int(row[0]) for row in rows], dtype=np.int64)
    order = np.argsort(stamps, kind="stable")
    return Bars(stamps[order], *(column[order] for column in table.T))
