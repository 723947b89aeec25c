"""The genetic feedback score: what a trading run says about the strategy that was bred.

``0.4 win rate + 0.3 execution success + 0.2 min(1, max(0, Sharpe) / 3)
+ 0.1 max(0, 1 - longest losing streak / 10)``, in [0, 1]. The score goes beside the stored
strategy, see `genesis.evolution.feedback`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genesis.evolution.feedback import Feedback, write_feedback
from genesis.paper.fidelity import Fidelity
from genesis.paper.numbers import PerformanceNumbers

WIN_WEIGHT, SUCCESS_WEIGHT, SHARPE_WEIGHT, STREAK_WEIGHT = 0.4, 0.3, 0.2, 0.1
FULL_SHARPE = 3.0
"""Sharpe ratio from which on its term is full."""
FULL_STREAK = 10
"""Longest losing streak from which on its term is zero."""


@dataclass(frozen=True, slots=True)
class FeedbackScore:
    """Score of one run, or why there is none.

    Attributes
    ----------
    score : float or None
        Sum of the terms; None where nothing was traded: a strategy that did nothing is neither
        good nor bad.
    terms : dict of str to float
        Weighted terms: win_rate, execution_success, sharpe, losing_streak.
    reason : str
        Why there is no score; empty if there is one.
    """

    score: float | None
    terms: dict[str, float]
    reason: str = ""

    def to_plain(self) -> dict[str, Any]:
        """JSON form."""
        return {"score": self.score, "terms": dict(self.terms), "reason": self.reason}


def feedback_score(numbers: PerformanceNumbers) -> FeedbackScore:
    """Score of a strategy's numbers.

    A Sharpe ratio that does not exist (less than two days, no variation) counts as 0; so does the
    execution success of trades whose orders are not known.
    """
    if not numbers.trades:
        return FeedbackScore(None, {}, "no trade was completed")
    streak = 1.0 - numbers.longest_losing_streak / FULL_STREAK
    terms = {
        "win_rate": WIN_WEIGHT * (numbers.win_rate or 0.0),
        "execution_success": SUCCESS_WEIGHT * (numbers.success_rate or 0.0),
        "sharpe": SHARPE_WEIGHT * min(1.0, max(0.0, numbers.sharpe or 0.0) / FULL_SHARPE),
        "losing_streak": STREAK_WEIGHT * max(0.0, streak),
    }
    return FeedbackScore(sum(terms.values()), terms)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where numbers come from.

    Attributes
    ----------
    run_id, mode, build : str
    dataset, dataset_hash : str
    state_hash : str
        Of the run's state at its last event.
    span_ms : tuple of int
        ``[start, end)`` of the bars traded.
    """

    run_id: str
    mode: str
    build: str = ""
    dataset: str = ""
    dataset_hash: str = ""
    state_hash: str = ""
    span_ms: tuple[int, int] = (0, 0)


def submit_feedback(
    home: Path,
    numbers: PerformanceNumbers,
    provenance: Provenance,
    recorded_ms: int,
    fidelity: Fidelity | None = None,
) -> tuple[FeedbackScore, bool]:
    """Score a strategy's run and write it beside the stored strategy.

    Parameters
    ----------
    home : Path
        Workspace.
    recorded_ms : int
        Now, from the caller's clock.

    Returns
    -------
    FeedbackScore
    bool
        Whether it was written: the same outcome of the same run is not written twice.

    Raises
    ------
    InputError
        If the strategy is not in the store.
    RefusedError
        If earlier feedback was changed after it was written.
    StorageError
        If it cannot be written.
    """
    score = feedback_score(numbers)
    written = write_feedback(
        home,
        Feedback(
            strategy=numbers.strategy,
            run_id=provenance.run_id,
            mode=provenance.mode,
            score=score.score,
            reason=score.reason,
            terms=score.terms,
            measures=_measures(numbers),
            fidelity=_agreement(fidelity),
            dataset=provenance.dataset,
            dataset_hash=provenance.dataset_hash,
            build=provenance.build,
            state_hash=provenance.state_hash,
            span_ms=provenance.span_ms,
            recorded_ms=recorded_ms,
        ),
    )
    return score, written


_MEASURES = (
    *("trades", "win_rate", "success_rate", "sharpe", "days", "longest_losing_streak"),
    *("return_on_capital", "max_drawdown", "profit_factor", "median_slippage_bp"),
)


def _measures(numbers: PerformanceNumbers) -> dict[str, Any]:
    return {name: getattr(numbers, name) for name in _MEASURES}


def _agreement(fidelity: Fidelity | None) -> dict[str, Any]:
    if fidelity is None:
        return {}
    return {
        "verdict": fidelity.verdict,
        "position_match": fidelity.position_match,
        "outside": fidelity.outside,
        "slippage_error_bp": fidelity.slippage_error_bp,
        "daily_pnl_difference": fidelity.daily_pnl_difference,
    }
