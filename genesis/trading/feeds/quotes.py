"""Quotes inside a bar: a path that begins at its open, touches both extremes, ends at its close."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genesis.domain.errors import DataError

Floats = npt.NDArray[np.float64]


def quote_offsets(interval_ms: int, count: int) -> tuple[int, ...]:
    """Milliseconds after the open of ``count`` quotes, evenly spaced and strictly inside the bar.

    Raises
    ------
    DataError
        If the count is negative or the bar has not that many milliseconds.
    """
    if not 0 <= count < interval_ms:
        raise DataError(
            f"a bar of {interval_ms} ms cannot have {count} quotes inside",
            fix="use from 0 to one less than its milliseconds",
        )
    return tuple(interval_ms * (k + 1) // (count + 1) for k in range(count))


@dataclass(frozen=True, slots=True)
class QuotePath:
    """Quotes of several bars: nested lists of shape (B, Q).

    Attributes
    ----------
    last : list of list of float
        Price at the quote; that of a bar's last quote is its close.
    low, high : list of list of float
        Extremes since the quote before (the open for the first one); over a bar they reach its
        low and high exactly.
    """

    last: list[list[float]]
    low: list[list[float]]
    high: list[list[float]]

    @classmethod
    def through(
        cls, open_: Floats, high: Floats, low: Floats, close: Floats, count: int
    ) -> QuotePath:
        """Straight lines from extreme to extreme, equal distances of price between quotes.

        A bar that rises goes to its low first, one that falls to its high: the shorter way.

        Parameters
        ----------
        open_, high, low, close : float64, shape (B,)
            ``low <= open, close <= high``; NaN gives NaN.
        count : int
            Q, at least 1.
        """
        rising = close >= open_
        corners = np.stack(
            [open_, np.where(rising, low, high), np.where(rising, high, low), close], axis=1
        )
        walked = np.concatenate(
            [np.zeros((open_.size, 1)), np.cumsum(np.abs(np.diff(corners, axis=1)), axis=1)], axis=1
        )
        share = np.arange(1, count + 1) / count
        at = share * walked[:, 3:4]
        at[:, -1] = walked[:, 3]
        last = _along(corners, walked, at)
        last[:, -1] = close
        last = np.clip(last, low[:, None], high[:, None])  # a rounding must not leave the bar
        before = np.concatenate([open_[:, None], last[:, :-1]], axis=1)
        since = np.concatenate([np.zeros((open_.size, 1)), at[:, :-1]], axis=1)
        lows, highs = np.minimum(before, last), np.maximum(before, last)
        for corner in (1, 2):
            price, distance = corners[:, corner, None], walked[:, corner, None]
            passed = (since <= distance) & (distance <= at)
            lows = np.where(passed, np.minimum(lows, price), lows)
            highs = np.where(passed, np.maximum(highs, price), highs)
        return cls(last.tolist(), lows.tolist(), highs.tolist())


def _along(corners: Floats, walked: Floats, at: Floats) -> Floats:
    """Prices at distances ``at`` (B, Q) along polylines with corners and walked distance (B, 4)."""
    out = np.broadcast_to(corners[:, :1], at.shape).copy()
    for leg in range(3):
        begin, end = walked[:, leg, None], walked[:, leg + 1, None]
        direction = np.sign(corners[:, leg + 1, None] - corners[:, leg, None])
        out = np.where(
            (at > begin) & (at <= end), corners[:, leg, None] + direction * (at - begin), out
        )
    return out
