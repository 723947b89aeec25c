"""How a risk genome is scored: its gain over two baselines, less a price for every change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from genesis.evolution.risk.measures import Outcome
from genesis.risk.genome import GENES, RiskGenes, RiskGenome

PENALTY = 0.02
"""Price of a gene's way through its whole range: a gene moves only if it pays."""
_LEAST_SCALE = 0.25
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of the gains in the scalar, and the price of change.

    Cutting all sizes by a share x loses x of growth, CDaR and CVaR alike, and raising them wins
    as much: lost growth weighs so much, and won growth so little, that neither is a way to win.

    Attributes
    ----------
    growth, growth_loss : float
        Of growth that is won, and that is lost.
    cdar, cvar : float
    penalty : float
        Of the distance from the defaults.
    """

    growth: float = 0.5
    growth_loss: float = 4.0
    cdar: float = 0.5
    cvar: float = 0.5
    penalty: float = PENALTY


def relative_gains(outcome: Outcome, base: Outcome) -> tuple[float, float, float]:
    """Gains over a baseline in growth, CDaR and CVaR, as shares of its own.

    Growth is measured in the baseline's growth, or in a quarter of its CDaR where it hardly
    grows: a division by almost nothing would drown the other two.
    """
    scale = max(abs(base.growth), _LEAST_SCALE * base.cdar, _TINY)
    return (
        (outcome.growth - base.growth) / scale,
        (base.cdar - outcome.cdar) / max(base.cdar, _TINY),
        (base.cvar - outcome.cvar) / max(abs(base.cvar), _TINY),
    )


def distance(genome: RiskGenome) -> float:
    """L1 distance from the defaults in the unit cube."""
    moved = np.abs(genome.unit() - RiskGenome().unit())
    return float(sum(moved.tolist()))


def scalar(
    outcome: Outcome, bases: Sequence[Outcome], genome: RiskGenome, weights: Weights
) -> float:
    """Least gain over the baselines, less the price of the distance from the defaults."""
    gains = []
    for base in bases:
        growth, cdar, cvar = relative_gains(outcome, base)
        weight = weights.growth if growth >= 0.0 else weights.growth_loss
        gains.append(weight * growth + weights.cdar * cdar + weights.cvar * cvar)
    return min(gains) - weights.penalty * distance(genome)


def search_objectives(
    outcome: Outcome, bases: Sequence[Outcome], genome: RiskGenome, penalty: float = PENALTY
) -> tuple[float, float, float]:
    """Three objectives of the search, to be maximised: the least gain in each, less the price."""
    gains = [relative_gains(outcome, base) for base in bases]
    price = penalty * distance(genome)
    growth, cdar, cvar = (min(column) - price for column in zip(*gains, strict=True))
    return growth, cdar, cvar


def volatility_target(target: float) -> RiskGenome:
    """A manager that does nothing but scale sizes to a volatility; every other gene is loosest.

    Parameters
    ----------
    target : float
        Volatility per year from which sizes are cut, in proportion.
    """
    loosest = RiskGenes(*(gene.loosest for gene in GENES))
    return RiskGenome(loosest._replace(volatility_exponent=1.0, target_volatility=target))
