"""Calibration: what confidence turned out to be worth.

A decision is *overturned* if the same rule decides the opposite on the data of the 30 days that
follow it, and of those days alone. Confidence should be the frequency with which that does not
happen. Where it is not, the confidence of later decisions is read off the frequencies that were
seen: a nondecreasing step function by type of decision, fitted by pooling adjacent violators
(Ayer et al. 1955), with straight lines between the confidences that occurred.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Self

import msgspec

from genesis.domain.canonical import content_hash
from genesis.domain.errors import InputError

LEAST: Final = 200
"""Judged decisions of a type without which nothing is fitted to it."""
HORIZON_DAYS: Final = 30
Z95: Final = 1.959963984540054
"""Normal quantile of a two-sided 95 % interval."""
_OPPOSITES: Final = (
    frozenset({"retire", "keep"}),
    frozenset({"approve", "reject"}),
    frozenset({"shutdown", "continue"}),
    frozenset({"tighten", "loosen"}),
    frozenset({"grow", "shrink"}),
    frozenset({"defend", "normal"}),
)


class Judged(msgspec.Struct, frozen=True):
    """A decision, and whether the 30 days that followed overturned it.

    Attributes
    ----------
    kind : str
    confidence : float
        By the rules alone.
    overturned : bool
    about : str
        Strategy, or empty.
    day : int
        Day of the decision (since 1970); days less than 30 apart share data.
    """

    kind: str
    confidence: float
    overturned: bool
    about: str = ""
    day: int = 0


def opposite(one: str, other: str) -> bool:
    """Whether two actions of the same type of decision are each other's opposite."""
    return one != other and frozenset({one, other}) in _OPPOSITES


def wilson(held: int, count: int, z: float = Z95) -> tuple[float, float]:
    """Wilson's score interval of a frequency (1927).

    Parameters
    ----------
    held, count : int
        Successes, and trials; ``count`` above 0.
    z : float
        Normal quantile of the level.
    """
    return wilson_share(held / count, count, z)


class Bin(msgspec.Struct, frozen=True):
    """Decisions of one type with the same confidence.

    Attributes
    ----------
    confidence : float
        By the rules.
    count, held : int
        Decisions, and those that were not overturned.
    low, high : float
        95 % interval of that frequency (Wilson), if decisions were independent.
    apart : int
        Decisions that share no day of data with another one of them: what they are worth.
    low_apart, high_apart : float
        The interval with that many.
    calibrated : float
        Confidence that such a decision has from here on.
    """

    confidence: float
    count: int
    held: int
    low: float
    high: float
    apart: int
    low_apart: float
    high_apart: float
    calibrated: float

    @property
    def frequency(self) -> float:
        """Share that was not overturned."""
        return self.held / self.count


class _Plain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    decisions: int
    types: dict[str, tuple[Bin, ...]]


@dataclass(frozen=True)
class Calibration:
    """A fitted mapping from a rule's confidence to what it is worth.

    Attributes
    ----------
    decisions : int
        Judged decisions that it rests on.
    types : mapping of str to tuple of Bin
        In order of confidence; types with fewer than `LEAST` decisions are not in it.
    """

    decisions: int
    types: Mapping[str, tuple[Bin, ...]]

    @cached_property
    def hash(self) -> str:
        """SHA-256 over what it says."""
        return content_hash(self.plain())

    def apply(self, kind: str, confidence: float) -> float:
        """Calibrated confidence; the given one for a type that it says nothing of.

        Between two confidences that occurred on the line between them, beyond them as at the
        nearest one.
        """
        bins = self.types.get(kind)
        if not bins:
            return confidence
        place = bisect_left(bins, confidence, key=lambda one: one.confidence)
        if place == len(bins):
            return bins[-1].calibrated
        right = bins[place]
        if place == 0 or right.confidence == confidence:
            return right.calibrated
        left = bins[place - 1]
        share = (confidence - left.confidence) / (right.confidence - left.confidence)
        return left.calibrated + share * (right.calibrated - left.calibrated)

    def plain(self) -> dict[str, Any]:
        """Mapping as JSON values."""
        plain: dict[str, Any] = msgspec.to_builtins(_Plain(self.decisions, dict(self.types)))
        return plain

    @classmethod
    def from_plain(cls, raw: Any) -> Self:
        """Read back what `plain` gave.

        Raises
        ------
        InputError
            If it is something else.
        """
        try:
            read = msgspec.convert(raw, _Plain, strict=True)
        except msgspec.ValidationError as error:
            raise InputError("this is no calibration", why=str(error)) from None
        return cls(read.decisions, read.types)


def fit(judged: Iterable[Judged]) -> Calibration:
    """Fit a calibration to judged decisions.

    Returns
    -------
    Calibration
        Without types of which there are fewer than `LEAST` decisions: of those the rules' own
        confidence is used.
    """
    by_kind: dict[str, list[Judged]] = {}
    for one in judged:
        by_kind.setdefault(one.kind, []).append(one)
    types = {kind: table(rows) for kind, rows in sorted(by_kind.items()) if len(rows) >= LEAST}
    return Calibration(sum(len(by_kind[kind]) for kind in types), types)


def table(judged: Sequence[Judged]) -> tuple[Bin, ...]:
    """Frequencies of one type by confidence, with intervals and the fitted values."""
    groups: dict[float, list[Judged]] = {}
    for one in judged:
        groups.setdefault(one.confidence, []).append(one)
    order = sorted(groups)
    counts = [len(groups[level]) for level in order]
    helds = [sum(not one.overturned for one in groups[level]) for level in order]
    fitted = isotonic([h / n for h, n in zip(helds, counts, strict=True)], counts)
    bins = []
    for level, count, held, value in zip(order, counts, helds, fitted, strict=True):
        apart = disjoint(groups[level])
        low, high = wilson(held, count)
        # The frequency stays what it is; only the number of trials that stand behind it shrinks.
        low_apart, high_apart = wilson_share(held / count, apart)
        bins.append(Bin(level, count, held, low, high, apart, low_apart, high_apart, value))
    return tuple(bins)


def wilson_share(share: float, count: float, z: float = Z95) -> tuple[float, float]:
    """Wilson's interval of a frequency that so many independent trials stand behind."""
    spread = z * z / count
    middle = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / count + spread / (4 * count))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def disjoint(judged: Iterable[Judged], horizon: int = HORIZON_DAYS) -> int:
    """Greatest number of decisions of which no two look at the same days of the same thing.

    Taking the earliest first is best for intervals of one length.
    """
    count, free = 0, dict[str, int]()
    for one in sorted(judged, key=lambda row: row.day):
        if one.day >= free.get(one.about, -(2**62)):
            count += 1
            free[one.about] = one.day + horizon
    return count


def isotonic(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Nondecreasing sequence nearest to values in weighted least squares.

    Pool adjacent violators (Ayer, Brunk, Ewing, Reid and Silverman 1955).

    Parameters
    ----------
    values : sequence of float, length n
    weights : sequence of float, length n
        Positive.
    """
    blocks: list[tuple[float, float, int]] = []  # weighted mean, weight, length
    for value, weight in zip(values, weights, strict=True):
        mean, total, length = float(value), float(weight), 1
        while blocks and blocks[-1][0] > mean:
            before, its, many = blocks.pop()
            mean = (before * its + mean * total) / (its + total)
            total, length = total + its, length + many
        blocks.append((mean, total, length))
    return [mean for mean, _, length in blocks for _ in range(length)]
