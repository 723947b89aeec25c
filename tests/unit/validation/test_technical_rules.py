"""The technical rules of the external check: by hand, without a look ahead, with every cost."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest


def _rules() -> ModuleType:
    path = Path(__file__).resolve().parents[3] / "benchmarks" / "technical_rules.py"
    # Its own name: compiled kernels kept on disk import their module by it.
    spec = importlib.util.spec_from_file_location("technical_rules", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


rules = _rules()


def walk(bars: int, seed: int) -> rules.Prices:
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.015, bars)))
    opened = np.r_[close[:1], close[:-1]]
    high = np.maximum(opened, close) * (1.0 + rng.exponential(0.004, bars))
    low = np.minimum(opened, close) * (1.0 - rng.exponential(0.004, bars))
    return rules.Prices(opened, high, low, close)


def flat(*closes: float) -> rules.Prices:
    """Bars without a range."""
    close = np.array(closes, dtype=np.float64)
    return rules.Prices(close, close, close, close)


def path_of(name: str, prices: rules.Prices) -> list[int]:
    made = rules.universe(prices)
    return [int(p) for p in made.positions[:, made.names.index(name)]]


@pytest.fixture(scope="module")
def made() -> rules.Universe:
    return rules.universe(walk(900, 1))


def test_the_universe_is_large_named_and_the_same_for_all_prices(made: rules.Universe) -> None:
    other = rules.universe(walk(400, 2))
    assert other.names == made.names
    assert len(set(made.names)) == len(made.names) == made.positions.shape[1] == 4812
    assert {name.split()[0] for name in made.names} == {
        "average", "channel", "momentum", "rsi", "zscore", "volatility", "jump", "filter",
    }  # fmt: skip


def test_the_second_half_holds_cash_instead_of_shorts(made: rules.Universe) -> None:
    half = len(made.names) // 2
    assert made.names[0].removesuffix(" long/short") == made.names[half].removesuffix(" long/flat")
    both, cash = made.positions[:, :half], made.positions[:, half:]
    assert set(np.unique(both)) == {-1, 0, 1}
    np.testing.assert_array_equal(cash, np.maximum(both, 0))


@pytest.mark.parametrize("stop", [350, 611, 899])
def test_a_position_does_not_depend_on_later_bars(stop: int, made: rules.Universe) -> None:
    prices = walk(900, 1)
    np.testing.assert_array_equal(
        rules.universe(prices.until(stop)).positions, made.positions[:stop]
    )


def test_all_windows_are_full_when_days_begin_to_count() -> None:
    """A history that begins later gives the same positions of rules that forget."""
    prices = walk(900, 3)
    parts = (prices.open, prices.high, prices.low, prices.close)
    late = rules.Prices(*(part[100:] for part in parts))
    start = rules.WARM_UP - 1
    whole, cut = rules.universe(prices), rules.universe(late)
    forgets = [
        place
        for place, name in enumerate(whole.names)
        if name.startswith(("average sma", "momentum", "volatility"))
    ]
    np.testing.assert_array_equal(
        whole.positions[100 + start :, forgets], cut.positions[start:, forgets]
    )


def test_an_average_cross_by_hand() -> None:
    # Means of two: -, 11, 11, 10, 11; with a band of 2 % the close has to be 2 % beyond them.
    prices = flat(10.0, 12.0, 10.0, 10.0, 12.0)
    assert path_of("average sma 1/2 band 0.0 long/short", prices) == [0, 1, -1, 0, 1]
    assert path_of("average sma 1/2 band 0.02 long/flat", prices) == [0, 1, 0, 0, 1]
    small = flat(10.0, 10.1, 10.0, 10.0, 12.0)
    assert path_of("average sma 1/2 band 0.02 long/short", small) == [0, 0, 0, 0, 1]


def test_a_channel_by_hand() -> None:
    closes = [10.0, 11.0, 12.0, 11.5, 11.6, 11.7, 11.7, 11.7, 11.0, 11.2, 11.2, 12.0]
    prices = flat(*closes)
    reverse = [0, 0, 1, 1, 1, 1, 1, 1, -1, -1, -1, 1]
    assert path_of("channel closes 2 band 0.0 hold 0 long/short", prices) == reverse
    # Held for five days whatever comes: from the third close to the eighth, where it ends.
    five = [0, 0, 1, 1, 1, 1, 1, 0, -1, -1, -1, -1]
    assert path_of("channel closes 2 band 0.0 hold 5 long/short", prices) == five
    assert path_of("channel range 2 band 0.02 hold 0 long/flat", prices)[2:4] == [1, 1]


def test_momentum_by_hand_and_late() -> None:
    prices = flat(10.0, 11.0, 12.0, 11.0, 11.5, 9.0, 10.0, 10.0, 10.0)
    now = [0, 0, 1, 0, -1, -1, -1, 1, 0]
    assert path_of("momentum 2 late 0 over 0.0 long/short", prices) == now
    assert path_of("momentum 2 late 1 over 0.0 long/short", prices) == [0, *now[:-1]]


def test_a_filter_by_hand() -> None:
    # Beyond 110, up 10 % from the low; below 114, back 5 % from the high; below 102.15, down 10 %
    # from the high since then, which is short; beyond 105, up 5 % from the low.
    closes = [100.0, 109.0, 110.5, 120.0, 115.0, 113.5, 102.0, 100.0, 104.0, 105.5]
    out = np.empty(len(closes), dtype=np.int8)
    rules.filter_positions(np.array(closes), 0.1, 0.05, out)
    assert out.tolist() == [0, 0, 1, 1, 1, 0, -1, -1, -1, 0]
    rules.filter_positions(np.array(closes), 0.1, 0.1, out)
    assert out.tolist() == [0, 0, 1, 1, 1, 1, -1, -1, -1, -1]


def test_conditions_become_positions() -> None:
    def held(long: str, short: str, leave: str, hold: int = 0) -> list[int]:
        conditions = [np.array([c == "x" for c in text]) for text in (long, short, leave, leave)]
        out = np.empty(len(long), dtype=np.int8)
        rules.hold_positions(*conditions, hold, out)
        return out.tolist()

    assert held("x....", "...x.", ".....") == [1, 1, 1, -1, -1]
    assert held("x....", "....x", "..x..") == [1, 1, 0, 0, -1]
    assert held("x.x..", ".....", "..x..") == [1, 1, 1, 1, 1], "left and opened again"
    assert held("x....", "x....", ".....") == [0, 0, 0, 0, 0], "both sides open nothing"
    assert held("x....", ".x.x.", ".....", 3) == [1, 1, 1, -1, -1], "a held position listens not"


def test_returns_and_costs_by_hand() -> None:
    close = np.array([100.0, 110.0, 99.0, 99.0, 108.9, 108.9])
    held: npt.NDArray[np.int8] = np.array([[0, 1, 1, -1, 0, 1], [1, 1, 1, 1, 1, 1]], np.int8).T
    gross = [[0.0, -0.1, 0.0, -0.1, 0.0], [0.1, -0.1, 0.0, 0.1, 0.0]]
    np.testing.assert_allclose(rules.earned(held, close, 0.0).T, gross, atol=1e-12)
    # Opened, kept, reversed for twice, closed; the other side of the last position never comes.
    paid = [[0.0, 0.01, 0.0, 0.02, 0.01], [0.01, 0.0, 0.0, 0.0, 0.0]]
    np.testing.assert_allclose(
        rules.earned(held, close, 0.01).T, np.array(gross) - paid, atol=1e-12
    )


def test_only_the_day_of_decision_would_make_a_walk_profitable() -> None:
    prices = walk(3000, 5)
    made = rules.universe(prices)
    place = made.names.index("average sma 1/2 band 0.0 long/short")
    honest, ahead = (
        rules.earned(made.positions, prices.close, 0.0, delay)[:, place] for delay in (1, 0)
    )
    error = honest.std() / np.sqrt(honest.size)
    assert abs(honest.mean()) < 3.0 * error
    assert ahead.mean() > 20.0 * error
