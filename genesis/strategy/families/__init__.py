"""The built-in seed families."""

from __future__ import annotations

from genesis.strategy.families.carry import FundingCarry
from genesis.strategy.families.channel import Donchian
from genesis.strategy.families.learned import LinearSvc, PcaTree
from genesis.strategy.families.moving_average import EmaCross, SmaTrend
from genesis.strategy.families.oscillator import RsiReversion, Stochastic, VwapReversion
from genesis.strategy.families.trend import Ichimoku, NadarayaWatson
from genesis.strategy.families.volatility import AtrBreakout, Bollinger, VolatilityScaling
from genesis.strategy.seed import Seed

BUILTIN: tuple[type[Seed], ...] = (
    EmaCross,
    SmaTrend,
    RsiReversion,
    Stochastic,
    Bollinger,
    Donchian,
    AtrBreakout,
    Ichimoku,
    VwapReversion,
    VolatilityScaling,
    FundingCarry,
    NadarayaWatson,
    LinearSvc,
    PcaTree,
)
