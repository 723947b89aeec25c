"""How far trading and its shadow backtest agree, day by day, pooled over the runs of a strategy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.backtest.frame import day_stops
from genesis.backtest.metrics import ratio
from genesis.backtest.portfolio import backtest_strategy
from genesis.backtest.setup import EvaluationSetup
from genesis.costs.model import CostModel
from genesis.domain.errors import StrategyError
from genesis.domain.timeline import DAY_MS
from genesis.paper.fidelity import POSITION_TOLERANCE
from genesis.paper.logged import LoggedRun, panel_of, traded_symbols
from genesis.paper.matching import PaperSymbol, match_fills, paired
from genesis.validation.equivalence import tost

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_ARRAYS = ("day_ms", "returns", "shadow")


@dataclass(frozen=True, slots=True)
class Agreement:
    """Trading beside its shadow, from the first bar at which both were flat.

    Attributes
    ----------
    span_ms : tuple of int
        First open and last close that were compared.
    days : float
        Days that were compared.
    trades : int
        Trades that were closed in them.
    bars, same, held, same_held : int
        Bars times symbols; those with the same position; those at which either side holds one;
        the same of these.
    day_ms : int64, shape (D,)
        UTC midnight of each day.
    returns, shadow : float64, shape (D,)
        Daily net profit of both sides, fractions of capital.
    slippage_bp, model_bp : float
        Sums over matched orders that take liquidity: adverse move, and the 75th percentile of the
        cost model, basis points.
    takers : int
        Number of these orders.
    """

    span_ms: tuple[int, int]
    days: float
    trades: int
    bars: int
    same: int
    held: int
    same_held: int
    day_ms: Ints
    returns: Floats
    shadow: Floats
    slippage_bp: float
    model_bp: float
    takers: int

    @property
    def position_match(self) -> float | None:
        """Share of bars times symbols with the same position; None without a bar."""
        return self.same / self.bars if self.bars else None

    @property
    def slippage(self) -> float | None:
        """Mean slippage over the mean 75th percentile of the model; None without such an order.

        Rounded to nine digits, since both are quotients of prices.
        """
        return round(ratio(self.slippage_bp, self.model_bp), 9) if self.takers else None

    def measures(self, prefix: str, margin: float) -> dict[str, Any]:
        """Measures of a gate.

        Parameters
        ----------
        prefix : str
            ``paper`` or ``canary``.
        margin : float
            Of the equivalence test, in standard deviations of the shadow's daily profit.
        """
        spread = float(np.std(self.shadow, ddof=1)) if self.shadow.size > 1 else 0.0
        found: dict[str, Any] = {
            "days": math.floor(self.days + 1e-9),
            "trades": float(self.trades),
            "position_match": (self.position_match, f"of {self.bars} bars times symbols"),
            "held_match": self.same_held / self.held if self.held else None,
            "slippage": (self.slippage, f"over {self.takers} orders"),
            "equivalence": None,
        }
        if spread > 0.0:
            test = tost(self.returns - self.shadow, margin * spread)
            found["equivalence"] = (
                test.p,
                f"mean difference {test.mean / spread:+.4f} of a daily sd over {test.n} days",
            )
        return {f"{prefix}_{name}": value for name, value in found.items()}


def shadow_setup(run: LoggedRun, costs: CostModel, leverage: float) -> EvaluationSetup:
    """Setup of the shadow: the study's costs on the run's capital."""
    return EvaluationSetup(costs=costs, capital=run.capital, leverage=leverage)


def agreement(
    run: LoggedRun, costs: CostModel, leverage: float, since_ms: int = 0
) -> Agreement | None:
    """Compare a run with the backtest of its strategy on the bars of its own log.

    Parameters
    ----------
    run : LoggedRun
    costs : CostModel
        With which the strategy was judged; not what the run was set up with.
    leverage : float
    since_ms : int
        Bars that close before are not compared.

    Returns
    -------
    Agreement or None
        None where the backtest is impossible (too few bars), or nothing is left to compare.
    """
    panel = panel_of(run)
    try:
        shadow = backtest_strategy(panel, run.strategy, shadow_setup(run, costs, leverage))
    except StrategyError:
        return None
    pairs = paired(traded_symbols(run, panel), shadow)
    ends = panel.ts_ms + panel.interval_ms
    earliest = int(np.searchsorted(ends, max(since_ms, run.trade_from_ms), side="right"))
    start = first_flat(pairs, earliest)
    if start is None:
        return None
    same, held, same_held, bars = _positions(pairs, start)
    day_ms, mine, theirs = _daily(pairs, panel.ts_ms, start, run.capital)
    slippage, model, takers = _slippage(pairs, start, costs)
    begins = int(panel.ts_ms[start])
    return Agreement(
        span_ms=(begins, int(ends[-1])),
        days=(panel.bars - start) * panel.interval_ms / DAY_MS,
        trades=sum(trade.entry_ms >= begins for trade in run.trades),
        bars=bars,
        same=same,
        held=held,
        same_held=same_held,
        day_ms=day_ms,
        returns=mine,
        shadow=theirs,
        slippage_bp=slippage,
        model_bp=model,
        takers=takers,
    )


def pooled(parts: Sequence[Agreement]) -> Agreement | None:
    """Several runs as one, in order of time; None for none of them.

    A day on which one run ended and the next began is one day.
    """
    if not parts:
        return None
    values: dict[str, Any] = {
        one.name: sum(getattr(part, one.name) for part in parts)
        for one in fields(Agreement)
        if one.name not in (*_ARRAYS, "span_ms")
    }
    values["span_ms"] = (min(p.span_ms[0] for p in parts), max(p.span_ms[1] for p in parts))
    stamps = np.concatenate([part.day_ms for part in parts])
    values["day_ms"], places = np.unique(stamps, return_inverse=True)
    for name in ("returns", "shadow"):
        total = np.zeros(values["day_ms"].size)
        np.add.at(total, places, np.concatenate([getattr(part, name) for part in parts]))
        values[name] = total
    return Agreement(**values)


def first_flat(pairs: Sequence[tuple[PaperSymbol, Any]], earliest: int) -> int | None:
    """First bar from ``earliest`` on before which neither side holds anything; None for none."""
    bars = pairs[0][0].position.size
    flat = np.ones(bars, dtype=bool)
    for mine, theirs in pairs:
        flat &= (mine.position == 0.0) & (theirs.position == 0.0)
    before = np.concatenate(([True], flat[:-1]))
    places = np.flatnonzero(before[earliest:])
    return earliest + int(places[0]) if places.size else None


def _positions(pairs: Sequence[tuple[PaperSymbol, Any]], start: int) -> tuple[int, int, int, int]:
    same = held = same_held = bars = 0
    for mine, theirs in pairs:
        part = slice(max(start, theirs.first), theirs.last + 1)
        a, b = mine.position[part], theirs.position[part]
        equal = np.abs(a - b) <= POSITION_TOLERANCE * np.maximum(np.abs(a), np.abs(b))
        either = (a != 0.0) | (b != 0.0)
        same += int(np.count_nonzero(equal))
        held += int(np.count_nonzero(either))
        same_held += int(np.count_nonzero(equal & either))
        bars += int(a.size)
    return same, held, same_held, bars


def _daily(
    pairs: Sequence[tuple[PaperSymbol, Any]],
    ts_ms: Ints,
    start: int,
    capital: float,
) -> tuple[Ints, Floats, Floats]:
    ends = day_stops(ts_ms) - 1
    ends = ends[ends >= start]
    mine, theirs = np.zeros(ends.size), np.zeros(ends.size)
    for paper, symbol in pairs:
        for total, marks in ((mine, paper.equity), (theirs, symbol.equity * symbol.capital)):
            carried = np.nan_to_num(marks) if start == 0 else marks
            begin = float(carried[start - 1]) if start else 0.0
            total += np.diff(carried[ends], prepend=begin) / capital
    return ts_ms[ends] // DAY_MS * DAY_MS, mine, theirs


def _slippage(
    pairs: Sequence[tuple[PaperSymbol, Any]], start: int, costs: CostModel
) -> tuple[float, float, int]:
    realised = model = 0.0
    takers = 0
    # The slippage of the model is uniform on base (1 ± noise).
    p75 = costs.slippage * (1.0 + 0.5 * costs.slippage_noise) * 1e4
    for mine, theirs in pairs:
        references = {(o.bar, o.size, o.price): o.reference for o in theirs.orders if o.slippage}
        for paper, order in match_fills(mine.fills, theirs).pairs:
            reference = references.get((order.bar, order.size, order.price))
            if reference is None or order.bar < start:
                continue
            side = math.copysign(1.0, order.size)
            realised += (paper.price / reference - 1.0) * 1e4 * side
            model += p75
            takers += 1
    return realised, model, takers
