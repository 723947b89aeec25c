"""Series evaluation, the node cache, history and work; the block runner's state and refusals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis.domain.errors import DataError, StrategyError
from genesis.market.panel import Panel
from genesis.strategy.cache import NodeCache
from genesis.strategy.grid import GRID, snap
from genesis.strategy.language import Market, always, atr, ema, highest, lag, log, rsi, sma
from genesis.strategy.node import Node, const
from genesis.strategy.series import (
    SeriesEvaluator,
    fold,
    history_bars,
    settle_bars,
    unique_nodes,
    work,
)
from genesis.strategy.stream import BlockRunner

M = Market()
MakePanel = Callable[..., Panel]


def test_values_are_read_only_and_of_their_type(random_panel: MakePanel) -> None:
    series = SeriesEvaluator(random_panel(50), 0, NodeCache(1 << 20))
    for node, dtype in (
        (M.close, np.float64),
        (ema(M.close, 5), np.float64),
        (M.close > 1, np.int8),
    ):
        got = series.value(node)
        assert got.dtype == dtype
        with pytest.raises(ValueError, match="read-only"):
            got[0] = 0


def test_evaluation_leaves_the_panel_alone(random_panel: MakePanel) -> None:
    panel = random_panel(50, 1, 0.1)
    before = panel.symbols[0].close.copy()
    panel.symbols[0].close.flags.writeable = False
    SeriesEvaluator(panel, 0, NodeCache(1 << 20)).value(ema(M.close, 5) / M.close)
    np.testing.assert_array_equal(panel.symbols[0].close, before)


def test_other_symbols_are_read_by_name(random_panel: MakePanel) -> None:
    panel = random_panel(50)
    series = SeriesEvaluator(panel, 0, NodeCache(1 << 20))
    np.testing.assert_array_equal(series.value(M.other("ETHUSDT").close), panel.symbols[1].close)
    with pytest.raises(DataError, match="did you mean 'ETHUSDT'"):
        series.value(ema(M.other("ETHUSD").close, 5))


def test_symbols_and_stretches_share_a_cache_without_mixing(random_panel: MakePanel) -> None:
    panel, cache = random_panel(60), NodeCache(1 << 20)
    node = sma(M.close, 3)
    own = SeriesEvaluator(panel, 0, cache)
    first = own.value(node)
    other = SeriesEvaluator(panel, 1, cache).value(node)
    late = SeriesEvaluator(panel.sliced(10, 60), 0, cache).value(node)
    early = SeriesEvaluator(panel.sliced(0, 50), 0, cache).value(node)
    assert not np.array_equal(first, other, equal_nan=True)
    assert (late.size, early.size) == (50, 50)
    assert np.isnan(late[:2]).all()
    own.forget()
    hits = cache.hits
    SeriesEvaluator(panel, 1, cache).value(node)
    assert cache.hits == hits + 1
    misses = cache.misses
    own.value(node)
    assert cache.misses > misses


def test_constants_are_folded(random_panel: MakePanel) -> None:
    series = SeriesEvaluator(random_panel(5), 0, NodeCache(1 << 20))
    node = (log(const(8.0)) / log(const(2.0))) * 2.0
    assert fold(node) == pytest.approx(6.0)
    np.testing.assert_array_equal(series.value(node), np.full(5, fold(node)))
    assert series.value(always(False)).tolist() == [0] * 5
    assert fold(const(1.0) / const(0.0)) != fold(const(1.0) / const(0.0))
    unknown = (const(1.0) / const(0.0)) > const(0.0)
    assert series.value(unknown).tolist() == [-1] * 5
    assert series.value(ema(const(3.0), 2))[-1] == 3.0
    with pytest.raises(StrategyError, match="not a constant"):
        fold(M.close)


def test_nan_constants_are_refused() -> None:
    with pytest.raises(StrategyError, match="NaN"):
        const(float("nan"))


def test_history_settling_and_work() -> None:
    assert history_bars(M.close) == 0
    assert history_bars(sma(M.close, 20)) == 19
    assert history_bars(lag(highest(M.close, 20), 1)) == 20
    assert history_bars(rsi(M.close, 14) > sma(rsi(M.close, 14), 5)) == 14 + 4
    assert history_bars(atr(M, 14), ema(M.close, 56)) == 55
    assert settle_bars(sma(M.close, 20)) == 19
    # (1 - 2/21)^k < 1e-6 needs k = 139 bars beyond the 20 of the start.
    assert settle_bars(ema(M.close, 20)) == 20 + 139
    one = ema(M.close, 20) > M.open
    assert work(one, one) == work(one)
    assert work(one | ~one) > work(one)
    assert work(const(1.0) > const(2.0)) == 0.0


def test_unique_nodes_list_operands_first() -> None:
    node = (ema(M.close, 5) > M.open) & (ema(M.close, 5) < M.high)
    texts = [n.text for n in unique_nodes(node)]
    assert len(texts) == len(set(texts))
    for n in unique_nodes(node):
        assert all(texts.index(a.text) < texts.index(n.text) for a in n.args)


@settings(max_examples=60, deadline=None)
@given(
    limit=st.integers(0, 40_000),
    requests=st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 900), st.booleans()), max_size=120
    ),
)
def test_the_cache_never_exceeds_its_limit(
    limit: int, requests: list[tuple[int, int, bool]]
) -> None:
    cache = NodeCache(limit)
    for name, bars, brief in requests:
        key = (0, str(name))
        found = cache.get(key)
        if found is None:
            array = cache.empty(bars, truth=False)
            array.fill(float(name))
            cache.put(key, array, brief=brief)
            del array
        else:
            assert np.all(found == float(name))
        assert cache.bytes <= limit
    assert cache.hits + cache.misses == len(requests)
    found = None
    cache.clear()
    assert len(cache) == 0
    assert cache.bytes <= limit


def test_the_least_recently_used_goes_first() -> None:
    cache = NodeCache(4 * 1300)
    for name in "abc":
        cache.put((0, name), np.zeros(125))
    cache.get((0, "a"))
    cache.put((0, "d"), np.zeros(125))
    assert [cache.get((0, name)) is not None for name in "abcd"] == [True, False, True, True]
    assert cache.evictions == 1


def test_dropped_memory_is_used_again_unless_somebody_holds_it(random_panel: MakePanel) -> None:
    panel = random_panel(500)
    cache = NodeCache(20_000)
    series = SeriesEvaluator(panel, 0, cache)
    averages = [sma(M.close, n) for n in range(2, 40)]
    expected = [SeriesEvaluator(panel, 0, NodeCache(0)).value(node).copy() for node in averages]
    held = [series.value(node)[3:] for node in averages]
    for got, right in zip(held, expected, strict=True):
        np.testing.assert_array_equal(got, right[3:])
    del held
    places = set()
    for node in averages:
        places.add(series.value(node).__array_interface__["data"][0])
    assert cache.evictions > 30
    assert len(places) < 10


def test_a_small_cache_gives_the_same_values(random_panel: MakePanel) -> None:
    panel = random_panel(300)
    node = (ema(M.close, 20) > sma(M.close, 40) * 1.01) | (rsi(M.close, 14) < 30.0)
    rich = SeriesEvaluator(panel, 0, NodeCache(1 << 22)).value(node)
    poor = SeriesEvaluator(panel, 0, NodeCache(0)).value(node)
    assert rich.tobytes() == poor.tobytes()


def test_runners_share_nodes_and_return_them_in_order(random_panel: MakePanel) -> None:
    panel = random_panel(40)
    nodes = [M.close > ema(M.close, 5), ema(M.close, 5), always(), M.close > ema(M.close, 5)]
    got = BlockRunner(nodes, panel, 1).advance(40)
    series = SeriesEvaluator(panel, 1, NodeCache(1 << 20))
    for node, array in zip(nodes, got, strict=True):
        assert array.tobytes() == series.value(node).tobytes()
        assert not array.flags.writeable


def test_a_snapshot_continues_to_the_same_bits(random_panel: MakePanel) -> None:
    panel = random_panel(300, 2, 0.05)
    nodes: list[Node] = [rsi(M.close, 14) > sma(rsi(M.close, 14), 20), atr(M, 14)]
    whole = BlockRunner(nodes, panel).advance(300)
    first = BlockRunner(nodes, panel)
    first.advance(123)
    second = BlockRunner(nodes, panel)
    second.restore(first.snapshot(), first.state_hash)
    assert second.bars == 123
    assert second.state_hash == first.state_hash
    for array, late in zip(whole, second.advance(300), strict=True):
        assert array[123:].tobytes() == late.tobytes()


def test_a_damaged_or_foreign_snapshot_is_refused(random_panel: MakePanel) -> None:
    panel = random_panel(30)
    runner = BlockRunner([ema(M.close, 5)], panel)
    runner.advance(20)
    data, digest = runner.snapshot(), runner.state_hash
    fresh = BlockRunner([ema(M.close, 5)], panel)
    clean = fresh.snapshot()
    flipped = data[:-3] + bytes([data[-3] ^ 1]) + data[-2:]
    for bad, stated in (
        (flipped, digest),
        (data[:-8], None),
        (b"", None),
        (b"{}\n", None),
        (b"[1]\n", None),
        (data.replace(b'"bars":20', b'"bars":-1'), None),
        (BlockRunner([ema(M.close, 7)], panel).snapshot(), None),
    ):
        with pytest.raises(StrategyError, match="from its anchor bar"):
            fresh.restore(bad, stated)
    assert fresh.snapshot() == clean


def test_bad_blocks_are_refused_before_any_state_changes(random_panel: MakePanel) -> None:
    runner = BlockRunner([ema(M.close / M.open, 5)])
    assert set(runner.fields) == {"close", "open"}
    before = runner.state_hash
    with pytest.raises(DataError, match="no field 'open'"):
        runner.feed({"close": np.ones(3)})
    with pytest.raises(DataError, match="shape"):
        runner.feed({"close": np.ones(3), "open": np.ones(4)})
    with pytest.raises(DataError, match="how long"):
        BlockRunner([always()]).feed({})
    with pytest.raises(DataError, match="without a panel"):
        runner.advance(3)
    with pytest.raises(DataError, match="cannot advance"):
        BlockRunner([always()], random_panel(5)).advance(6)
    assert runner.state_hash == before


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (-5, 2),
        (float("nan"), 2),
        (2, 2),
        (6, 7),
        (5.9, 5),
        (12, 14),
        (47, 40),
        (48, 56),
        (1e9, 320),
    ],
)
def test_snap_goes_to_the_nearest_window(n: float, expected: int) -> None:
    assert snap(n) == expected


def test_the_grid_is_a_fixed_point_of_snap() -> None:
    assert tuple(snap(n) for n in GRID) == GRID
