"""Seeded synthetic markets with edges of known size.

The base is a GARCH(1,1) market with Student-t shocks and no edge; plants add one that is known.
Everything is a pure function of the spec: each asset and each ingredient draws from its own
generator keyed by (seed, stream, asset, ingredient), so that more bars only append and more
assets change no other. Another stream of the same seed is the same law with fresh bars.

Plants follow benchmark A of the project's evolution reference.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from genesis.domain.errors import DataError, did_you_mean
from genesis.domain.timeline import interval_ms
from genesis.market.bars import Bars, FundingRates
from genesis.market.dataset import SymbolData, build, default_instrument
from genesis.market.dataset_spec import DatasetSpec
from genesis.market.funding import QUOTED_MS
from genesis.market.panel import Panel
from genesis.market.sources.planted import (
    PLANTS,
    Hidden,
    drift_of,
    follow,
    garch,
    reversion_variance,
    share_below,
)
from genesis.market.store import BarStore

Floats = npt.NDArray[np.float64]

VENUE = "synth"
FUNDING_PHI = 0.97
FUNDING_SD = 5e-5
_BURN_IN = 300
_VOL_WINDOW = 224
_CHUNK = 50_000
_SHOCK, _PATH, _VOLUME, _FUNDING, _STATE, _REVERSION, _COMMON, _EXTREMES = range(8)
_MIXING = 100


@dataclass(frozen=True, slots=True)
class Plant:
    """An edge put into the market.

    Attributes
    ----------
    kind : str
        One of `PLANTS`.
    strength : float
        Its size in the kind's own unit, usually expected return per bar.
    """

    kind: str
    strength: float

    def __post_init__(self) -> None:
        if self.kind not in PLANTS:
            raise DataError(
                f"unknown plant '{self.kind}'{did_you_mean(self.kind, PLANTS)}",
                fix=f"use KIND:STRENGTH with one of {', '.join(PLANTS)}",
            )
        if not 0.0 < self.strength < 100.0:
            raise DataError(
                f"plant '{self.kind}' needs a strength above 0",
                fix=f"write {self.kind}:0.001 ({PLANTS[self.kind]})",
            )

    @classmethod
    def parse(cls, text: str) -> Plant:
        """Read ``kind:strength``, ``trend:0.001``.

        Raises
        ------
        DataError
            If the kind is unknown or the strength is no positive number.
        """
        kind, _, number = text.partition(":")
        try:
            return cls(kind.strip(), float(number))
        except ValueError:
            return cls(kind.strip(), math.nan)


@dataclass(frozen=True, slots=True)
class SynthSpec:
    """The law of a synthetic market and how much of it to draw.

    Attributes
    ----------
    assets, bars : int
    interval : str
    seed, stream : int
        Another stream gives fresh bars of the same law.
    sigma : float
        Stationary standard deviation of a bar's return, as a fraction. An OU part is taken out
        of it, so that a stronger edge is not also a wilder market.
    alpha, beta : float
        GARCH(1,1): reaction to the last squared shock, and persistence.
    dof : float
        Degrees of freedom of the shocks, above 2; they are scaled to unit variance. A billion of
        them is the normal law to within 1e-4 of a shock.
    correlation : float
        Of the shocks between any two assets, in [0, 1).
    plants : tuple of Plant
    start_ms : int
        First open time, on the grid.
    substeps : int
        Steps of the path inside a bar that its high and low are taken from.
    """

    assets: int = 4
    bars: int = 6_570
    interval: str = "4h"
    seed: int = 1
    stream: int = 0
    sigma: float = 0.01
    alpha: float = 0.08
    beta: float = 0.90
    dof: float = 5.0
    correlation: float = 0.0
    plants: tuple[Plant, ...] = ()
    start_ms: int = 1_577_836_800_000
    substeps: int = 12

    def __post_init__(self) -> None:
        length = interval_ms(self.interval)
        wrong = [
            text
            for text, fine in (
                ("assets must be 1 to 1000", 1 <= self.assets <= 1000),
                ("bars must be at least 1", self.bars >= 1),
                ("seed and stream must not be negative", self.seed >= 0 and self.stream >= 0),
                ("sigma must be above 0 and below 0.2", 0 < self.sigma < 0.2),
                ("alpha and beta must not be negative", self.alpha >= 0 and self.beta >= 0),
                ("alpha + beta must be below 1", self.alpha + self.beta < 1),
                ("dof must be above 2 and finite", 2 < self.dof < math.inf),
                ("correlation must be in [0, 1)", 0 <= self.correlation < 1),
                ("substeps must be at least 1", self.substeps >= 1),
                (f"the start must be on the {self.interval} grid", self.start_ms % length == 0),
                ("the mean_reversion plant is larger than sigma", self.base_sigma > 0),
                (
                    "a lead_lag plant needs two assets",
                    self.assets > 1 or all(plant.kind != "lead_lag" for plant in self.plants),
                ),
            )
            if not fine
        ]
        if wrong:
            raise DataError(f"synthetic market: {'; '.join(wrong)}", fix="change those values")

    @property
    def symbols(self) -> tuple[str, ...]:
        """``SYN1`` to ``SYNn``."""
        return tuple(f"SYN{number + 1}" for number in range(self.assets))

    @property
    def dataset(self) -> DatasetSpec:
        """The dataset that `write` makes."""
        return DatasetSpec(VENUE, self.symbols, self.interval, sentiment=False)

    def strength(self, kind: str) -> float:
        """Summed strength of the plants of a kind, 0 where none is planted."""
        return sum(plant.strength for plant in self.plants if plant.kind == kind)

    @property
    def base_sigma(self) -> float:
        """Stationary sd of the base market beside the OU part."""
        left = self.sigma**2 - reversion_variance(self.strength("mean_reversion"))
        return math.sqrt(left) if left > 0 else 0.0

    def fresh(self, bars: int, stream: int = 1) -> SynthSpec:
        """Spec of the same law with other bars."""
        return replace(self, bars=bars, stream=self.stream + stream)


@dataclass(frozen=True, slots=True, eq=False)
class SynthSymbol:
    """One asset of a synthetic market.

    Attributes
    ----------
    symbol : str
    bars : Bars
    funding : FundingRates
        Settled every 8 hours, from a day before the first bar on.
    drift : float64, shape (bars,)
        Expected return of each bar given the hidden state: the truth that a strategy can at best
        know.
    """

    symbol: str
    bars: Bars
    funding: FundingRates
    drift: Floats


def synthesize(spec: SynthSpec) -> tuple[SynthSymbol, ...]:
    """Draw the market.

    Returns
    -------
    tuple of SynthSymbol
        In the order of `SynthSpec.symbols`.
    """
    common = _shocks(spec, spec.assets, _COMMON) if spec.correlation else None
    leader: Floats | None = None
    market = []
    for asset in range(spec.assets):
        shocks, mixing = _shocks(spec, asset, _SHOCK)
        if common is not None:
            rho = spec.correlation
            shocks = np.sqrt(rho) * common[0] + np.sqrt(1.0 - rho) * shocks
            mixing = rho * common[1] + (1.0 - rho) * mixing
        # lead_lag works on pairs: 0 leads 1, 2 leads 3
        market.append(_asset(spec, asset, shocks, mixing, leader if asset % 2 else None))
        leader = shocks
    return tuple(market)


def panel_of(spec: SynthSpec) -> Panel:
    """Draw the market as a panel, without a store."""
    members = [
        SymbolData(default_instrument(one.symbol), one.bars, one.funding)
        for one in synthesize(spec)
    ]
    return build(spec.dataset, members)


def write(store: BarStore, spec: SynthSpec, *, replace: bool = False) -> DatasetSpec:
    """Draw the market into a store under venue ``synth``.

    Parameters
    ----------
    store : BarStore
    spec : SynthSpec
    replace : bool
        Whether a market of the same symbols and interval may be overwritten as a whole.

    Raises
    ------
    DataError
        If another market is stored under those names and `replace` is false.
    """
    market = synthesize(spec)
    if not replace:
        # before anything is written: half of one market and half of another is no market
        for one in market:
            held = store.read_bars(VENUE, one.symbol, spec.interval)
            rates = store.read_funding(VENUE, one.symbol)
            other_bars = held is not None and held.content_hash != one.bars.content_hash
            # Funding is shared by the intervals of a symbol: another market's may not replace it.
            other_rates = rates is not None and rates.content_hash != one.funding.content_hash
            if other_bars or other_rates:
                raise DataError(
                    f"the store holds another synthetic market ({one.symbol})",
                    why=f"its {'bars' if other_bars else 'funding rates'} differ from those of "
                    f"this {spec.interval} market",
                    fix="overwrite it with --replace, or use another workspace (--home)",
                )
    for one in market:
        store.write_bars(VENUE, one.symbol, spec.interval, one.bars, overwrite=True)
        store.write_funding(VENUE, one.symbol, one.funding, overwrite=True)
    return spec.dataset


def _generator(spec: SynthSpec, asset: int, ingredient: int) -> np.random.Generator:
    key = np.random.SeedSequence(spec.seed, spawn_key=(spec.stream, asset, ingredient))
    return np.random.default_rng(key)


def _shocks(spec: SynthSpec, asset: int, ingredient: int) -> tuple[Floats, Floats]:
    """Student-t shocks of unit variance, and the variance that each was drawn with.

    A t shock is a normal one whose variance is itself random. The path inside a bar needs that
    variance: with the average one instead, large bars would be too smooth, small ones too
    rough, and stops inside a bar would earn money from nothing.
    """
    size = _BURN_IN + spec.bars
    normal = _generator(spec, asset, ingredient).standard_normal(size)
    # A generator of its own, so that more bars only append.
    squares = _generator(spec, asset, ingredient + _MIXING).chisquare(spec.dof, size)
    mixing = np.asarray((spec.dof - 2.0) / squares, dtype=np.float64)
    return normal * np.sqrt(mixing), mixing


def _asset(
    spec: SynthSpec, asset: int, shocks: Floats, mixing: Floats, leader: Floats | None
) -> SynthSymbol:
    total, length = shocks.size, interval_ms(spec.interval)
    stamps = spec.start_ms + (np.arange(total, dtype=np.int64) - _BURN_IN) * length
    sds = garch(shocks, spec.base_sigma, spec.alpha, spec.beta)
    rates = _funding(spec, asset, int(stamps[0]), int(stamps[-1]))
    state = _generator(spec, asset, _STATE)
    hidden = Hidden(
        shocks=shocks,
        moves=sds * shocks - 0.5 * sds * sds * mixing,
        quiet=share_below(sds, _VOL_WINDOW) < 0.5,
        # strictly before the open of the bar, so that a decision at the close before can know it
        cheap=rates.rate[np.searchsorted(rates.ts_ms, stamps, side="left") - 1] < 0.0,
        leader=leader,
        first_state=1.0 if state.random() < 0.5 else -1.0,
        switches=state.random(total),
        reversion=_generator(spec, asset, _REVERSION).standard_normal(total),
    )
    drift = np.zeros(total)
    extra, extra_variance = np.zeros(total), 0.0
    for plant in spec.plants:
        expected, surprise, variance = drift_of(plant.kind, plant.strength, hidden)
        drift, extra = drift + expected, extra + surprise
        extra_variance += variance
    # minus half the variance: the simple return, not the log return, has the drift as its mean
    variances = sds * sds * mixing + extra_variance
    returns = drift + extra + sds * shocks - 0.5 * variances
    kept = slice(_BURN_IN, None)
    bars = _bars(
        spec, asset, stamps[kept], returns[kept], np.sqrt(variances[kept]), (sds * shocks)[kept]
    )
    recent = rates.take(rates.ts_ms >= spec.start_ms - 4 * QUOTED_MS)
    return SynthSymbol(spec.symbols[asset], bars, recent, drift[kept])


def _funding(spec: SynthSpec, asset: int, first_ms: int, last_ms: int) -> FundingRates:
    """Stationary AR(1) around zero, settled on the 8 hour grid; a carry plant sets its sd."""
    start = (first_ms // QUOTED_MS - 4) * QUOTED_MS
    stamps = np.arange(start, last_ms + 1, QUOTED_MS, dtype=np.int64)
    draws = _generator(spec, asset, _FUNDING).standard_normal(stamps.size)
    sd = spec.strength("carry") or FUNDING_SD
    return FundingRates(stamps, sd * follow(draws, FUNDING_PHI, np.sqrt(1.0 - FUNDING_PHI**2)))


def _bars(
    spec: SynthSpec,
    asset: int,
    stamps: npt.NDArray[np.int64],
    returns: Floats,
    sds: Floats,
    moves: Floats,
) -> Bars:
    """Bars whose path is Brownian motion of the bar's own volatility, given its close.

    High and low are those of the continuous path: of a bridge over `substeps` normal steps, and
    of the bridge inside each step (its maximum over a step from a to b of variance v is
    ``(a + b + sqrt((b - a)^2 - 2 v ln U)) / 2``). A path that is only looked at now and then
    jumps over levels, and whoever is filled at the level would gain the jump.
    """
    closes = 100.0 * np.exp(np.cumsum(returns))
    opens = np.concatenate([[100.0], closes[:-1]])
    highs, lows = np.maximum(opens, closes), np.minimum(opens, closes)
    path, edges = _generator(spec, asset, _PATH), _generator(spec, asset, _EXTREMES)
    steps = spec.substeps
    share = np.arange(1, steps + 1) / steps
    for start in range(0, stamps.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        draws = path.standard_normal((closes[part].size, steps))
        walk = np.cumsum(draws, axis=1) * (sds[part, None] / np.sqrt(steps))
        ends = walk + share * (returns[part, None] - walk[:, -1:])
        begins = np.concatenate([np.zeros((ends.shape[0], 1)), ends[:, :-1]], axis=1)
        chance = np.log1p(-edges.random((*ends.shape, 2)))  # bar by bar: more bars only append
        rise = -2.0 * (sds[part, None, None] ** 2 / steps) * chance
        reach = np.sqrt(((ends - begins) ** 2)[:, :, None] + rise)
        top = 0.5 * (begins + ends + reach[:, :, 0]).max(axis=1)
        bottom = 0.5 * (begins + ends - reach[:, :, 1]).min(axis=1)
        highs[part] = np.maximum(highs[part], opens[part] * np.exp(top))
        lows[part] = np.minimum(lows[part], opens[part] * np.exp(bottom))
    noise = _generator(spec, asset, _VOLUME).standard_normal(stamps.size)
    activity = np.sqrt(0.5 + 0.5 * (moves / spec.base_sigma) ** 2)
    # the decoy: volume tells this bar's direction, so only a look into bar t + 1 can use it
    told = spec.strength("decoy") * np.clip(moves / spec.base_sigma, -3.0, 3.0)
    volume = 1_000.0 * activity * np.exp(0.4 * noise + told)
    return Bars(stamps, opens, highs, lows, closes, volume)
