"""The position policy: what to do with a position, decided at a close, as two numba functions.

`decide` reads the signals of a closed bar and asks for market orders at the next open; `on_fill`
learns of fills and sets the protective levels. Neither moves a position: the backtest composes
them with ideal fills, live trading with the ledger's position and the gateway's fills. All memory
is one small float array, so it can be stored, hashed and restored.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from genesis.domain.instrument import Instrument
from genesis.domain.jit import kernel
from genesis.strategy.strategy import STOP_BOUNDS, TARGET_BOUNDS, PolicyParams

Floats = npt.NDArray[np.float64]

# Places in the policy state.
ATR, PENDING_ATR, STOP, TARGET, BEST, ENTRY_BAR, EXIT_BAR = range(7)
STATE_SIZE = 7

# Places in the parameter vector.
(
    MAY_LONG,
    MAY_SHORT,
    SIZE,
    VOL_TARGET,
    STOP_ATR,
    TARGET_ATR,
    TRAIL_ATR,
    BREAKEVEN_ATR,
    TIME_STOP,
    COOLDOWN,
    CAPITAL,
    TICK,
    LOT,
    MIN_NOTIONAL,
    NEEDS_ATR,
) = range(15)

REASONS = (
    "none",
    "entry",
    "exit signal",
    "reversal",
    "time stop",
    "stop",
    "target",
    "liquidation",
    "delisted",
)
(
    REASON_NONE,
    REASON_ENTRY,
    REASON_SIGNAL,
    REASON_REVERSAL,
    REASON_TIME,
    REASON_STOP,
    REASON_TARGET,
    REASON_LIQUIDATION,
    REASON_DELISTED,
) = range(9)

VOL_SCALE_LOW, VOL_SCALE_HIGH = 0.1, 3.0
SMALLEST_QUANTITY = 1e-9
"""Base units below which a size counts as nothing (accounting compares to 1e-12)."""

_STEP_NOISE = 1e-9  # a multiple of a step, computed in floats, may sit this many steps off
_NEVER = -1e15
_STOP_LOW, _STOP_HIGH = STOP_BOUNDS
_TARGET_LOW, _TARGET_HIGH = TARGET_BOUNDS


def new_state() -> Floats:
    """State of a policy that never held a position."""
    state = np.zeros(STATE_SIZE)
    state[EXIT_BAR] = _NEVER
    return state


def uses_atr(policy: PolicyParams) -> bool:
    """Whether any rule is measured in average true ranges."""
    return (policy.stop_atr + policy.target_atr + policy.trail_atr + policy.breakeven_atr) > 0


def policy_vector(
    policy: PolicyParams, instrument: Instrument, capital: float, bars_per_year: float
) -> Floats:
    """Parameters of `decide` and `on_fill` as one array.

    Parameters
    ----------
    policy : PolicyParams
    instrument : Instrument
        Gives tick, lot and minimum notional.
    capital : float
        Reference capital of the symbol, quote units.
    bars_per_year : float
        Turns the annual volatility target into one per bar.
    """
    vector = np.zeros(15)
    vector[MAY_LONG] = policy.direction != "short"
    vector[MAY_SHORT] = policy.direction != "long"
    vector[SIZE] = policy.size
    vector[VOL_TARGET] = policy.vol_target / math.sqrt(bars_per_year)
    vector[STOP_ATR] = policy.stop_atr
    vector[TARGET_ATR] = policy.target_atr
    vector[TRAIL_ATR] = policy.trail_atr
    vector[BREAKEVEN_ATR] = policy.breakeven_atr
    vector[TIME_STOP] = policy.time_stop
    vector[COOLDOWN] = policy.cooldown
    vector[CAPITAL] = capital
    vector[TICK] = instrument.tick
    vector[LOT] = instrument.lot
    vector[MIN_NOTIONAL] = instrument.min_notional
    vector[NEEDS_ATR] = uses_atr(policy)
    return vector


@kernel
def round_level(price: float, side: float, tick: float) -> float:
    """Price on the tick grid, never nearer than asked: up for ``side`` > 0, down otherwise."""
    if tick <= 0.0 or not math.isfinite(price):
        return price
    if side > 0.0:
        return math.ceil(price / tick - _STEP_NOISE) * tick
    return math.floor(price / tick + _STEP_NOISE) * tick


@kernel
def entry_quantity(params: Floats, close: float, atr: float, vol: float) -> float:
    """Unsigned size of an entry in base units, 0 where none can be made.

    ``size * clip(vol_target / vol, 0.1, 3) * capital / close``, rounded down to the lot; nothing
    below the minimum notional or while a volatility or range that is needed is unknown.
    """
    scale = 1.0
    if params[VOL_TARGET] > 0.0:
        if not vol >= 0.0:
            return 0.0
        wanted = VOL_SCALE_HIGH if vol == 0.0 else params[VOL_TARGET] / vol
        scale = min(max(wanted, VOL_SCALE_LOW), VOL_SCALE_HIGH)
    if params[NEEDS_ATR] > 0.0 and not atr > 0.0:
        return 0.0
    quantity = params[SIZE] * scale * params[CAPITAL] / close
    lot = params[LOT]
    if lot > 0.0:
        quantity = math.floor(quantity / lot + _STEP_NOISE) * lot
    if quantity < SMALLEST_QUANTITY or quantity * close < params[MIN_NOTIONAL]:
        return 0.0
    return quantity


@kernel
def ratchet(state: Floats, params: Floats, position: float, entry: float, close: float) -> None:
    """Trailing and break-even at a close; the stop only ever moves towards the price."""
    side = 1.0 if position > 0.0 else -1.0
    if (close - state[BEST]) * side > 0.0:
        state[BEST] = close
    if params[TRAIL_ATR] > 0.0:
        level = state[BEST] - side * params[TRAIL_ATR] * state[ATR]
        level = round_level(level, -side, params[TICK])
        if (level - state[STOP]) * side > 0.0:
            state[STOP] = level
    if params[BREAKEVEN_ATR] > 0.0:
        moved = (close - entry) * side >= params[BREAKEVEN_ATR] * state[ATR]
        level = round_level(entry, -side, params[TICK])
        if moved and (level - state[STOP]) * side > 0.0:
            state[STOP] = level


@kernel
def decide(
    state: Floats,
    params: Floats,
    position: float,
    entry: float,
    bar: int,
    close: float,
    atr: float,
    vol: float,
    enter_long: int,
    enter_short: int,
    exit_long: int,
    exit_short: int,
) -> tuple[int, float]:
    """Orders wanted at the next open, decided at the close of a valid bar.

    Parameters
    ----------
    state : float64, shape (STATE_SIZE,)
        Changed in place: trailing and break-even levels, the range of a wanted entry.
    params : float64
        From `policy_vector`.
    position, entry : float
        Signed position in base units and its average entry price, as the ledger has them.
    bar : int
        Number of the bar on the timeline.
    close, atr, vol : float
        Close, average true range and realised volatility per bar; NaN while unknown.
    enter_long, enter_short, exit_long, exit_short : int
        Signals: 1 true, 0 false, -1 unknown. Only 1 fires.

    Returns
    -------
    close_reason : int
        0, or why the whole position is to be closed at the next open.
    quantity : float
        Signed size of an entry at the next open, 0 for none. With a close it is a reversal.

    Notes
    -----
    Conflicts: both entries true, or an entry with the exit of its own side, enter nothing. An
    entry against the position closes it (reason reversal, before exit signal, before time stop)
    and opens the other side unless a cooldown forbids it. An entry on the side already held is
    ignored, also in the bar that closes it. A direction that may not be entered has no entries,
    hence no reversals either.
    """
    if position != 0.0:
        ratchet(state, params, position, entry, close)
    elif enter_long != 1 and enter_short != 1:
        return REASON_NONE, 0.0
    want = 0.0
    if enter_long == 1 and enter_short != 1 and exit_long != 1 and params[MAY_LONG] > 0.0:
        want = 1.0
    elif enter_short == 1 and enter_long != 1 and exit_short != 1 and params[MAY_SHORT] > 0.0:
        want = -1.0
    reason = REASON_NONE
    if position != 0.0:
        fired = exit_long if position > 0.0 else exit_short
        if want * position < 0.0:
            reason = REASON_REVERSAL
        elif fired == 1:
            reason = REASON_SIGNAL
        elif params[TIME_STOP] > 0.0 and bar - state[ENTRY_BAR] + 1.0 >= params[TIME_STOP]:
            reason = REASON_TIME
        blocked = reason != REASON_REVERSAL or params[COOLDOWN] > 0.0
    else:
        blocked = want == 0.0 or bar - state[EXIT_BAR] < params[COOLDOWN]
    if blocked:
        return reason, 0.0
    quantity = want * entry_quantity(params, close, atr, vol)
    if quantity != 0.0:
        state[PENDING_ATR] = atr
    return reason, quantity


@kernel
def on_fill(
    state: Floats, params: Floats, bar: int, before: float, after: float, entry: float
) -> None:
    """Learn that the position moved from ``before`` to ``after`` in bar ``bar``.

    Parameters
    ----------
    state, params : float64
    bar : int
    before, after : float
        Signed positions as the ledger has them; a stop, a liquidation or a close from outside
        ends at 0.
    entry : float
        Average entry price of the position after the fill.

    Notes
    -----
    A new position sets stop and target from its entry price and the range of the decision bar. A
    partial fill that adds to a position sets them again from the new average price, keeping a
    stop that has already moved nearer. One that takes away leaves them.
    """
    if after == 0.0:
        state[EXIT_BAR] = bar
        return
    side = 1.0 if after > 0.0 else -1.0
    fresh = before * after <= 0.0
    if fresh:
        state[ATR] = state[PENDING_ATR]
        state[ENTRY_BAR] = bar
        state[BEST] = -side * math.inf
        state[STOP] = -side * math.inf
    elif abs(after) <= abs(before):
        return
    state[TARGET] = side * math.inf
    if params[STOP_ATR] > 0.0:
        distance = params[STOP_ATR] * state[ATR]
        distance = min(max(distance, _STOP_LOW * entry), _STOP_HIGH * entry)
        level = round_level(entry - side * distance, -side, params[TICK])
        if (level - state[STOP]) * side > 0.0:
            state[STOP] = level
    if params[TARGET_ATR] > 0.0:
        distance = params[TARGET_ATR] * state[ATR]
        distance = min(max(distance, _TARGET_LOW * entry), _TARGET_HIGH * entry)
        state[TARGET] = round_level(entry + side * distance, side, params[TICK])
