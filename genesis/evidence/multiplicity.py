"""How many trials a result is the best of: from the ledgers, and how many of them are different."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.backtest.metrics import sharpe
from genesis.backtest.portfolio import marks_per_year
from genesis.evidence.blocks import portfolio_marks
from genesis.evidence.campaign import Campaign
from genesis.evidence.progress import Progress, untold
from genesis.evolution.trial_count import TrialCount, count_trials
from genesis.evolution.work import Executor
from genesis.validation.effective import principal_components

Floats = npt.NDArray[np.float64]

MOST_EVALUATED = 5_000
"""Behaviours whose returns are computed again; of more, an even sample of this size."""


@dataclass(frozen=True, slots=True)
class Multiplicity:
    """Trials behind a study's result.

    Attributes
    ----------
    count : TrialCount
        Trials of every study on overlapping data.
    own : int
        Different behaviours that this study tried.
    components : int
        Principal components that hold 95 % of the variance of their daily returns.
    effective : float
        ``components`` scaled to all studies by their numbers of behaviours: other trials are taken
        to be as alike as this study's own.
    variance : float
        Variance of the trials' Sharpe ratios, per day.
    """

    count: TrialCount
    own: int
    components: int
    effective: float
    variance: float

    def to_plain(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "total": self.count.total,
            "unique": self.count.unique,
            "own": self.own,
            "components": self.components,
            "effective": self.effective,
            "sharpe_variance_per_day": self.variance,
            "register_head": self.count.head,
            "studies": [asdict(row) for row in self.count.studies],
        }


def multiplicity(
    campaign: Campaign,
    executor: Executor,
    progress: Progress = untold,
) -> Multiplicity:
    """Count the trials, and compute again what they earned to see how many are different.

    Parameters
    ----------
    campaign : Campaign
    executor : Executor
        Started with the campaign's job.
    progress : callable
        Told (``trials``, units done, units in all).
    """
    count = count_trials(campaign.home, campaign.bases, campaign.material.searched_span)
    genomes = campaign.phenotypes
    own = len(genomes)
    step = max(own / MOST_EVALUATED, 1.0)
    sample = [genomes[int(i * step)] for i in range(int(own / step))]
    marks = portfolio_marks(executor, sample, len(campaign.search.symbols), progress)
    marks = marks[np.isfinite(marks).all(axis=1)]
    returns = np.diff(marks, axis=1, prepend=0.0).T
    components = principal_components(returns) if returns.size else 1
    periods = marks_per_year(campaign.search.interval_ms)
    ratios = np.array([sharpe(column, periods) for column in returns.T])
    ratios = ratios[np.isfinite(ratios)] / np.sqrt(periods)
    variance = float(np.var(ratios, ddof=1)) if ratios.size > 1 else 0.0
    effective = max(components, 1) * max(count.unique, own, 1) / max(len(sample), 1)
    return Multiplicity(count, own, components, effective, variance)
