"""The market that scenarios are drawn from: joint bars of several symbols and their regimes.

A regime is a cell of volatility tercile and sign of the trend, measured on consecutive windows of
the searched bars. Scenarios are drawn from within a cell, so that each kind of market weighs the
same however often it occurred.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genesis.domain.errors import DataError
from genesis.domain.timeline import DAY_MS
from genesis.market.panel import Panel
from genesis.validation.bootstrap import median_length

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TERCILES = 3
CELLS = 2 * TERCILES
CELL_NAMES = ("calm down", "calm up", "normal down", "normal up", "wild down", "wild up")
LEAST_BARS = 1_000
"""Fewest joint bars that scenarios may be drawn from: 24 windows of some length in each regime."""
WINDOW_DAYS = 20
_LEAST_WINDOWS = 24
_LEAST_WINDOW_BARS = 24
_LEAST_SHARE = 0.9


@dataclass(frozen=True, slots=True, eq=False)
class SourceMarket:
    """Bars on which every symbol traded, in logarithms; arrays are (N, A) unless said otherwise.

    Attributes
    ----------
    places : tuple of int
        Places of the symbols in the panel.
    move : float64
        Close over the close before.
    gap, up, down : float64
        Open, high and low over the close before.
    volume, due, funding, sentiment : float64
        As in `SymbolSeries`.
    cell : int64, shape (N,)
        Regime of each bar, 0 to 5: twice the volatility tercile, plus one where the market rose.
    window : int
        Bars of the windows that regimes were measured on.
    last_close : float64, shape (A,)
        Prices that scenarios start from.
    """

    places: tuple[int, ...]
    move: Floats
    gap: Floats
    up: Floats
    down: Floats
    volume: Floats
    due: Floats
    funding: Floats
    sentiment: Floats
    cell: Ints
    window: int
    last_close: Floats

    @property
    def bars(self) -> int:
        """Number of bars N."""
        return int(self.move.shape[0])

    @property
    def assets(self) -> int:
        """Number of symbols A."""
        return int(self.move.shape[1])

    def bars_of(self, cell: int) -> Ints:
        """Bars of a regime; where it never occurred those of its tercile, else all."""
        for chosen in (self.cell == cell, self.cell // 2 == cell // 2):
            found = np.flatnonzero(chosen)
            if found.size >= self.window:
                return found
        return np.arange(self.bars)

    def block_length(self) -> float:
        """Mean block of the stationary bootstrap: Politis-White, for returns and for their size.

        Returns hardly remember anything, their absolute values do; blocks must keep both.
        """
        absolute = np.abs(self.move - self.move.mean(axis=0))
        return max(median_length(self.move), median_length(absolute))


def source_market(panel: Panel, most_assets: int) -> SourceMarket:
    """Joint bars of the panel's symbols.

    Symbols that traded on less than 90 % of the timeline are left out: the joint bars of all would
    shrink to theirs.

    Parameters
    ----------
    panel : Panel
        The searched part; sealed bars must be cut off already.
    most_assets : int
        Symbols that are used at most, the first ones.

    Raises
    ------
    DataError
        If fewer than `LEAST_BARS` bars are left.
    """
    full = [i for i, s in enumerate(panel.symbols) if s.valid.mean() >= _LEAST_SHARE]
    places = tuple(full[:most_assets])
    joint = np.ones(panel.bars, dtype=bool)
    for place in places:
        joint &= panel.symbols[place].valid
    # A move is one bar's: the bar before must have been joint as well.
    chosen = np.flatnonzero(joint[1:] & joint[:-1]) + 1 if places else np.empty(0, dtype=np.int64)
    if chosen.size < LEAST_BARS:
        raise DataError(
            f"{panel.name} has {chosen.size} searched bars on which its symbols all traded,"
            f" {LEAST_BARS} are needed",
            why="scenarios are drawn from them, by regime",
            fix="use a longer span, a shorter interval, or symbols that were listed earlier",
        )
    rows = [panel.symbols[place] for place in places]

    def stack(name: str, shift: int = 0) -> Floats:
        return np.stack([getattr(row, name)[chosen - shift] for row in rows], axis=1)

    before = np.log(stack("close", 1))
    move = np.log(stack("close")) - before
    window = max(
        min(WINDOW_DAYS * DAY_MS // panel.interval_ms, chosen.size // _LEAST_WINDOWS),
        _LEAST_WINDOW_BARS,
    )
    return SourceMarket(
        places=places,
        move=move,
        gap=np.log(stack("open")) - before,
        up=np.log(stack("high")) - before,
        down=np.log(stack("low")) - before,
        volume=stack("volume"),
        due=np.nan_to_num(stack("funding_due")),
        funding=stack("funding"),
        sentiment=stack("sentiment"),
        cell=regimes(move.mean(axis=1), window),
        window=window,
        last_close=np.exp(before[-1] + move[-1]),
    )


def regimes(market: Floats, window: int) -> Ints:
    """Regime of each bar of the mean move of the market, shape (N,).

    Consecutive windows are ranked by their standard deviation, a third of them each; the sign is
    that of the window's move. Bars after the last whole window belong to it.
    """
    count = max(market.size // window, 1)
    whole = market[: count * window].reshape(count, -1)
    rank = np.argsort(np.argsort(whole.std(axis=1), kind="stable"), kind="stable")
    labels = 2 * (rank * TERCILES // count) + (whole.sum(axis=1) > 0.0)
    spread = np.repeat(labels, whole.shape[1])
    tail = np.full(market.size - spread.size, labels[-1])
    return np.concatenate((spread, tail)).astype(np.int64)
