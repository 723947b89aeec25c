"""Funding on a timeline: what is due at each bar and what a decision may know of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genesis.domain.errors import DataError, did_you_mean
from genesis.domain.timeline import HOUR_MS, MINUTE_MS
from genesis.market.bars import FundingRates

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

QUOTED_MS = 8 * HOUR_MS
STALE_PERIODS = 3
_WORDS = ("required", "none", "constant", "proxy")


@dataclass(frozen=True, slots=True)
class FundingFallback:
    """What stands in for the funding of a symbol that has no series of its own.

    Attributes
    ----------
    kind : str
        ``required`` (nothing: an error), ``none`` (zero), ``constant`` or ``proxy``.
    rate : float
        For ``constant``: the rate per 8 hours as a fraction of notional.
    symbol : str
        For ``proxy``: a symbol of the same venue whose series is used.
    """

    kind: str
    rate: float = 0.0
    symbol: str = ""

    @classmethod
    def parse(cls, text: str) -> FundingFallback:
        """Read ``required``, ``none``, ``constant:RATE_PER_8H`` or ``proxy:SYMBOL``.

        Raises
        ------
        DataError
            If the text is none of these, or the rate is no number of a plausible size.
        """
        word, _, rest = text.strip().partition(":")
        word = word.lower()
        if word in ("required", "none") and not rest:
            return cls(word)
        if word == "proxy" and rest.strip():
            return cls("proxy", symbol=rest.strip())
        if word == "constant" and rest.strip():
            return cls("constant", rate=_rate(rest))
        raise DataError(
            f"'{text}' is no funding rule{did_you_mean(word, _WORDS)}",
            fix="use required, none, constant:0.0001 (per 8 hours) or proxy:SYMBOL",
        )


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not abs(rate) <= 0.32:  # eight hours at the steepest hourly cap of any venue known, 4 %
        raise DataError(
            f"constant funding '{text}' is no rate",
            fix="give the rate per 8 hours as a fraction, 0.0001 for one basis point",
        )
    return rate


def whole_hours(ts_ms: Ints) -> Ints:
    """Settlement stamps without the venue's delay: the full hour that a rate was settled at.

    Exchanges stamp a settlement some milliseconds to seconds after the hour; up to a minute
    before it counts as that hour too.
    """
    return (ts_ms + MINUTE_MS) // HOUR_MS * HOUR_MS


def settlement_periods(ts_ms: Ints) -> Floats:
    """Period that each settled rate covers, in milliseconds, from the rows up to it.

    The period of a row is the shorter of the last two distances between rows, and at most 8
    hours: a single missing row does not double it, and a venue that changes from 8 hours to 1
    (Hyperliquid on 2023-06-08) is followed at once. A change to a longer period is followed one
    row late. Later rows are never looked at, so the first row's period is unknown (NaN).
    """
    periods = np.full(ts_ms.size, np.nan)
    steps = np.diff(ts_ms).astype(np.float64)
    if steps.size:
        shorter = np.minimum(steps, np.concatenate([steps[:1], steps[:-1]]))
        periods[1:] = np.minimum(shorter, QUOTED_MS)
    return periods


def align(rates: FundingRates, ts_ms: Ints, interval_ms: int) -> tuple[Floats, Floats]:
    """Lay settled rates on a timeline.

    Parameters
    ----------
    rates : FundingRates
        Sorted and unique.
    ts_ms : int64, shape (T,)
        Open times, regular.
    interval_ms : int

    Returns
    -------
    due : float64, shape (T,)
        Sum of the rates settled in ``(ts[t-1], ts[t]]``; 0 where none.
    known : float64, shape (T,)
        Last rate settled strictly before the close of bar t, per 8 hours; NaN before the first
        one, and when it is older than three periods.
    """
    due = np.zeros(ts_ms.size)
    inside = (rates.ts_ms > ts_ms[0] - interval_ms) & (rates.ts_ms <= ts_ms[-1])
    np.add.at(due, np.searchsorted(ts_ms, rates.ts_ms[inside], side="left"), rates.rate[inside])

    closes = ts_ms + interval_ms
    known = np.full(ts_ms.size, np.nan)
    last = np.searchsorted(rates.ts_ms, closes, side="left") - 1
    some = np.flatnonzero(last >= 0)
    last = last[some]
    periods = settlement_periods(rates.ts_ms)
    fresh = closes[some] - rates.ts_ms[last] <= STALE_PERIODS * periods[last]
    known[some[fresh]] = rates.rate[last[fresh]] * (QUOTED_MS / periods[last[fresh]])
    return due, known


def constant_rates(rate: float, first_ms: int, last_ms: int) -> FundingRates:
    """Settle one rate every 8 hours (00, 08, 16 UTC), from a day before the first bar on."""
    start = (first_ms // QUOTED_MS - 3) * QUOTED_MS
    stamps = np.arange(start, last_ms + QUOTED_MS, QUOTED_MS, dtype=np.int64)
    return FundingRates(stamps, np.full(stamps.size, rate))
