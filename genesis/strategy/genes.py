"""Genes: the typed, bounded parameters that a seed family is bred by.

Every gene is a finite grid of legal values, so that expressions are shared between genomes and
their texts stay readable. Operators work on the place in that grid: ``index`` and ``at``, or the
same scaled to [0, 1] by ``to_unit`` and ``from_unit``. Places of an ordered gene are in order of
its values; places of a categorical gene (`Choice`, `Flag`) carry no order. An optional gene has
"off" (0) as its first place.

On a class a gene is itself, on an instance of the family it is its value.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, cast, overload

from genesis.domain.errors import StrategyError
from genesis.strategy.grid import GRID

GeneValue: TypeAlias = int | float | str
V = TypeVar("V", int, float, str, bool)

OFF = 0.0
_LOG_POINTS = 48
_LINEAR_POINTS = 64


class RandomSource(Protocol):
    """The part of `random.Random` that sampling uses."""

    def random(self) -> float:
        """Return a number in [0, 1)."""
        ...

    def randrange(self, stop: int, /) -> int:
        """Return an integer in [0, stop)."""
        ...


class Gene(Generic[V]):
    """A finite grid of legal values.

    Attributes
    ----------
    name : str
        The attribute it was assigned to.
    values : tuple
        Legal values in order.
    default : value
        One of `values`.
    unit : str
        Unit of the value, for people (``bars``, ``fraction of price``).
    doc : str
        One sentence for people.
    categorical : bool
        Whether the order of the places means nothing.
    optional : bool
        Whether the first place, 0, switches the gene's rule off.
    """

    categorical = False

    def __init__(
        self,
        values: Sequence[V],
        *,
        default: V | None,
        unit: str = "",
        doc: str = "",
        optional: bool = False,
    ) -> None:
        if not values:
            raise StrategyError(f"a {type(self).__name__} gene needs at least one value")
        self.name = ""
        self.values: tuple[V, ...] = tuple(values)
        self.unit = unit
        self.doc = doc
        self.optional = optional
        self._place: dict[object, int] = {v: place for place, v in enumerate(self.values)}
        self.default: V = self.values[len(self.values) // 2]
        if optional:
            self.default = self.values[0]
        if default is not None:
            self.default = self.repair(default)

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, owner: None, kind: type) -> Gene[V]: ...
    @overload
    def __get__(self, owner: object, kind: type) -> V: ...
    def __get__(self, owner: object | None, kind: type) -> Gene[V] | V:
        if owner is None:
            return self
        chosen = cast("dict[str, V]", owner.__dict__)
        return chosen.get(self.name, self.default)

    def __set__(self, owner: object, value: object) -> None:
        raise AttributeError(f"gene '{self.name}' is fixed once its family is built")

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name or '?'}: {self.bounds_text})"

    @property
    def low(self) -> V:
        """First legal value."""
        return self.values[0]

    @property
    def high(self) -> V:
        """Last legal value."""
        return self.values[-1]

    @property
    def bounds_text(self) -> str:
        """Bounds for people: ``5 to 40 bars``, ``off or 0.5 to 8 ATR``, ``both | long | short``."""
        if self.categorical:
            return " | ".join(str(v) for v in self.values)
        first = self.values[1] if self.optional else self.values[0]
        text = f"{first} to {self.values[-1]}" + (f" {self.unit}" if self.unit else "")
        return f"off or {text}" if self.optional else text

    def active(self, value: GeneValue) -> bool:
        """Whether an optional gene's rule is switched on; a gene without a switch always is."""
        return not self.optional or value != OFF

    def repair(self, value: object) -> V:
        """Nearest legal value: clipped to the bounds, then snapped to the grid.

        Anything is accepted; what cannot be read as a value of this gene (NaN, None, an unknown
        word) becomes the default. Repairing twice changes nothing.
        """
        try:
            place = self._place.get(value)
            return self.values[self._nearest(value) if place is None else place]
        except (TypeError, ValueError, KeyError, OverflowError):
            return self.default

    def _nearest(self, value: object) -> int:
        if isinstance(value, str):
            raise ValueError(value)
        number = float(cast(Any, value))
        if math.isnan(number):
            raise ValueError("NaN")
        grid = cast("Sequence[float]", self.values)
        place = bisect.bisect_left(grid, number)
        if place == 0:
            return 0
        if place == len(grid):
            return place - 1
        # A tie goes down, so that the result does not depend on rounding of the midpoint.
        return place - int(grid[place] - number >= number - grid[place - 1])

    def index(self, value: object) -> int:
        """Place of a value in the grid (of the nearest legal one)."""
        return self._place[self.repair(value)]

    def at(self, index: float) -> V:
        """Value at a place; the place is rounded and clipped, NaN gives the default."""
        if math.isnan(index):
            return self.default
        if math.isinf(index):
            return self.values[-1 if index > 0 else 0]
        return self.values[min(max(round(index), 0), len(self.values) - 1)]

    def to_unit(self, value: object) -> float:
        """Place of a value scaled to [0, 1]; 0 for a gene with a single value."""
        return self.index(value) / max(len(self.values) - 1, 1)

    def from_unit(self, unit: float) -> V:
        """Value at a scaled place."""
        return self.at(unit * (len(self.values) - 1))

    def sample(self, rng: RandomSource) -> V:
        """Draw a value: uniform over the grid; an optional gene is off in half of the draws."""
        if not self.optional or len(self.values) == 1:
            return self.values[rng.randrange(len(self.values))]
        if rng.random() < 0.5:
            return self.values[0]
        return self.values[1 + rng.randrange(len(self.values) - 1)]

    def neighbours(self, value: object) -> tuple[V, ...]:
        """Legal values one step away; every other value of a categorical gene."""
        place = self.index(value)
        if self.categorical:
            return tuple(v for at, v in enumerate(self.values) if at != place)
        return tuple(self.values[at] for at in (place - 1, place + 1) if 0 <= at < len(self.values))


class Window(Gene[int]):
    """A number of bars on the window grid within [low, high].

    Parameters
    ----------
    low, high : int
        Bounds in bars; values between grid points are not used.
    default : int, optional
        The middle of the grid if absent.
    doc : str, optional

    Raises
    ------
    StrategyError
        If no grid point lies within the bounds.
    """

    def __init__(self, low: int, high: int, *, default: int | None = None, doc: str = "") -> None:
        values = [n for n in GRID if low <= n <= high]
        if not values:
            raise StrategyError(
                f"Window({low}, {high}) holds no window of the grid",
                fix=f"use bounds that include one of {', '.join(str(n) for n in GRID)}",
            )
        super().__init__(values, default=default, unit="bars", doc=doc)


class Levels(Gene[int]):
    """An ordered choice of integers, such as 64, 128, 256, 512 bars."""

    def __init__(
        self, *values: int, default: int | None = None, unit: str = "", doc: str = ""
    ) -> None:
        super().__init__(sorted(set(values)), default=default, unit=unit, doc=doc)


class Int(Gene[int]):
    """An integer within [low, high].

    Parameters
    ----------
    low, high : int
    step : int
    off : bool
        Whether 0 is legal besides and switches the rule off.
    default : int, optional
    unit, doc : str, optional
    """

    def __init__(
        self,
        low: int,
        high: int,
        *,
        step: int = 1,
        off: bool = False,
        default: int | None = None,
        unit: str = "",
        doc: str = "",
    ) -> None:
        if high < low or step < 1 or (off and low <= 0):
            raise StrategyError(f"Int({low}, {high}, step={step}, off={off}) has no legal range")
        values = [*range(low, high + 1, step)]
        super().__init__(
            [0, *values] if off else values, default=default, unit=unit, doc=doc, optional=off
        )


class Float(Gene[float]):
    """A number within [low, high], on a readable grid.

    Parameters
    ----------
    low, high : float
    unit : str
        What the number measures, for people.
    step : float, optional
        Distance of legal values; a 1-2-5 step near a 64th of the range if absent.
    log : bool
        Space the values geometrically (two significant digits); needs ``low > 0``.
    off : bool
        Whether 0 is legal besides and switches the rule off; needs ``low > 0``.
    default : float, optional
    doc : str, optional

    Raises
    ------
    StrategyError
        If the bounds or the step make no sense.
    """

    def __init__(
        self,
        low: float,
        high: float,
        *,
        unit: str = "",
        step: float | None = None,
        log: bool = False,
        off: bool = False,
        default: float | None = None,
        doc: str = "",
    ) -> None:
        finite = math.isfinite(low) and math.isfinite(high)
        if not finite or high < low or ((log or off) and low <= 0):
            raise StrategyError(f"Float({low}, {high}, log={log}, off={off}) has no legal range")
        if step is not None and not step > 0:
            raise StrategyError(f"the step of Float({low}, {high}) must be positive, not {step}")
        if log:
            values = _geometric(low, high)
        else:
            values = _linear(low, high, step or readable_step((high - low) / _LINEAR_POINTS))
        super().__init__(
            [OFF, *values] if off else values, default=default, unit=unit, doc=doc, optional=off
        )


class Choice(Gene[str]):
    """One word of several."""

    categorical = True

    def __init__(self, *words: str, default: str | None = None, doc: str = "") -> None:
        super().__init__(words, default=default or (words[0] if words else None), doc=doc)

    def _nearest(self, value: object) -> int:
        return self._place[value]


class Flag(Gene[bool]):
    """A switch."""

    categorical = True

    def __init__(self, *, default: bool = False, doc: str = "") -> None:
        super().__init__((False, True), default=default, doc=doc)

    def _nearest(self, value: object) -> int:
        number = float(cast(Any, value))
        if math.isnan(number):
            raise ValueError("NaN")
        return int(number >= 0.5)


def readable_step(width: float) -> float:
    """Largest of ..., 0.1, 0.2, 0.5, 1, 2, 5, ... that is not above a width (1 for width 0)."""
    if width <= 0:
        return 1.0
    exponent = math.floor(math.log10(width))
    for digit in (5, 2, 1):
        step = float(f"{digit}e{exponent}")
        if step <= width:
            return step
    return float(f"1e{exponent}")


def _linear(low: float, high: float, step: float) -> list[float]:
    # Multiples of the step are taken from a decimal spelling, so that 0.3 is 0.3, not 3 * 0.1.
    digits = max(0, 3 - math.floor(math.log10(step)))
    first = math.ceil(round(low / step, 9))
    last = math.floor(round(high / step, 9))
    inner = [round(k * step, digits) for k in range(first, last + 1)]
    return sorted({float(low), *(v for v in inner if low <= v <= high), float(high)})


def _geometric(low: float, high: float) -> list[float]:
    ratio = math.log(high / low)
    inner = [float(f"{low * math.exp(ratio * k / _LOG_POINTS):.2g}") for k in range(1, _LOG_POINTS)]
    return sorted({float(low), *(v for v in inner if low < v < high), float(high)})
