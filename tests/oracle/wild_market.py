"""Small wild markets and random strategies on them: gaps, crashes, missing bars, funding, steps.

The sentiment and volume fields are noise, so that conditions on them fire at random and the
policy, not an indicator, is what the strategies exercise.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from genesis.domain.instrument import Instrument
from genesis.market.panel import Panel, SymbolSeries
from genesis.strategy.language import Market, ema, rsi
from genesis.strategy.strategy import PolicyParams, Rules, Strategy

HOUR = 3_600_000


def wild_series(
    rng: np.random.Generator,
    bars: int,
    *,
    name: str = "WILD",
    tick: float = 0.0,
    lot: float = 0.0,
    min_notional: float = 0.0,
    missing: float = 0.05,
    ends: int | None = None,
    starts: int = 0,
    scale: float = 0.012,
    funding: float = 2e-3,
) -> SymbolSeries:
    """Bars with heavy tails, opening gaps, missing bars, funding every third bar."""
    moves = scale * rng.standard_t(3, bars)
    close = 100.0 * np.exp(np.cumsum(moves))
    open_ = np.append(100.0, close[:-1]) * np.exp(0.4 * scale * rng.standard_t(3, bars))
    high = np.maximum(open_, close) * (1 + rng.exponential(scale / 2, bars))
    low = np.minimum(open_, close) * (1 - rng.exponential(scale / 2, bars).clip(0, 0.5))
    valid = rng.uniform(size=bars) >= missing
    valid[:starts] = False
    last = bars - 1 if ends is None else ends
    valid[last + 1 :] = False
    valid[[starts, last]] = True
    due = np.where(np.arange(bars) % 3 == 0, funding * rng.standard_normal(bars), 0.0)
    prices = (np.where(valid, x, np.nan) for x in (open_, high, low, close))
    volume, sentiment = rng.uniform(0, 100, bars), rng.uniform(0, 100, bars)
    instrument = Instrument(name, name, tick, lot, min_notional, 0.01)
    return SymbolSeries(
        instrument,
        *prices,
        np.where(valid, volume, np.nan),
        valid,
        starts,
        last,
        due,
        due,
        np.where(rng.uniform(size=bars) < 0.05, np.nan, sentiment),
        True,
    )


def wild_panel(seed: int, bars: int = 400, **options: float) -> Panel:
    """A panel of one wild symbol."""
    rng = np.random.default_rng(seed)
    series = wild_series(rng, bars, **options)  # type: ignore[arg-type]
    ts = np.arange(bars, dtype=np.int64) * HOUR
    return Panel(
        "wild", "test", HOUR, ts, (series,), f"wild-{seed}-{bars}-{sorted(options.items())}"
    )


def wild_strategy(rng: np.random.Generator) -> Strategy:
    """Random entries and exits, every policy rule on or off at random."""
    m = Market()

    def maybe(chance: float, low: float, high: float) -> float:
        return float(rng.uniform(low, high)) if rng.uniform() < chance else 0.0

    rate = float(rng.uniform(2, 15))
    noise = (m.sentiment > 100 - rate, m.sentiment < rate)
    trend = (ema(m.close, 3) > ema(m.close, 10), ema(m.close, 3) < ema(m.close, 10))
    counter = (rsi(m.close, 5) < 30, rsi(m.close, 5) > 70)
    long, short = (noise, noise, trend, counter)[int(rng.integers(4))]
    leave = float(rng.uniform(0, 10))
    rules = Rules(long, short, m.volume < leave, m.volume > 100 - leave)
    if rng.uniform() < 0.3:  # overlapping entries
        rules = Rules(m.sentiment > 70, m.sentiment > 80, m.volume < leave, m.volume > 95)
    return Strategy(
        rules,
        PolicyParams(
            direction=str(rng.choice(["both", "both", "long", "short"])),
            size=float(rng.uniform(0.01, 1.0)),
            vol_target=maybe(0.4, 0.2, 3.0),
            vol_window=int(rng.choice([5, 20])),
            atr_window=int(rng.choice([3, 7, 14])),
            stop_atr=maybe(0.6, 0.3, 6),
            target_atr=maybe(0.5, 0.3, 8),
            trail_atr=maybe(0.4, 0.3, 6),
            breakeven_atr=maybe(0.3, 0.3, 3),
            time_stop=int(maybe(0.4, 1, 40)),
            cooldown=int(maybe(0.4, 1, 10)),
        ),
    )


def tightened(strategy: Strategy, rng: np.random.Generator) -> Strategy:
    """The same with a stop that comes nearer every few bars."""
    policy = strategy.policy
    stop, every = policy.stop_atr or float(rng.uniform(0.5, 6)), int(rng.integers(1, 8))
    return replace(strategy, policy=replace(policy, stop_atr=stop, tighten_bars=every))
