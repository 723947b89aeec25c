"""Live profit of a deployment against what its promotion expected, day by day."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from genesis.backtest.metrics import max_drawdown
from genesis.decision.grounds import Baseline
from genesis.decision.live_measures import YEAR, drawdown_use, standardised
from genesis.decision.retirement import Fidelity, health
from genesis.domain.errors import GenesisError
from genesis.domain.timeline import format_ts
from genesis.system.promotion_runs import WorkspaceEvidence
from genesis.system.strategy_evidence_parts import Problem, Section, Source
from genesis.validation.cusum import bound_for, cusum

if TYPE_CHECKING:
    from genesis.decision.deployments import Deployment
    from genesis.evidence.measures import PromotionSettings
    from genesis.paper.agreement import Agreement

Floats = npt.NDArray[np.float64]

TITLE = "Profit against expectation"
NAME = "expectation"


@dataclass(frozen=True, slots=True)
class Traded:
    """What the live runs of a deployment add up to, and the logs that say so."""

    agreement: Agreement
    sources: tuple[Source, ...]


class LiveEvidence(WorkspaceEvidence):
    """Evidence of a workspace, with the days behind its measures."""

    def traded(self, deployment: Deployment) -> Traded | None:
        """Live days of a deployment and of its shadow; None where it has none.

        Raises
        ------
        RefusedError
            If a log that would count was changed.
        """
        from genesis.paper.agreement import pooled

        runs = list(self._live_runs(deployment))
        found = pooled([run.agreement for run in runs])
        if found is None:
            return None
        sources = tuple(
            Source(
                f"bars, fills and funding of {run.ref.run}",
                f"trading/{run.ref.run}/events.db",
                run.ref.head,
                (1, run.ref.events),
                f"genesis events verify {run.ref.run}",
            )
            for run in runs
        )
        return Traded(found, sources)


def expectation_section(evidence: LiveEvidence, deployments: Sequence[Deployment]) -> Section:
    """Cumulative daily profit of each deployment beside its shadow, expectation and bound.

    Parameters
    ----------
    evidence : LiveEvidence
    deployments : sequence of Deployment
        Of the strategy.
    """
    rows, sources, problems = [], [], []
    for one in deployments:
        if one.baseline is None:
            continue
        try:
            found = evidence.traded(one)
        except GenesisError as error:
            problems.append(Problem.of(NAME, error))
            continue
        if found is None:
            continue
        settings, why = _settings(evidence, one)
        rows.append(_facts(one, one.baseline, found.agreement, settings, why))
        sources.append(_baseline_source(one))
        sources += found.sources
    missing = "" if rows or problems else _nothing(deployments)
    facts = {"deployments": rows} if rows else {}
    return Section(NAME, TITLE, facts, tuple(dict.fromkeys(sources)), missing, tuple(problems))


def _nothing(deployments: Sequence[Deployment]) -> str:
    since = [one.live_since_ms for one in deployments if one.live_since_ms]
    if not since:
        return "no deployment of it trades live: genesis deployments list"
    return f"no bar after its canary began, {format_ts(min(since))}, was traded live"


def _baseline_source(one: Deployment) -> Source:
    made = next(step for step in one.history if step.grounds.baseline == one.baseline)
    return Source(
        "expectation and bounds, as the promotion measured them",
        "operations/events.db",
        events=(made.seq, made.seq),
        check=f"genesis deployments show {one.strategy}",
    )


def _settings(evidence: LiveEvidence, one: Deployment) -> tuple[PromotionSettings | None, str]:
    """How the layers are set; without a dossier that stands nobody knows."""
    try:
        return evidence.gates(one.strategy, one.target).settings, ""
    except GenesisError as error:
        return None, error.what


def _facts(
    one: Deployment,
    base: Baseline,
    found: Agreement,
    settings: PromotionSettings | None,
    why: str,
) -> dict[str, Any]:
    days = np.arange(1, found.returns.size + 1)
    live, shadow = np.cumsum(found.returns), np.cumsum(found.shadow)
    lower = drawdown_floor(live, base)
    facts = {
        "deployment": one.id,
        "days": int(found.returns.size),
        "expected_sharpe": base.haircut_sharpe,
        "sealed_sharpe": base.sealed_sharpe,
        "searched_sharpe": base.searched_sharpe,
        "daily_sd": base.daily_sd,
        "day_ms": found.day_ms.tolist(),
        "live": live.tolist(),
        "shadow": shadow.tolist(),
        "expected": (base.daily_sharpe * base.daily_sd * days).tolist(),
        "floor_99": lower.tolist(),
        "live_sharpe": _sharpe(found.returns),
        "drawdown": max_drawdown(found.returns),
        "drawdown_bound_95": base.drawdown_bound(int(days[-1]), 0.95),
        "drawdown_bound_99": base.drawdown_bound(int(days[-1]), 0.99),
        "drawdown_used_99": drawdown_use(found.returns, base, 0.99),
        "position_match": found.position_match,
        "outside": found.outside,
        "slippage": found.slippage,
        "trades": found.trades,
    }
    if settings is None:
        return facts | {"cusum": None, "health": None, "why": why}
    judged = health(found.returns, base, Fidelity(found.position_match, found.slippage), settings)
    path = cusum(standardised(found.returns, base, settings.clip_sd), base.daily_sharpe)
    return facts | {
        "cusum": {
            "path": path.tolist(),
            "now": float(path[-1]),
            "amber": bound_for(settings.cusum_amber_years * YEAR, base.daily_sharpe),
            "red": bound_for(settings.cusum_red_years * YEAR, base.daily_sharpe),
        },
        "health": judged.to_plain(),
        "why": "",
    }


def drawdown_floor(live: Floats, base: Baseline) -> Floats:
    """Lowest sum of returns after each day that the 99 % bound of as many days still allows.

    Parameters
    ----------
    live : float64, shape (days,)
        Sum of returns after each day, fractions of capital.
    base : Baseline

    Returns
    -------
    float64, shape (days,)
        The peak so far, the beginning among it, less the bound.
    """
    peak = np.maximum.accumulate(np.concatenate(([0.0], live)))[1:]
    bounds = [base.drawdown_bound(day, 0.99) for day in range(1, live.size + 1)]
    floor: Floats = peak - np.array(bounds)
    return floor


def _sharpe(returns: Floats) -> float | None:
    sd = float(np.std(returns, ddof=1)) if returns.size > 1 else 0.0
    return float(np.mean(returns)) / sd * math.sqrt(YEAR) if sd > 0.0 else None
