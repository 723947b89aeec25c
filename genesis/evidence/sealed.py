"""Gate G3: the sealed bars, opened once a candidate, under an error budget of the span.

Every strategy that is ever tried on a sealed span spends part of one budget ``alpha``: the chance
that a strategy without an edge passes, over all that are ever tried there. The levels follow the
fallback procedure (Wiens 2003), which holds whatever the dependence: the first candidate may use
most of the budget; what a failure used is gone, what a success used goes to the next one. A look
by hand (``genesis backtest --open-sealed``) is a failure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.backtest.metrics import sharpe
from genesis.backtest.portfolio import backtest_strategy, marks_per_year
from genesis.domain.clock import Clock
from genesis.evidence.campaign import Campaign
from genesis.evidence.gates import Settings
from genesis.evidence.returns import daily_returns, hedged, market_returns
from genesis.evolution.register import TrialRegister
from genesis.evolution.registration import HUMAN
from genesis.evolution.seals import SealRegistry
from genesis.strategy.strategy import Strategy
from genesis.validation.sequential import fallback_level
from genesis.validation.sharpe import moments, probabilistic_sharpe

Floats = npt.NDArray[np.float64]

BY_HAND = "looked at by hand before: the sealed bars prove nothing for it any more"


@dataclass(frozen=True, slots=True)
class SealedNumbers:
    """A strategy on the sealed bars.

    Attributes
    ----------
    sharpe : float
        Of its daily returns, annualised.
    hedged_sharpe : float
        The same without the market's part.
    p : float
        ``1 - PSR(0)`` of the returns without the market's part.
    days : int
    """

    sharpe: float
    hedged_sharpe: float
    p: float
    days: int

    def to_plain(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "sharpe": self.sharpe,
            "hedged_sharpe": self.hedged_sharpe,
            "p": self.p,
            "days": self.days,
        }


def sealed_numbers(campaign: Campaign, strategy: Strategy) -> SealedNumbers:
    """Compute a strategy on the sealed bars, indicators and position carried over the seal.

    Whoever calls this has put the opening on record before.
    """
    panel, start = campaign.material.panel, campaign.search.bars
    result = backtest_strategy(panel, strategy, campaign.material.setup)
    returns = daily_returns(panel.ts_ms[start:], result.returns[start:])
    market = market_returns(panel.sliced(start, panel.bars))
    periods = marks_per_year(panel.interval_ms)
    own = moments(hedged(returns, market))
    psr = probabilistic_sharpe(own)
    return SealedNumbers(
        sharpe=float(np.nan_to_num(sharpe(returns, periods))),
        hedged_sharpe=own.sharpe * math.sqrt(periods) if math.isfinite(own.sharpe) else 0.0,
        p=1.0 - psr if math.isfinite(psr) else 1.0,
        days=own.n,
    )


def level_after(earlier: Sequence[float | None], settings: Settings) -> float:
    """Level of the next candidate on a span, from the p values of all that were tried there.

    Parameters
    ----------
    earlier : sequence of float or None
        In order of opening; None for a look that was no test.
    settings : Settings
    """
    outcomes: list[bool] = []
    for p in earlier:
        level = fallback_level(outcomes, settings.sealed_alpha, settings.sealed_share)
        outcomes.append(p is not None and p <= level)
    return fallback_level(outcomes, settings.sealed_alpha, settings.sealed_share)


def open_once(
    campaign: Campaign, strategy: Strategy, settings: Settings, searched_sharpe: float, clock: Clock
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Measures of G3, opening the sealed bars if this strategy was never tried on them.

    The opening is on record before anything is computed. A strategy that was opened before gets
    the numbers and the level of that time; one that was looked at by hand gets none. Strategies
    that a person tried on these bars before they were sealed have spent their levels too.

    Returns
    -------
    measures, details : dict
    """
    registry = SealRegistry(campaign.home / "seals.json")
    span = campaign.material.sealed_span
    searched, tried = _looked_at_by(campaign)
    if searched:
        return _void(f"the sealed bars were searched by {', '.join(searched)}: they prove nothing")
    # An imported study's tail is sealed nowhere yet in this workspace.
    registry.adopt(campaign.run_id, campaign.material.panel.name, campaign.bases, span)
    earlier = registry.openings_of(campaign.bases, span)
    if all(opening.strategy != strategy.id for opening in earlier):
        if strategy.id in tried:
            return _void(BY_HAND)
        registry.open_for_gate(
            strategy.id, campaign.material.panel.name, campaign.bases, span, clock
        )
        # Its place is known only now: another process may have opened one meanwhile.
        earlier = registry.openings_of(campaign.bases, span)
    place = [opening.strategy for opening in earlier].index(strategy.id)
    opening = earlier[place]
    if opening.purpose != "gate":
        return _void(BY_HAND)
    spent = [None] * len(tried - {known.strategy for known in earlier})
    level = level_after([*spent, *(before.p for before in earlier[:place])], settings)
    if opening.numbers is None:  # new, or a crash came between the opening and its result
        opening = registry.close(opening, sealed_numbers(campaign, strategy).to_plain())
    numbers = opening.numbers
    assert numbers is not None
    place += len(spent)
    return sealed_measures(numbers, level, searched_sharpe, place), {
        **numbers,
        "dataset": opening.dataset,  # another one, where the span was opened from there before
        "level": level,
        "place": place + 1,
        "opened_ms": opening.ts_ms,
    }


def _looked_at_by(campaign: Campaign) -> tuple[list[str], set[str]]:
    """Who saw the sealed bars: studies that searched there, strategies that a person tried."""
    rows = TrialRegister(campaign.home).overlapping(campaign.bases, campaign.material.sealed_span)
    searched = {row.run_id for row in rows if row.kind != HUMAN and row.trials > 0}
    return sorted(searched), {row.run_id for row in rows if row.kind == HUMAN}


def _void(note: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Measures of G3 where the bars can prove nothing."""
    return {"sealed_psr": (None, note), "sealed_ratio": (None, note)}, {"void": note}


def sealed_measures(
    numbers: dict[str, float], level: float, searched_sharpe: float, place: int
) -> dict[str, Any]:
    """Values of the two gates of G3 from the numbers on the sealed bars."""
    psr = 1.0 - numbers["p"]
    ratio = numbers["sharpe"] / searched_sharpe if searched_sharpe > 0.0 else None
    nth = f"candidate {place + 1} on this span"
    return {
        "sealed_psr": (
            psr - (1.0 - level),
            f"PSR {psr:.4f}, needed {1.0 - level:.4f} ({nth})",
        ),
        "sealed_ratio": (
            ratio,
            f"Sharpe {numbers['sharpe']:.2f} sealed, {searched_sharpe:.2f} searched",
        ),
    }
