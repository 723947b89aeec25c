"""Market, strategies and settings of a simulated world, drawn from its seed."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from genesis.costs.model import CostModel
from genesis.domain.instrument import Instrument
from genesis.exchange.paper.desk import PartialFills
from genesis.market.panel import Panel, SymbolSeries
from genesis.risk.limits import HardLimits
from genesis.strategy.language import Market
from genesis.strategy.strategy import PolicyParams, Rules, Strategy
from genesis.trading.deployment import DeploymentOptions, deployment_added
from genesis.trading.feeds.panel import PanelFeed
from genesis.trading.order_manager import OrderSettings
from genesis.trading.payloads import DeploymentAdded

RUN = "simulated"
MINUTE = 60_000
START_MS = 1_700_006_400_000
SYMBOLS = ("AAA", "BBB", "CCC")
BARS = 640
CAPITAL = 10_000.0
SIZE = 0.3
"""Share of a deployment's capital in one entry."""

LIMITS = HardLimits(
    max_order=0.4, max_position=0.5, max_gross=0.25, max_orders_per_minute=60, max_daily_loss=1.0
)
"""Two entries of a deployment, or three of an account of three, are above a limit."""


@dataclass(frozen=True)
class Setting:
    """Everything of a seed besides its faults."""

    feed: PanelFeed
    quotes: int
    instruments: dict[str, Instrument]
    deployments: tuple[DeploymentAdded, ...]
    costs: CostModel
    partial: PartialFills
    orders: OrderSettings
    snapshot_events: int


def setting_of(seed: int) -> Setting:
    """Draw a setting."""
    rng = random.Random(f"setting {seed}")
    numbers = np.random.default_rng(seed)
    series = tuple(_series(symbol, numbers, rng) for symbol in SYMBOLS)
    stamps = START_MS + np.arange(BARS, dtype=np.int64) * MINUTE
    panel = Panel("simulated", "simulation", MINUTE, stamps, series, f"simulated-{seed}")
    quotes = rng.choice([0, 0, 2])
    instruments = {s.symbol: s.instrument for s in series}
    places = [("sim/a", symbol) for symbol in SYMBOLS] + [("sim/b", "AAA")]
    return Setting(
        feed=PanelFeed(panel, quotes),
        quotes=quotes,
        instruments=instruments,
        deployments=tuple(
            _deployment(number, account, instruments[symbol], rng, quotes)
            for number, (account, symbol) in enumerate(places)
        ),
        costs=CostModel(slippage=5e-4, slippage_noise=0.5, seed=seed),
        partial=PartialFills(seed, chance=rng.choice([0.2, 0.6]), parts=3),
        orders=OrderSettings(
            ack_ms=rng.choice([2_000, 4_000, 8_000]),
            margin_ms=rng.choice([2_000, 5_000]),
            query_ms=rng.choice([500, 1_000]),
            longest_query_ms=rng.choice([8_000, 30_000]),
        ),
        snapshot_events=rng.choice([150, 400, 1_000]),
    )


def _series(symbol: str, numbers: np.random.Generator, rng: random.Random) -> SymbolSeries:
    moves = 0.004 * numbers.standard_t(4, BARS)
    close = 100.0 * np.exp(np.cumsum(moves - moves.mean()))
    opened = np.append(close[:1], close[:-1]) * np.exp(0.0005 * numbers.standard_normal(BARS))
    high = np.maximum(opened, close) * (1 + numbers.exponential(0.002, BARS))
    low = np.minimum(opened, close) * (1 - numbers.exponential(0.002, BARS))
    valid = numbers.uniform(size=BARS) >= 0.02
    valid[0] = True
    ends = 150 if symbol == "CCC" and rng.random() < 0.1 else BARS - 1
    valid[ends] = True
    valid[ends + 1 :] = False
    due = np.where(np.arange(BARS) % 30 == 7, 1e-4 * numbers.standard_normal(BARS), 0.0)
    columns = [np.where(valid, column, np.nan) for column in (opened, high, low, close)]
    return SymbolSeries(
        Instrument(symbol, symbol, tick=0.01, lot=0.001, min_notional=10.0),
        *columns,
        np.where(valid, numbers.uniform(0, 100, BARS), np.nan),
        valid,
        0,
        ends,
        due,
        due,
        numbers.uniform(0, 100, BARS),
        True,
    )


def _deployment(
    number: int, account: str, instrument: Instrument, rng: random.Random, quotes: int
) -> DeploymentAdded:
    m = Market()
    rate = rng.uniform(12, 25)
    rules = Rules(
        m.sentiment < rate,
        m.sentiment > 100 - rate,
        m.volume < rng.uniform(6, 16),
        m.volume > 100 - rng.uniform(6, 16),
    )
    policy = PolicyParams(
        direction=rng.choice(["both", "both", "long"]),
        size=SIZE,
        atr_window=3,
        stop_atr=rng.choice([0.0, 2.0, 2.0]),
        target_atr=rng.choice([0.0, 2.0]),
        trail_atr=rng.choice([0.0, 2.0]),
        time_stop=rng.choice([0, 6]),
    )
    algorithm = rng.choice(["single", "single", "twap", "iceberg"]) if number else "single"
    options = DeploymentOptions(
        algorithm=algorithm,
        slices=1 if algorithm == "single" else rng.choice([2, 3]),
        spacing_ms=rng.choice([3_000, 10_000]) if algorithm == "twap" else 0,
        stops="loop" if quotes and rng.random() < 0.3 else "venue",
        intent_ttl_ms=rng.choice([10_000, 20_000]),
        order_ttl_ms=rng.choice([8_000, 15_000]),
    )
    return deployment_added(
        f"DEP_{number}",
        Strategy(rules, policy),
        account,
        instrument,
        capital=CAPITAL,
        interval_ms=MINUTE,
        anchor_ms=START_MS,
        options=options,
    )
