"""Parity: where a paper run owes its backtest every fill, and whether it pays.

Same bars, ideal execution, limits that refuse nothing: then bar, side, size, price and profit must
be equal, and every difference is a fault. Reports add up over strategies, and count how often the
situations occurred in which the two would part first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from genesis.backtest.detail import SymbolBacktest
from genesis.backtest.portfolio import PortfolioBacktest
from genesis.market.panel import Panel
from genesis.paper.fidelity import PRICE_TOLERANCE, SHOWN_DIVERGENCES
from genesis.paper.matching import (
    Divergence,
    PaperSymbol,
    divergences,
    earliest,
    match_fills,
    paired,
)
from genesis.paper.situations import SITUATIONS, count_situations

PNL_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class ParityReport:
    """Whether a paper run is its backtest, fill for fill; reports of several runs add up.

    Attributes
    ----------
    fills, equal_fills : int
        Fills of either side (a matched pair counts once), and those that are equal.
    marks, equal_marks : int
        Bars at which the profit so far was compared, and those at which it is equal.
    price_error, size_error : float
        Greatest absolute differences of matched fills.
    pnl_error : float
        Greatest absolute difference of the profit so far at any mark, quote units.
    situations : mapping of str to int
        How often each of `genesis.paper.situations.SITUATIONS` occurred in the backtest.
    causes : mapping of str to int
        Differing fills by cause.
    first : tuple of Divergence
        The earliest ones.
    """

    fills: int = 0
    equal_fills: int = 0
    marks: int = 0
    equal_marks: int = 0
    price_error: float = 0.0
    size_error: float = 0.0
    pnl_error: float = 0.0
    situations: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(SITUATIONS, 0))
    causes: Mapping[str, int] = field(default_factory=dict)
    first: tuple[Divergence, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether every fill and every mark is equal."""
        return self.fills == self.equal_fills and self.marks == self.equal_marks

    def __add__(self, other: ParityReport) -> ParityReport:
        return ParityReport(
            fills=self.fills + other.fills,
            equal_fills=self.equal_fills + other.equal_fills,
            marks=self.marks + other.marks,
            equal_marks=self.equal_marks + other.equal_marks,
            price_error=max(self.price_error, other.price_error),
            size_error=max(self.size_error, other.size_error),
            pnl_error=max(self.pnl_error, other.pnl_error),
            situations={n: self.situations[n] + other.situations[n] for n in SITUATIONS},
            causes=dict(Counter(self.causes) + Counter(other.causes)),
            first=(*self.first, *other.first)[:SHOWN_DIVERGENCES],
        )

    def to_plain(self) -> dict[str, Any]:
        """JSON form."""
        return {
            "equal": self.equal,
            **asdict(self),
            "first": [one.to_plain() for one in self.first],
        }


def compare_fills(
    paper: Sequence[PaperSymbol],
    backtest: PortfolioBacktest,
    price_tol: float = PRICE_TOLERANCE,
    pnl_tol: float = PNL_TOLERANCE,
    *,
    panel: Panel | None = None,
    tree_filter: bool = False,
) -> ParityReport:
    """Demand that a paper run is its backtest: bar, side, size and price of every fill, and pnl.

    Parameters
    ----------
    paper : sequence of PaperSymbol
    backtest : PortfolioBacktest
    price_tol : float
        For prices and sizes: absolute from 1 on, relative below (see `agree`).
    pnl_tol : float
        For the profit so far at every mark, quote units.
    panel : Panel, optional
        The bars, for the situations that need them (`count_situations`).
    tree_filter : bool
        Whether the strategy's genome has an evolved filter, also where the strategy does not say.

    Raises
    ------
    InputError
        If the symbols or the number of bars differ.
    """
    report = ParityReport(situations=count_situations(backtest, panel, tree_filter=tree_filter))
    for mine, theirs in paired(paper, backtest):
        report += _symbol_parity(mine, theirs, price_tol, pnl_tol)
    return report


def _symbol_parity(
    mine: PaperSymbol, theirs: SymbolBacktest, price_tol: float, pnl_tol: float
) -> ParityReport:
    matched = match_fills(mine.fills, theirs)
    found = divergences(mine.symbol, matched, price_tol, price_tol)
    total = len(matched.pairs) + len(matched.late) + len(matched.missing) + len(matched.extra)
    marked = np.isfinite(mine.equity)
    errors = np.abs(mine.equity - theirs.equity * theirs.capital)[marked]
    return ParityReport(
        fills=total,
        equal_fills=total - len(found),
        marks=int(errors.size),
        equal_marks=int(np.count_nonzero(errors <= pnl_tol)),
        price_error=max((abs(a.price - b.price) for a, b in matched.pairs), default=0.0),
        size_error=max((abs(a.size - b.size) for a, b in matched.pairs), default=0.0),
        pnl_error=float(np.max(errors, initial=0.0)),
        causes=dict(Counter(one.cause for one in found)),
        first=earliest(found, SHOWN_DIVERGENCES),
    )
