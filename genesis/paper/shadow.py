"""The shadow backtest of a live run, on the bars that the run itself recorded.

Its bars are those that the strategy was shown, warm-up included, so that the values of all rules
are the same from the first bar on; as in the run, nothing is decided before it began. What risk
refused or cut in the run, and what was held back, as in bars of a pause that were shown to the run
afterwards, is refused and cut in the backtest too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from genesis.backtest.detail import SymbolBacktest
from genesis.backtest.portfolio import PortfolioBacktest
from genesis.backtest.setup import EvaluationSetup
from genesis.costs.model import CostModel
from genesis.domain.errors import StrategyError
from genesis.paper.fidelity import Fidelity, fidelity
from genesis.paper.logged import LoggedRun, panel_of, traded_symbols
from genesis.paper.matching import PaperSymbol
from genesis.paper.risk_effect import shadows

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NO_BACKTEST = "its log holds too few bars for a backtest"
NO_BAR = "no bar closed after it began"


@dataclass(frozen=True, slots=True)
class Shadow:
    """A run beside the backtest on its own bars.

    Attributes
    ----------
    ts_ms : int64, shape (T,)
        Open times of the bars that were compared.
    equity : float64, shape (T,)
        Net profit of the backtest since the first of them, a fraction of its capital.
    fidelity : Fidelity
    """

    ts_ms: Ints
    equity: Floats
    fidelity: Fidelity

    def at(self, ts_ms: Ints) -> Floats:
        """Net profit at bars of another timeline: 0 before, the last one after."""
        places = np.searchsorted(self.ts_ms, ts_ms, side="right") - 1
        return np.where(places >= 0, self.equity[np.maximum(places, 0)], 0.0)


def shadow_of(run: LoggedRun, costs: CostModel, leverage: float) -> Shadow | str:
    """Backtest a run's strategy on the bars of its log, and compare the two.

    Parameters
    ----------
    run : LoggedRun
    costs : CostModel
    leverage : float

    Returns
    -------
    Shadow or str
        Why there is nothing to compare, where that is so.

    Raises
    ------
    RefusedError
        If the log holds no bar.
    """
    panel = panel_of(run)
    setup = EvaluationSetup(costs=costs, capital=run.capital, leverage=leverage)
    start = int(np.searchsorted(panel.ts_ms + panel.interval_ms, run.trade_from_ms))
    if start == panel.bars:
        return NO_BAR
    try:
        made = shadows(panel, run.strategy, setup, run.entries, decide_from=start)
    except StrategyError:
        return NO_BACKTEST
    paper = traded_symbols(run, panel)
    theirs = _from(made.sent, start)
    traded = [_traded_from(one, start) for one in paper]
    return Shadow(
        ts_ms=theirs.ts_ms,
        equity=theirs.equity,
        fidelity=fidelity(traded, theirs, risk=made.effect(run.entries)),
    )


def _traded_from(paper: PaperSymbol, start: int) -> PaperSymbol:
    before = float(paper.equity[start - 1]) if start else 0.0
    fills = tuple(replace(one, bar=one.bar - start) for one in paper.fills if one.bar >= start)
    return replace(
        paper,
        fills=fills,
        position=paper.position[start:],
        equity=paper.equity[start:] - before,
    )


def _from(backtest: PortfolioBacktest, start: int) -> PortfolioBacktest:
    before = float(backtest.equity[start - 1]) if start else 0.0
    return replace(
        backtest,
        ts_ms=backtest.ts_ms[start:],
        returns=backtest.returns[start:],
        equity=backtest.equity[start:] - before,
        exposure=backtest.exposure[start:],
        symbols=_symbols_from(backtest.symbols, start),
    )


def _symbols_from(symbols: Sequence[SymbolBacktest], start: int) -> tuple[SymbolBacktest, ...]:
    return tuple(
        replace(
            one,
            first=max(one.first - start, 0),
            last=one.last - start,
            orders=tuple(replace(o, bar=o.bar - start) for o in one.orders if o.bar >= start),
            trades=(),
            gross=one.gross[start:],
            cost=one.cost[start:],
            funding=one.funding[start:],
            position=one.position[start:],
        )
        for one in symbols
    )
