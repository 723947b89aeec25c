"""When a live deployment is halved or sent back to paper, without anybody being asked."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.backtest.metrics import max_drawdown
from genesis.decision.grounds import Baseline
from genesis.decision.live_measures import YEAR, drawdown_use, standardised
from genesis.evidence.measures import PromotionSettings
from genesis.validation.cusum import bound_for, cusum

Floats = npt.NDArray[np.float64]


class Alarm(StrEnum):
    """What the layers say: nothing, half the size, back to paper, or that they cannot tell."""

    UNKNOWN = "unknown"
    GREEN = "green"
    AMBER = "amber"
    RED = "red"


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Agreement of live orders with the shadow backtest.

    Attributes
    ----------
    position_match : float or None
        Share of bars times symbols; None where no bar was compared, or too many were set aside.
    slippage : float or None
        Mean over the model's 75th percentile; None without a fill.
    """

    position_match: float | None = None
    slippage: float | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """Verdict on a live deployment.

    Attributes
    ----------
    alarm : Alarm
    reasons : tuple of str
        One for each layer that gave the alarm, or why nobody can tell.
    numbers : mapping of str to float
        Every layer's value and bound.
    """

    alarm: Alarm
    reasons: tuple[str, ...]
    numbers: dict[str, float]

    def to_plain(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "alarm": self.alarm.value,
            "reasons": list(self.reasons),
            "numbers": self.numbers,
        }


def health(
    returns: Floats,
    baseline: Baseline,
    fidelity: Fidelity,
    settings: PromotionSettings,
) -> Health:
    """Judge a live deployment by its layers: fidelity, drawdown, CUSUM.

    A broken fidelity (after ``break_days``: the first bars are a share of nothing) or a drawdown
    beyond the bootstrapped 99 % bound of as many days is red at once. The CUSUM is red at the
    bound whose false alarms are ``cusum_red_years`` apart, amber at that of
    ``cusum_amber_years``. Without a day of returns, or a bar whose position was compared, it is
    unknown: no data is no health.

    Parameters
    ----------
    returns : float64, shape (days,)
        Daily, since the canary began, fractions of the capital that traded.
    baseline : Baseline
    fidelity : Fidelity
    settings : PromotionSettings
    """
    judged = returns.size >= settings.break_days
    red, amber = _fidelity_breaks(fidelity, settings) if judged else [], []
    numbers: dict[str, float] = {"days": float(returns.size)}
    for name in ("position_match", "slippage"):
        value = getattr(fidelity, name)
        if value is not None:
            numbers[name] = value
    if returns.size:
        used = drawdown_use(returns, baseline, 0.99)
        bound = baseline.drawdown_bound(int(returns.size), 0.99)
        deepest = max_drawdown(returns)
        numbers |= {"drawdown": deepest, "drawdown_bound": bound}
        if used > 1.0:
            red.append(f"drawdown {deepest:.4f} is beyond {bound:.4f}, the 99 % bound")
        level = float(cusum(standardised(returns, baseline, settings.clip_sd),
                            baseline.daily_sharpe)[-1])  # fmt: skip
        high = bound_for(settings.cusum_red_years * YEAR, baseline.daily_sharpe)
        low = bound_for(settings.cusum_amber_years * YEAR, baseline.daily_sharpe)
        numbers |= {"cusum": level, "cusum_amber": low, "cusum_red": high}
        if level >= high:
            red.append(f"the CUSUM is {level:.1f}, red from {high:.1f} on")
        elif level >= low:
            amber.append(f"the CUSUM is {level:.1f}, amber from {low:.1f} on")
    if red or amber:
        return Health(Alarm.RED if red else Alarm.AMBER, tuple(red or amber), numbers)
    unknown = _unknown(returns, fidelity)
    return Health(Alarm.UNKNOWN if unknown else Alarm.GREEN, tuple(unknown), numbers)


def _unknown(returns: Floats, fidelity: Fidelity) -> list[str]:
    """What nobody measured, and without which nothing can be called healthy."""
    if not returns.size:
        return ["no log has a day of its own orders since its canary began"]
    if fidelity.position_match is None:
        return [
            "no bar's position was compared with the shadow backtest, or too many bars were set"
            " aside after closes from outside"
        ]
    return []


def _fidelity_breaks(fidelity: Fidelity, settings: PromotionSettings) -> list[str]:
    found = []
    match, slippage = fidelity.position_match, fidelity.slippage
    if match is not None and match < settings.break_position_match:
        found.append(
            f"positions match on {match:.4f} of the bars, broken below"
            f" {settings.break_position_match:g}"
        )
    if slippage is not None and slippage > settings.break_slippage:
        found.append(
            f"slippage is {slippage:.2f} times the model's 75th percentile, broken above"
            f" {settings.break_slippage:g}"
        )
    return found
