"""Surrogate markets keep what is no edge and lose what is one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from genesis.evidence.surrogates import SURROGATES, surrogate
from genesis.market.panel import Panel, SymbolSeries
from tests.unit.evidence.panels import (
    PRICES,
    awkward_panel,
    awkward_series,
    before_each,
    empty_series,
    hand_series,
    panel_of,
)

KINDS = tuple(SURROGATES)
SEEDS = range(4)


def same_series(one: SymbolSeries, two: SymbolSeries) -> bool:
    names = (*PRICES, "volume", "valid", "funding_due", "funding", "sentiment")
    return all(
        np.array_equal(getattr(one, n), getattr(two, n), equal_nan=n != "valid") for n in names
    )


def same_panel(one: Panel, two: Panel) -> bool:
    return all(same_series(a, b) for a, b in zip(one.symbols, two.symbols, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_a_surrogate_is_a_function_of_seed_kind_and_index(kind: str) -> None:
    panel = awkward_panel()
    assert same_panel(surrogate(panel, kind, 3, 7), surrogate(panel, kind, 3, 7))
    assert not same_panel(surrogate(panel, kind, 3, 7), surrogate(panel, kind, 4, 7))
    assert not same_panel(surrogate(panel, kind, 3, 7), surrogate(panel, kind, 3, 8))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", SEEDS)
def test_times_masks_and_the_order_of_prices_stay(kind: str, seed: int) -> None:
    panel = awkward_panel(seed)
    drawn = surrogate(panel, kind, seed)
    assert np.array_equal(drawn.ts_ms, panel.ts_ms)
    for old, new in zip(panel.symbols, drawn.symbols, strict=True):
        assert np.array_equal(old.valid, new.valid)
        assert (old.first, old.last) == (new.first, new.last)
        for name in (*PRICES, "volume"):
            assert np.array_equal(np.isfinite(getattr(new, name)), new.valid), name
        bars = new.valid
        body = np.stack([new.open[bars], new.close[bars]])
        slack = 1e-12 * new.high[bars]
        assert np.all(new.low[bars] > 0.0)
        assert np.all(new.low[bars] <= body.min(axis=0) + slack)
        assert np.all(new.high[bars] >= body.max(axis=0) - slack)
        assert np.array_equal(old.sentiment, new.sentiment, equal_nan=True)


def flips_of(old: SymbolSeries, new: SymbolSeries) -> np.ndarray:
    """+1 where a bar was kept, -1 where it was mirrored about the close before it.

    Fails where it is neither.
    """
    bars = old.valid
    was, now = before_each(old), before_each(new)
    found = np.zeros(bars.size)
    ratios = {n: getattr(old, n)[bars] / was for n in PRICES}
    drawn = {n: getattr(new, n)[bars] / now for n in PRICES}
    twin = {"open": "open", "high": "low", "low": "high", "close": "close"}
    kept = np.all([np.isclose(drawn[n], ratios[n], rtol=1e-9, atol=0) for n in PRICES], axis=0)
    turned = np.all(
        [np.isclose(drawn[n], 2.0 - ratios[twin[n]], rtol=1e-9, atol=1e-12) for n in PRICES],
        axis=0,
    )
    assert np.all(kept | turned)
    found[np.flatnonzero(bars)] = np.where(kept, 1.0, -1.0)
    return found


@pytest.mark.parametrize("seed", SEEDS)
def test_a_sign_surrogate_mirrors_whole_bars_and_the_same_ones_for_every_symbol(seed: int) -> None:
    panel = awkward_panel(seed)
    drawn = surrogate(panel, "sign", seed)
    flips = [flips_of(a, b) for a, b in zip(panel.symbols, drawn.symbols, strict=True)]
    for at in range(panel.bars):
        assert len({row[at] for row in flips if row[at] != 0.0}) <= 1, at
    signs = np.max(flips, axis=0) + np.min(flips, axis=0)
    share = np.mean(signs[signs != 0.0] < 0)
    assert 0.35 < share < 0.65


def test_sizes_of_returns_stay_so_that_their_clusters_do() -> None:
    panel = awkward_panel(1, 500)
    drawn = surrogate(panel, "sign", 0)
    for old, new in zip(panel.symbols, drawn.symbols, strict=True):
        was = old.close[old.valid] / before_each(old) - 1.0
        now = new.close[new.valid] / before_each(new) - 1.0
        np.testing.assert_allclose(np.abs(now), np.abs(was), rtol=1e-8, atol=1e-12)


def test_funding_turns_with_its_bar_and_the_known_rate_with_its_settlement() -> None:
    panel = awkward_panel(2)
    drawn = surrogate(panel, "sign", 5)
    old, new = panel.symbols[0], drawn.symbols[0]
    flips = flips_of(old, new)
    # Every symbol shares the signs; a bar that this one lacks is read off another one.
    for other, turned in zip(panel.symbols[1:3], drawn.symbols[1:3], strict=True):
        flips = np.where(flips == 0.0, flips_of(other, turned), flips)
    settled = -1
    checked = 0
    for at in range(panel.bars):
        if flips[at] != 0.0:
            assert new.funding_due[at] == flips[at] * old.funding_due[at]
        if old.funding_due[at] != 0.0:
            settled = at
        if settled < 0:
            assert np.array_equal(new.funding[at], old.funding[at], equal_nan=True)
        elif flips[settled] != 0.0:
            assert new.funding[at] == flips[settled] * old.funding[at]
            checked += flips[settled] < 0.0
    assert checked > 50


def test_no_later_sign_is_told_by_the_known_rate() -> None:
    """Whatever turns after a bar, what is known at it stays: a surrogate leaks nothing."""
    panel = panel_of([awkward_series("AAA", 120, 1, missing=0.0)])
    for index in range(20):
        one = surrogate(panel, "sign", index)
        cut = surrogate(panel.sliced(0, 60), "sign", index)
        # The same generator draws the first signs first, so the short panel is the long one's start
        assert np.array_equal(one.symbols[0].funding[:60], cut.symbols[0].funding, equal_nan=True)
        np.testing.assert_allclose(one.symbols[0].close[:60], cut.symbols[0].close, rtol=1e-12)


def test_a_sign_surrogate_is_a_fair_game() -> None:
    """Drift is gone: over many surrogates the mean return of each bar is nothing."""
    bars, draws = 60, 800
    rng = np.random.default_rng(4)
    close = 100.0 * np.cumprod(1.0 + 0.01 + 0.02 * rng.standard_normal(bars))
    opened = np.r_[100.0, close[:-1]]
    rows = [
        (o, 1.002 * max(o, c), 0.998 * min(o, c), c) for o, c in zip(opened, close, strict=True)
    ]
    panel = panel_of([hand_series(list(rows))])
    found = []
    for index in range(draws):
        series = surrogate(panel, "sign", index).symbols[0]
        found.append(series.close / np.r_[series.open[0], series.close[:-1]] - 1.0)
    returns = np.array(found)
    error = np.sqrt(np.mean(returns**2) / returns.size)
    assert abs(returns.mean()) < 4.0 * error
    assert np.mean(close / opened - 1.0) > 8.0 * error  # which the market itself is not
    each = returns.mean(axis=0) / (np.abs(returns[0]) / np.sqrt(draws))
    assert np.mean(each**2) == pytest.approx(1.0, abs=0.6)


def test_planted_predictability_is_gone() -> None:
    """A bar repeats the direction of the one before: in a surrogate it does so half of the time."""
    bars = 3000
    rng = np.random.default_rng(8)
    sign = np.ones(bars)
    for at in range(1, bars):
        sign[at] = sign[at - 1] if rng.random() < 0.8 else -sign[at - 1]
    move = sign * rng.uniform(0.001, 0.02, bars)
    close = 100.0 * np.cumprod(1.0 + move)
    opened = np.r_[100.0, close[:-1]]
    table = np.stack([opened, np.maximum(opened, close), np.minimum(opened, close), close])
    panel = panel_of([hand_series([tuple(row) for row in table.T.tolist()])])

    def repeats(series: SymbolSeries) -> float:
        up = np.sign(series.close / np.r_[series.open[0], series.close[:-1]] - 1.0)
        return float(np.mean(up[1:] == up[:-1]))

    assert repeats(panel.symbols[0]) > 0.77
    for kind in KINDS:
        shares = [repeats(surrogate(panel, kind, i).symbols[0]) for i in range(5)]
        assert np.mean(shares) == pytest.approx(0.5, abs=0.025), kind


def test_a_bar_that_rises_by_more_than_ninety_per_cent_is_mirrored_in_logarithms() -> None:
    rows = [(100.0, 101.0, 99.0, 100.0), (100.0, 320.0, 90.0, 300.0), (300.0, 310.0, 290.0, 300.0)]
    panel = panel_of([hand_series(list(rows))])
    turned = 0
    for index in range(40):
        series = surrogate(panel, "sign", index).symbols[0]
        ratio = [getattr(series, name)[1] / series.close[0] for name in PRICES]
        if ratio[3] > 1.0:
            assert ratio == pytest.approx([1.0, 3.2, 0.9, 3.0])
        else:
            turned += 1
            assert ratio == pytest.approx([1.0, 1.0 / 0.9, 1.0 / 3.2, 1.0 / 3.0])
    assert 8 < turned < 32


@pytest.mark.parametrize("rise", [0.85, 0.9, 0.95, 1.0, 1.1, 1.3, 4.0])
def test_prices_stay_positive_however_steep_a_bar_is(rise: float) -> None:
    rows = [(100.0, 100.0, 100.0, 100.0), (100.0, 100.0 * (1 + rise), 100.0, 150.0)] * 20
    panel = panel_of([hand_series(list(rows))])
    for index in range(20):
        series = surrogate(panel, "sign", index).symbols[0]
        assert min(np.min(getattr(series, name)) for name in PRICES) > 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_symbols_with_few_or_no_bars_survive(kind: str) -> None:
    bar = (100.0, 102.0, 97.0, 101.0)
    lonely = [None, None, bar, None, None]
    series = [
        empty_series(5),
        hand_series(list(lonely)),
        hand_series([None, bar, (101.0, 103.0, 100.0, 102.0), bar, None]),
    ]
    drawn = surrogate(panel_of(series), kind, 1)
    assert not np.isfinite(drawn.symbols[0].close).any()
    one = drawn.symbols[1]
    assert np.isfinite(one.close).sum() == 1
    assert one.open[2] == pytest.approx(100.0)
    assert one.close[2] in (pytest.approx(101.0), pytest.approx(99.0))
    assert np.array_equal(drawn.symbols[2].valid, series[2].valid)


def gaps_and_moves(series: SymbolSeries) -> tuple[np.ndarray, np.ndarray]:
    """Log gap and (high, low, close) log moves of each valid bar, one row each."""
    bars = series.valid
    gap = np.log(series.open[bars] / before_each(series))
    moves = np.stack(
        [np.log(getattr(series, n)[bars] / series.open[bars]) for n in ("high", "low", "close")],
        axis=1,
    )
    return gap, moves


def in_order(rows: np.ndarray) -> np.ndarray:
    return rows[np.lexsort(np.round(rows, 9).T[::-1])]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_shuffle_keeps_gaps_and_moves_and_the_whole_return(seed: int) -> None:
    panel = awkward_panel(seed)
    drawn = surrogate(panel, "shuffle", seed)
    for old, new in zip(panel.symbols[:3], drawn.symbols[:3], strict=True):
        (gap, moves), (new_gap, new_moves) = gaps_and_moves(old), gaps_and_moves(new)
        # The open of the first bar has no close before it: it is read against the old first open.
        new_gap[0] = np.log(new.open[new.first] / old.open[old.first])
        np.testing.assert_allclose(np.sort(new_gap), np.sort(gap), rtol=0, atol=1e-9)
        np.testing.assert_allclose(in_order(new_moves), in_order(moves), rtol=0, atol=1e-9)
        assert not np.allclose(new_moves, moves)
        whole = np.log(old.close[old.last] / old.open[old.first])
        assert np.log(new.close[new.last] / old.open[old.first]) == pytest.approx(whole, abs=1e-9)
        traded = new.volume[new.valid]
        assert np.array_equal(np.sort(traded), np.sort(old.volume[old.valid]))


def test_a_shuffle_moves_the_bars_of_all_symbols_together() -> None:
    """Rows of all symbols' moves are the same rows in another order, within equal masks."""
    panel = awkward_panel(3)
    drawn = surrogate(panel, "shuffle", 0)
    masks = np.stack([s.valid for s in panel.symbols])

    def table(of: Panel, columns: tuple[str, ...]) -> np.ndarray:
        rows = [getattr(s, n) / s.open for s in of.symbols for n in ("high", "low", "close")]
        rows += [getattr(s, n) for s in of.symbols for n in columns]
        return np.nan_to_num(np.stack(rows, axis=1), nan=-7.0)

    columns = ("volume", "funding_due", "funding")
    old, new = table(panel, columns), table(drawn, columns)
    moved = 0
    for mask in np.unique(masks, axis=1).T:
        places = np.all(masks == mask[:, None], axis=0)
        np.testing.assert_allclose(
            in_order(new[places]), in_order(old[places]), rtol=1e-9, atol=1e-12
        )
        moved += np.count_nonzero(np.any(~np.isclose(new[places], old[places]), axis=1))
    assert moved > panel.bars // 2


def test_gaps_and_moves_are_shuffled_apart() -> None:
    panel = panel_of([awkward_series("AAA", 200, 3, missing=0.0)])
    drawn = surrogate(panel, "shuffle", 0)
    (gap, moves), (new_gap, new_moves) = (gaps_and_moves(p.symbols[0]) for p in (panel, drawn))
    of_move = {round(float(m), 9): float(g) for g, m in zip(gap, moves[:, 2], strict=True)}
    pairs = [of_move[round(float(m), 9)] for m in new_moves[:, 2]]
    assert np.mean(np.isclose(pairs, new_gap, atol=1e-9)) < 0.1


def test_an_unknown_kind_is_an_error() -> None:
    with pytest.raises(KeyError):
        surrogate(awkward_panel(), "mirror", 0)


def test_the_given_panel_is_left_as_it_is() -> None:
    panel = awkward_panel()
    copies = [replace(s, **{n: getattr(s, n).copy() for n in PRICES}) for s in panel.symbols]
    for kind in KINDS:
        surrogate(panel, kind, 0)
    assert all(same_series(a, b) for a, b in zip(panel.symbols, copies, strict=True))
