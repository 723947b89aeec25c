"""How far trading and its shadow backtest agree, day by day, pooled over the runs of a strategy.

The shadow is made under the risk decisions of the run: execution is measured, and what risk changed
is told apart, as the difference between the shadows without and with the risk manager.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from genesis.backtest.frame import day_stops
from genesis.backtest.metrics import ratio
from genesis.backtest.portfolio import PortfolioBacktest
from genesis.backtest.setup import EvaluationSetup
from genesis.costs.model import CostModel
from genesis.domain.errors import StrategyError
from genesis.domain.timeline import DAY_MS
from genesis.paper.logged import LoggedRun, panel_of, traded_symbols
from genesis.paper.matching import PaperSymbol, match_fills, paired
from genesis.paper.positions import MOST_ASIDE, compared, too_many_aside
from genesis.paper.risk_effect import RiskEffect, impact_of, shadows, tally
from genesis.validation.equivalence import tost

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_ENTRIES = ("asked", "refused", "cut", "held_back")
_DAILY = ("returns", "shadow", "unmanaged", "managed")


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
    unmanaged, managed : float64, shape (D,)
        Daily net profit of the shadow without the risk manager, and with its decisions enforced;
        NaN where the first is impossible.
    asked, refused, cut, held_back, would_refuse, would_cut : int
        Entries, see `RiskEffect`.
    outside : int
        Bars times symbols that were not compared, see `genesis.paper.positions`.
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
    unmanaged: Floats
    managed: Floats
    asked: int = 0
    refused: int = 0
    cut: int = 0
    held_back: int = 0
    would_refuse: int = 0
    would_cut: int = 0
    outside: int = 0

    @property
    def risk(self) -> RiskEffect:
        """What risk made of the entries."""
        impact, in_sd = impact_of(self.unmanaged, self.managed)
        return RiskEffect(
            asked=self.asked,
            refused=self.refused,
            cut=self.cut,
            held_back=self.held_back,
            would_refuse=self.would_refuse,
            would_cut=self.would_cut,
            impact=impact,
            impact_sd=in_sd,
        )

    @property
    def position_match(self) -> float | None:
        """Share of bars times symbols with the same position.

        None without a bar, or where too many were set aside.
        """
        return self.same / self.bars if self.bars and not self._aside else None

    @property
    def _aside(self) -> bool:
        return too_many_aside(self.bars, self.outside)

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
        risk = self.risk
        found: dict[str, Any] = {
            **{f"entries_{name}": float(getattr(self, name)) for name in _ENTRIES},
            "risk_impact": (risk.impact, risk.sentence()),
            "days": math.floor(self.days + 1e-9),
            "trades": float(self.trades),
            "position_match": (
                self.position_match,
                f"of {self.bars} bars times symbols, {self.outside} more not compared after "
                f"closes from outside{_too_many(self._aside)}, under the run's risk decisions: "
                f"{risk.sentence()}",
            ),
            "held_match": (self.same_held / self.held if self.held and not self._aside else None),
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


def _too_many(aside: bool) -> str:
    return f": not measured, as they are more than {MOST_ASIDE:.0%} of all" if aside else ""


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
    ends = panel.ts_ms + panel.interval_ms
    # The run was flat when it began: a shadow that traded its warm-up would still hold something.
    begun = int(np.searchsorted(ends, run.trade_from_ms, side="left"))
    setup = shadow_setup(run, costs, leverage)
    try:
        made = shadows(panel, run.strategy, setup, run.entries, decide_from=begun)
    except StrategyError:
        return None
    pairs = paired(traded_symbols(run, panel), made.sent)
    earliest = int(np.searchsorted(ends, max(since_ms, run.trade_from_ms), side="right"))
    start = first_flat(pairs, earliest)
    if start is None:
        return None
    seen = compared(pairs, start)
    day_ms, mine, *theirs = _daily(
        [
            [paper.equity if start else np.nan_to_num(paper.equity) for paper, _ in pairs],
            *(_marks(one, panel.bars) for one in (made.sent, made.unmanaged, made.managed)),
        ],
        panel.ts_ms,
        start,
        run.capital,
    )
    slippage, model, takers = _slippage(pairs, start, costs)
    begins = int(panel.ts_ms[start])
    # What was decided at the close before is sent in the first bar.
    entries = [one for one in run.entries if one.open_ms + panel.interval_ms >= begins]
    return Agreement(
        span_ms=(begins, int(ends[-1])),
        days=(panel.bars - start) * panel.interval_ms / DAY_MS,
        trades=sum(trade.entry_ms >= begins for trade in run.trades),
        bars=seen.bars,
        same=seen.same,
        held=seen.held,
        same_held=seen.same_held,
        outside=seen.outside,
        day_ms=day_ms,
        returns=mine,
        shadow=theirs[0],
        slippage_bp=slippage,
        model_bp=model,
        takers=takers,
        unmanaged=theirs[1],
        managed=theirs[2],
        **tally(entries),
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
        if one.name not in (*_DAILY, "day_ms", "span_ms")
    }
    values["span_ms"] = (min(p.span_ms[0] for p in parts), max(p.span_ms[1] for p in parts))
    stamps = np.concatenate([part.day_ms for part in parts])
    values["day_ms"], places = np.unique(stamps, return_inverse=True)
    for name in _DAILY:
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


def _marks(backtest: PortfolioBacktest | None, bars: int) -> list[Floats]:
    """Net profit on each symbol after each bar, quote units."""
    if backtest is None:
        return [np.full(bars, np.nan)]
    return [symbol.equity * symbol.capital for symbol in backtest.symbols]


def _daily(
    sides: Sequence[Sequence[Floats]], ts_ms: Ints, start: int, capital: float
) -> tuple[Any, ...]:
    """Midnights of the days from ``start`` on, then of each side its daily net profit."""
    ends = day_stops(ts_ms) - 1
    ends = ends[ends >= start]
    found = []
    for side in sides:
        total = np.zeros(ends.size)
        for marks in side:
            begin = float(marks[start - 1]) if start else 0.0
            total += np.diff(marks[ends], prepend=begin) / capital
        found.append(total)
    return (ts_ms[ends] // DAY_MS * DAY_MS, *found)


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
