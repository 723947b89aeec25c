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
from pathlib import Path
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
from genesis.validation.sequential import fallback_level, fallback_levels
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


@dataclass(frozen=True, slots=True)
class Budget:
    """What is left of the error budget of a sealed span.

    Attributes
    ----------
    opened : int
        Looks that spent a level of it.
    alpha : float
        The whole budget.
    left : float
        What all that come may still use, a level handed on by a success included.
    level : float
        What the next one may use.
    searched_by : tuple of str
        Studies that searched these bars: they prove nothing any more.
    """

    opened: int
    alpha: float
    left: float
    level: float
    searched_by: tuple[str, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "opened": self.opened,
            "alpha": self.alpha,
            "left": self.left,
            "next_level": self.level,
            "next_psr": 1.0 - self.level,
            "searched_by": list(self.searched_by),
        }

    @property
    def text(self) -> str:
        """In a line."""
        if self.searched_by:
            return f"searched by {', '.join(self.searched_by)}: the sealed bars prove nothing"
        times = {0: "not opened yet", 1: "opened once"}.get(
            self.opened, f"opened {self.opened} times"
        )
        return (
            f"{times}; {self.left:.3g} of {self.alpha:.3g} of the error budget left,"
            f" the next one needs a PSR of {1.0 - self.level:.4f}"
        )


def sealed_budget(
    home: Path, bases: Sequence[str], span: tuple[int, int], settings: Settings
) -> Budget:
    """Budget of a sealed span as it stands, by the gates' settings."""
    searched, tried = _looked_at_by(home, bases, span)
    opened = SealRegistry(home / "seals.json").openings_of(bases, span)
    spent = [None] * len(tried - {known.strategy for known in opened})
    outcomes, levels = _replayed([*spent, *(one.p for one in opened)], settings)
    kept = settings.sealed_alpha * (1.0 - settings.sealed_share) ** len(outcomes)
    handed = levels[-2] if outcomes and outcomes[-1] else 0.0
    return Budget(len(outcomes), settings.sealed_alpha, kept + handed, levels[-1], tuple(searched))


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
    return _replayed(earlier, settings)[1][-1]


def _replayed(
    earlier: Sequence[float | None], settings: Settings
) -> tuple[list[bool], list[float]]:
    """Whether each that was tried on a span passed; their levels, and that of the next."""
    outcomes: list[bool] = []
    for p in earlier:
        level = fallback_level(outcomes, settings.sealed_alpha, settings.sealed_share)
        outcomes.append(p is not None and p <= level)
    return outcomes, fallback_levels(outcomes, settings.sealed_alpha, settings.sealed_share)


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
    searched, tried = _looked_at_by(campaign.home, campaign.bases, span)
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


def _looked_at_by(
    home: Path, bases: Sequence[str], span: tuple[int, int]
) -> tuple[list[str], set[str]]:
    """Who saw the sealed bars: studies that searched there, strategies that a person tried."""
    rows = TrialRegister(home).overlapping(bases, span)
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
