"""A daily sentiment index on a timeline, as a decision may know it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from genesis.domain.timeline import DAY_MS
from genesis.market.bars import SentimentIndex

STALE_MS = 3 * DAY_MS


def align(
    index: SentimentIndex, ts_ms: npt.NDArray[np.int64], interval_ms: int
) -> npt.NDArray[np.float64]:
    """Last value stamped strictly before the close of each bar.

    A value is stamped 00:00 UTC of its day. It is NaN before the first one and when the last one
    is more than three days old.

    Parameters
    ----------
    index : SentimentIndex
        Sorted and unique.
    ts_ms : int64, shape (T,)
        Open times.
    interval_ms : int

    Returns
    -------
    float64, shape (T,)
    """
    closes = ts_ms + interval_ms
    known = np.full(ts_ms.size, np.nan)
    last = np.searchsorted(index.ts_ms, closes, side="left") - 1
    some = np.flatnonzero(last >= 0)
    fresh = some[closes[some] - index.ts_ms[last[some]] <= STALE_MS]
    known[fresh] = index.value[last[fresh]]
    return known


def valid_index(value: float) -> bool:
    """Whether a number can be a value of the index: 0 to 100, and no NaN."""
    return 0.0 <= value <= 100.0
