"""From a portfolio's numbers to objectives and constraints.

Objectives, all maximised:

sharpe
    mean − ½ sd of the annualised net Sharpe ratios over folds and symbols.
drawdown
    −CDaR95 of the portfolio's daily equity (Chekhlov, Uryasev & Zabarankin 2005), in units of its
    annual volatility: in units of capital a strategy would look better for trading smaller.
simplicity
    −(complexity + turnover), turnover being counted in closed trades per symbol and year over
    `TRADES_PER_UNIT`: in trades, not in notional, so that smaller positions do not look simpler.
composite
    The bounded score of `genesis.backtest.metrics.composite_fitness`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from genesis.backtest.portfolio import NUMBERS, PortfolioResult, combine, marks_per_year
from genesis.backtest.result import STATUS, BlockResult
from genesis.domain.timeline import YEAR_MS
from genesis.evolution.candidate import Candidate, Score
from genesis.evolution.config import ConstraintsConfig, StudyConfig
from genesis.market.panel import Panel
from genesis.strategy.genome import complexity
from genesis.strategy.registry import SeedRegistry

TRADES_PER_UNIT = 50.0

Measures = Mapping[str, float]

OBJECTIVES: dict[str, Callable[[Measures], float]] = {
    "sharpe": lambda m: m["fold_sharpe_mean"] - 0.5 * m["fold_sharpe_sd"],
    "drawdown": lambda m: -m["cdar95"] / m["volatility"] if m["volatility"] > 0 else 0.0,
    "simplicity": lambda m: -(m["complexity"] + m["trades_per_year"] / TRADES_PER_UNIT),
    "composite": lambda m: m["fitness"],
}


def violation(measures: Measures, limits: ConstraintsConfig) -> float:
    """Sum of the constraints' relative shortfalls, 0 when all hold (Deb 2000).

    Parameters
    ----------
    measures : mapping
        Numbers of a valid portfolio.
    limits : ConstraintsConfig
    """
    total = _below(measures["trades"], limits.min_trades)
    total += _below(measures["min_fold_trades"], limits.min_trades_per_fold)
    total += _below(measures["exposure"], limits.min_exposure)
    if measures["exposure"] > limits.max_exposure:
        total += (measures["exposure"] - limits.max_exposure) / max(limits.max_exposure, 0.01)
    if limits.min_sharpe_2x is not None and measures["sharpe_2x"] < limits.min_sharpe_2x:
        total += limits.min_sharpe_2x - measures["sharpe_2x"]
    return total


def _below(value: float, least: float) -> float:
    return (least - value) / least if value < least else 0.0


@dataclass(frozen=True, slots=True)
class ScoreRule:
    """Scores candidates of one study.

    Attributes
    ----------
    objectives : tuple of str
        Names in `OBJECTIVES`, in order.
    constraints : ConstraintsConfig
    registry : SeedRegistry
    symbols : tuple of str
    years : float
        Length of the searched part.
    marks_per_year : float
    """

    objectives: tuple[str, ...]
    constraints: ConstraintsConfig
    registry: SeedRegistry
    symbols: tuple[str, ...]
    years: float
    marks_per_year: float

    @staticmethod
    def of(config: StudyConfig, panel: Panel, registry: SeedRegistry) -> ScoreRule:
        """Rule of a study on its searched panel."""
        return ScoreRule(
            objectives=config.objectives,
            constraints=config.constraints,
            registry=registry,
            symbols=tuple(s.symbol for s in panel.symbols),
            years=panel.bars * panel.interval_ms / YEAR_MS,
            marks_per_year=marks_per_year(panel.interval_ms),
        )

    def scores(self, blocks: Sequence[BlockResult], candidates: Sequence[Candidate]) -> list[Score]:
        """Score candidates from their blocks, one a symbol in the panel's order."""
        portfolio = combine(blocks, self.symbols, periods=self.marks_per_year)
        columns = [getattr(portfolio, name).tolist() for name in NUMBERS]
        return [
            self._score(portfolio, i, candidate, dict(zip(NUMBERS, numbers, strict=True)))
            for i, (candidate, numbers) in enumerate(
                zip(candidates, zip(*columns, strict=True), strict=True)
            )
        ]

    def _score(
        self, portfolio: PortfolioResult, i: int, candidate: Candidate, measures: dict[str, float]
    ) -> Score:
        status = STATUS[int(portfolio.status[i])]
        if status != "valid":
            return Score(status, portfolio.reasons[i] or status)
        size = complexity(candidate.genome, self.registry)
        measures["complexity"] = float(size)
        measures["trades_per_year"] = measures["trades"] / len(self.symbols) / self.years
        values = tuple(OBJECTIVES[name](measures) for name in self.objectives)
        if not all(math.isfinite(v) for v in values):
            wrong = [
                n for n, v in zip(self.objectives, values, strict=True) if not math.isfinite(v)
            ]
            return Score("not_finite", f"not finite: {', '.join(wrong)}", complexity=size)
        return Score(
            status="valid",
            objectives=values,
            violation=violation(measures, self.constraints),
            complexity=size,
            phenotype=f"{int(portfolio.phenotype[i]):016x}",
            measures=measures,
        )
