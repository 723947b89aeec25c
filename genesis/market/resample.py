"""Longer bars from shorter ones."""

from __future__ import annotations

import numpy as np

from genesis.domain.errors import DataError
from genesis.domain.timeline import interval_ms, interval_name
from genesis.market.bars import Bars


def resample(bars: Bars, interval: str, longer: str) -> Bars:
    """Bars on the UTC grid of a longer interval, of the groups that are complete.

    A group with a missing bar gives none: a range that was not seen whole is not known.

    Parameters
    ----------
    bars : Bars
        Of `interval`.
    interval, longer : str
        The longer one must be a multiple of the other.

    Raises
    ------
    DataError
        If it is not, or no bar is whole.
    """
    length, target = interval_ms(interval), interval_ms(longer)
    count = target // length
    if count * length != target or count < 2:
        raise DataError(
            f"{longer} bars cannot be made of {interval} bars",
            why=f"{interval_name(target)} is no multiple of {interval_name(length)}",
            fix="choose a longer interval that the shorter one divides",
        )
    groups, starts, sizes = np.unique(bars.ts_ms // target, return_index=True, return_counts=True)
    whole = sizes == count
    if not whole.any():
        raise DataError(
            f"no {longer} bar is complete in {len(bars)} bars of {interval}",
            why=f"each needs {count} of them without a gap, from a multiple of {longer} UTC on",
            fix="choose a longer span, or bring in what is missing: genesis data check shows gaps",
        )
    return Bars(
        groups[whole] * target,
        bars.open[starts][whole],
        np.maximum.reduceat(bars.high, starts)[whole],
        np.minimum.reduceat(bars.low, starts)[whole],
        bars.close[starts + sizes - 1][whole],
        np.add.reduceat(bars.volume, starts)[whole],
    )


def left_out(bars: Bars, made: Bars, longer: str) -> int:
    """Longer bars that were not made of these, because a part of each is missing."""
    return len(np.unique(bars.ts_ms // interval_ms(longer))) - len(made)
