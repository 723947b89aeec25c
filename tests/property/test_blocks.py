"""What every primitive must keep: splits, prefixes, gaps, anchors and unknowns."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genesis.market.panel import Panel
from genesis.strategy import primitives
from genesis.strategy.cache import NodeCache
from genesis.strategy.language import Market, ema, roc, rsi, sma, zscore
from genesis.strategy.node import OPS, Array, Node, Op, Scalar, const, series
from genesis.strategy.series import SeriesEvaluator, field_array, history_bars, settle_bars
from genesis.strategy.stream import BlockRunner

BARS = 260
OWN = sorted(n for n, op in OPS.items() if op.run.__module__.startswith(primitives.__name__))
RECURSIVE = {"ema", "wilder", "rsi", "atr", "adx", "kama"}
EVENTS = {"latch", "since"}
M = Market()
MakePanel = Callable[..., Panel]
relaxed = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def params_of(op: Op, n: int) -> tuple[Scalar, ...]:
    choice: dict[str, Scalar] = {"n": n, "kernel": n % 2, "lo": 95.0, "hi": 105.5}
    return tuple(choice[name] for name in op.params)


def node_of(name: str, n: int) -> Node:
    """The primitive on fields of the traded symbol."""
    op = OPS[name]
    bars = {"nnn": (M.high, M.low, M.close), "nnnn": (M.high, M.low, M.close, M.volume)}
    if op.args in bars and name != "between":
        args = bars[op.args]
    else:
        truths = iter((M.close > M.open, M.high > M.other("ETHUSDT").close, M.low > 90.0))
        numbers = iter((M.close, M.open, M.high))
        args = tuple(next(truths) if kind == "b" else next(numbers) for kind in op.args)
    return Node(name, args, params_of(op, n))


def evaluate(panel: Panel, node: Node) -> Array:
    return SeriesEvaluator(panel, 0, NodeCache(1 << 24)).value(node)


def blocks(panel: Panel, node: Node, cuts: list[int]) -> Array:
    runner = BlockRunner([node], panel)
    return np.concatenate([runner.advance(stop)[0] for stop in [*sorted(cuts), panel.bars]])


def bars_and_blocks(panel: Panel, node: Node, cuts: list[int]) -> Array:
    """Every other stretch between two cuts bar by bar."""
    runner = BlockRunner([node], panel)
    named = [series(*label.split("@")) for label in runner.fields]
    columns = [field_array(panel, 0, field) for field in named]
    parts: list[Array] = []
    dtype = np.int8 if node.boolean else np.float64
    for turn, stop in enumerate([*sorted(cuts), panel.bars]):
        if turn % 2:
            parts.append(runner.advance(stop)[0])
            continue
        rows = np.array([column[runner.bars : stop] for column in columns]).T
        parts.append(np.array([runner.feed_bar(row.tolist())[0] for row in rows], dtype=dtype))
    assert runner.bars == panel.bars
    return np.concatenate(parts)


def same_bits(a: Array, b: Array) -> bool:
    return a.dtype == b.dtype and a.tobytes() == b.tobytes()


cut_lists = st.one_of(
    st.just(list(range(1, BARS))),
    st.just([]),
    st.lists(st.integers(0, BARS), max_size=12),
)


@pytest.mark.parametrize("name", OWN)
@relaxed
@given(cuts=cut_lists, n=st.sampled_from((2, 3, 5, 14, 40)), seed=st.integers(0, 3))
def test_any_split_gives_the_bits_of_one_pass(
    random_panel: MakePanel, name: str, cuts: list[int], n: int, seed: int
) -> None:
    panel = random_panel(BARS, seed, 0.05)
    node = node_of(name, n)
    assert same_bits(blocks(panel, node, cuts), evaluate(panel, node))
    assert same_bits(bars_and_blocks(panel, node, cuts), evaluate(panel, node))


@pytest.mark.parametrize("name", OWN)
def test_later_bars_do_not_change_earlier_values(random_panel: MakePanel, name: str) -> None:
    panel = random_panel(BARS, 1, 0.05)
    node = node_of(name, 7)
    whole = evaluate(panel, node)
    for stop in (1, 2, 9, 57, 140, 259):
        assert same_bits(evaluate(panel.sliced(0, stop), node), whole[:stop])


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("n", [2, 5, 20])
def test_a_missing_bar_is_as_if_it_did_not_exist(
    random_panel: MakePanel, name: str, n: int
) -> None:
    panel = random_panel(BARS, 2, 0.2, ("BTCUSDT",))
    whole = panel.symbols[0]
    kept = whole.valid
    node = node_of(name, n)
    if "@" in node.text:
        node = Node(node.op, tuple(M.close > M.open for _ in node.args), node.params)
    result = evaluate(panel, node)
    runner = BlockRunner([node])
    compact = runner.feed({f: getattr(whole, f)[kept] for f in runner.fields})[0]
    assert same_bits(result[kept], compact)
    missing = result[~kept]
    assert np.all(missing == -1) if node.boolean else np.all(np.isnan(missing))


@pytest.mark.parametrize("field", [M.funding, M.sentiment])
def test_what_is_known_without_bars_does_not_count_missing_ones(
    random_panel: MakePanel, field: Node
) -> None:
    panel = random_panel(BARS, 2, 0.2, ("BTCUSDT",))
    whole, node = panel.symbols[0], sma(field, 5)
    column = getattr(whole, field.text)
    assert np.isfinite(column).all()
    result = evaluate(panel, node)
    compact = BlockRunner([node]).feed({field.text: column[whole.valid]})[0]
    assert same_bits(result[whole.valid], compact)
    assert np.isnan(result[~whole.valid]).all()
    assert same_bits(blocks(panel, node, [1, 50, 51, 200]), result)


@pytest.mark.parametrize("name", OWN)
def test_warm_up_ends_where_it_says_and_nothing_is_infinite(
    random_panel: MakePanel, name: str
) -> None:
    panel = random_panel(BARS, 3)
    for n in (2, 14, 40):
        node = node_of(name, n)
        result = evaluate(panel, node)
        known = result >= 0 if node.boolean else ~np.isnan(result)
        assert not np.any(np.isinf(result.astype(float)))
        if name not in EVENTS:
            assert not known[: history_bars(node)].any()
            assert known[history_bars(node) :].all()


@pytest.mark.parametrize("name", sorted(set(OWN) - {"latch"}))
def test_three_anchors_agree_after_the_history(random_panel: MakePanel, name: str) -> None:
    panel = random_panel(1600, 4, 0.02)
    node = node_of(name, 10)
    whole = evaluate(panel, node).astype(float)
    for anchor in (1, 37, 333):
        part = evaluate(panel.sliced(anchor, panel.bars), node).astype(float)
        valid = np.flatnonzero(panel.symbols[0].valid[anchor:] & panel.symbols[1].valid[anchor:])
        bars = settle_bars(node) if name in RECURSIVE else history_bars(node)
        if name == "kama":
            bars = 1200  # its slowest smoothing forgets slower than this series is long
        start = int(valid[bars])
        tolerance = 1e-4 if name in RECURSIVE else 1e-9
        np.testing.assert_allclose(
            part[start:], whole[anchor + start :], rtol=tolerance, atol=tolerance, equal_nan=True
        )


def test_differing_share_of_signals_from_later_anchors_is_small(random_panel: MakePanel) -> None:
    """A recursive signal started elsewhere is never promised equal; it is measured to be close."""
    panel = random_panel(2000, 5)
    node = (ema(M.close, 20) > ema(M.close, 56) * 1.001) & (rsi(M.close, 14) < 70.0)
    whole = evaluate(panel, node)
    shares = []
    for anchor in (100, 500, 900):
        part = evaluate(panel.sliced(anchor, panel.bars), node)
        start = history_bars(node)
        shares.append(float(np.mean(part[start:] != whole[anchor + start :])))
        settled = settle_bars(node)
        assert np.array_equal(part[settled:], whole[anchor + settled :])
    assert max(shares) < 0.05


LEAVES = (
    M.close > M.open,
    zscore(M.close, 20) > 1.0,
    rsi(M.close, 14) <= 40.0,
    sma(M.volume, 5) < M.volume,
    roc(M.other("ETHUSDT").close, 3) >= 0.0,
    const(1.0) > const(0.0),
)
conditions = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.one_of(
        inner.map(lambda a: ~a),
        st.tuples(inner, inner).map(lambda ab: ab[0] & ab[1]),
        st.tuples(inner, inner).map(lambda ab: ab[0] | ab[1]),
    ),
    max_leaves=8,
)


def leaves_of(node: Node) -> Iterator[Node]:
    if node.op in ("and", "or", "not"):
        for arg in node.args:
            yield from leaves_of(arg)
    else:
        yield node


@settings(max_examples=60, deadline=None)
@given(node=conditions)
def test_unknown_operands_stay_unknown_under_any_logic(random_panel: MakePanel, node: Node) -> None:
    panel = random_panel(120, 6, 0.15)
    result = evaluate(panel, node)
    unknown = np.zeros(panel.bars, dtype=bool)
    for leaf in leaves_of(node):
        unknown |= evaluate(panel, leaf) < 0
    assert np.array_equal(result < 0, unknown)


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("largest", [1e-300, 1e60, 1e160, 1.7e308])
def test_hostile_magnitudes_never_give_infinity_and_are_forgotten(
    random_panel: MakePanel, name: str, largest: float
) -> None:
    """Numbers whose squares and sums overflow make results invalid, not infinite."""
    panel = random_panel(200, 7)
    rng = np.random.default_rng(8)
    node = node_of(name, 5)
    runner = BlockRunner([node], panel)
    block = {}
    for label in runner.fields:
        place = 1 if "@" in label else 0
        block[label] = np.array(getattr(panel.symbols[place], label.partition("@")[0]))
        block[label][60:75] = rng.choice([0.0, 1.0, -1.0], 15) * rng.uniform(0.0, largest, 15)
    result = runner.feed(block)[0].astype(float)
    assert not np.any(np.isinf(result))
    if not set(RECURSIVE | EVENTS) & {name}:
        np.testing.assert_allclose(
            result[90:], evaluate(panel, node)[90:].astype(float), rtol=1e-6, equal_nan=True
        )
