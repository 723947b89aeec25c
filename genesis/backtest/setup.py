"""How strategies are evaluated: costs, capital, margin, folds and budgets, as one plain value."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from genesis.backtest.accounting import ENGINES
from genesis.costs.model import CostModel
from genesis.domain.errors import ConfigError, refuse_unknown_keys
from genesis.domain.instrument import Instrument


@dataclass(frozen=True, slots=True)
class EvaluationSetup:
    """Everything besides panel and strategy that a result depends on.

    Attributes
    ----------
    costs : CostModel
    capital : float
        Reference capital of the whole panel, quote units; each symbol sizes on an equal share.
    leverage : float
        Leverage of the isolated margin behind each position; sets the liquidation level.
    folds : int
        Equal consecutive parts of the timeline for fold Sharpe ratios.
    work_budget : float
        Greatest static cost per bar of a strategy's expressions, in elementwise operations
        (`SeriesEvaluator.work`); a strategy beyond is ``over_budget``.
    orders_per_bar : float
        Greatest number of orders per active bar, likewise.
    engine : {"auto", "rust", "numba"}
        vectorbt engine; both give the same numbers.
    """

    costs: CostModel = field(default_factory=CostModel)
    capital: float = 100_000.0
    leverage: float = 3.0
    folds: int = 4
    work_budget: float = 20_000.0
    orders_per_bar: float = 0.5
    engine: str = "auto"

    def __post_init__(self) -> None:
        checks = (
            ("capital", self.capital > 0 and math.isfinite(self.capital), "a positive number"),
            ("leverage", 1 <= self.leverage <= 100, "within [1, 100]"),
            ("folds", isinstance(self.folds, int) and 1 <= self.folds <= 64, "1 to 64"),
            ("work_budget", self.work_budget > 0, "positive"),
            ("orders_per_bar", 0 < self.orders_per_bar <= 3, "within (0, 3]"),
            ("engine", self.engine in ENGINES, f"one of {', '.join(ENGINES)}"),
        )
        for name, good, allowed in checks:
            if not good:
                raise ConfigError(
                    f"evaluation.{name} = {getattr(self, name)!r} is not allowed",
                    fix=f"it must be {allowed}",
                )

    def require_margin(self, instruments: Iterable[Instrument]) -> None:
        """Refuse a leverage whose margin is used up at the entry itself.

        Raises
        ------
        ConfigError
            If ``leverage * maintenance margin`` is 1 or more for an instrument: its every
            position would be liquidated at once.
        """
        for instrument in instruments:
            if self.leverage * instrument.maintenance_margin >= 1.0:
                raise ConfigError(
                    f"leverage {self.leverage:g} is too high for {instrument.symbol}",
                    why=f"its maintenance margin is {instrument.maintenance_margin:.4g} of the "
                    "notional, so every position would be liquidated at its entry",
                    fix=f"use a leverage below {1.0 / instrument.maintenance_margin:g}",
                )

    def plain(self) -> dict[str, Any]:
        """Fields as a mapping that JSON can hold."""
        return asdict(self)

    @classmethod
    def from_plain(cls, value: Mapping[str, Any]) -> EvaluationSetup:
        """Read back what `plain` wrote; missing keys take their defaults.

        Raises
        ------
        ConfigError
            For an unknown key or a value out of range.
        """
        refuse_unknown_keys("evaluation", value, [f.name for f in fields(cls)])
        rest = {k: v for k, v in value.items() if k != "costs"}
        costs = value.get("costs", CostModel())
        return cls(
            costs=costs if isinstance(costs, CostModel) else CostModel.from_plain(costs), **rest
        )
