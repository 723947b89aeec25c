"""The window grid: every evolved window is one of sixteen lengths, so that nodes are shared."""

from __future__ import annotations

import bisect

GRID: tuple[int, ...] = (2, 3, 4, 5, 7, 10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320)


def snap(n: float) -> int:
    """Nearest window of the grid on a logarithmic scale; the shorter one on a tie.

    Parameters
    ----------
    n : float
        Any number; values outside the grid go to its ends, NaN to its first entry.
    """
    if not n > GRID[0]:
        return GRID[0]
    if n >= GRID[-1]:
        return GRID[-1]
    upper = bisect.bisect_left(GRID, n)
    low, high = GRID[upper - 1], GRID[upper]
    return low if n * n <= low * high else high
