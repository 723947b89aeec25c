"""The test that a bred genome must pass: sealed paths of unseen strategies, two baselines.

Scenarios are compared in pairs, the same path and strategies under both genomes, and resampled by
path: those of one path share its prices. Against each baseline three hypotheses must fall, their
p-values adjusted by Holm's method: the CDaR is no better, the growth is worse by more than is
allowed, and so is the CVaR. Both baselines must be beaten, which needs no further adjustment.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.evolution.risk.config import AcceptanceConfig
from genesis.evolution.risk.measures import CDAR, GROWTH, LOSS, TAIL, Outcome, outcome_of
from genesis.validation.bootstrap import resample_counts
from genesis.validation.multiple import holm

Floats = npt.NDArray[np.float64]

OBJECTIVES = ("growth", "cdar", "cvar")


@dataclass(frozen=True, slots=True)
class Comparison:
    """A genome against one baseline on the sealed scenarios.

    Attributes
    ----------
    baseline : str
    genome, base : Outcome
    cdar_gain, growth_loss, cvar_gain : float
        Shares of the baseline's own number; a negative loss is a gain.
    p : tuple of float
        Of growth, CDaR and CVaR, as the resamples gave them.
    adjusted : tuple of float
        The same by Holm's method.
    reasons : tuple of str
        Why it does not count as better, empty if it does.
    """

    baseline: str
    genome: Outcome
    base: Outcome
    cdar_gain: float
    growth_loss: float
    cvar_gain: float
    p: tuple[float, float, float]
    adjusted: tuple[float, float, float]
    reasons: tuple[str, ...]

    @property
    def better(self) -> bool:
        """Whether the genome beats the baseline."""
        return not self.reasons

    @property
    def losing(self) -> bool:
        """Whether the book loses money under both, so that nothing can be told."""
        return not (self.base.growth > 0.0 or self.genome.growth > 0.0)

    def to_plain(self) -> dict[str, Any]:
        """JSON form."""
        return {**asdict(self), "better": self.better}


def compare(
    baseline: str,
    genome: Floats,
    base: Floats,
    books: int,
    rules: AcceptanceConfig,
    rng: np.random.Generator,
) -> Comparison:
    """Test a genome against a baseline.

    Parameters
    ----------
    baseline : str
        Its name.
    genome, base : float64, shape (N, COLUMNS)
        Measures of the same sealed scenarios, those of one path next to each other.
    books : int
        Scenarios of a path.
    rules : AcceptanceConfig
    rng : numpy.random.Generator
    """
    ours, theirs = outcome_of(genome), outcome_of(base)
    growth_loss = _share(theirs.growth - ours.growth, theirs.growth)
    cdar_gain = _share(theirs.cdar - ours.cdar, theirs.cdar)
    cvar_gain = _share(theirs.cvar - ours.cvar, theirs.cvar)
    p = p_values(genome, base, books, rules, rng)
    adjusted = holm(np.array(p))
    reasons = []
    if not (theirs.growth > 0.0 or ours.growth > 0.0):
        reasons.append(
            f"the book loses under both ({theirs.growth:.2%} and {ours.growth:.2%} a path): doing"
            " less would win, which is no evidence of better risk management"
        )
    if cdar_gain < rules.cdar_gain:
        reasons.append(f"CDaR improves by {cdar_gain:.1%}, {rules.cdar_gain:.0%} are needed")
    if growth_loss > rules.growth_loss:
        reasons.append(f"growth falls by {growth_loss:.1%}, {rules.growth_loss:.0%} are allowed")
    for name, value in zip(OBJECTIVES, adjusted.tolist(), strict=True):
        if not value < rules.level:
            reasons.append(f"{name} could be luck: p = {value:.3f}, {rules.level:g} is the bar")
    return Comparison(
        baseline,
        ours,
        theirs,
        cdar_gain,
        growth_loss,
        cvar_gain,
        p,
        (float(adjusted[0]), float(adjusted[1]), float(adjusted[2])),
        tuple(reasons),
    )


def p_values(
    genome: Floats, base: Floats, books: int, rules: AcceptanceConfig, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Shares of the resamples in which growth, CDaR and CVaR do not meet their hypothesis.

    Growth and CVaR may be worse by the allowed share of the baseline's (non-inferiority), CDaR
    must be better. ``(1 + #{not met}) / (1 + draws)`` (Davison and Hinkley 1997).
    """
    counts = resample_counts(genome.shape[0] // books, rules.draws, 1.0, rng)
    weights = np.repeat(counts, books, axis=1)
    total = weights.sum(axis=1)

    def means(column: Floats) -> Floats:
        return np.asarray(weights @ column / total)

    allowed = rules.growth_loss
    growth, base_growth = means(genome[:, GROWTH]), means(base[:, GROWTH])
    cdar, base_cdar = means(genome[:, CDAR]), means(base[:, CDAR])
    cvar, base_cvar = (weighted_tail(rows[:, LOSS], weights) for rows in (genome, base))
    failed = (
        growth < base_growth - allowed * np.abs(base_growth),
        cdar >= base_cdar,
        cvar > base_cvar + allowed * np.abs(base_cvar),
    )
    found = [float((1 + int(one.sum())) / (1 + rules.draws)) for one in failed]
    return found[0], found[1], found[2]


def weighted_tail(losses: Floats, weights: Floats) -> Floats:
    """Mean of the worst 5 % of losses in each resample, shape (draws,).

    Parameters
    ----------
    losses : float64, shape (N,)
    weights : float64, shape (draws, N)
        How often each scenario is in a resample.
    """
    order = np.argsort(-losses, kind="stable")
    sorted_losses, drawn = losses[order], weights[:, order]
    most = np.ceil(TAIL * weights.sum(axis=1))[:, None]
    before = np.cumsum(drawn, axis=1) - drawn
    taken = np.clip(most - before, 0.0, drawn)
    return np.asarray((taken @ sorted_losses) / most[:, 0])


def _share(change: float, base: float) -> float:
    """A change as a share of the size of a baseline's number."""
    return change / max(abs(base), 1e-12)
