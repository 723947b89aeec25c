"""Scenarios: price paths of several symbols, each a pure function of (seed, role, index).

Five kinds in fixed shares. A path is drawn within one regime of the source market, so that every
regime weighs the same; what is not price (volume, funding, sentiment) is taken in blocks from the
regime's bars. No genome has any influence on a path: common random numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genesis.evolution.risk.crash import Crash, crash_of
from genesis.evolution.risk.garch import variances
from genesis.evolution.risk.law import MarketLaw, diffusion_sd
from genesis.evolution.risk.source import CELLS, SourceMarket
from genesis.validation.bootstrap import stationary_indices

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

KINDS = ("bootstrap", "garch", "jumps", "switching", "crash")
BOOTSTRAP, GARCH, JUMPS, SWITCHING, CRASH = range(5)
SHARES = (0.40, 0.25, 0.15, 0.10, 0.10)
PATTERN = (0, 1, 0, 2, 0, 3, 1, 0, 4, 1, 0, 2, 0, 1, 3, 0, 2, 1, 0, 4)
"""Kinds of twenty consecutive paths, in the shares above."""

ROLES = ("train", "validation", "sealed")
BURN_IN = 250
"""Bars before a path in which its volatility forgets where it began."""

SUBSTEPS = 8
"""Steps of the path inside a bar that its high and low are taken from."""


@dataclass(frozen=True, slots=True)
class PathKey:
    """Which path: its role, its number there, and what follows from that.

    Attributes
    ----------
    role : str
        One of `ROLES`; paths of different roles share no random number.
    index : int
    """

    role: str
    index: int

    @property
    def kind(self) -> int:
        """Place in `KINDS`."""
        return PATTERN[self.index % len(PATTERN)]

    @property
    def cell(self) -> int:
        """Regime: each place of the pattern goes through all of them in turn."""
        return (self.index % len(PATTERN) + self.index // len(PATTERN)) % CELLS

    def generator(self, seed: int) -> np.random.Generator:
        """Stream of the path's own."""
        place = (ROLES.index(self.role), self.index)
        return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=place))


@dataclass(frozen=True, slots=True, eq=False)
class MarketPath:
    """Bars of one scenario; arrays of shape (A, B) unless said otherwise.

    Attributes
    ----------
    open, high, low, close : float64
    volume, due, funding, sentiment : float64
        As in `SymbolSeries`.
    spread : float64, shape (B,)
        Multiple of the ordinary slippage.
    halted : bool, shape (B,)
        Bars without trading; the open after them is at the price that was reached meanwhile.
    """

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    due: Floats
    funding: Floats
    sentiment: Floats
    spread: Floats
    halted: Bools

    @property
    def bars(self) -> int:
        """Number of bars B."""
        return int(self.close.shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class _Moves:
    """Bars over the close before, in logarithms, shape (B, A)."""

    move: Floats
    gap: Floats
    up: Floats
    down: Floats


def draw_path(
    source: SourceMarket, law: MarketLaw, key: PathKey, seed: int, bars: int, interval_ms: int
) -> MarketPath:
    """Draw one path.

    Parameters
    ----------
    source : SourceMarket
    law : MarketLaw
        Of the source.
    key : PathKey
    seed : int
        Of the campaign.
    bars : int
        Length B.
    interval_ms : int
    """
    rng = key.generator(seed)
    blocks = source.bars_of(key.cell)[block_indices(source, law, key.cell, bars, rng)]
    crash: Crash | None = None
    if key.kind == BOOTSTRAP:
        columns = (source.move, source.gap, source.up, source.down)
        moves = _Moves(*(column[blocks] for column in columns))
    elif key.kind == CRASH:
        move, sd = garch_moves(law, key.cell, bars, rng)
        crash = crash_of(move, sd, interval_ms, rng)
        moves = with_ranges(crash.move, crash.sd, crash.gap, rng)
    else:
        moves = with_ranges(*_parametric(law, key, bars, source.window, rng), rng)
    return _prices(source, moves, blocks, crash)


def block_indices(
    source: SourceMarket, law: MarketLaw, cell: int, bars: int, rng: np.random.Generator
) -> Ints:
    """Places among a regime's bars in blocks of geometric length, shape (bars,)."""
    count = source.bars_of(cell).size
    length = max(law.block_length, 1.0)
    rows = [stationary_indices(count, length, rng) for _ in range(-(-bars // count))]
    return np.concatenate(rows)[:bars]


def _parametric(
    law: MarketLaw, key: PathKey, bars: int, window: int, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """Moves, their standard deviations given all that is known, and gaps; shape (B, A) each."""
    if key.kind == GARCH:
        move, sd = garch_moves(law, key.cell, bars, rng)
        return move, sd, np.zeros_like(move)
    if key.kind == JUMPS:
        return jump_moves(law, key.cell, bars, rng)
    move, sd = switching_moves(law, key.cell, bars, window, rng)
    return move, sd, np.zeros_like(move)


def correlated(law: MarketLaw, bars: int, rng: np.random.Generator) -> Floats:
    """Normal draws with the symbols' correlations, shape (bars, A)."""
    factor = np.array(law.factor)
    draws = rng.standard_normal((bars, factor.shape[0]))
    # Sums in fixed order: a matrix product may add in another order on another machine.
    out = np.zeros_like(draws)
    for i, row in enumerate(factor):
        for j in range(i + 1):
            out[:, i] += row[j] * draws[:, j]
    return out


def garch_moves(
    law: MarketLaw, cell: int, bars: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """GARCH(1,1) moves with t shocks that share their fat tail, scaled to a regime.

    Returns
    -------
    move, sd : float64, shape (bars, A)
        The standard deviation is that of the normal law which a t shock is a mixture of.
    """
    total = bars + BURN_IN
    mixing = (law.dof - 2.0) / rng.chisquare(law.dof, total)
    shocks = correlated(law, total, rng) * np.sqrt(mixing)[:, None]
    move, sd = np.empty((bars, len(law.garch))), np.empty((bars, len(law.garch)))
    for i, one in enumerate(law.garch):
        variance = np.empty(total)
        variances(np.ascontiguousarray(shocks[:, i]), one.alpha, one.beta, variance)
        scale = law.sd[cell][i] * np.sqrt(variance[BURN_IN:])
        move[:, i] = law.mean[cell][i] + scale * shocks[BURN_IN:, i]
        sd[:, i] = scale * np.sqrt(mixing[BURN_IN:])
    return move, sd


def jump_moves(
    law: MarketLaw, cell: int, bars: int, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """Merton's jump diffusion with Hawkes arrivals; a jump opens its bar, so that stops are gapped.

    The mean of the jumps is taken out of the drift: a regime's mean is kept.
    """
    jumps, assets = law.jumps, len(law.garch)
    arrivals = hawkes(jumps.rate, jumps.branching, jumps.decay, rng.random(bars))
    common, own = rng.standard_normal(bars), rng.standard_normal((bars, assets))
    shared = np.sqrt(jumps.correlation) * common[:, None] + np.sqrt(1.0 - jumps.correlation) * own
    gap = arrivals[:, None] * (np.array(jumps.mean) + np.array(jumps.sd) * shared)
    sd = np.broadcast_to(diffusion_sd(law, cell), (bars, assets))
    drift = np.array(law.mean[cell]) - jumps.rate * np.array(jumps.mean)
    return gap + drift + sd * correlated(law, bars, rng), np.array(sd), gap


def hawkes(rate: float, branching: float, decay: float, draws: Floats) -> Floats:
    """Bars in which a jump arrives (1.0, else 0.0): at most one a bar, each inviting others.

    The intensity is ``rate * (1 - branching)`` and what is left of the excitement of each jump;
    a jump brings about ``branching`` others on average.
    """
    out = np.zeros(draws.size)
    excitement = 0.0
    for t in range(draws.size):
        excitement *= decay
        intensity = rate * (1.0 - branching) + excitement
        if draws[t] < intensity:
            out[t] = 1.0
            excitement += branching * (1.0 - decay) / decay
    return out


def switching_moves(
    law: MarketLaw, cell: int, bars: int, window: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Normal moves whose mean and volatility turn with the regime, a Markov chain.

    The chain begins in the path's regime. It is asked once a bar, so that stays are geometric
    with the windows' mean length.
    """
    cells = np.empty(bars, dtype=np.int64)
    turns = np.cumsum(np.array(law.turns), axis=1)
    now, asked, drawn = cell, rng.random(bars), rng.random(bars)
    for t in range(bars):
        if asked[t] < 1.0 / window:
            now = min(int(np.searchsorted(turns[now], drawn[t], side="right")), CELLS - 1)
        cells[t] = now
    sd = np.array(law.sd)[cells]
    return np.array(law.mean)[cells] + sd * correlated(law, bars, rng), sd


def with_ranges(move: Floats, sd: Floats, gap: Floats, rng: np.random.Generator) -> _Moves:
    """Add highs and lows: extremes of a Brownian motion from the open to the close.

    Exact for the continuous path: a bridge over `SUBSTEPS` normal steps, and inside a step from
    a to b of variance v the maximum ``(a + b + sqrt((b - a)^2 - 2 v ln U)) / 2``. A path that is
    only looked at now and then jumps over levels, and whoever is filled there gains the jump.
    """
    shape = (*move.shape, SUBSTEPS)
    walk = np.cumsum(rng.standard_normal(shape), axis=2) * (sd[..., None] / np.sqrt(SUBSTEPS))
    share = np.arange(1, SUBSTEPS + 1) / SUBSTEPS
    ends = walk + share * ((move - gap)[..., None] - walk[..., -1:])
    begins = np.concatenate([np.zeros((*move.shape, 1)), ends[..., :-1]], axis=2)
    chance = np.log1p(-rng.random((*shape, 2)))
    rise = -2.0 * (sd[..., None, None] ** 2 / SUBSTEPS) * chance
    reach = np.sqrt(((ends - begins) ** 2)[..., None] + rise)
    top = 0.5 * (begins + ends + reach[..., 0]).max(axis=2)
    bottom = 0.5 * (begins + ends - reach[..., 1]).min(axis=2)
    return _Moves(move, gap, gap + np.maximum(top, 0.0), gap + np.minimum(bottom, 0.0))


def _prices(source: SourceMarket, moves: _Moves, blocks: Ints, crash: Crash | None) -> MarketPath:
    """Prices from moves, beginning at the source's last closes."""
    bars = blocks.size
    close = np.log(source.last_close) + np.cumsum(moves.move, axis=0)
    before = close - moves.move

    def priced(logs: Floats) -> Floats:
        return np.ascontiguousarray(np.exp(logs).T)

    open_, closes = priced(before + moves.gap), priced(close)

    def taken(name: str) -> Floats:
        return np.ascontiguousarray(getattr(source, name)[blocks].T)

    return MarketPath(
        open=open_,
        # Rounding of the exponential must not put the open or the close outside the range.
        high=np.maximum(priced(before + moves.up), np.maximum(open_, closes)),
        low=np.minimum(priced(before + moves.down), np.minimum(open_, closes)),
        close=closes,
        volume=taken("volume"),
        due=taken("due"),
        funding=taken("funding"),
        sentiment=taken("sentiment"),
        spread=np.ones(bars) if crash is None else crash.spread,
        halted=np.zeros(bars, dtype=bool) if crash is None else crash.halted,
    )
