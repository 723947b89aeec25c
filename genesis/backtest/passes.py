"""The policy pass: from signals to the list of orders, bar by bar in the order of DESIGN's rules.

Inside a bar: funding on the position carried in, at the previous close; liquidation, stop, target
if the open is through them, at the open; orders decided at the previous close, at the open; the
adverse level (the nearer of stop and liquidation), then the target, against low and high, from the
entry bar on; trailing, break-even and the next decision at the close.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from genesis.costs.margin import liquidation_level
from genesis.costs.model import MAKER, NOISE, SLIPPAGE, TAKER, fill_price, slippage_rate
from genesis.domain.jit import kernel
from genesis.strategy.policy import (
    REASON_DELISTED,
    REASON_ENTRY,
    REASON_LIQUIDATION,
    REASON_NONE,
    REASON_STOP,
    REASON_TARGET,
    SMALLEST_QUANTITY,
    PolicyNumbers,
    PolicyState,
    decide,
    on_fill,
    quiet,
)

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Truth = npt.NDArray[np.int8]
Bools = npt.NDArray[np.bool_]

# Columns of an order book (float64) and of its tags (int64).
O_SIZE, O_PRICE, O_FEE, O_SLIPPAGE = range(4)
T_BAR, T_REASON, T_PHASE = range(3)

PHASES = ("open, resting", "open, market", "within the bar", "close")
PHASE_RESTING, PHASE_MARKET, PHASE_RANGE, PHASE_CLOSE = range(4)

BOOK_FULL = -1
MOST_PER_BAR = 3
"""Orders one bar can hold: a close, an open, and an exit from the new position."""

_STEP_NOISE = 1e-9  # as in the policy and in trading: a size this many lots short counts as whole
_ROUNDING = 1.0 - 1e-12  # a product of floats that is the minimum notional may fall short by this


@kernel
def through_open(side: float, price: float, liquidation: float, stop: float, target: float) -> int:
    """Which resting level the open is through (or at): liquidation, stop, target, or none."""
    if (price - liquidation) * side <= 0.0:
        return REASON_LIQUIDATION
    if (price - stop) * side <= 0.0:
        return REASON_STOP
    if (price - target) * side >= 0.0:
        return REASON_TARGET
    return REASON_NONE


@kernel
def within_range(
    side: float,
    open_: float,
    high: float,
    low: float,
    liquidation: float,
    stop: float,
    target: float,
) -> tuple[int, float]:
    """First resting level that low and high reach, adverse before favourable, and its price.

    Where the bar reaches both, nobody knows which came first: the loss is assumed. A level beyond
    the open is filled at the open (worse for a stop, better for a target).
    """
    adverse, favourable = (low, high) if side > 0.0 else (high, low)
    nearer = stop
    reason = REASON_STOP
    if (liquidation - stop) * side > 0.0:
        nearer = liquidation
        reason = REASON_LIQUIDATION
    if (adverse - nearer) * side <= 0.0:
        return reason, min(open_, nearer) if side > 0.0 else max(open_, nearer)
    if (favourable - target) * side >= 0.0:
        return REASON_TARGET, max(open_, target) if side > 0.0 else min(open_, target)
    return REASON_NONE, 0.0


@kernel
def in_reach(
    position: float, high: float, low: float, liquidation: float, stop: float, target: float
) -> bool:
    """Whether a bar touches any resting level of a position: if not, nothing can fill in it."""
    if position > 0.0:
        return low <= stop or low <= liquidation or high >= target
    if position < 0.0:
        return high >= stop or high >= liquidation or low <= target
    return False


@kernel
def place(
    book: Floats,
    tags: Ints,
    k: int,
    size: float,
    price: float,
    bar: int,
    reason: int,
    phase: int,
    ts_ms: int,
    costs: Floats,
    key: int,
) -> float:
    """Write order ``k`` and return its fill price; targets are maker orders without slippage."""
    side = 1.0 if size > 0.0 else -1.0
    maker = reason == REASON_TARGET
    slip = 0.0 if maker else slippage_rate(costs[SLIPPAGE], costs[NOISE], key, ts_ms, side)
    book[k, O_SIZE] = size
    book[k, O_PRICE] = price
    book[k, O_FEE] = costs[MAKER] if maker else costs[TAKER]
    book[k, O_SLIPPAGE] = slip
    tags[k, T_BAR] = bar
    tags[k, T_REASON] = reason
    tags[k, T_PHASE] = phase
    return fill_price(price, side, slip)


@kernel
def scaled_entry(params: PolicyNumbers, quantity: float, scale: float, close: float) -> float:
    """What is left of an entry that somebody cut, rounded and refused as in trading.

    Parameters
    ----------
    params : PolicyNumbers
        Gives lot and minimum notional.
    quantity : float
        Signed size that the policy asks for, base units, on the lot grid.
    scale : float
        Share that is left: 1 leaves the size untouched to the bit, 0 leaves nothing.
    close : float
        Of the bar of the decision, quote units.

    Returns
    -------
    float
        Signed size on the lot grid, 0 where it is below the minimum notional.
    """
    if scale == 1.0:
        return quantity
    left = abs(quantity) * scale
    lot = params.lot
    if lot > 0.0:
        left = math.floor(left / lot + _STEP_NOISE) * lot
    if left < SMALLEST_QUANTITY or left * close < params.min_notional * _ROUNDING:
        return 0.0
    return left if quantity > 0.0 else -left


@kernel
def orders_of(
    enter_long: Truth,
    enter_short: Truth,
    exit_long: Truth,
    exit_short: Truth,
    open_: Floats,
    high: Floats,
    low: Floats,
    close: Floats,
    valid: Bools,
    atr: Floats,
    vol: Floats,
    due: Floats,
    ts_ms: Ints,
    last: int,
    params: PolicyNumbers,
    costs: Floats,
    key: int,
    leverage: float,
    maintenance: float,
    state: PolicyState,
    book: Floats,
    tags: Ints,
    scale: Floats | None,
) -> int:
    """Order list of one strategy on one symbol.

    Parameters
    ----------
    enter_long, enter_short, exit_long, exit_short : int8, shape (T,)
        1 true, 0 false, -1 unknown.
    open_, high, low, close, atr, vol : float64, shape (T,)
        Bars, average true range and realised volatility per bar (NaN unknown).
    valid : bool, shape (T,)
        Invalid bars are passed over: orders wait, levels rest.
    due : float64, shape (T,)
        Funding rate due at the open of each valid bar, those of the invalid bars before it added.
    ts_ms : int64, shape (T,)
    last : int
        Last valid bar. A position at ``last`` is closed at its close where the symbol
        ends before the timeline, and left open, marked to market, where the timeline ends.
    params : PolicyNumbers
    costs : float64, key : uint64
        From `CostModel.vector` and `CostModel.noise_key`.
    leverage, maintenance : float
        Isolated margin: leverage of an entry, maintenance margin as a fraction of notional.
    state : PolicyState
        To start from, see `new_state`.
    book : float64, shape (n, 4); tags : int64, shape (n, 3)
        Filled with signed size, reference price, fee and slippage rate; bar, reason, phase.
    scale : float64, shape (T,), or None
        Share that is left of an entry decided at the close of each bar, see `scaled_entry`; the
        close that belongs to a reversal happens all the same. None leaves all entries as asked,
        and is compiled without any of this.

    Returns
    -------
    int
        Number of orders, or `BOOK_FULL` if the book is too short.
    """
    k = 0
    position = entry = accrued = liquidation = previous = pending = 0.0
    leaving = REASON_NONE
    for t in range(last + 1):
        if position == 0.0 and pending == 0.0 and enter_long[t] != 1 and enter_short[t] != 1:
            continue
        if not valid[t]:
            continue
        if position != 0.0 and due[t] != 0.0:
            accrued += position * previous * due[t]
            liquidation = liquidation_level(position, entry, accrued, leverage, maintenance)
        if (
            pending != 0.0
            or leaving != REASON_NONE
            or in_reach(position, high[t], low[t], liquidation, state.stop, state.target)
        ):
            if k + MOST_PER_BAR > book.shape[0]:
                return BOOK_FULL
            side = 1.0 if position > 0.0 else -1.0
            if position != 0.0:
                reason = through_open(side, open_[t], liquidation, state.stop, state.target)
                phase = PHASE_RESTING
                if reason != REASON_NONE:
                    pending = 0.0  # the order decided with another exit in mind is void
                elif leaving != REASON_NONE:
                    reason = leaving
                    phase = PHASE_MARKET
                if reason != REASON_NONE:
                    place(
                        book, tags, k, -position, open_[t], t, reason, phase, ts_ms[t], costs, key
                    )
                    k += 1
                    state = on_fill(state, params, t, position, 0.0, 0.0)
                    position = 0.0
                    if reason == REASON_LIQUIDATION:
                        return k
            if pending != 0.0:
                reason = REASON_ENTRY
                phase = PHASE_MARKET
                entry = place(
                    book, tags, k, pending, open_[t], t, reason, phase, ts_ms[t], costs, key
                )
                k += 1
                state = on_fill(state, params, t, 0.0, pending, entry)
                position = pending
                side = 1.0 if position > 0.0 else -1.0
                accrued = 0.0
                liquidation = liquidation_level(position, entry, accrued, leverage, maintenance)
            if position != 0.0:
                reason, price = within_range(
                    side, open_[t], high[t], low[t], liquidation, state.stop, state.target
                )
                if reason != REASON_NONE:
                    phase = PHASE_RANGE
                    place(book, tags, k, -position, price, t, reason, phase, ts_ms[t], costs, key)
                    k += 1
                    state = on_fill(state, params, t, position, 0.0, 0.0)
                    position = 0.0
                    if reason == REASON_LIQUIDATION:
                        return k
        previous = close[t]
        leaving = REASON_NONE
        pending = 0.0
        if quiet(
            state,
            params,
            position,
            t,
            close[t],
            enter_long[t],
            enter_short[t],
            exit_long[t],
            exit_short[t],
        ):
            continue
        state, leaving, pending = decide(
            state,
            params,
            position,
            entry,
            t,
            close[t],
            atr[t],
            vol[t],
            enter_long[t],
            enter_short[t],
            exit_long[t],
            exit_short[t],
        )
        if scale is not None and pending != 0.0:
            pending = scaled_entry(params, pending, scale[t], close[t])
    if position != 0.0 and last < valid.size - 1:
        if k >= book.shape[0]:
            return BOOK_FULL
        price = close[last]
        reason = REASON_DELISTED
        place(book, tags, k, -position, price, last, reason, PHASE_CLOSE, ts_ms[last], costs, key)
        k += 1
    return k


def accumulate_due(due: Floats, valid: Bools) -> Floats:
    """Funding due at each valid bar, the rates of the invalid bars before it added.

    Parameters
    ----------
    due : float64, shape (T,)
    valid : bool, shape (T,)

    Returns
    -------
    float64, shape (T,)
        Zero at invalid bars.
    """
    out = np.zeros(due.size)
    waiting = 0.0
    for t in np.flatnonzero((due != 0.0) | valid):
        waiting += 0.0 if math.isnan(due[t]) else due[t]
        if valid[t]:
            out[t], waiting = waiting, 0.0
    return out
