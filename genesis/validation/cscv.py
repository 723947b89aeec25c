"""Probability of backtest overfitting by combinatorially symmetric cross-validation.

Bailey, Borwein, López de Prado & Zhu (2017). It means something only for columns that were not
chosen by looking at the data: among the converged columns of a search all full-sample ratios are
alike, so that a high in-sample ratio forces a low one out of sample, edge or not.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
import numpy.typing as npt

from genesis.domain.errors import InputError

Floats = npt.NDArray[np.float64]

_PORTION = 1024
"""Splits at a time: their tables of ratios stay in the processor's cache for 300 columns."""


@dataclass(frozen=True, slots=True, eq=False)
class PboResult:
    """What happened to the in-sample winner of every split.

    Attributes
    ----------
    pbo : float
        Share of splits whose winner was in the lower half out of sample (logit <= 0).
    logits : float64, shape (splits,)
        ``ln(w / (1 - w))`` with w the winner's out-of-sample rank over N + 1, 1 being the worst.
    winners : int64, shape (splits,)
        Column of the in-sample winner, the first of equals.
    in_sample, out_of_sample : float64, shape (splits,)
        The winner's Sharpe ratio per period.
    """

    pbo: float
    logits: Floats
    winners: npt.NDArray[np.int64]
    in_sample: Floats
    out_of_sample: Floats

    @property
    def slope(self) -> float:
        """Least-squares slope of out-of-sample on in-sample ratios; 0 if the latter are equal."""
        x = self.in_sample - np.mean(self.in_sample)
        spread = float(x @ x)
        return float(x @ self.out_of_sample) / spread if spread > 0.0 else 0.0

    @property
    def loss(self) -> float:
        """Share of splits whose winner lost out of sample."""
        return float(np.mean(self.out_of_sample < 0.0))


def pbo(returns: Floats, blocks: int = 16) -> PboResult:
    """Probability that the best column in one half of the blocks is below median in the other.

    Parameters
    ----------
    returns : float64, shape (T, N)
        At least two columns, chosen without looking at the data. The leading ``T mod blocks`` rows
        are dropped.
    blocks : int
        Even number of blocks S; all ``C(S, S/2)`` halves are tried, 12,870 for 16.

    Notes
    -----
    A column without variation in a half has ratio 0 there. Equal out-of-sample ratios share the
    mean of their ranks.
    """
    rows, columns = returns.shape
    if blocks < 2 or blocks % 2 or columns < 2 or rows // blocks < 2:
        raise InputError(
            f"{blocks} blocks of {rows} rows and {columns} columns cannot be compared",
            why="the blocks must be even in number, with two rows in each, and two columns",
        )
    size = rows // blocks
    cut = returns[rows - size * blocks :].reshape(blocks, size, columns)
    sums, squares = np.sum(cut, axis=1), np.sum(cut * cut, axis=1)
    halves = np.zeros((comb(blocks, blocks // 2), blocks))
    chosen = np.array(list(combinations(range(blocks), blocks // 2)))
    np.put_along_axis(halves, chosen, 1.0, axis=1)
    n = size * blocks // 2
    parts = [
        _portion(halves[at : at + _PORTION], sums, squares, n)
        for at in range(0, halves.shape[0], _PORTION)
    ]
    winners, inside, outside, ranks = (np.concatenate(x) for x in zip(*parts, strict=True))
    share = ranks / (columns + 1.0)
    logits = np.log(share / (1.0 - share))
    # The middle rank of an odd number of columns has logit 0 up to rounding.
    below = 2.0 * ranks <= columns + 1.0
    return PboResult(float(np.mean(below)), logits, winners, inside, outside)


def _portion(
    halves: Floats, sums: Floats, squares: Floats, n: int
) -> tuple[npt.NDArray[np.int64], Floats, Floats, Floats]:
    """Winner, its two ratios and its out-of-sample rank for each row of a table of halves."""
    inside = _ratios(halves @ sums, halves @ squares, n)
    outside = _ratios((1.0 - halves) @ sums, (1.0 - halves) @ squares, n)
    winners = np.argmax(inside, axis=1)
    row = np.arange(halves.shape[0])
    own = outside[row, winners]
    lower = np.count_nonzero(outside < own[:, None], axis=1)
    equal = np.count_nonzero(outside == own[:, None], axis=1)
    return winners.astype(np.int64), inside[row, winners], own, lower + (equal + 1) / 2.0


def _ratios(sums: Floats, squares: Floats, n: int) -> Floats:
    """Sharpe ratios per period from sums and sums of squares of n returns."""
    mean = sums / n
    variance = (squares - n * mean * mean) / (n - 1)
    # A constant column leaves only rounding behind.
    varies = variance > 1e-14 * squares / n
    result = np.zeros_like(mean)
    np.divide(mean, np.sqrt(np.where(varies, variance, 1.0)), out=result, where=varies)
    return result
