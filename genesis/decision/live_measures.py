"""Measures of G4 to G6 that daily returns and a baseline give; fidelity comes from the logs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.backtest.metrics import max_drawdown
from genesis.decision.grounds import Baseline
from genesis.evidence.measures import PromotionSettings
from genesis.validation.anytime import e_process, tuned, upper_bound
from genesis.validation.sprt import log_likelihood_ratio

Floats = npt.NDArray[np.float64]
YEAR = 365.0


def shrunk_sharpe(sharpe: float, years: float, tau: float) -> float:
    """Posterior mean of an annual Sharpe ratio, ``SR tau^2 / (tau^2 + 1 / years)``.

    A ratio measured over some years has variance 1 / years; true ones have a normal law of mean 0
    and standard deviation tau.
    """
    if not years > 0.0:
        return 0.0
    return sharpe * tau * tau / (tau * tau + 1.0 / years)


def standardised(returns: Floats, baseline: Baseline, clip: float) -> Floats:
    """Daily returns over the volatility that was known before, held within ± clip."""
    return np.clip(returns / baseline.daily_sd, -clip, clip)


def drawdown_use(returns: Floats, baseline: Baseline, level: float) -> float:
    """Drawdown over its bootstrapped bound for as many days; above 1 it is beyond it."""
    bound = baseline.drawdown_bound(int(returns.size), level)
    return max_drawdown(returns) / bound if bound > 0.0 else math.inf


def sanity(returns: Floats, baseline: Baseline, settings: PromotionSettings) -> float:
    """E-value against "the Sharpe ratio is at least a share of the sealed one"; 1 for no days."""
    least = settings.sanity_share * baseline.sealed_sharpe / math.sqrt(YEAR)
    path = e_process(standardised(returns, baseline, settings.clip_sd), least, settings.clip_sd)
    return float(np.max(path)) if path.size else 1.0


def canary_measures(
    returns: Floats, baseline: Baseline, settings: PromotionSettings
) -> dict[str, Any]:
    """Measures of G5 besides fidelity.

    Parameters
    ----------
    returns : float64, shape (days,)
        Since the canary began, fractions of the capital that traded.
    """
    days = int(returns.size)
    found: dict[str, Any] = {"canary_days": float(days)}
    if not days:
        return found
    used = drawdown_use(returns, baseline, 0.95)
    found["canary_drawdown"] = (
        used,
        f"{max_drawdown(returns):.4f} of {baseline.drawdown_bound(days, 0.95):.4f}",
    )
    rho = tuned(settings.confidence_days, settings.confidence_alpha)
    unit = standardised(returns, baseline, settings.clip_sd)
    found["canary_upper_bound"] = upper_bound(unit, rho, settings.confidence_alpha) * math.sqrt(
        YEAR
    )
    return found


def step_measures(
    returns: Floats,
    step_days: int,
    least_days: float,
    baseline: Baseline,
    settings: PromotionSettings,
) -> dict[str, Any]:
    """Measures of G6.

    Parameters
    ----------
    returns : float64, shape (days,)
        Since the canary began.
    step_days : int
        Days at the present size.
    least_days : float
        Bound of `step_days` in the gates file, which an accelerating ratio stands for.
    """
    unit = standardised(returns, baseline, settings.clip_sd)
    ratio = log_likelihood_ratio(unit, baseline.daily_sharpe)
    fast = ratio >= settings.sprt_accelerate and step_days < least_days
    note = f"{step_days} days; the ratio accelerates" if fast else ""
    return {
        "step_days": (max(float(step_days), least_days) if fast else float(step_days), note),
        "step_sprt": (ratio, f"over {returns.size} days"),
    }
