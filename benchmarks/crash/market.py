"""The market, the strategies and the books of a trader that is killed again and again.

Everything is small and busy: prices jump, bars are missing, funding is due every third bar, and
the rules of the strategies fire on noise, so that there is hardly an instant without an order
under way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from genesis.costs.execution import ExecutionModel
from genesis.costs.model import CostModel
from genesis.domain.instrument import Instrument
from genesis.exchange.paper.config import paper_config
from genesis.exchange.paper.desk import PartialFills
from genesis.market.panel import Panel, SymbolSeries
from genesis.risk.limits import HardLimits
from genesis.risk.manager import GeneticRiskManager, RiskProfile
from genesis.strategy.language import Market, ema
from genesis.strategy.strategy import PolicyParams, Rules, Strategy
from genesis.trading.core import TradingCore
from genesis.trading.deployment import DeploymentOptions, deployment_added
from genesis.trading.feeds.panel import PanelFeed
from genesis.trading.payloads import DeploymentAdded

HOUR = 3_600_000
START = 1_704_067_200_000
CAPITAL = 10_000.0
LEVERAGE = 3.0
INSTRUMENTS = (
    Instrument("AAA", "AAA", 0.01, 0.001, 1.0, 0.01),
    Instrument("BBB", "BBB", 0.0, 0.0, 0.0, 0.01),
    Instrument("CCC", "CCC", 0.1, 0.01, 5.0, 0.01),
)
_LOOSE = HardLimits(10.0, 10.0, 100.0, 100_000, 100.0, 1_000.0)
_TIMED = ({"algorithm": "twap", "slices": 3, "spacing_ms": 600_000},)


class Scenario(msgspec.Struct, frozen=True):
    """What a run is made of; the same for every process that goes on with it.

    Attributes
    ----------
    seed, bars : int
    quotes : int
        Quotes inside a bar.
    delayed : bool
        Fills come with the latency of the execution model.
    """

    seed: int
    bars: int
    quotes: int = 0
    delayed: bool = False


def feed_of(scenario: Scenario) -> PanelFeed:
    """Market data of a scenario; the second symbol ends before the others."""
    ends = (scenario.bars - 1, scenario.bars * 4 // 5, scenario.bars - 1)
    return panel_feed(scenario, INSTRUMENTS, ends)


def panel_feed(
    scenario: Scenario,
    instruments: Sequence[Instrument],
    ends: Sequence[int],
    *,
    funding: bool = True,
) -> PanelFeed:
    """Market data of some instruments, each with its last bar, with funding or without."""
    rng = np.random.default_rng(scenario.seed)
    series = tuple(
        _series(rng, scenario.bars, instrument, last, funding)
        for instrument, last in zip(instruments, ends, strict=True)
    )
    stamps = START + HOUR * np.arange(scenario.bars, dtype=np.int64)
    panel = Panel("crash", "test", HOUR, stamps, series, f"crash-{scenario.seed}")
    return PanelFeed(panel, scenario.quotes)


def _series(
    rng: np.random.Generator, bars: int, instrument: Instrument, last: int, funding: bool
) -> SymbolSeries:
    close = 100.0 * np.exp(np.cumsum(0.012 * rng.standard_t(3, bars)))
    opened = np.append(100.0, close[:-1]) * np.exp(0.004 * rng.standard_t(3, bars))
    high = np.maximum(opened, close) * (1 + rng.exponential(0.006, bars))
    low = np.minimum(opened, close) * (1 - rng.exponential(0.006, bars).clip(0, 0.5))
    valid = rng.uniform(size=bars) >= 0.05
    valid[last + 1 :] = False
    valid[[0, last]] = True
    due = np.zeros(bars)
    if funding:
        due = np.where(np.arange(bars) % 3 == 0, 2e-3 * rng.standard_normal(bars), 0.0)
    columns = [np.where(valid, x, np.nan) for x in (opened, high, low, close)]
    volume = np.where(valid, rng.uniform(1, 100, bars), np.nan)
    noise = rng.uniform(0, 100, bars)
    return SymbolSeries(instrument, *columns, volume, valid, 0, last, due, due, noise, True)


def strategies() -> tuple[tuple[Strategy, Mapping[str, Any]], ...]:
    """Fast strategies, each with the way it executes."""
    m = Market()
    noise = Rules(m.sentiment > 80, m.sentiment < 20, m.volume < 8, m.volume > 92)
    trend = Rules(ema(m.close, 3) > ema(m.close, 7), ema(m.close, 3) < ema(m.close, 7))
    other = Rules(m.volume > 75, m.volume < 25, m.sentiment < 8, m.sentiment > 92)
    return (
        (Strategy(noise, PolicyParams(atr_window=3, size=0.4, stop_atr=1.0, target_atr=1.5)), {}),
        (Strategy(trend, PolicyParams(atr_window=3, size=0.3, stop_atr=2.0, trail_atr=1.0)), {}),
        (
            Strategy(other, PolicyParams(atr_window=3, size=0.4, stop_atr=1.5, time_stop=3)),
            _TIMED[0],
        ),
        (
            Strategy(noise, PolicyParams(atr_window=3, size=0.5, stop_atr=0.7, breakeven_atr=0.5)),
            {"algorithm": "iceberg", "slices": 3},
        ),
    )


def deployments(
    feed: PanelFeed, instruments: Sequence[Instrument] = INSTRUMENTS, venue: str = "paper"
) -> list[DeploymentAdded]:
    """One deployment for each strategy and symbol, an account for each strategy."""
    return [
        deployment_added(
            f"S{number}/{instrument.symbol}",
            strategy,
            f"{venue}/{number}",
            instrument,
            capital=CAPITAL,
            interval_ms=feed.interval_ms,
            anchor_ms=feed.anchor_ms,
            options=msgspec.convert(options, DeploymentOptions),
        )
        for number, (strategy, options) in enumerate(strategies())
        for instrument in instruments
    ]


def exchange_config(scenario: Scenario) -> dict[str, Any]:
    """Settings of the exchange: some orders are filled in parts."""
    execution = ExecutionModel(seed=scenario.seed, capital=CAPITAL) if scenario.delayed else None
    return paper_config(
        INSTRUMENTS, CostModel(), LEVERAGE, execution, PartialFills(scenario.seed, 0.4)
    )


def fresh_core(run: str) -> TradingCore:
    """Core of such a run before its first event."""
    return TradingCore(run, GeneticRiskManager(limits=_LOOSE, profile=RiskProfile.OBSERVE))
