"""Small figures as SVG inside the page: no library, colours from the style sheet.

The drawing stretches with the page and its strokes do not; labels are text of the page beside it,
so that they stay readable on a telephone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genesis.domain.timeline import format_ts

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

WIDTH, HEIGHT = 1000.0, 300.0
COLOURS = {"paper": "--accent", "backtest": "--second"}
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Line:
    """A curve: its name, colour, points as SVG path, and last value."""

    name: str
    colour: str
    path: str
    last: float


@dataclass(frozen=True, slots=True)
class Level:
    """A horizontal line: its height in the drawing and share of the height, and its value."""

    y: float
    share: float
    value: float


@dataclass(frozen=True, slots=True)
class CurveFigure:
    """Curves on one axis of time."""

    lines: tuple[Line, ...]
    levels: tuple[Level, ...]
    dates: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """An upright bar around a base line: place and size in the drawing, and what it stands for."""

    x: float
    y: float
    height: float
    name: str
    value: float
    count: int


@dataclass(frozen=True, slots=True)
class BarFigure:
    """Bars around a base line at ``base``."""

    bars: tuple[Bar, ...]
    base: float
    width: float


def nice_levels(low: float, high: float, about: int = 4) -> list[float]:
    """Round values between two bounds, about so many."""
    span = high - low
    if not span > 0.0:
        return [low]
    raw = span / about
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(s * power for s in _STEPS if s * power >= raw * 0.999)
    first = np.ceil(low / step - 1e-9)
    last = np.floor(high / step + 1e-9)
    return [float(k * step) for k in np.arange(first, last + 1)]


def curve_figure(curves: Mapping[str, tuple[Ints, Floats]]) -> CurveFigure | None:
    """Equity curves, each from the start; None where there are less than two marks.

    Parameters
    ----------
    curves : mapping of name to (ts_ms, values)
        Values that are not finite are left out.
    """
    whole = {
        name: (ts[np.isfinite(values)], values[np.isfinite(values)])
        for name, (ts, values) in curves.items()
    }
    whole = {name: pair for name, pair in whole.items() if pair[0].size > 1}
    if not whole:
        return None
    start = min(int(ts[0]) for ts, _ in whole.values())
    end = max(int(ts[-1]) for ts, _ in whole.values())
    low = min(0.0, *(float(values.min()) for _, values in whole.values()))
    high = max(0.0, *(float(values.max()) for _, values in whole.values()))
    if high == low:
        high = low + 1e-6

    def y(value: float) -> float:
        return float(HEIGHT - 8.0 - (value - low) / (high - low) * (HEIGHT - 16.0))

    lines = tuple(
        Line(name, COLOURS.get(name, "--teal"), _path(ts, values, start, end, y), float(values[-1]))
        for name, (ts, values) in whole.items()
    )
    levels = tuple(Level(y(v), y(v) / HEIGHT, v) for v in nice_levels(low, high))
    middle = (start + end) // 2
    return CurveFigure(lines, levels, tuple(format_ts(t)[:10] for t in (start, middle, end)))


def _path(ts: Ints, values: Floats, start: int, end: int, y: Callable[[float], float]) -> str:
    span = max(end - start, 1)
    points = [
        f"{(int(t) - start) / span * WIDTH:.1f},{y(float(v)):.1f}"
        for t, v in zip(ts, values, strict=True)
    ]
    return "M" + " L".join(points)


def bar_figure(rows: Sequence[tuple[str, float, int]]) -> BarFigure | None:
    """Bars up for gains and down for losses; None where all are zero.

    Parameters
    ----------
    rows : sequence of (name, value, count)
    """
    high = max([0.0, *(value for _, value, _ in rows)])
    low = min([0.0, *(value for _, value, _ in rows)])
    if high == low:
        return None
    slot = WIDTH / len(rows)
    scale = (HEIGHT - 8.0) / (high - low)
    base = 4.0 + high * scale
    bars = tuple(
        Bar(
            x=place * slot + 0.12 * slot,
            y=base - max(value, 0.0) * scale,
            height=abs(value) * scale,
            name=name,
            value=value,
            count=count,
        )
        for place, (name, value, count) in enumerate(rows)
    )
    return BarFigure(bars, base, 0.76 * slot)
