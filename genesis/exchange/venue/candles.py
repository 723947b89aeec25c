"""Candles of one market, built from its trades."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from genesis.domain.timeline import DAY_MS, INTERVALS, MINUTE_MS
from genesis.exchange.venue.meta import Instrument
from genesis.exchange.venue.units import show

KEPT = 5000
_SLACK = 500
# Months differ: where one begins and ends is a matter of the calendar.
INTERVALS_MS = {**INTERVALS, "3d": 3 * DAY_MS, "1w": 7 * DAY_MS, "1M": 30 * DAY_MS}
# The epoch was a Thursday; weeks begin on Mondays.
_MONDAY_MS = 4 * DAY_MS


def bucket(interval: str, ts_ms: int) -> int:
    """Open time of the candle that holds an instant."""
    if interval == "1M":
        day = datetime.fromtimestamp(ts_ms // 1000, UTC)
        return int(datetime(day.year, day.month, 1, tzinfo=UTC).timestamp()) * 1000
    length = INTERVALS_MS[interval]
    if interval == "1w":
        return ts_ms - (ts_ms - _MONDAY_MS) % length
    return ts_ms - ts_ms % length


def bucket_end(interval: str, open_ms: int) -> int:
    """Open time of the next candle."""
    if interval == "1M":
        return bucket("1M", open_ms + 32 * DAY_MS)
    return open_ms + INTERVALS_MS[interval]


def format_day(day: int) -> str:
    """Date of a day counted from the epoch."""
    return datetime.fromtimestamp(day * 86_400, UTC).strftime("%Y-%m-%d")


# One candle: open time, open, high, low, close, volume, trades.
Row = list[int]


class Candles:
    """All intervals of a market.

    A trade touches the minute only; a finished minute is merged into the other thirteen, since a
    busy venue trades thousands of times between two looks.
    """

    __slots__ = ("minute", "rows")

    def __init__(self) -> None:
        self.rows: dict[str, list[Row]] = {interval: [] for interval in INTERVALS_MS}
        self.minute: Row | None = None

    def trade(self, ts_ms: int, px: int, sz: int) -> None:
        """Add a trade; time never goes back."""
        minute = self.minute
        if minute is None or ts_ms - minute[0] >= MINUTE_MS:
            self._roll()
            self.minute = [ts_ms - ts_ms % MINUTE_MS, px, px, px, px, sz, 1]
            return
        if px > minute[2]:
            minute[2] = px
        elif px < minute[3]:
            minute[3] = px
        minute[4] = px
        minute[5] += sz
        minute[6] += 1

    def _roll(self) -> None:
        if self.minute is None:
            return
        for interval, rows in self.rows.items():
            _merge(rows, interval, self.minute)
            if len(rows) > KEPT + _SLACK:
                del rows[:-KEPT]

    def all(self, interval: str) -> list[Row]:
        """Rows of an interval, the running candle included."""
        rows = self.rows[interval]
        if self.minute is None:
            return rows[-KEPT:]
        # Only the last row can change.
        out = rows[-KEPT:-1] + [row.copy() for row in rows[-1:]]
        _merge(out, interval, self.minute)
        return out[-KEPT:]


def _merge(rows: list[Row], interval: str, minute: Row) -> None:
    start = bucket(interval, minute[0])
    if not rows or rows[-1][0] != start:
        rows.append([start, *minute[1:]])
        return
    row = rows[-1]
    row[2] = max(row[2], minute[2])
    row[3] = min(row[3], minute[3])
    row[4] = minute[4]
    row[5] += minute[5]
    row[6] += minute[6]


def without_gaps(rows: list[Row], interval: str, until_ms: int) -> list[Row]:
    """Fill intervals without trades with the close before them; at most the newest 5000 rows."""
    out: list[Row] = []
    for row in rows:
        while out and (following := bucket_end(interval, out[-1][0])) < row[0]:
            close = out[-1][4]
            out.append([following, close, close, close, close, 0, 0])
        out.append(row)
    while out and (following := bucket_end(interval, out[-1][0])) <= until_ms:
        close = out[-1][4]
        out.append([following, close, close, close, close, 0, 0])
    return out[-KEPT:]


def shown(row: Row, interval: str, market: Instrument) -> dict[str, Any]:
    """Return a candle as on the wire."""
    decimals = market.px_decimals
    return {
        "t": row[0],
        "T": bucket_end(interval, row[0]) - 1,
        "s": market.coin,
        "i": interval,
        "o": show(row[1], decimals),
        "c": show(row[4], decimals),
        "h": show(row[2], decimals),
        "l": show(row[3], decimals),
        "v": show(row[5], market.sz_decimals),
        "n": row[6],
    }
