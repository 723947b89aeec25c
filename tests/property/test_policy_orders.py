"""What holds for the orders and numbers of every strategy on every market."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis.backtest import metrics as m
from genesis.backtest.evaluator import EvaluationSetup, Evaluator
from genesis.backtest.result import COLUMN, VALID
from genesis.domain.instrument import Instrument
from genesis.strategy.policy import decide, new_state, on_fill, policy_numbers, quiet
from tests.oracle.wild_market import tightened, wild_panel, wild_strategy

SETUP = EvaluationSetup(orders_per_bar=3.0)
HOURS = 24 * 365.0
seeds = st.integers(0, 2**32 - 1)
light = settings(max_examples=40, deadline=None, derandomize=True)


@light
@given(seeds, st.integers(50, 299))
def test_orders_do_not_depend_on_later_bars(seed: int, cut: int) -> None:
    panel = wild_panel(seed, 300, missing=0.1)
    while not panel.symbols[0].valid[cut - 1]:
        cut += 1
    strategy = wild_strategy(np.random.default_rng(seed))
    whole = Evaluator(panel, SETUP).orders(0, strategy)
    part = Evaluator(panel.sliced(0, cut), SETUP).orders(0, strategy)
    before = whole.tags[:, 0] < cut
    np.testing.assert_array_equal(part.book, whole.book[before])
    np.testing.assert_array_equal(part.tags, whole.tags[before])


@light
@given(seeds)
def test_entries_that_nobody_cut_are_those_of_no_scales_to_the_bit(seed: int) -> None:
    panel = wild_panel(seed, 300, missing=0.1, lot=0.01, tick=0.05, min_notional=20.0)
    strategy, name = wild_strategy(np.random.default_rng(seed)), panel.symbols[0].symbol
    plain = Evaluator(panel, SETUP).orders(0, strategy)
    ones = Evaluator(panel, SETUP, entry_scales={name: np.ones(300)}).orders(0, strategy)
    assert (ones.status, ones.reason) == (plain.status, plain.reason)
    assert ones.book.tobytes() == plain.book.tobytes()
    assert ones.tags.tobytes() == plain.tags.tobytes()


@light
@given(seeds, st.integers(0, 299))
def test_scales_act_on_later_orders_alone(seed: int, cut: int) -> None:
    panel = wild_panel(seed, 300, missing=0.1, lot=0.01, min_notional=20.0)
    strategy, name = wild_strategy(np.random.default_rng(seed)), panel.symbols[0].symbol
    scales = np.ones(300)
    scales[cut:] = np.random.default_rng(seed).choice([0.0, 0.3, 1.0], 300 - cut)
    plain = Evaluator(panel, SETUP).orders(0, strategy)
    scaled = Evaluator(panel, SETUP, entry_scales={name: scales}).orders(0, strategy)
    before = plain.tags[:, 0] <= cut
    np.testing.assert_array_equal(scaled.book[scaled.tags[:, 0] <= cut], plain.book[before])
    scaled = Evaluator(panel, SETUP, entry_scales={name: np.zeros(300)}).orders(0, strategy)
    assert len(scaled.book) == 0


@light
@given(seeds)
def test_orders_fall_on_valid_bars_within_their_range(seed: int) -> None:
    panel = wild_panel(seed, 300, missing=0.3)
    s = panel.symbols[0]
    orders = Evaluator(panel, SETUP).orders(0, wild_strategy(np.random.default_rng(seed)))
    bars, price = orders.tags[:, 0], orders.book[:, 1]
    assert np.all(s.valid[bars])
    assert np.all(np.diff(bars) >= 0)
    assert np.all(price >= s.low[bars])
    assert np.all(price <= s.high[bars])
    # Entries and exits alternate, and an exit closes exactly what the entry opened.
    sizes = orders.book[:, 0]
    closed = sizes[1::2]
    np.testing.assert_array_equal(closed, -sizes[::2][: closed.size])


@light
@given(seeds)
def test_cash_is_conserved(seed: int) -> None:
    panel = wild_panel(seed, 300, missing=0.1)
    detail = Evaluator(panel, SETUP).detail(0, wild_strategy(np.random.default_rng(seed)))
    cash = -sum(o.size * o.price + o.fee for o in detail.orders)
    held = sum(o.size for o in detail.orders)
    worth = held * panel.symbols[0].close[detail.last] if detail.orders else 0.0
    paid = detail.funding.sum() * detail.capital
    end = detail.equity[-1] * detail.capital
    assert end == pytest.approx(cash + worth - paid, rel=1e-9, abs=1e-6)
    assert end == pytest.approx(sum(t.pnl for t in detail.trades), rel=1e-9, abs=1e-6)


@light
@given(seeds)
def test_higher_costs_are_never_better(seed: int) -> None:
    panel = wild_panel(seed, 300)
    detail = Evaluator(panel, SETUP).detail(0, wild_strategy(np.random.default_rng(seed)))
    assert np.all(detail.cost >= 0)
    assert np.all(detail.returns(2.0) <= detail.returns(1.5))
    assert np.all(detail.returns(1.5) <= detail.returns(1.0))


@light
@given(seeds)
def test_search_numbers_equal_pure_functions_of_bar_returns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ends = None if rng.uniform() < 0.5 else 380
    panel = wild_panel(seed, 400, ends=ends, starts=int(rng.integers(0, 60)), missing=0.1)
    strategy = wild_strategy(rng)
    evaluator = Evaluator(panel, SETUP)
    block, detail = evaluator.evaluate(0, [strategy]), evaluator.detail(0, strategy)
    if block.status[0] != VALID:
        return
    row, active = block.metrics[0], slice(detail.first, detail.last + 1)
    one = detail.returns()[active]
    marks = detail.equity[np.minimum(np.arange(23, 23 + 24 * 17, 24), 399)]
    days = marks[detail.first // 24 : detail.last // 24 + 1]
    held = np.count_nonzero(detail.position[active])
    closed = [t for t in detail.trades if t.closed]
    wanted = {
        "sharpe": m.sharpe(one, HOURS),
        "sharpe_1_5x": m.sharpe(detail.returns(1.5)[active], HOURS),
        "sharpe_2x": m.sharpe(detail.returns(2.0)[active], HOURS),
        "sortino": m.sortino(one, HOURS),
        "calmar": m.calmar(one, HOURS),
        "max_drawdown": m.max_drawdown(one),
        "cdar95": m.cdar(np.maximum(np.maximum.accumulate(days), 0) - days),
        "exposure": held / one.size,
        "turnover": sum(abs(o.size) * o.price for o in detail.orders)
        / detail.capital
        / one.size
        * HOURS,
        "win_rate": np.mean([t.pnl > 0 for t in closed]) if closed else 0.0,
        "gross_profit": sum(t.pnl for t in closed if t.pnl > 0) / detail.capital,
        "gross_loss": -sum(t.pnl for t in closed if t.pnl <= 0) / detail.capital,
        "long_share": np.count_nonzero(detail.position[active] > 0) / held if held else 0.5,
    }
    for name, value in wanted.items():
        assert row[COLUMN[name]] == pytest.approx(value, rel=1e-7, abs=1e-9), name
    for k in range(4):
        inside = slice(max(100 * k, detail.first), min(100 * (k + 1), detail.last + 1))
        want = np.nan_to_num(m.sharpe(detail.returns()[inside], HOURS))
        assert block.fold_sharpe[0, k] == pytest.approx(want, rel=1e-6, abs=1e-6)
        exits = sum(100 * k <= t.exit_bar < 100 * (k + 1) for t in closed)
        assert block.fold_trades[0, k] == exits


@light
@given(
    seeds,
    st.lists(st.tuples(*[st.sampled_from([-1, 0, 0, 1])] * 4), min_size=5, max_size=60),
    st.booleans(),
)
def test_quiet_bars_ask_for_nothing_and_change_nothing(
    seed: int, signals: list[tuple[int, int, int, int]], tightening: bool
) -> None:
    rng = np.random.default_rng(seed)
    strategy = wild_strategy(rng)
    policy = (tightened(strategy, rng) if tightening else strategy).policy
    params = policy_numbers(policy, Instrument("X", "X", tick=0.01), 10_000.0, HOURS)
    state, position, entry, price = new_state(), 0.0, 0.0, 100.0
    for bar, signal in enumerate(signals):
        price *= float(np.exp(0.02 * rng.standard_normal()))
        calm = quiet(state, params, position, bar, price, *signal)
        after, reason, size = decide(state, params, position, entry, bar, price, 1.5, 0.01, *signal)
        if calm:
            assert (after, reason, size) == (state, 0, 0.0)
        state = after
        if reason:
            state = on_fill(state, params, bar + 1, position, 0.0, 0.0)
            position = 0.0
        if size:
            position, entry = size, price
            state = on_fill(state, params, bar + 1, 0.0, size, entry)


def test_blocks_and_their_order_change_no_bit() -> None:
    panel = wild_panel(11, 300)
    strategies = [wild_strategy(np.random.default_rng(seed)) for seed in range(24)]
    whole = Evaluator(panel, SETUP).evaluate(0, strategies)
    backwards = Evaluator(panel, SETUP).evaluate(0, strategies[::-1])
    single = Evaluator(panel, SETUP, cache_bytes=0)
    for i, strategy in enumerate(strategies):
        alone = single.evaluate(0, [strategy])
        for name in ("status", "metrics", "fold_sharpe", "fold_trades", "marks", "phenotype"):
            want = getattr(whole, name)[i]
            np.testing.assert_array_equal(getattr(alone, name)[0], want)
            np.testing.assert_array_equal(getattr(backwards, name)[-1 - i], want)
