"""Positions of a run and of its shadow, bar by bar, and the bars that are nobody's execution.

A position that an act from outside closed (a person's flatten or kill, a schedule, news, the risk
level EMERGENCY) is one that the strategy still wants, and the shadow still holds. Those bars tell
nothing of execution until both sides agree again: they are set aside and counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from genesis.backtest.detail import SymbolBacktest
from genesis.paper.matching import PaperSymbol

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

POSITION_TOLERANCE: Final = 1e-6
"""Relative difference up to which two positions after a bar are the same."""
MOST_ASIDE: Final = 0.25
"""Share of the bars of a run up to which some may be set aside; beyond it no match is measured."""
OUTSIDE: Final = frozenset(("manual", "risk", "schedule", "news"))
"""Reasons of a close that nobody's signal asked for. A close because a stop was missing at the
exchange, a liquidation or a fill that no order explains is none: there execution failed."""


class Compared(NamedTuple):
    """Bars times symbols.

    Attributes
    ----------
    bars : int
        That were compared.
    same : int
        With the same position.
    held : int
        At which either side holds one.
    same_held : int
        The same of these.
    outside : int
        That were set aside.
    """

    bars: int
    same: int
    held: int
    same_held: int
    outside: int


def compared(pairs: Sequence[tuple[PaperSymbol, SymbolBacktest]], start: int = 0) -> Compared:
    """Compare positions after each bar from ``start`` on, while a symbol has bars.

    Parameters
    ----------
    pairs : sequence of (PaperSymbol, SymbolBacktest)
    start : int
    """
    bars = same = held = same_held = outside = 0
    for mine, theirs in pairs:
        part = slice(max(start, theirs.first), theirs.last + 1)
        a, b = mine.position, theirs.position
        equal = _same(a, b)
        aside = set_aside(equal, b, mine.outside)[part]
        counts, equal = ~aside, equal[part]
        either = ((a != 0.0) | (b != 0.0))[part] & counts
        bars += int(np.count_nonzero(counts))
        same += int(np.count_nonzero(equal & counts))
        held += int(np.count_nonzero(either))
        same_held += int(np.count_nonzero(equal & either))
        outside += int(np.count_nonzero(aside))
    return Compared(bars, same, held, same_held, outside)


def too_many_aside(bars: int, outside: int) -> bool:
    """Whether so many bars were set aside that those that were compared tell too little.

    Parameters
    ----------
    bars, outside : int
        That were compared, and that were set aside.
    """
    return outside > MOST_ASIDE * (bars + outside)


def _same(a: Floats, b: Floats) -> Bools:
    return np.abs(a - b) <= POSITION_TOLERANCE * np.maximum(np.abs(a), np.abs(b))


def set_aside(equal: Bools, shadow: Floats, acts: Sequence[int]) -> Bools:
    """Bars from each act on up to the one with which it is over, that one excluded.

    It is over when both sides agree, and with the end of the shadow's next trade at the latest:
    that of the position which the act closed, if it still has it, then that of one more.

    Parameters
    ----------
    equal : bool, shape (T,)
        Whether both sides hold the same after a bar.
    shadow : float64, shape (T,)
        The shadow's position after each bar.
    acts : sequence of int
        Bars in which an act from outside closed a position.
    """
    aside = np.zeros(equal.size, dtype=np.bool_)
    side = np.sign(shadow)
    left = np.flatnonzero((side[:-1] != 0.0) & (side[1:] != side[:-1])) + 1
    for act in (max(one, 0) for one in acts if one < equal.size):
        again = np.flatnonzero(equal[act:])
        ends = act + int(again[0]) if again.size else equal.size
        later = left[left > act]
        trades = 2 if side[act] else 1
        aside[act : min(ends, int(later[trades - 1])) if later.size >= trades else ends] = True
    return aside
