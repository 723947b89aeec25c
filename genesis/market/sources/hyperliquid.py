"""Candles and funding of Hyperliquid perpetuals through the official SDK.

The venue serves only the 5,000 most recent candles of an interval, and 500 funding rows a call
with inclusive bounds. A request weighs 20, plus 1 per 60 candles or per 20 funding rows; an
address may spend 1,200 a minute.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import requests
from hyperliquid.api import API
from hyperliquid.info import Info
from hyperliquid.utils.error import ClientError, ServerError

from genesis.domain.clock import Clock
from genesis.domain.errors import DataError, InfrastructureError, did_you_mean
from genesis.domain.timeline import interval_ms
from genesis.market.bars import Bars, FundingRates
from genesis.market.funding import whole_hours
from genesis.market.sources.network import Retries, Sleep, WeightBudget

VENUE = "hyperliquid"
CANDLES_SERVED = 5_000
FUNDING_ROWS = 500
# Room is left under the limit of 1,200 for whatever else uses the address.
WEIGHT_PER_MINUTE = 1_000.0
_BASE_WEIGHT = 20.0
# A bar that closed a moment ago may still change by trades in flight.
_GRACE_MS = 2_000


class HyperliquidSource:
    """Reads market data of Hyperliquid.

    Parameters
    ----------
    clock : Clock
    sleep : callable
        Waits for a number of seconds.
    base_url : str, optional
        Another server of the same protocol; the main network otherwise.
    timeout_s : float
        Of one request.
    attempts : int
        Tries of a request that fails for a passing reason.
    """

    venue = VENUE

    def __init__(
        self,
        clock: Clock,
        sleep: Sleep,
        base_url: str | None = None,
        timeout_s: float = 15.0,
        attempts: int = 5,
    ) -> None:
        self._clock = clock
        self._base_url = base_url
        self._timeout = timeout_s
        self._budget = WeightBudget(WEIGHT_PER_MINUTE, clock, sleep)
        self._retries = Retries(
            f"Hyperliquid at {base_url or 'its main address'}", _transient, sleep, attempts
        )
        self._info: Info | None = None

    def require(self, symbol: str) -> None:
        """Refuse a symbol that the venue does not list.

        Raises
        ------
        DataError
        """
        names = self._connected().name_to_coin
        if symbol not in names:
            raise DataError(
                f"Hyperliquid lists no perpetual '{symbol}'{did_you_mean(symbol, names)}",
                why=f"{len(names)} perpetuals are listed, by their coin's name (BTC, kPEPE)",
                fix="use the venue's own name; spot pairs and builder-deployed ones are not read",
            )

    def earliest_ms(self, interval: str) -> int:
        """Open time of the oldest candle that the venue still serves."""
        length = interval_ms(interval)
        return (self._clock.now_ms() // length - CANDLES_SERVED + 1) * length

    def candles(self, symbol: str, interval: str, start_ms: int, end_ms: int) -> Iterator[Bars]:
        """Closed candles with open times in ``[start_ms, end_ms]``, page by page.

        A start before what the venue serves begins where that does.

        Raises
        ------
        InfrastructureError
            If the venue cannot be reached or answers nonsense.
        """
        info, length = self._connected(), interval_ms(interval)
        cursor = max(-(-start_ms // length) * length, self.earliest_ms(interval))
        last = min(end_ms, self._clock.now_ms() - _GRACE_MS - length)
        while cursor <= last:
            until = min(cursor + (CANDLES_SERVED - 1) * length, last)
            count = (until - cursor) // length + 1
            self._budget.spend(_BASE_WEIGHT + math.ceil(count / 60))
            rows = self._read(info.candles_snapshot, symbol, interval, cursor, until)
            bars = _bars(rows)
            # The venue includes the candle that the start falls into, and one still forming.
            yield bars.take((bars.ts_ms >= cursor) & (bars.ts_ms <= until))
            cursor = until // length * length + length

    def funding(self, symbol: str, start_ms: int, end_ms: int) -> Iterator[FundingRates]:
        """Settled rates with stamps in ``[start_ms, end_ms]``, page by page, without repeats.

        Raises
        ------
        InfrastructureError
            If the venue cannot be reached or answers nonsense.
        """
        info = self._connected()
        cursor, newest = start_ms, -1
        while cursor <= end_ms:
            self._budget.spend(_BASE_WEIGHT + FUNDING_ROWS / 20)
            rows = self._read(info.funding_history, symbol, cursor, end_ms)
            stamps, rates = _funding_rows(rows)
            # Bounds are inclusive: the last row of a page is the first of the next.
            fresh = stamps > newest
            if not np.any(fresh):
                return
            newest = cursor = int(stamps[-1])
            yield FundingRates(whole_hours(stamps[fresh]), rates[fresh])

    def _connected(self) -> Info:
        if self._info is None:
            api = API(self._base_url, self._timeout)
            self._budget.spend(_BASE_WEIGHT)
            meta = self._retries.run(lambda: _universe(api.post("/info", {"type": "meta"})))
            # The SDK would otherwise read the spot universe too, and fail on sparse tokens.
            self._info = Info(
                self._base_url,
                skip_ws=True,
                meta=meta,
                spot_meta={"universe": [], "tokens": []},
                timeout=self._timeout,
            )
        return self._info

    def _read(self, call: Any, *arguments: Any) -> list[dict[str, Any]]:
        try:
            return self._retries.run(lambda: _rows(call(*arguments)))
        except ClientError as error:
            raise InfrastructureError(
                f"Hyperliquid refused a request ({error.status_code})",
                why=str(error.error_message)[:300],
                fix="check symbol, interval and dates; if they are right, the venue has changed",
            ) from error


class _Unreadable(Exception):
    """An answer that is no JSON of the expected shape, as sent by a proxy or in maintenance."""


def _transient(error: Exception) -> float | None:
    if isinstance(error, ClientError):
        return 5.0 if error.status_code == 429 else None
    if isinstance(error, (ServerError, _Unreadable, requests.RequestException)):
        return 0.5
    # The SDK trips over a 4xx answer whose JSON has another shape than it expects.
    return 5.0 if isinstance(error, (KeyError, TypeError, AttributeError)) else None


def _universe(answer: Any) -> Any:
    if not isinstance(answer, dict) or not isinstance(answer.get("universe"), list):
        raise _Unreadable(f"meta is no universe: {str(answer)[:200]}")
    return answer


def _rows(answer: Any) -> list[dict[str, Any]]:
    if not isinstance(answer, list):
        raise _Unreadable(f"the answer is no list: {str(answer)[:200]}")
    return answer


def _bars(rows: list[dict[str, Any]]) -> Bars:
    try:
        table = np.array(
            [[float(row[key]) for key in ("o", "h", "l", "c", "v")] for row in rows]
        ).reshape(-1, 5)
        stamps = np.array([int(row["t"]) for row in rows], dtype=np.int64)
    except (KeyError, TypeError, ValueError) as error:
        raise _malformed("candle", error) from error
    order = np.argsort(stamps, kind="stable")
    return Bars(stamps[order], *(column[order] for column in table.T))


def _funding_rows(rows: list[dict[str, Any]]) -> tuple[Any, Any]:
    try:
        stamps = np.array([int(row["time"]) for row in rows], dtype=np.int64)
        rates = np.array([float(row["fundingRate"]) for row in rows], dtype=np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise _malformed("funding row", error) from error
    order = np.argsort(stamps, kind="stable")
    return stamps[order], rates[order]


def _malformed(what: str, error: Exception) -> InfrastructureError:
    return InfrastructureError(
        f"Hyperliquid sent a {what} that cannot be read",
        why=f"{type(error).__name__}: {error}",
        fix="try again later; if it stays so, the venue has changed its format",
    )
