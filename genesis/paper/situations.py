"""Situations inside a bar in which a paper run most easily parts from its backtest, counted."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from genesis.backtest.detail import Order, SymbolBacktest
from genesis.backtest.passes import PHASE_MARKET, PHASE_RANGE, PHASE_RESTING, PHASES
from genesis.backtest.portfolio import PortfolioBacktest
from genesis.domain.timeline import bars_per_year
from genesis.market.panel import Panel, SymbolSeries
from genesis.strategy.cache import NodeCache
from genesis.strategy.policy import new_state, on_fill, policy_numbers
from genesis.strategy.policy_inputs import policy_nodes
from genesis.strategy.series import SeriesEvaluator
from genesis.strategy.strategy import PolicyParams

Floats = npt.NDArray[np.float64]

ENTRY_AND_STOP = "entry_and_stop_in_one_bar"
GAP_THROUGH_STOP = "gap_through_stop"
REVERSAL = "reversal"
TARGET_AND_STOP = "target_and_stop_in_one_bar"
FUNDING_ACROSS_OPEN = "funding_across_open"
TIME_STOP = "time_stop"
TREE_FILTER = "tree_filter"
SITUATIONS = (
    ENTRY_AND_STOP,
    GAP_THROUGH_STOP,
    REVERSAL,
    TARGET_AND_STOP,
    FUNDING_ACROSS_OPEN,
    TIME_STOP,
    TREE_FILTER,
)
"""In this order:

- a position is stopped out in the bar in which it was entered
- the open is through a resting stop
- a position is closed and the other side entered at one open
- a position is stopped in a bar that reaches its target too
- funding is charged at an open at which an order fills
- a position is closed by its time stop
- an entry had to pass an evolved filter
"""

_OPEN_PHASES = frozenset((PHASES[PHASE_RESTING], PHASES[PHASE_MARKET]))
_CACHE_BYTES = 64 * 1024 * 1024


def count_situations(
    backtest: PortfolioBacktest, panel: Panel | None = None, *, tree_filter: bool = False
) -> dict[str, int]:
    """How often each of `SITUATIONS` occurred.

    Parameters
    ----------
    backtest : PortfolioBacktest
    panel : Panel, optional
        The bars of the backtest; without them bars that reach stop and target are not counted.
    tree_filter : bool
        Take the strategy for one with an evolved filter, whatever its genome says.
    """
    counts = dict.fromkeys(SITUATIONS, 0)
    genome = backtest.strategy.genome or {}
    filtered = tree_filter or genome.get("filter") is not None
    for place, symbol in enumerate(backtest.symbols):
        _count_orders(symbol, counts)
        if filtered:
            counts[TREE_FILTER] += sum(order.reason == "entry" for order in symbol.orders)
        if panel is not None and backtest.strategy.policy.target_atr > 0.0:
            counts[TARGET_AND_STOP] += _both_levels(symbol, panel, place, backtest.strategy.policy)
    return counts


def _count_orders(symbol: SymbolBacktest, counts: dict[str, int]) -> None:
    for before, order in pairwise(symbol.orders):
        one_bar = before.bar == order.bar
        counts[ENTRY_AND_STOP] += one_bar and before.reason == "entry" and order.reason == "stop"
        counts[REVERSAL] += one_bar and before.reason == "reversal" and order.reason == "entry"
    for order in symbol.orders:
        counts[GAP_THROUGH_STOP] += order.reason == "stop" and order.phase == PHASES[PHASE_RESTING]
        counts[TIME_STOP] += order.reason == "time stop"
    opens = {order.bar for order in symbol.orders if order.phase in _OPEN_PHASES}
    counts[FUNDING_ACROSS_OPEN] += sum(bool(symbol.funding[bar] != 0.0) for bar in opens)


def _both_levels(symbol: SymbolBacktest, panel: Panel, place: int, policy: PolicyParams) -> int:
    """Stops within a bar whose range reaches the target of the position too."""
    series = panel.symbols[place]
    node, _ = policy_nodes(policy)
    if node is None or not symbol.orders:
        return 0
    ranges = SeriesEvaluator(panel, place, NodeCache(_CACHE_BYTES)).value(node)
    periods = bars_per_year(panel.interval_ms)
    params = policy_numbers(policy, series.instrument, symbol.capital, periods)
    valid = np.flatnonzero(series.valid)
    found = 0
    for entry, leave in pairwise(symbol.orders):
        if entry.reason != "entry" or leave.reason != "stop":
            continue
        if leave.phase != PHASES[PHASE_RANGE]:
            continue
        decided = valid[np.searchsorted(valid, entry.bar) - 1]
        state = new_state()._replace(pending_atr=float(ranges[decided]))
        target = on_fill(state, params, entry.bar, 0.0, entry.size, entry.price).target
        found += _reaches(series, leave, entry.size > 0.0, target)
    return found


def _reaches(series: SymbolSeries, order: Order, long: bool, target: float) -> bool:
    """Whether the bar of an order touches a target; the open belongs to its range."""
    if long:
        return bool(max(series.high[order.bar], series.open[order.bar]) >= target)
    return bool(min(series.low[order.bar], series.open[order.bar]) <= target)
