"""A distribution in bounded memory: values on a grid, counted."""

from __future__ import annotations

import math


class Distribution:
    """Counts of values rounded to a grid that is coarse far out; quantiles to half a grid step.

    Parameters
    ----------
    fine : float
        Grid step up to ``near``.
    near : float
        Absolute value beyond which the step is ``coarse``.
    coarse : float
    limit : float
        Greatest absolute value; what lies beyond counts as it.
    """

    __slots__ = ("_counts", "_total", "coarse", "fine", "limit", "near")

    def __init__(self, fine: float, near: float, coarse: float, limit: float) -> None:
        self.fine, self.near, self.coarse, self.limit = fine, near, coarse, limit
        self._counts: dict[float, int] = {}
        self._total = 0

    @staticmethod
    def of_basis_points() -> Distribution:
        """For slippage: 0.01 bp up to 100 bp, 1 bp up to 10,000; at most 39,801 values."""
        return Distribution(0.01, 100.0, 1.0, 10_000.0)

    @staticmethod
    def of_milliseconds() -> Distribution:
        """For latency: 1 ms up to 10 s, 1 s up to a day; at most 192,781 values."""
        return Distribution(1.0, 10_000.0, 1000.0, 86_400_000.0)

    def add(self, value: float) -> None:
        """Count a finite value."""
        value = min(max(value, -self.limit), self.limit)
        # Divided, not multiplied: 207 / 100 is the float that people write as 2.07.
        per = 1.0 / (self.fine if -self.near <= value <= self.near else self.coarse)
        key = round(value * per) / per
        self._counts[key] = self._counts.get(key, 0) + 1
        self._total += 1

    def median(self) -> float | None:
        """Middle value, the mean of the two middle ones of an even number; None for none."""
        if not self._total:
            return None
        return (self._at((self._total + 1) // 2) + self._at(self._total // 2 + 1)) / 2.0

    def quantile(self, share: float) -> float | None:
        """Least value that at least ``share`` of all values do not exceed; None for none."""
        if not self._total:
            return None
        # 0.95 * 20 may come out a little above 19.
        return self._at(max(math.ceil(share * self._total - 1e-9), 1))

    def _at(self, rank: int) -> float:
        """Value of a rank, from 1."""
        seen, value = 0, 0.0
        for value in sorted(self._counts):
            seen += self._counts[value]
            if seen >= rank:
                break
        return value

    def plain(self) -> list[list[float | int]]:
        """Pairs of value and count, in order."""
        return [[value, self._counts[value]] for value in sorted(self._counts)]

    def restore(self, plain: list[list[float | int]]) -> None:
        """Take over what `plain` gave."""
        self._counts = {float(value): int(count) for value, count in plain}
        self._total = sum(self._counts.values())
