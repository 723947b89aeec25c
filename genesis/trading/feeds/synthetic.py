"""A synthetic market as a feed: endless or bounded, the same for the same seed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from genesis.domain.errors import DataError
from genesis.domain.instrument import Instrument
from genesis.domain.timeline import HOUR_MS, interval_ms
from genesis.market.dataset import SymbolData, build, default_instrument
from genesis.market.dataset_spec import DatasetSpec
from genesis.market.panel import Panel
from genesis.market.sources.synthetic import VENUE, Plant, SynthSpec, SynthSymbol, synthesize
from genesis.trading.feed import Phase
from genesis.trading.feeds.panel import PanelFeed
from genesis.trading.feeds.quotes import quote_offsets

FIRST_PRICE = 100.0
_SIGMA_4H = 0.01
_REGIME_STREAM = 0x5E6


@dataclass(frozen=True, slots=True)
class Regime:
    """A state of the market that lasts for a block of bars.

    Attributes
    ----------
    name : str
    sigma : float
        Its volatility, as a multiple of the market's.
    plants : tuple of (str, float)
        Kind of edge (see `genesis.market.sources.synthetic.Plant`) and its strength as a multiple
        of the regime's standard deviation of a bar.
    """

    name: str
    sigma: float
    plants: tuple[tuple[str, float], ...] = ()


REGIMES = (
    Regime("calm", 0.5),
    Regime("normal", 1.0),
    Regime("wild", 2.0),
    Regime("trending", 1.0, (("trend", 0.15),)),
    Regime("reverting", 1.0, (("mean_reversion", 0.5),)),
)


@dataclass(frozen=True, slots=True)
class SimulatedMarket:
    """The law of a simulated market.

    Attributes
    ----------
    symbols : tuple of str
        Names of its symbols.
    interval : str
    seed : int
    bars : int or None
        Length; None is endless. A longer market begins like a shorter one.
    block : int
        Bars of a regime; each block draws its regime by the seed.
    sigma : float or None
        Standard deviation of a bar's return in the normal regime; None is 1 % per 4 hours,
        scaled by the root of time.
    correlation : float
        Of the shocks between any two symbols, in [0, 1).
    start_ms : int
        First open time, on the grid.
    regimes : tuple of Regime
    """

    symbols: tuple[str, ...] = ("SYN1", "SYN2")
    interval: str = "1h"
    seed: int = 1
    bars: int | None = None
    block: int = 2_000
    sigma: float | None = None
    correlation: float = 0.3
    start_ms: int = 1_704_067_200_000
    regimes: tuple[Regime, ...] = field(default=REGIMES)

    def __post_init__(self) -> None:
        wrong = [
            text
            for text, fine in (
                (
                    "a market needs symbols, each once",
                    0 < len(set(self.symbols)) == len(self.symbols),
                ),
                ("bars must be at least 1", self.bars is None or self.bars >= 1),
                ("a block must have at least 1 bar", self.block >= 1),
                ("there must be a regime", bool(self.regimes)),
            )
            if not fine
        ]
        if wrong:
            raise DataError(f"simulated market: {'; '.join(wrong)}", fix="change those values")
        for regime in self.regimes:
            self._spec(0, regime, 1)

    def regime(self, block: int) -> Regime:
        """Regime of a block, from 0."""
        key = np.random.SeedSequence(self.seed, spawn_key=(_REGIME_STREAM, block))
        return self.regimes[int(np.random.default_rng(key).integers(len(self.regimes)))]

    def spec(self, block: int, bars: int) -> SynthSpec:
        """Law of the first ``bars`` bars of a block."""
        return self._spec(block, self.regime(block), bars)

    def _spec(self, block: int, regime: Regime, bars: int) -> SynthSpec:
        length = interval_ms(self.interval)
        normal = self.sigma or _SIGMA_4H * math.sqrt(length / (4 * HOUR_MS))
        sigma = normal * regime.sigma
        return SynthSpec(
            assets=len(self.symbols),
            bars=bars,
            interval=self.interval,
            seed=self.seed,
            stream=block,
            sigma=sigma,
            correlation=self.correlation,
            plants=tuple(Plant(kind, share * sigma) for kind, share in regime.plants),
            start_ms=self.start_ms + block * self.block * length,
        )


class SyntheticFeed:
    """Events of a simulated market, drawn block by block so that memory stays flat.

    Parameters
    ----------
    market : SimulatedMarket
    quotes_per_bar : int
        Quotes inside each bar, see `PanelFeed`.

    Raises
    ------
    DataError
        If the bars are too short for that many quotes.
    """

    def __init__(self, market: SimulatedMarket, quotes_per_bar: int = 0) -> None:
        self._market = market
        self._interval_ms = interval_ms(market.interval)
        self._offsets = quote_offsets(self._interval_ms, quotes_per_bar)
        # price of each symbol at the beginning of each block known so far
        self._levels: list[tuple[float, ...]] = [(FIRST_PRICE,) * len(market.symbols)]

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols of the market."""
        return self._market.symbols

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """Trading rules, in the order of `symbols`: continuous ones."""
        return tuple(default_instrument(symbol) for symbol in self.symbols)

    @property
    def interval_ms(self) -> int:
        """Length of its bars in milliseconds."""
        return self._interval_ms

    @property
    def anchor_ms(self) -> int:
        """Open time of the first bar."""
        return self._market.start_ms

    @property
    def end_ms(self) -> int | None:
        """Close time of the last bar, None for an endless market."""
        bars = self._market.bars
        return None if bars is None else self.anchor_ms + bars * self._interval_ms

    @property
    def total(self) -> int | None:
        """Number of phases, None for an endless market."""
        end = self.end_ms
        return None if end is None else self.count_before(end + 1)

    def count_before(self, ts_ms: int) -> int:
        """Number of phases before an instant."""
        most = self._market.bars
        count = 0
        for shift in (0, *self._offsets, self._interval_ms, self._interval_ms):
            bars = max(-(-(ts_ms - self.anchor_ms - shift) // self._interval_ms), 0)
            count += bars if most is None else min(bars, most)
        return count

    def phases(self, start_ms: int | None = None) -> Iterator[Phase]:
        """Phases in order, those at or after ``start_ms`` where it is given."""
        start = self.anchor_ms if start_ms is None else start_ms
        span = self._market.block * self._interval_ms
        block = max((start - self._interval_ms - self.anchor_ms) // span, 0)
        while panel := self.block(block):
            feed = PanelFeed(panel, len(self._offsets), continued=block > 0)
            yield from feed.phases(start)
            block += 1

    def block(self, number: int) -> Panel | None:
        """Bars of a block, from 0; None beyond the end of the market."""
        bars = self._bars_of(number)
        if bars == 0:
            return None
        while len(self._levels) <= number:
            self._draw(len(self._levels) - 1, self._market.block)
        drawn = self._draw(number, bars)
        names = self._market.symbols
        members = [
            SymbolData(default_instrument(name), one.bars, one.funding)
            for name, one in zip(names, drawn, strict=True)
        ]
        return build(DatasetSpec(VENUE, names, self._market.interval, sentiment=False), members)

    def _bars_of(self, number: int) -> int:
        whole, bars = self._market.block, self._market.bars
        return whole if bars is None else min(max(bars - number * whole, 0), whole)

    def _draw(self, number: int, bars: int) -> list[SynthSymbol]:
        """Bars of a block at the level that the block before ended at."""
        drawn = []
        for one, level in zip(
            synthesize(self._market.spec(number, bars)), self._levels[number], strict=True
        ):
            b, scale = one.bars, level / FIRST_PRICE
            moved = replace(
                b,
                open=b.open * scale,
                high=b.high * scale,
                low=b.low * scale,
                close=b.close * scale,
            )
            drawn.append(replace(one, bars=moved))
        if len(self._levels) == number + 1 and bars == self._market.block:
            self._levels.append(tuple(float(one.bars.close[-1]) for one in drawn))
        return drawn
