"""Three-valued logic, exhaustively, and conditions that remember."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from genesis.domain.errors import StrategyError
from genesis.strategy.language import (
    Market,
    always,
    between,
    cross_down,
    cross_up,
    latch,
    persist,
    since,
)
from genesis.strategy.node import Node, const
from genesis.strategy.stream import BlockRunner

M = Market()
UNKNOWN = -1
# A number series whose sign spells a truth value: NaN unknown.
SPELL = {1: 1.0, 0: -1.0, UNKNOWN: np.nan}
A, B = M.close > 0.0, M.open > 0.0


def run(node: Node, **fields: Any) -> list[float]:
    arrays = {name: np.asarray(values, dtype=float) for name, values in fields.items()}
    return [float(v) for v in BlockRunner([node]).feed(arrays)[0]]


@pytest.mark.parametrize(("a", "b"), list(itertools.product(SPELL, SPELL)))
def test_logic_is_strict_in_the_unknown(a: int, b: int) -> None:
    unknown = UNKNOWN in (a, b)
    fields = {"close": [SPELL[a]], "open": [SPELL[b]]}
    assert run(A & B, **fields) == [UNKNOWN if unknown else a and b]
    assert run(A | B, **fields) == [UNKNOWN if unknown else a or b]
    assert run(~A, **fields) == [UNKNOWN if a == UNKNOWN else 1 - a]
    assert run(~(A & B), **fields) == [UNKNOWN if unknown else 1 - (a and b)]
    assert run(~A | ~B, **fields) == run(~(A & B), **fields)


@pytest.mark.parametrize("truth", [True, False])
@pytest.mark.parametrize("a", SPELL)
def test_a_constant_condition_does_not_make_the_unknown_known(a: int, truth: bool) -> None:
    fields = {"close": [SPELL[a], SPELL[a]]}
    for node in (A & always(truth), always(truth) & A):
        assert run(node, **fields) == [UNKNOWN if a == UNKNOWN else a and int(truth)] * 2
    for node in (A | always(truth), always(truth) | A):
        assert run(node, **fields) == [UNKNOWN if a == UNKNOWN else a or int(truth)] * 2


@pytest.mark.parametrize(("x", "y"), list(itertools.product((1.0, 2.0, np.nan), repeat=2)))
def test_comparisons(x: float, y: float) -> None:
    """Series with series, with a constant on either side, one bar and several."""
    expected = {
        "gt": x > y,
        "ge": x >= y,
        "lt": x < y,
        "le": x <= y,
    }
    unknown = np.isnan(x) or np.isnan(y)
    for name, truth in expected.items():
        want = UNKNOWN if unknown else int(truth)
        for bars in (1, 3):
            fields = {"close": [x] * bars, "open": [y] * bars}
            assert run(Node(name, (M.close, M.open), ()), **fields) == [want] * bars
            if not np.isnan(y):
                assert run(Node(name, (M.close, const(y)), ()), **fields) == [want] * bars
            if not np.isnan(x):
                assert run(Node(name, (const(x), M.open), ()), **fields) == [want] * bars


@pytest.mark.parametrize("value", [0.0, 1.0, 1.5, 2.0, 3.0, np.nan])
def test_between_includes_its_bounds(value: float) -> None:
    want = UNKNOWN if np.isnan(value) else int(1.0 <= value <= 2.0)
    fields = {"close": [value, value], "open": [1.0, 1.0], "high": [2.0, 2.0]}
    assert run(between(M.close, M.open, M.high), **fields) == [want] * 2
    assert run(between(M.close, 1.0, 2.0), **fields) == [want] * 2


def test_crossings_use_the_previous_valid_pair() -> None:
    close = [1.0, 3.0, np.nan, 1.0, 2.0, 2.0, 3.0]
    opened = [2.0] * 7
    up, down = cross_up(M.close, M.open), cross_down(M.close, M.open)
    assert run(up, close=close, open=opened) == [-1, 1, -1, 0, 0, 0, 1]
    assert run(down, close=close, open=opened) == [-1, 0, -1, 1, 0, 0, 0]
    # From equal to above is a crossing: the previous pair was not above.
    assert run(cross_up(M.close, 2.0), close=close) == [-1, 1, -1, 0, 0, 0, 1]
    assert run(cross_down(2.0, M.close), close=close) == [-1, 1, -1, 0, 0, 0, 1]


def test_persistence_counts_known_bars() -> None:
    close = [1.0, 1.0, 1.0, np.nan, 1.0, -1.0, 1.0, 1.0, 1.0]
    assert run(persist(A, 3), close=close) == [-1, -1, 1, -1, 1, 0, 0, 0, 1]
    assert run(~persist(A, 3), close=close) == [-1, -1, 0, -1, 0, 1, 1, 1, 0]
    assert run(persist(A, 1), close=close) == [1, 1, 1, -1, 1, 0, 1, 1, 1]


def test_bars_since_is_unknown_until_it_is_certain() -> None:
    close = [-1.0, -1.0, -1.0, -1.0, 1.0, np.nan, -1.0, -1.0, -1.0, -1.0]
    got = run(since(A, 3), close=close)
    np.testing.assert_array_equal(got, [np.nan, np.nan, 3.0, 3.0, 0.0, np.nan, 1.0, 2.0, 3.0, 3.0])
    np.testing.assert_array_equal(run(since(A, 3), close=[-1.0, 1.0, -1.0]), [np.nan, 0.0, 1.0])


def test_latch_holds_until_reset_and_is_unknown_before() -> None:
    close = [-1.0, 1.0, -1.0, np.nan, -1.0, -1.0, 1.0]
    opened = [-1.0, -1.0, -1.0, 1.0, -1.0, 1.0, 1.0]
    assert run(latch(A, B), close=close, open=opened) == [-1, 1, 1, -1, 1, 0, 0]
    assert run(~latch(A, B), close=close, open=opened) == [-1, 0, 0, -1, 0, 1, 1]


def test_python_logic_on_nodes_is_refused() -> None:
    with pytest.raises(StrategyError, match="no truth value"):
        _ = A and B
    with pytest.raises(StrategyError, match="must be a condition"):
        _ = A & M.close  # type: ignore[operator]
    with pytest.raises(StrategyError, match="must be a number"):
        _ = A > 1.0
