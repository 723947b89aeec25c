"""A small synthetic market with everything that scenarios are made of, for several test files."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache

from genesis.evolution.risk.law import MarketLaw, market_law
from genesis.evolution.risk.paths import ROLES, MarketPath, PathKey, draw_path
from genesis.evolution.risk.scenario import AccountSettings, ScenarioMaker, path_panel
from genesis.evolution.risk.source import SourceMarket, source_market
from genesis.evolution.risk.strategies import Found
from genesis.market.panel import Panel
from genesis.market.sources.synthetic import Plant, SynthSpec, panel_of
from genesis.strategy.genome import random_genome, repair
from genesis.strategy.registry import SeedRegistry

HOUR_MS = 3_600_000


@dataclass(frozen=True)
class SmallMarket:
    """Panel, source, law, strategies and account of one test market."""

    panel: Panel
    source: SourceMarket
    law: MarketLaw
    strategies: tuple[Found, ...]
    settings: AccountSettings

    def maker(self, seed: int = 1) -> ScenarioMaker:
        """Maker of its scenarios."""
        return ScenarioMaker(
            self.panel, self.source, self.law, self.strategies, self.settings, seed
        )

    def path(self, key: PathKey, seed: int = 1) -> tuple[MarketPath, Panel]:
        """One path, drawn as a maker with that seed draws it, and its panel."""
        bars = self.settings.warm_up + self.settings.bars
        path = draw_path(self.source, self.law, key, seed, bars, HOUR_MS)
        return path, path_panel(path, self.panel, key, self.settings)


@cache
def small_market(assets: int = 3, bars: int = 720, capital: float = 2_000.0) -> SmallMarket:
    """Draw it; the same for the same arguments."""
    spec = SynthSpec(
        assets=assets,
        bars=4_000,
        interval="1h",
        seed=5,
        correlation=0.6,
        plants=(Plant("trend", 0.001),),
    )
    panel = panel_of(spec)
    source = source_market(panel, assets)
    registry, rng = SeedRegistry(), random.Random(11)
    families = registry.names(ml=False)
    strategies = []
    for place in range(5 * len(families)):
        genome = repair(
            random_genome(registry.get(families[place % len(families)]), rng), registry, 300
        )
        role = ROLES[(0, 0, 0, 1, 2)[place % 5]]
        strategies.append(Found(registry.express(genome), "random", "noise", role))
    settings = AccountSettings(capital, 1.0, 4.5e-4, 1.5e-4, 2e-4, 3.0, HOUR_MS, 480, bars, 2)
    return SmallMarket(panel, source, market_law(source, HOUR_MS), tuple(strategies), settings)
