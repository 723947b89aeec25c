"""Answers about markets: what anyone may ask."""

from __future__ import annotations

from typing import Any

from genesis.domain.timeline import HOUR_MS
from genesis.exchange.venue.candles import KEPT, Row, bucket, bucket_end, shown, without_gaps
from genesis.exchange.venue.market import Market
from genesis.exchange.venue.path import PricePath
from genesis.exchange.venue.rates import hourly_rate
from genesis.exchange.venue.state import VenueState, usd
from genesis.exchange.venue.units import POW10, RATE_DECIMALS, show, to_tick

_BOOK_DEPTH = 20
_HISTORY_POINTS = 4
_HISTORIES_KEPT = 100
_ROWS = 500


class MarketInfo:
    """Readers of public state; every answer is built anew and may be kept.

    An unknown coin raises ``KeyError`` except where the exchange answers ``null``.
    """

    def __init__(self, state: VenueState, path: PricePath) -> None:
        self._state = state
        self._path = path
        self._history: dict[tuple[str, str, int], list[Row]] = {}

    def _market(self, coin: str) -> Market:
        return self._state.by_coin[coin]

    def meta(self) -> dict[str, Any]:
        """Return ``meta``; markets delisted since the start are marked."""
        out = self._state.meta.meta()
        for asset, entry in enumerate(out["universe"]):
            if self._state.markets[asset].delisted:
                entry["isDelisted"] = True
        return out

    def spot_meta(self) -> dict[str, Any]:
        """Return ``spotMeta``."""
        return self._state.meta.spot_meta()

    def contexts(self) -> list[dict[str, Any]]:
        """Return the second half of ``metaAndAssetCtxs``."""
        return [self.context(spec.coin) for spec in self._state.meta.perps]

    def spot_contexts(self) -> list[dict[str, Any]]:
        """Return the second half of ``spotMetaAndAssetCtxs``."""
        return [self.context(spec.coin) for spec in self._state.meta.pairs]

    def context(self, coin: str) -> dict[str, Any]:
        """Return one market's context, of a perpetual or of a spot pair."""
        market = self._market(coin)
        spec = market.spec
        base, quote, previous = market.day(self._state.now_ms)
        common: dict[str, Any] = {
            "prevDayPx": show(previous, spec.px_decimals),
            "dayNtlVlm": usd(quote),
            "markPx": show(market.mark, spec.px_decimals),
            "midPx": self._mid(market),
            "dayBaseVlm": show(base, spec.sz_decimals),
        }
        if spec.spot:
            supply = show(10**9, 0)
            return {**common, "coin": coin, "circulatingSupply": supply, "totalSupply": supply}
        impact = market.impact_prices()
        active = not market.delisted
        return {
            "funding": show(hourly_rate(market) if active else 0, RATE_DECIMALS),
            "openInterest": show(market.open_interest, spec.sz_decimals),
            **common,
            "premium": show(market.premium(), RATE_DECIMALS) if active else None,
            "oraclePx": show(market.oracle, spec.px_decimals),
            "impactPxs": [show(to_tick(px, 1), spec.px_decimals) for px in impact]
            if impact and active
            else None,
        }

    def _mid(self, market: Market) -> str | None:
        twice = market.book.mid_twice()
        if not twice or market.delisted:
            return None
        return show(twice * 5, market.spec.px_decimals + 1)

    def mids(self) -> dict[str, str]:
        """Return ``allMids``; a market with an empty side shows its mark price."""
        return {
            coin: self._mid(market) or show(market.mark, market.spec.px_decimals)
            for coin, market in self._state.by_coin.items()
            if not market.delisted
        }

    def book(
        self, coin: str, figures: int | None = None, mantissa: int | None = None
    ) -> dict[str, Any] | None:
        """Return ``l2Book``: at most twenty levels a side, rounded to ``figures`` if given."""
        market = self._state.by_coin.get(coin)
        if market is None:
            return None
        levels = []
        for side in (market.book.bids, market.book.asks):
            rows = side.top(_BOOK_DEPTH if figures is None else len(side.keys))
            if figures is not None:
                rows = _coarse(rows, figures, mantissa or 1, up=side is market.book.asks)
            levels.append([_level(market, row) for row in rows[:_BOOK_DEPTH]])
        return {"coin": coin, "time": self._state.now_ms, "levels": levels}

    def bbo(self, coin: str) -> dict[str, Any]:
        """Return the best bid and ask as the ``bbo`` channel sends them."""
        market = self._market(coin)
        best: list[dict[str, Any] | None] = []
        for side in (market.book.bids, market.book.asks):
            rows = side.top(1)
            best.append(_level(market, rows[0]) if rows else None)
        return {"coin": coin, "time": self._state.now_ms, "bbo": best}

    def trades(self, coin: str) -> list[dict[str, Any]]:
        """Return ``recentTrades``, newest first."""
        return self._market(coin).trades[::-1]

    def candle(self, coin: str, interval: str) -> dict[str, Any] | None:
        """Return the running candle, None before the first trade."""
        market = self._market(coin)
        rows = market.candles.all(interval)
        return shown(rows[-1], interval, market.spec) if rows else None

    def candles(
        self, coin: str, interval: str, start_ms: int, end_ms: int | None = None
    ) -> list[dict[str, Any]]:
        """Return ``candleSnapshot``: the newest 5000 of an interval, those that touch the range.

        What lies before the venue's start is drawn from the reference price, so that a client
        has the history it needs to warm up.
        """
        market = self._market(coin)
        now = self._state.now_ms
        end = now if end_ms is None else min(end_ms, now)
        rows = without_gaps(market.candles.all(interval), interval, now)
        first = rows[0][0] if rows else bucket(interval, now)
        older = self._older(market, interval, first, start_ms, KEPT - len(rows))
        return [
            shown(row, interval, market.spec)
            for row in older + rows
            if row[0] <= end and bucket_end(interval, row[0]) > start_ms
        ]

    def _older(
        self, market: Market, interval: str, before: int, start_ms: int, room: int
    ) -> list[Row]:
        """Candles before the tape, newest last; kept, since they never change."""
        key = (market.spec.coin, interval, before)
        if key not in self._history:
            if len(self._history) >= _HISTORIES_KEPT:
                del self._history[next(iter(self._history))]
            self._history[key] = []
        rows = self._history[key]
        while len(rows) < room:
            end_ms = rows[-1][0] if rows else before
            if end_ms <= start_ms or end_ms <= bucket_end(interval, 0):
                break
            row = self._drawn(market, bucket(interval, end_ms - 1), end_ms, rows)
            if row is None:
                break
            rows.append(row)
        return rows[: max(room, 0)][::-1]

    def _drawn(self, market: Market, open_ms: int, end_ms: int, rows: list[Row]) -> Row | None:
        """Draw a candle from the reference price; it closes where the next one opens."""
        coin, spec = market.spec.coin, market.spec
        prices: list[int] = []
        for k in range(_HISTORY_POINTS):
            px = self._path.price(coin, open_ms + (end_ms - open_ms) * k // _HISTORY_POINTS)
            if px is None:
                return None
            prices.append(to_tick(px, spec.coarsest))
        close = rows[-1][1] if rows else None
        if close is None:
            last = self._path.price(coin, end_ms)
            close = prices[-1] if last is None else to_tick(last, spec.coarsest)
        prices.append(close)
        moved = max(prices) - min(prices)
        volume = (moved * 10_000 // prices[0] + 1) * POW10[spec.sz_decimals]
        count = 2 * len(prices)
        return [open_ms, prices[0], max(prices), min(prices), close, volume, count]

    def funding_history(
        self, coin: str, start_ms: int, end_ms: int | None = None
    ) -> list[dict[str, Any]]:
        """Return ``fundingHistory``: at most 500 hours, oldest first."""
        end = self._state.now_ms if end_ms is None else end_ms
        return [
            {
                "coin": coin,
                "fundingRate": show(rate, RATE_DECIMALS),
                "premium": show(premium, RATE_DECIMALS),
                "time": time,
            }
            for time, rate, premium in self._market(coin).funding
            if start_ms <= time <= end
        ][:_ROWS]

    def predicted_fundings(self) -> list[Any]:
        """Return ``predictedFundings`` for this venue."""
        following = (self._state.now_ms // HOUR_MS + 1) * HOUR_MS
        return [
            [
                spec.coin,
                [
                    [
                        "HlPerp",
                        {
                            "fundingRate": show(hourly_rate(market), RATE_DECIMALS),
                            "nextFundingTime": following,
                        },
                    ]
                ],
            ]
            for spec in self._state.meta.perps
            if not (market := self._state.markets[spec.asset]).delisted
        ]


def _level(market: Market, row: tuple[int, int, int]) -> dict[str, Any]:
    px, sz, count = row
    spec = market.spec
    return {"px": show(px, spec.px_decimals), "sz": show(sz, spec.sz_decimals), "n": count}


def _coarse(
    rows: list[tuple[int, int, int]], figures: int, mantissa: int, *, up: bool
) -> list[tuple[int, int, int]]:
    """Group levels by a coarser price: bids down, asks up, so that the spread never crosses."""
    grouped: dict[int, tuple[int, int]] = {}
    for px, sz, count in rows:
        step = POW10[max(0, len(str(px)) - figures)] * mantissa
        key = -(-px // step) * step if up else px // step * step
        size, orders = grouped.get(key, (0, 0))
        grouped[key] = (size + sz, orders + count)
    return [(px, size, orders) for px, (size, orders) in grouped.items()]
