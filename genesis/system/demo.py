"""The demonstration: breed on a market whose best rule is known, and see how much was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genesis.domain.errors import StrategyError

if TYPE_CHECKING:
    from genesis.backtest.setup import EvaluationSetup
    from genesis.evolution.config import StudyConfig
    from genesis.market.sources.synthetic import SynthSpec
    from genesis.strategy.strategy import Strategy

ASSETS = 4
INTERVAL = "4h"
SEARCHED_BARS = 4_380
"""Two years of four-hour bars."""
BARS = SEARCHED_BARS * 5 // 4
TREND = 0.0010
"""Drift of a bar; its sign switches with probability 1/120 a bar (evolution reference, section 6,
benchmark A: the best channel breakout there has a true Sharpe ratio of about 2)."""
FRESH_BARS = 80_000
CHANNELS = ((40, 20), (56, 14), (56, 20), (56, 28), (80, 14), (80, 20), (80, 28), (112, 20))
"""Entry and exit channels around the optimum: (56, 25) at 5 bp a side by the reference, (80, 14)
to (80, 28) at the costs here, where funding is paid as well."""
VOL_TARGET, VOL_WINDOW = 0.10, 20
"""Sizing by volatility, which pays in a market whose volatility clusters."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """How much of the known optimum a strategy recovers on fresh bars of the same law.

    All Sharpe ratios are annualised, net of costs, on the fresh bars, means over the assets.

    Attributes
    ----------
    strategy_sharpe : float
    optimum_sharpe : float
        Of the best member of the family that fits the plant (the reference's truth).
    optimum : str
        That member.
    share : float
        The first over the second.
    filter_sharpe, share_of_filter : float
        The same for a filter that knows the law of the market (`genesis.system.optimum`), which
        no strategy that learns from prices can be expected to reach.
    bars : int
        Fresh bars of each asset.
    """

    strategy_sharpe: float
    optimum_sharpe: float
    optimum: str
    share: float
    filter_sharpe: float
    share_of_filter: float
    bars: int

    def to_plain(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def market(seed: int) -> SynthSpec:
    """Law of the demo's market."""
    from genesis.market.sources.synthetic import Plant, SynthSpec

    return SynthSpec(
        assets=ASSETS, bars=BARS, interval=INTERVAL, seed=seed, plants=(Plant("trend", TREND),)
    )


def write_market(root: Path, spec: SynthSpec) -> tuple[str, tuple[str, ...]]:
    """Put the market into the bar store, beside whatever else is synthetic there.

    Venue and symbols are its own, so that neither bars nor seals of other studies are touched.

    Returns
    -------
    venue : str
    symbols : tuple of str
    """
    from genesis.market.sources.synthetic import synthesize
    from genesis.market.store import BarStore

    store = BarStore(root)
    venue = f"demo-{spec.seed}"
    symbols = []
    for place, one in enumerate(synthesize(spec), start=1):
        symbol = f"DEMO{place}"
        # Made anew each time, so that a later version may draw it differently.
        store.write_bars(venue, symbol, spec.interval, one.bars, overwrite=True)
        store.write_funding(venue, symbol, one.funding, overwrite=True)
        symbols.append(symbol)
    return venue, tuple(symbols)


def study(venue: str, symbols: Sequence[str], seed: int) -> StudyConfig:
    """Configuration of the demo: small, every family that fits no model, all cores."""
    from genesis.evolution.config import parse_config

    text = f"""
schema: 1
name: demo
dataset: {{venue: "{venue}", symbols: [{", ".join(symbols)}], interval: {INTERVAL}}}
evolution:
  population_size: 96
  generations: 12
  islands: 2
  migration_every: 3
  seed: {seed}
  ml_island: {{enabled: false}}
executor: {{kind: processes}}
"""
    return parse_config(text, "demo")


def recovery(
    strategy: Strategy, spec: SynthSpec, setup: EvaluationSetup, bars: int = FRESH_BARS
) -> Recovery:
    """Judge a strategy, the optimum and the best simple rule on fresh bars of the same law.

    Raises
    ------
    StrategyError
        If no rule at all trades on the fresh bars.
    """
    import numpy as np

    from genesis.backtest.evaluator import Evaluator
    from genesis.backtest.portfolio import combine
    from genesis.market.sources.synthetic import panel_of
    from genesis.system.optimum import best_sharpe

    known = known_rules()
    panel = panel_of(spec.fresh(bars))
    evaluator = Evaluator(panel, setup)
    strategies = [strategy, *known.values()]
    blocks = []
    for symbol in range(len(panel.symbols)):
        blocks.append(evaluator.evaluate(symbol, strategies))
        evaluator.forget(symbol)
    ratios = combine(blocks).symbol_sharpe
    if not np.isfinite(ratios[1:]).any():
        raise StrategyError("none of the known rules trades on the fresh bars")
    best = int(np.nanargmax(ratios[1:]))
    own = float(np.nan_to_num(ratios[0]))
    optimum = float(ratios[1 + best])
    bound = best_sharpe(spec.fresh(bars), setup.costs.taker + setup.costs.slippage)
    return Recovery(
        strategy_sharpe=own,
        optimum_sharpe=optimum,
        optimum=list(known)[best],
        share=own / optimum,
        filter_sharpe=bound,
        share_of_filter=own / bound,
        bars=bars,
    )


def known_rules() -> dict[str, Strategy]:
    """Channel breakouts around the optimum of a switching trend, without stops or targets."""
    from dataclasses import replace

    from genesis.strategy.genome import default_genome
    from genesis.strategy.registry import SeedRegistry

    registry = SeedRegistry()
    plain = default_genome(registry.get("donchian"))
    sized = {"policy.vol_target": VOL_TARGET, "policy.vol_window": VOL_WINDOW}
    rules = {}
    for entry, leave in CHANNELS:
        genes = {**plain.genes, "channel": entry, "exit_channel": leave, "threshold": 0.0}
        name = f"breakout({entry}, {leave})"
        rules[name] = registry.express(replace(plain, genes=genes))
        rules[f"{name} sized by volatility"] = registry.express(
            replace(plain, genes={**genes, **sized})
        )
    return rules
