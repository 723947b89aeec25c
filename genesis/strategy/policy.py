"""The position policy: what to do with a position, decided at a close, as two numba functions.

`decide` reads the signals of a closed bar and asks for market orders at the next open; `on_fill`
learns of fills and sets the protective levels. Neither moves a position: the backtest composes
them with ideal fills, live trading with the ledger's position and the gateway's fills.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from genesis.domain.instrument import Instrument
from genesis.domain.jit import kernel
from genesis.strategy.strategy import STOP_BOUNDS, TARGET_BOUNDS, PolicyParams


class PolicyState(NamedTuple):
    """What a policy remembers; plain numbers, so that it can be stored, hashed and restored.

    Attributes
    ----------
    atr : float
        Average true range of the bar that decided the open position.
    pending_atr : float
        The same of the entry asked for last.
    stop, target : float
        Protective levels of the open position; infinite where there is none.
    best : float
        Best close since entry, where trailing or break-even follow it.
    entry_bar, exit_bar : float
        Bars of the last entry and of the last exit.
    """

    atr: float
    pending_atr: float
    stop: float
    target: float
    best: float
    entry_bar: float
    exit_bar: float


class PolicyNumbers(NamedTuple):
    """Parameters of `decide` and `on_fill` as numbers, see `policy_numbers`.

    ``first_clock`` is the number of bars held from which a rule that counts bars may act
    (time stop, tightening); infinite where there is none.
    """

    may_long: float
    may_short: float
    size: float
    vol_target: float
    stop_atr: float
    target_atr: float
    trail_atr: float
    breakeven_atr: float
    time_stop: float
    cooldown: float
    tighten_bars: float
    first_clock: float
    capital: float
    tick: float
    lot: float
    min_notional: float
    needs_atr: float


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

TIGHTEN_STEPS = 4
"""Steps in which tightening brings the stop to the entry price."""

_STEP_NOISE = 1e-9  # a multiple of a step, computed in floats, may sit this many steps off
_NEVER = -1e15
_STOP_LOW, _STOP_HIGH = STOP_BOUNDS
_TARGET_LOW, _TARGET_HIGH = TARGET_BOUNDS


def new_state() -> PolicyState:
    """State of a policy that never held a position."""
    return PolicyState(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, _NEVER)


def uses_atr(policy: PolicyParams) -> bool:
    """Whether any rule is measured in average true ranges."""
    return (policy.stop_atr + policy.target_atr + policy.trail_atr + policy.breakeven_atr) > 0


def policy_numbers(
    policy: PolicyParams, instrument: Instrument, capital: float, bars_per_year: float
) -> PolicyNumbers:
    """Parameters of `decide` and `on_fill` for one strategy on one symbol.

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
    return PolicyNumbers(
        may_long=float(policy.direction != "short"),
        may_short=float(policy.direction != "long"),
        size=float(policy.size),
        vol_target=policy.vol_target / math.sqrt(bars_per_year),
        stop_atr=float(policy.stop_atr),
        target_atr=float(policy.target_atr),
        trail_atr=float(policy.trail_atr),
        breakeven_atr=float(policy.breakeven_atr),
        time_stop=float(policy.time_stop),
        cooldown=float(policy.cooldown),
        tighten_bars=float(policy.tighten_bars),
        first_clock=float(min(policy.time_stop or math.inf, policy.tighten_bars or math.inf)),
        capital=float(capital),
        tick=float(instrument.tick),
        lot=float(instrument.lot),
        min_notional=float(instrument.min_notional),
        needs_atr=float(uses_atr(policy)),
    )


@kernel
def round_level(price: float, side: float, tick: float) -> float:
    """Price on the tick grid, never nearer than asked: up for ``side`` > 0, down otherwise."""
    if tick <= 0.0 or not math.isfinite(price):
        return price
    if side > 0.0:
        return math.ceil(price / tick - _STEP_NOISE) * tick
    return math.floor(price / tick + _STEP_NOISE) * tick


@kernel
def entry_quantity(params: PolicyNumbers, close: float, atr: float, vol: float) -> float:
    """Unsigned size of an entry in base units, 0 where none can be made.

    ``size * clip(vol_target / vol, 0.1, 3) * capital / close``, rounded down to the lot; nothing
    below the minimum notional or while a volatility or range that is needed is unknown.
    """
    scale = 1.0
    if params.vol_target > 0.0:
        if not vol >= 0.0:
            return 0.0
        wanted = VOL_SCALE_HIGH if vol == 0.0 else params.vol_target / vol
        scale = min(max(wanted, VOL_SCALE_LOW), VOL_SCALE_HIGH)
    if params.needs_atr > 0.0 and not atr > 0.0:
        return 0.0
    quantity = params.size * scale * params.capital / close
    lot = params.lot
    if lot > 0.0:
        quantity = math.floor(quantity / lot + _STEP_NOISE) * lot
    if quantity < SMALLEST_QUANTITY or quantity * close < params.min_notional:
        return 0.0
    return quantity


@kernel
def stop_distance(params: PolicyNumbers, atr: float, entry: float) -> float:
    """Distance of the initial stop from the entry price, within its bounds."""
    return min(max(params.stop_atr * atr, _STOP_LOW * entry), _STOP_HIGH * entry)


@kernel
def tighten(
    state: PolicyState, params: PolicyNumbers, position: float, entry: float, bar: int
) -> PolicyState:
    """Bring the stop nearer to the entry price with the bars held; only ever nearer.

    A quarter of the initial distance is taken off after each ``tighten_bars`` bars, whatever the
    price does: where it is already beyond the new level, the next open is through the stop.
    """
    side = 1.0 if position > 0.0 else -1.0
    steps = min(math.floor((bar - state.entry_bar + 1.0) / params.tighten_bars), TIGHTEN_STEPS)
    distance = stop_distance(params, state.atr, entry) * (1.0 - steps / TIGHTEN_STEPS)
    level = round_level(entry - side * distance, -side, params.tick)
    if (level - state.stop) * side <= 0.0:
        return state
    return PolicyState(
        state.atr,
        state.pending_atr,
        level,
        state.target,
        state.best,
        state.entry_bar,
        state.exit_bar,
    )


@kernel
def ratchet(
    state: PolicyState, params: PolicyNumbers, position: float, entry: float, close: float
) -> PolicyState:
    """Trailing and break-even at a close; the stop only ever moves towards the price."""
    side = 1.0 if position > 0.0 else -1.0
    best, stop = state.best, state.stop
    if (close - best) * side > 0.0:
        best = close
    if params.trail_atr > 0.0:
        level = round_level(best - side * params.trail_atr * state.atr, -side, params.tick)
        if (level - stop) * side > 0.0:
            stop = level
    if params.breakeven_atr > 0.0 and (close - entry) * side >= params.breakeven_atr * state.atr:
        level = round_level(entry, -side, params.tick)
        if (level - stop) * side > 0.0:
            stop = level
    return PolicyState(
        state.atr,
        state.pending_atr,
        stop,
        state.target,
        best,
        state.entry_bar,
        state.exit_bar,
    )


@kernel
def quiet(
    state: PolicyState,
    params: PolicyNumbers,
    position: float,
    bar: int,
    close: float,
    enter_long: int,
    enter_short: int,
    exit_long: int,
    exit_short: int,
) -> bool:
    """Whether `decide` would change nothing and ask for nothing: a cheap test before calling it.

    Parameters as in `decide`. Only for a position whose every close was shown to `decide` or was
    quiet; then a trailing or break-even level moves only on a new best close, and no rule that
    counts bars acts before its first bar.
    """
    if position > 0.0:
        if exit_long == 1 or enter_short == 1 or close > state.best:
            return False
    elif position < 0.0:
        if exit_short == 1 or enter_long == 1 or close < state.best:
            return False
    else:
        return enter_long != 1 and enter_short != 1
    return bar - state.entry_bar + 1.0 < params.first_clock


@kernel
def decide(
    state: PolicyState,
    params: PolicyNumbers,
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
) -> tuple[PolicyState, int, float]:
    """Orders wanted at the next open, decided at the close of a valid bar.

    Parameters
    ----------
    state : PolicyState
    params : PolicyNumbers
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
    state : PolicyState
        With the stop moved (see `ratchet`, `tighten`) and the range of a wanted entry kept.
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
        state = ratchet(state, params, position, entry, close)
        if params.tighten_bars > 0.0:  # apart: few use it, and a longer `ratchet` slows all
            state = tighten(state, params, position, entry, bar)
    elif enter_long != 1 and enter_short != 1:
        return state, REASON_NONE, 0.0
    want = 0.0
    if enter_long == 1 and enter_short != 1 and exit_long != 1 and params.may_long > 0.0:
        want = 1.0
    elif enter_short == 1 and enter_long != 1 and exit_short != 1 and params.may_short > 0.0:
        want = -1.0
    reason = REASON_NONE
    if position != 0.0:
        fired = exit_long if position > 0.0 else exit_short
        if want * position < 0.0:
            reason = REASON_REVERSAL
        elif fired == 1:
            reason = REASON_SIGNAL
        elif params.time_stop > 0.0 and bar - state.entry_bar + 1.0 >= params.time_stop:
            reason = REASON_TIME
        blocked = reason != REASON_REVERSAL or params.cooldown > 0.0
    else:
        blocked = want == 0.0 or bar - state.exit_bar < params.cooldown
    if blocked:
        return state, reason, 0.0
    quantity = want * entry_quantity(params, close, atr, vol)
    if quantity != 0.0:
        state = PolicyState(
            state.atr, atr, state.stop, state.target, state.best, state.entry_bar, state.exit_bar
        )
    return state, reason, quantity


@kernel
def on_fill(
    state: PolicyState,
    params: PolicyNumbers,
    bar: int,
    before: float,
    after: float,
    entry: float,
) -> PolicyState:
    """Learn that the position moved from ``before`` to ``after`` in bar ``bar``.

    Parameters
    ----------
    state : PolicyState
    params : PolicyNumbers
    bar : int
    before, after : float
        Signed positions as the ledger has them; a stop, a liquidation or a close from outside
        ends at 0.
    entry : float
        Average entry price of the position after the fill.

    Returns
    -------
    PolicyState

    Notes
    -----
    A new position sets stop and target from its entry price and the range of the decision bar. A
    partial fill that adds to a position sets them again from the new average price, keeping a
    stop that has already moved nearer. One that takes away leaves them.
    """
    if after == 0.0:
        return PolicyState(0.0, state.pending_atr, 0.0, 0.0, 0.0, state.entry_bar, float(bar))
    side = 1.0 if after > 0.0 else -1.0
    atr, stop, best, entry_bar = state.atr, state.stop, state.best, state.entry_bar
    if before * after <= 0.0:
        atr, stop, entry_bar = state.pending_atr, -side * math.inf, float(bar)
        # Where no rule follows the best close, no close is a new best.
        follows = params.trail_atr > 0.0 or params.breakeven_atr > 0.0
        best = -side * math.inf if follows else side * math.inf
    elif abs(after) <= abs(before):
        return state
    target = side * math.inf
    if params.stop_atr > 0.0:
        distance = stop_distance(params, atr, entry)
        level = round_level(entry - side * distance, -side, params.tick)
        if (level - stop) * side > 0.0:
            stop = level
    if params.target_atr > 0.0:
        distance = min(max(params.target_atr * atr, _TARGET_LOW * entry), _TARGET_HIGH * entry)
        target = round_level(entry + side * distance, side, params.tick)
    return PolicyState(atr, state.pending_atr, stop, target, best, entry_bar, state.exit_bar)
