"""How faithful a paper run is to the backtest of the same strategy on the same bars.

It measures agreement where random slippage, latency and rejected orders let the two differ;
`genesis.paper.parity` demands equality where it is owed. The backtest is to be made under the risk
decisions of the run (`genesis.paper.risk_effect`): what risk changed is told apart.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.backtest.detail import SymbolBacktest
from genesis.backtest.frame import day_stops
from genesis.backtest.metrics import ratio
from genesis.backtest.portfolio import PortfolioBacktest
from genesis.paper.matching import (
    Divergence,
    Matched,
    PaperSymbol,
    divergences,
    earliest,
    match_fills,
    paired,
)
from genesis.paper.positions import compared, too_many_aside
from genesis.paper.risk_effect import RiskEffect

Floats = npt.NDArray[np.float64]

PRICE_TOLERANCE = 1e-9
SIZE_TOLERANCE = 1e-9
SHOWN_DIVERGENCES = 20

FAITHFUL, CLOSE, DIVERGED, UNTESTED = "FAITHFUL", "CLOSE", "DIVERGED", "UNTESTED"
FAITHFUL_LIMITS = (0.99, 1.0, 0.1)
CLOSE_LIMITS = (0.95, 5.0, 0.5)
"""Least position match share, greatest median slippage error in bp, and greatest daily profit
difference in standard deviations of a verdict."""


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Agreement of a paper run with its shadow backtest.

    Attributes
    ----------
    verdict : str
        FAITHFUL, CLOSE or DIVERGED: the best whose three limits are all met; UNTESTED where
        neither side filled anything, no bar is left to compare, or too many are set aside.
    position_match : float
        Share of bars times symbols whose signed position after the bar is the same.
    held_match : float or None
        The same share of those at which either side holds a position; None if neither ever does.
        Long flat times flatter `position_match`, not this one.
    slippage_error_bp : float
        Median over matched fills of the absolute difference of prices, basis points; 0 for none.
    slippage_bias_bp : float
        Mean of the signed difference, positive where paper paid more or received less.
    daily_pnl_difference : float
        Mean absolute difference of daily profit over the standard deviation (ddof 1) of the
        backtest's daily profit: 0 for 0 over 0, held within 1000 where only the deviation is 0.
    fills_paper, fills_backtest, fills_matched : int
    causes : mapping of str to int
        Divergences by cause.
    first : tuple of Divergence
        The earliest ones.
    risk : RiskEffect or None
        What risk made of the entries; no part of the verdict.
    outside : int
        Bars times symbols in neither share: an act from outside had closed the position, see
        `genesis.paper.positions`.
    """

    verdict: str
    position_match: float
    held_match: float | None
    slippage_error_bp: float
    slippage_bias_bp: float
    daily_pnl_difference: float
    fills_paper: int
    fills_backtest: int
    fills_matched: int
    causes: Mapping[str, int] = field(default_factory=dict)
    first: tuple[Divergence, ...] = ()
    risk: RiskEffect | None = None
    outside: int = 0

    def to_plain(self) -> dict[str, Any]:
        """JSON form."""
        return {**asdict(self), "first": [one.to_plain() for one in self.first]}


def fidelity(
    paper: Sequence[PaperSymbol],
    backtest: PortfolioBacktest,
    price_tol: float = PRICE_TOLERANCE,
    shown: int = SHOWN_DIVERGENCES,
    risk: RiskEffect | None = None,
) -> Fidelity:
    """Compare a paper run with the backtest of the same strategy on the same bars.

    Parameters
    ----------
    paper : sequence of PaperSymbol
        One for each symbol of the backtest, in any order.
    backtest : PortfolioBacktest
    price_tol : float
        Up to which prices and sizes count as equal in the list of divergences.
    shown : int
        Divergences kept, the earliest ones.
    risk : RiskEffect, optional
        What the backtest was made under.

    Raises
    ------
    InputError
        If the symbols or the number of bars differ.
    """
    pairs = paired(paper, backtest)
    matched = [match_fills(mine.fills, theirs) for mine, theirs in pairs]
    found = [
        one
        for (mine, _), fills in zip(pairs, matched, strict=True)
        for one in divergences(mine.symbol, fills, price_tol, SIZE_TOLERANCE)
    ]
    seen = compared(pairs)
    errors = _price_errors(matched)
    difference = _daily_difference(pairs, backtest)
    share = seen.same / seen.bars if seen.bars else 1.0
    traded = any(m.pairs or m.late or m.missing or m.extra for m in matched)
    enough = bool(seen.bars) and not too_many_aside(seen.bars, seen.outside)
    error = float(np.median(np.abs(errors))) if errors.size else 0.0
    return Fidelity(
        verdict=_verdict(share, error, difference) if traded and enough else UNTESTED,
        position_match=share,
        held_match=seen.same_held / seen.held if seen.held else None,
        slippage_error_bp=error,
        slippage_bias_bp=float(np.mean(errors)) if errors.size else 0.0,
        daily_pnl_difference=difference,
        fills_paper=sum(len(m.pairs) + len(m.late) + len(m.extra) for m in matched),
        fills_backtest=sum(len(theirs.orders) for _, theirs in pairs),
        fills_matched=sum(len(m.pairs) for m in matched),
        causes=dict(Counter(one.cause for one in found)),
        first=earliest(found, shown),
        risk=risk,
        outside=seen.outside,
    )


def _verdict(share: float, error_bp: float, difference: float) -> str:
    for verdict, (least, most_bp, most) in (
        (FAITHFUL, FAITHFUL_LIMITS),
        (CLOSE, CLOSE_LIMITS),
    ):
        if share >= least and error_bp <= most_bp and difference <= most:
            return verdict
    return DIVERGED


def _price_errors(matched: Sequence[Matched]) -> Floats:
    """Signed price differences of matched fills in bp, positive where paper did worse."""
    return np.array(
        [
            (mine.price / theirs.price - 1.0) * 1e4 * math.copysign(1.0, theirs.size)
            for one in matched
            for mine, theirs in one.pairs
        ]
    )


def _daily_difference(
    pairs: Sequence[tuple[PaperSymbol, SymbolBacktest]], backtest: PortfolioBacktest
) -> float:
    ends = day_stops(backtest.ts_ms) - 1
    mine, theirs = np.zeros(ends.size), np.zeros(ends.size)
    for paper, shadow in pairs:
        mine += np.diff(_carried(paper.equity)[ends], prepend=0.0)
        theirs += np.diff(shadow.equity[ends] * shadow.capital, prepend=0.0)
    spread = float(np.std(theirs, ddof=1)) if ends.size > 1 else 0.0
    return ratio(float(np.mean(np.abs(mine - theirs))), spread)


def _carried(equity: Floats) -> Floats:
    """Marks with each missing one replaced by the last before it, 0 at the start."""
    places = np.where(np.isfinite(equity), np.arange(equity.size), -1)
    last = np.maximum.accumulate(places)
    return np.where(last >= 0, equity[np.maximum(last, 0)], 0.0)
