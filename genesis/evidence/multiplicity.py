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
from genesis.evolution.trial_count import TrialCount, count_trials, open_register, studies_of
from genesis.evolution.trials import COUNTED
from genesis.evolution.work import Executor
from genesis.strategy.genome import from_plain
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
        Principal components that hold 95 % of the variance of the daily returns of what was tried,
        on the campaign's bars: the greatest number over the studies up to each in order, since a
        narrow study after a broad one would make all of them look alike.
    effective : float
        ``components``, scaled up by the behaviours that could not be computed again.
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
    """Count the trials, and compute again what they earn to see how many are different.

    Parameters
    ----------
    campaign : Campaign
    executor : Executor
        Started with the campaign's job.
    progress : callable
        Told (``trials``, units done, units in all).
    """
    span = campaign.material.searched_span
    count = count_trials(campaign.home, campaign.bases, span)
    groups = _evenly(_tried(campaign), MOST_EVALUATED)
    sample = [text for group in groups for text in group]
    marks = portfolio_marks(executor, sample, len(campaign.search.symbols), progress)
    good = np.flatnonzero(np.isfinite(marks).all(axis=1))
    returns = np.diff(marks[good], axis=1, prepend=0.0).T
    ends = np.searchsorted(good, np.cumsum([len(group) for group in groups]))
    components = max((_components(returns[:, :end]) for end in ends.tolist()), default=1)
    periods = marks_per_year(campaign.search.interval_ms)
    ratios = np.array([sharpe(column, periods) for column in returns.T])
    ratios = ratios[np.isfinite(ratios)] / np.sqrt(periods)
    variance = float(np.var(ratios, ddof=1)) if ratios.size > 1 else 0.0
    effective = components * max(count.unique / max(len(sample), 1), 1.0)
    return Multiplicity(count, len(campaign.phenotypes), components, effective, variance)


def _components(returns: Floats) -> int:
    return max(principal_components(returns), 1) if returns.size else 1


def _tried(campaign: Campaign) -> list[list[str]]:
    """Genomes, as text, of each behaviour of each overlapping study, in order of registration.

    Whatever bars they were tried on, they are computed again on those of the campaign. A genome
    comes once; one whose family is not known here, or whose ledger is gone, is only counted.
    """
    home, registry = campaign.home, campaign.material.registry
    span = campaign.material.searched_span
    known, seen = set(registry.names()), set[str]()
    groups = []
    for study in studies_of(home, open_register(home), campaign.bases, span):
        if study.ledger is None:
            continue
        behaviours: dict[str, str] = {}
        for row in study.ledger.rows():
            counts = row["role"] in COUNTED and row["status"] == "valid"
            if counts and row["plain"]["family"] in known:
                behaviours.setdefault(row["phenotype"], from_plain(row["plain"]).to_text())
        fresh = [text for text in dict.fromkeys(behaviours.values()) if text not in seen]
        seen.update(fresh)
        groups.append(fresh)
    return groups


def _evenly(groups: list[list[str]], most: int) -> list[list[str]]:
    """An even sample of at most about ``most`` over all groups."""
    step = max(sum(map(len, groups)) / most, 1.0)
    return [[group[int(i * step)] for i in range(int(len(group) / step))] for group in groups]
