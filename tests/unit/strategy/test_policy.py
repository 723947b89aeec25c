"""The position policy alone: conflicts, levels, fills that did not go as asked."""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import pytest

from genesis.domain.errors import StrategyError
from genesis.domain.instrument import Instrument
from genesis.strategy.policy import (
    REASON_NONE,
    REASON_REVERSAL,
    REASON_SIGNAL,
    REASON_TIME,
    PolicyNumbers,
    PolicyState,
    decide,
    entry_quantity,
    new_state,
    on_fill,
    policy_numbers,
    quiet,
    round_level,
)
from genesis.strategy.strategy import PolicyParams

INSTRUMENT = Instrument("BTC", "BTC")
HOURS = 24 * 365.0


def numbers(instrument: Instrument = INSTRUMENT, **policy: Any) -> PolicyNumbers:
    return policy_numbers(PolicyParams(**{"size": 0.1, **policy}), instrument, 10_000.0, HOURS)


def ask(
    params: PolicyNumbers,
    position: float,
    signals: tuple[int, int, int, int],
    state: PolicyState | None = None,
    bar: int = 10,
) -> tuple[int, float]:
    state = new_state() if state is None else state
    _, reason, size = decide(state, params, position, 100.0, bar, 100.0, 2.0, 0.01, *signals)
    return reason, size


@pytest.mark.parametrize("signals", list(product((-1, 0, 1), repeat=4)))
@pytest.mark.parametrize("direction", ["both", "long", "short"])
def test_entries_and_exits_by_table(signals: tuple[int, ...], direction: str) -> None:
    """Every combination of three-valued signals against the stated rules."""
    long, short, exit_long, exit_short = (value == 1 for value in signals)
    params = numbers(direction=direction)
    want = 0
    if not (long and short):
        if long and not exit_long and direction != "short":
            want = 1
        if short and not exit_short and direction != "long":
            want = -1
    assert ask(params, 0.0, signals) == (REASON_NONE, want * 10.0)
    for side, leave in ((1, exit_long), (-1, exit_short)):
        if want == -side:
            expected = (REASON_REVERSAL, want * 10.0)
        else:
            expected = (REASON_SIGNAL if leave else REASON_NONE, 0.0)
        assert ask(params, 3.0 * side, signals) == expected


def test_cooldown_bars_pass_without_entry() -> None:
    params = numbers(cooldown=3)
    state = on_fill(new_state(), params, 10, 5.0, 0.0, 0.0)
    entered = [ask(params, 0.0, (1, 0, 0, 0), state, bar)[1] > 0 for bar in range(10, 15)]
    # Decided at bar 13, filled at 14: bars 11, 12 and 13 were without an entry.
    assert entered == [False, False, False, True, True]


def test_cooldown_turns_a_reversal_into_a_close() -> None:
    assert ask(numbers(cooldown=1), 5.0, (0, 1, 0, 0)) == (REASON_REVERSAL, 0.0)


def test_time_stop_holds_for_exactly_its_bars() -> None:
    params = numbers(time_stop=4)
    state = on_fill(new_state(), params, 20, 0.0, 5.0, 100.0)
    reasons = [ask(params, 5.0, (0, 0, 0, 0), state, bar)[0] for bar in range(20, 25)]
    # Decided at the close of bar 23, filled at the open of 24: bars 20 to 23 were held.
    assert reasons == [REASON_NONE] * 3 + [REASON_TIME] * 2


def test_size_follows_the_volatility_target_within_its_bounds() -> None:
    def size(vol: float, target: float) -> float:
        return entry_quantity(numbers(vol_target=target), 50.0, math.nan, vol)

    base = 0.1 * 10_000 / 50
    per_bar = 0.5 / math.sqrt(HOURS)
    assert size(per_bar, 0.5) == pytest.approx(base)
    assert size(per_bar / 2, 0.5) == pytest.approx(2 * base)
    assert size(per_bar / 100, 0.5) == pytest.approx(3 * base)
    assert size(0.0, 0.5) == pytest.approx(3 * base)
    assert size(per_bar * 100, 0.5) == pytest.approx(0.1 * base)
    assert size(math.nan, 0.5) == 0.0
    assert size(math.nan, 0.0) == pytest.approx(base)


def test_size_rounds_down_to_the_lot_and_respects_the_minimum() -> None:
    lots = Instrument("X", "X", lot=0.3, min_notional=0.0)
    assert entry_quantity(numbers(lots), 999.0, 1.0, 1.0) == pytest.approx(0.9)
    exact = Instrument("X", "X", lot=0.1)
    assert entry_quantity(numbers(exact), 1000.0, 1.0, 1.0) == pytest.approx(1.0)
    dear = Instrument("X", "X", min_notional=1_000.01)
    assert entry_quantity(numbers(dear), 100.0, 1.0, 1.0) == 0.0
    small = Instrument("X", "X", lot=20.0)
    assert entry_quantity(numbers(small), 100.0, 1.0, 1.0) == 0.0


def test_no_entry_while_the_range_is_unknown() -> None:
    params = numbers(stop_atr=2.0)
    for atr in (math.nan, 0.0):
        assert entry_quantity(params, 100.0, atr, 0.01) == 0.0
    assert entry_quantity(numbers(), 100.0, math.nan, math.nan) > 0.0


@pytest.mark.parametrize(
    ("atr", "stop", "target"), [(0.1, 0.02, 0.015), (5.0, 0.1, 0.2), (90.0, 0.15, 0.25)]
)
@pytest.mark.parametrize("side", [1.0, -1.0])
def test_levels_are_bounded_fractions_of_the_fill(
    atr: float, stop: float, target: float, side: float
) -> None:
    params = numbers(stop_atr=2.0, target_atr=4.0)
    state = new_state()._replace(pending_atr=atr)
    state = on_fill(state, params, 7, 0.0, side * 3.0, 100.0)
    assert state.stop == pytest.approx(100.0 * (1 - side * stop))
    assert state.target == pytest.approx(100.0 * (1 + side * target))
    assert state.entry_bar == 7


def test_levels_move_outward_to_the_tick() -> None:
    assert round_level(100.03, 1.0, 0.05) == pytest.approx(100.05)
    assert round_level(100.03, -1.0, 0.05) == pytest.approx(100.0)
    # A multiple that floats cannot hold stays where it is.
    assert round_level(0.3, 1.0, 0.1) == pytest.approx(0.3)
    assert round_level(0.7, -1.0, 0.1) == pytest.approx(0.7)
    assert round_level(math.inf, 1.0, 0.05) == math.inf


def closes(params: PolicyNumbers, side: float, prices: list[float]) -> list[float]:
    """Stop after each close of a position entered at 100 with a range of 2."""
    state = on_fill(new_state()._replace(pending_atr=2.0), params, 0, 0.0, side, 100.0)
    stops = []
    for bar, price in enumerate(prices):
        state, _, _ = decide(state, params, side, 100.0, bar, price, 9.0, 0.01, 0, 0, 0, 0)
        stops.append(state.stop)
    return stops


def test_trailing_follows_the_best_close_and_never_back() -> None:
    params = numbers(trail_atr=1.5)
    assert closes(params, 1.0, [101, 99, 104, 102]) == [98.0, 98.0, 101.0, 101.0]
    assert closes(params, -1.0, [99, 101, 96, 98]) == [102.0, 102.0, 99.0, 99.0]


def test_breakeven_lifts_the_stop_to_the_entry_once() -> None:
    params = numbers(stop_atr=2.0, breakeven_atr=1.0)
    assert closes(params, 1.0, [101.9, 102.0, 101.0]) == [96.0, 100.0, 100.0]
    assert closes(params, -1.0, [98.1, 98.0, 99.0]) == [104.0, 100.0, 100.0]


def test_trailing_never_loosens_the_initial_stop() -> None:
    params = numbers(stop_atr=1.0, trail_atr=10.0)
    assert closes(params, 1.0, [101.0, 105.0]) == [98.0, 98.0]


def test_tightening_takes_a_quarter_of_the_distance_after_every_few_bars() -> None:
    # Entered at 100 with a distance of 8: 2 less after each 3 bars, at the entry after 12.
    params = numbers(stop_atr=4.0, tighten_bars=3)
    flat = [100.0] * 14
    want = [92.0] * 2 + [94.0] * 3 + [96.0] * 3 + [98.0] * 3 + [100.0] * 3
    assert closes(params, 1.0, flat) == want
    assert closes(params, -1.0, flat) == [200.0 - level for level in want]


def test_tightening_does_not_wait_for_the_price_and_never_loosens() -> None:
    params = numbers(stop_atr=4.0, tighten_bars=1)
    assert closes(params, 1.0, [97.0, 95.0]) == [94.0, 96.0]
    trailing = numbers(stop_atr=4.0, tighten_bars=1, trail_atr=1.0)
    assert closes(trailing, 1.0, [101.0, 99.0, 98.0, 98.0, 98.0]) == [99.0] * 3 + [100.0] * 2


def test_tightening_starts_from_the_bounded_distance_and_ends_on_the_tick() -> None:
    steps = Instrument("X", "X", tick=0.5)
    params = numbers(steps, stop_atr=1.0, tighten_bars=2)
    state = on_fill(new_state()._replace(pending_atr=0.1), params, 0, 0.0, 1.0, 100.3)
    stops = []
    for bar in range(8):
        state, _, _ = decide(state, params, 1.0, 100.3, bar, 101.0, 9.0, 0.01, 0, 0, 0, 0)
        stops.append(state.stop)
    # The least distance is 2.006: 98.294, 98.7955, 99.297, 99.7985, 100.3, each rounded outward.
    assert stops == [98.0, 98.5, 98.5, 99.0, 99.0, 99.5, 99.5, 100.0]


def test_tightening_catches_up_after_missing_bars() -> None:
    params = numbers(stop_atr=4.0, tighten_bars=2)
    state = on_fill(new_state()._replace(pending_atr=2.0), params, 0, 0.0, 1.0, 100.0)
    assert quiet(state, params, 1.0, 0, 100.0, 0, 0, 0, 0)
    assert not quiet(state, params, 1.0, 6, 100.0, 0, 0, 0, 0)
    state, _, _ = decide(state, params, 1.0, 100.0, 6, 100.0, 9.0, 0.01, 0, 0, 0, 0)
    assert state.stop == 98.0


def test_tightening_follows_the_average_price_of_a_partial_fill() -> None:
    params = numbers(stop_atr=4.0, tighten_bars=1)
    state = on_fill(new_state()._replace(pending_atr=2.0), params, 0, 0.0, 1.0, 100.0)
    state = on_fill(state, params, 0, 1.0, 2.0, 101.0)
    state, _, _ = decide(state, params, 2.0, 101.0, 1, 101.0, 9.0, 0.01, 0, 0, 0, 0)
    assert state.stop == 97.0


def test_tightening_without_a_stop_is_refused() -> None:
    with pytest.raises(StrategyError, match="there is none"):
        PolicyParams(tighten_bars=3, trail_atr=2.0)


def test_partial_fills_move_the_levels_with_the_average_price() -> None:
    params = numbers(stop_atr=2.0, target_atr=4.0)
    state = on_fill(new_state()._replace(pending_atr=2.0), params, 3, 0.0, 1.0, 100.0)
    more = on_fill(state, params, 3, 1.0, 2.0, 101.0)
    assert (more.stop, more.target) == (97.0, 109.0)
    assert more.entry_bar == 3
    less = on_fill(more, params, 4, 2.0, 0.5, 101.0)
    assert less == more


def test_partial_fill_keeps_a_stop_that_moved_nearer() -> None:
    params = numbers(stop_atr=2.0)
    state = on_fill(new_state()._replace(pending_atr=2.0), params, 3, 0.0, 1.0, 100.0)
    state = state._replace(stop=99.5)
    assert on_fill(state, params, 4, 1.0, 2.0, 101.0).stop == 99.5


def test_external_close_and_rejected_entry_leave_a_flat_policy() -> None:
    params = numbers(stop_atr=2.0, cooldown=2)
    state = on_fill(new_state()._replace(pending_atr=2.0), params, 3, 0.0, 1.0, 100.0)
    closed = on_fill(state, params, 8, 1.0, 0.0, 0.0)
    assert closed.exit_bar == 8
    assert closed.stop == closed.target == 0.0
    # A rejected entry never reaches on_fill: the next decision starts flat again.
    asked, _, size = decide(new_state(), params, 0.0, 0.0, 5, 100.0, 2.0, 0.01, 1, 0, 0, 0)
    assert size > 0
    again, _, size = decide(asked, params, 0.0, 0.0, 6, 100.0, 3.0, 0.01, 1, 0, 0, 0)
    assert size > 0
    assert again.pending_atr == 3.0


def test_flip_by_one_fill_is_a_new_position() -> None:
    params = numbers(stop_atr=2.0, trail_atr=1.0)
    state = on_fill(new_state()._replace(pending_atr=2.0), params, 3, 0.0, 1.0, 100.0)
    flipped = on_fill(state._replace(pending_atr=3.0), params, 9, 1.0, -1.0, 100.0)
    assert flipped.stop == 106.0
    assert flipped.best == math.inf
    assert flipped.entry_bar == 9


def test_policy_without_rules_is_quiet_in_position() -> None:
    params = numbers()
    state = on_fill(new_state(), params, 3, 0.0, 1.0, 100.0)
    assert quiet(state, params, 1.0, 9, 500.0, 1, 0, 0, 1)
    assert not quiet(state, params, 1.0, 9, 500.0, 0, 1, 0, 0)
    assert not quiet(state, params, 1.0, 9, 500.0, 0, 0, 1, 0)
