"""What scenarios need to know of a market: the law of each regime, its tails, jumps and turns.

Fitted once by the driver and sent to the workers as plain numbers, so that all of them draw the
same scenarios whatever their build of the math library makes of a fit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.domain.timeline import DAY_MS
from genesis.evolution.risk.garch import Garch, fit, shocks_of
from genesis.evolution.risk.source import CELLS, SourceMarket

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

JUMP_SDS = 4.5
"""Moves beyond so many diffusive standard deviations of their window count as jumps."""
_RARE_JUMPS_DAYS = 30.0
_MOST_BRANCHING = 0.7
_JUMP_VARIANCE_SHARE = 0.75


@dataclass(frozen=True, slots=True)
class Jumps:
    """Jumps that hit all symbols at once, arriving as a Hawkes process.

    Attributes
    ----------
    rate : float
        Jumps per bar in the long run.
    branching : float
        Jumps that one jump brings about on average, below 1.
    decay : float
        Share of the excitement that is left after one bar.
    mean, sd : tuple of float
        Of a symbol's logarithmic jump.
    correlation : float
        Between the jumps of two symbols.
    """

    rate: float
    branching: float
    decay: float
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    correlation: float


@dataclass(frozen=True, slots=True)
class MarketLaw:
    """Numbers of a source market; logarithmic returns per bar.

    Attributes
    ----------
    block_length : float
        Mean block of the stationary bootstrap, in bars.
    mean, sd : tuple of tuple of float
        Of each symbol in each regime.
    factor : tuple of tuple of float
        Lower Cholesky factor of the symbols' correlations.
    garch : tuple of Garch
        Of each symbol.
    dof : float
        Degrees of freedom of the shocks that all symbols share.
    jumps : Jumps
    turns : tuple of tuple of float
        Chance that a window of one regime is followed by one of another.
    """

    block_length: float
    mean: tuple[tuple[float, ...], ...]
    sd: tuple[tuple[float, ...], ...]
    factor: tuple[tuple[float, ...], ...]
    garch: tuple[Garch, ...]
    dof: float
    jumps: Jumps
    turns: tuple[tuple[float, ...], ...]

    def to_plain(self) -> dict[str, Any]:
        """JSON form; floats survive it exactly."""
        return {
            "block_length": self.block_length,
            "mean": [list(row) for row in self.mean],
            "sd": [list(row) for row in self.sd],
            "factor": [list(row) for row in self.factor],
            "garch": [[one.alpha, one.beta, one.dof] for one in self.garch],
            "dof": self.dof,
            "jumps": {
                "rate": self.jumps.rate,
                "branching": self.jumps.branching,
                "decay": self.jumps.decay,
                "mean": list(self.jumps.mean),
                "sd": list(self.jumps.sd),
                "correlation": self.jumps.correlation,
            },
            "turns": [list(row) for row in self.turns],
        }

    @staticmethod
    def from_plain(plain: Mapping[str, Any]) -> MarketLaw:
        """Law from `to_plain`."""
        jumps = plain["jumps"]
        return MarketLaw(
            block_length=plain["block_length"],
            mean=_rows(plain["mean"]),
            sd=_rows(plain["sd"]),
            factor=_rows(plain["factor"]),
            garch=tuple(Garch(*row) for row in plain["garch"]),
            dof=plain["dof"],
            jumps=Jumps(**{**jumps, "mean": tuple(jumps["mean"]), "sd": tuple(jumps["sd"])}),
            turns=_rows(plain["turns"]),
        )


def _rows(plain: Any) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(v) for v in row) for row in plain)


def market_law(source: SourceMarket, interval_ms: int) -> MarketLaw:
    """Measure a source market.

    Parameters
    ----------
    source : SourceMarket
    interval_ms : int
        Length of a bar.
    """
    cells = [source.move[source.bars_of(cell)] for cell in range(CELLS)]
    fits = tuple(fit(np.ascontiguousarray(column)) for column in source.move.T)
    correlation = np.corrcoef(_standardised(source.move, fits), rowvar=False)
    factor = np.linalg.cholesky(np.atleast_2d(correlation))
    return MarketLaw(
        block_length=source.block_length(),
        mean=_rows([moves.mean(axis=0) for moves in cells]),
        sd=_rows([moves.std(axis=0) for moves in cells]),
        factor=_rows(factor),
        garch=fits,
        dof=float(np.mean([one.dof for one in fits])),
        jumps=measure_jumps(source, DAY_MS / interval_ms),
        turns=_turns(source),
    )


def _standardised(move: Floats, fits: tuple[Garch, ...]) -> Floats:
    """Moves over their conditional standard deviation."""
    unit = (move - move.mean(axis=0)) / move.std(axis=0)
    out: Floats = np.empty_like(unit)
    for i, one in enumerate(fits):
        shocks = np.empty(unit.shape[0])
        shocks_of(np.ascontiguousarray(unit[:, i]), one.alpha, one.beta, shocks)
        out[:, i] = shocks
    return out


def measure_jumps(source: SourceMarket, bars_per_day: float) -> Jumps:
    """Jumps of the market, told from diffusion by bipower variation (Barndorff-Nielsen, Shephard).

    Arrivals cluster: the branching ratio of a Hawkes process is ``1 - 1 / sqrt(F)`` for the
    variance over the mean F of counts in windows much longer than its memory (Hawkes 1971).
    Where fewer than five jumps were seen, one a month of five standard deviations stands in.
    """
    sd = diffusive_sd(source.move, source.window)
    hit: Bools = (np.abs(source.move) / np.maximum(sd, 1e-12)).max(axis=1) > JUMP_SDS
    half_life = max(bars_per_day / 2.0, 1.0)
    decay = 0.5 ** (1.0 / half_life)
    least = 1.0 / (_RARE_JUMPS_DAYS * bars_per_day)
    if hit.sum() < 5:
        size = 5.0 * source.move.std(axis=0)
        return Jumps(least, 0.0, decay, (0.0,) * source.assets, tuple(map(float, size)), 0.7)
    jumps = source.move[hit]
    windows = source.bars // source.window
    counts = hit[: windows * source.window].reshape(windows, -1).sum(axis=1)
    dispersion = float(counts.var() / max(counts.mean(), 1e-12))
    branching = 1.0 - 1.0 / math.sqrt(max(dispersion, 1.0))
    together = np.atleast_2d(np.corrcoef(jumps, rowvar=False))
    off = together[np.triu_indices(source.assets, 1)] if source.assets > 1 else np.zeros(1)
    return Jumps(
        rate=max(float(hit.mean()), least),
        branching=min(branching, _MOST_BRANCHING),
        decay=decay,
        mean=tuple(map(float, jumps.mean(axis=0))),
        sd=tuple(map(float, jumps.std(axis=0))),
        correlation=min(max(float(np.mean(off)), 0.0), 0.99),
    )


def diffusive_sd(move: Floats, window: int) -> Floats:
    """Standard deviation without jumps of each bar's window, shape (N, A), by bipower variation."""
    out = np.empty_like(move)
    for start in range(0, move.shape[0], window):
        # A short rest at the end is measured with the window before it.
        first = start if start + window <= move.shape[0] else max(move.shape[0] - window, 0)
        part = np.abs(move[first : first + window])
        bipower = 0.5 * math.pi * (part[1:] * part[:-1]).mean(axis=0)
        out[start : start + window] = np.sqrt(bipower)
    return out


def diffusion_sd(law: MarketLaw, cell: int) -> Floats:
    """What is left of a regime's standard deviation when the jumps' part is taken out, shape (A,).

    Jumps take three quarters of the variance at most, or calm regimes would stand still.
    """
    whole = np.array(law.sd[cell]) ** 2
    square = np.array(law.jumps.mean) ** 2 + np.array(law.jumps.sd) ** 2
    part = np.minimum(law.jumps.rate * square, _JUMP_VARIANCE_SHARE * whole)
    return np.asarray(np.sqrt(whole - part), dtype=np.float64)


def _turns(source: SourceMarket) -> tuple[tuple[float, ...], ...]:
    """Transitions between windows, one of each kind added so that none is impossible."""
    labels = source.cell[:: source.window]
    counts = np.ones((CELLS, CELLS))
    np.add.at(counts, (labels[:-1], labels[1:]), 1.0)
    return _rows(counts / counts.sum(axis=1, keepdims=True))
