"""The stylised crash: a day of minus thirty per cent in everything, with all that goes with it.

Correlations go to 0.9, spreads to ten times, the exchange stops for six hours in the middle, and
the open after the halt is below every stop that rested: gapped through.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genesis.domain.timeline import DAY_MS, HOUR_MS

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

FALL = 0.30
CORRELATION = 0.9
SPREAD = 10.0
HALT_MS = 6 * HOUR_MS
HALT_SHARE = 0.4
"""Share of the fall (in logarithms) that happens while nobody can trade."""
AFTERMATH_DAYS = 3
_DAY_VOLATILITY, _LATER_VOLATILITY = 3.0, 2.0
_EARLIEST, _LATEST = 0.35, 0.85


@dataclass(frozen=True, slots=True, eq=False)
class Crash:
    """A path with its crash.

    Attributes
    ----------
    move, sd, gap : float64, shape (B, A)
    spread : float64, shape (B,)
        Multiple of the ordinary slippage.
    halted : bool, shape (B,)
    start, stop : int
        The day of the crash, ``[start, stop)``.
    """

    move: Floats
    sd: Floats
    gap: Floats
    spread: Floats
    halted: Bools
    start: int
    stop: int


def crash_of(move: Floats, sd: Floats, interval_ms: int, rng: np.random.Generator) -> Crash:
    """Put a crash into a path.

    Parameters
    ----------
    move, sd : float64, shape (B, A)
        Logarithmic moves and their standard deviations.
    interval_ms : int
        Length of a bar. Of bars longer than the halt, one is halted.
    rng : numpy.random.Generator
        Says when, in the later two thirds of the path, and how each symbol shakes.
    """
    bars = move.shape[0]
    day = max(round(DAY_MS / interval_ms), 1)
    halt = max(-(-HALT_MS // interval_ms), 1)
    start = int(rng.integers(int(_EARLIEST * bars), max(int(_LATEST * bars) - day, 1)))
    stop = start + day
    end = min(stop + AFTERMATH_DAYS * day, bars)
    halted = np.zeros(bars, dtype=bool)
    first = start + (day - min(halt, day)) // 2
    halted[first : first + min(halt, day)] = True
    noise = _together(end - start, move.shape[1], rng)
    move, sd = move.copy(), sd.copy()
    sd[start:stop] *= _DAY_VOLATILITY
    sd[stop:end] *= _LATER_VOLATILITY
    move[stop:end] = sd[stop:end] * noise[day:]
    move[start:stop] = _day(sd[start:stop] * noise[:day], halted[start:stop])
    spread = np.ones(bars)
    spread[start:stop] = SPREAD
    return Crash(move, sd, np.zeros_like(move), spread, halted, start, stop)


def _together(bars: int, assets: int, rng: np.random.Generator) -> Floats:
    """Normal draws with a correlation of 0.9 between any two symbols, shape (bars, assets)."""
    common, own = rng.standard_normal(bars), rng.standard_normal((bars, assets))
    return np.asarray(math.sqrt(CORRELATION) * common[:, None] + math.sqrt(1.0 - CORRELATION) * own)


def _day(shaking: Floats, halted: Bools) -> Floats:
    """Moves of the day: they shake, and add up to the fall exactly, its share in the halt."""
    fall = math.log(1.0 - FALL)
    closed = int(halted.sum())
    traded = halted.size - closed
    part = HALT_SHARE if traded else 1.0
    pace = np.where(halted, part * fall / closed, (1.0 - part) * fall / max(traded, 1))
    # While nobody trades nothing shakes: the whole fall of the halt shows in the open after it.
    shake = np.where(halted[:, None], 0.0, shaking)
    if traded:
        shake[~halted] -= shake[~halted].mean(axis=0)
    return np.asarray(shake + pace[:, None])
