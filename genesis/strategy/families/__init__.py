"""The built-in seed families."""

from __future__ import annotations

from genesis.strategy.families.channel import Donchian
from genesis.strategy.families.moving_average import EmaCross, SmaTrend
from genesis.strategy.seed import Seed

BUILTIN: tuple[type[Seed], ...] = (EmaCross, SmaTrend, Donchian)
