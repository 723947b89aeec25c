"""Scenario paths: shares, regimes, common random numbers, and the law of each kind."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from genesis.evolution.risk import crash, paths
from genesis.evolution.risk.crash import crash_of
from genesis.evolution.risk.garch import Garch
from genesis.evolution.risk.law import Jumps, MarketLaw
from genesis.evolution.risk.paths import (
    BOOTSTRAP,
    CRASH,
    KINDS,
    PATTERN,
    SHARES,
    PathKey,
    garch_moves,
    hawkes,
    jump_moves,
    switching_moves,
    with_ranges,
)
from genesis.evolution.risk.source import CELLS, regimes
from tests.unit.evolution.risk.small_market import HOUR_MS, small_market

MARKET = small_market()
CELL = 3


def keys_of(kind: int, count: int) -> list[PathKey]:
    found = [PathKey("train", k) for k in range(20 * count) if PATTERN[k % 20] == kind]
    return found[:count]


# ---- which paths there are ----------------------------------------------------------------------


def test_kinds_have_their_shares_in_every_mini_batch() -> None:
    counts = Counter(PathKey("train", k).kind for k in range(40, 80))
    assert [counts[kind] / 40 for kind in range(len(KINDS))] == list(SHARES)


def test_every_kind_meets_every_regime_alike() -> None:
    keys = [PathKey("train", k) for k in range(20 * CELLS)]
    counts = Counter((key.kind, key.cell) for key in keys)
    for kind, share in enumerate(SHARES):
        assert [counts[kind, cell] for cell in range(CELLS)] == [round(20 * share)] * CELLS


def test_a_path_hangs_on_its_key_and_the_seed_alone() -> None:
    key = PathKey("train", 6)
    before = MARKET.path(key)[0]
    MARKET.path(PathKey("train", 7))
    again = MARKET.path(key)[0]
    assert before.close.tobytes() == again.close.tobytes()
    assert before.high.tobytes() == again.high.tobytes()
    assert MARKET.path(key, seed=2)[0].close.tobytes() != before.close.tobytes()


@pytest.mark.parametrize("kind", range(len(KINDS)), ids=KINDS)
def test_roles_share_no_path(kind: int) -> None:
    place = PATTERN.index(kind)
    closes = {MARKET.path(PathKey(role, place))[0].close.tobytes() for role in paths.ROLES}
    assert len(closes) == 3


@pytest.mark.parametrize("kind", range(len(KINDS)), ids=KINDS)
def test_bars_are_possible_and_start_at_the_last_closes(kind: int) -> None:
    path = MARKET.path(PathKey("train", PATTERN.index(kind)))[0]
    assert (path.low <= np.minimum(path.open, path.close)).all()
    assert (path.high >= np.maximum(path.open, path.close)).all()
    assert float(path.low.min()) > 0.0
    assert np.abs(np.log(path.open[:, 0] / MARKET.source.last_close)).max() < 0.2


# ---- regimes ------------------------------------------------------------------------------------


def test_regimes_are_terciles_of_volatility_by_sign_of_trend() -> None:
    rng = np.random.default_rng(1)
    sds = np.array([0.001, 0.03, 0.01, 0.002, 0.02, 0.012])
    signs = np.array([1, -1, 1, -1, 1, -1])
    market = np.concatenate([s * rng.standard_normal(50) for s in sds])
    market += np.repeat(signs * 0.05, 50)
    assert regimes(market, 50)[::50].tolist() == [1, 4, 3, 0, 5, 2]


def test_a_regime_that_never_occurred_borrows_from_its_tercile() -> None:
    cell = np.where(MARKET.source.cell == 4, 5, MARKET.source.cell)
    source = replace(MARKET.source, cell=cell)
    assert source.bars_of(4).tolist() == np.flatnonzero(cell == 5).tolist()


# ---- stationary block bootstrap -----------------------------------------------------------------


def test_bootstrap_takes_whole_bars_of_all_symbols_in_blocks() -> None:
    key = keys_of(BOOTSTRAP, 1)[0]
    path = MARKET.path(key)[0]
    source = MARKET.source
    moves = np.diff(np.log(path.close), axis=1).T
    # Each bar is one of the source's, the same for every symbol: told by the first one's move.
    distance = np.abs(source.move[:, 0][None, :] - moves[:, 0][:, None])
    near = np.argmin(distance, axis=1)
    np.testing.assert_allclose(source.move[near], moves, atol=1e-9)
    np.testing.assert_allclose(path.volume[:, 1:].T, source.volume[near])
    assert set(source.cell[near].tolist()) == {key.cell}
    runs = np.diff(near) == 1
    # Blocks end with chance 1 / length; windows of one regime lie apart, which ends some more.
    assert runs.mean() > 1.0 - 3.0 / MARKET.law.block_length


def test_block_length_keeps_the_memory_of_volatility() -> None:
    absolute = np.abs(MARKET.source.move - MARKET.source.move.mean(axis=0))
    from genesis.validation.bootstrap import median_length

    assert MARKET.source.block_length() == median_length(absolute) > 20.0
    assert median_length(MARKET.source.move) < MARKET.source.block_length()


# ---- GARCH-t ------------------------------------------------------------------------------------


def one_asset(alpha: float, beta: float, dof: float) -> MarketLaw:
    jumps = Jumps(0.01, 0.5, 0.9, (-0.03,), (0.02,), 0.0)
    return MarketLaw(
        block_length=10.0,
        mean=((0.0004,),) * CELLS,
        sd=tuple((0.004 * (1 + cell),) for cell in range(CELLS)),
        factor=((1.0,),),
        garch=(Garch(alpha, beta, dof),),
        dof=dof,
        jumps=jumps,
        turns=((1.0 / CELLS,) * CELLS,) * CELLS,
    )


def test_garch_has_the_mean_and_volatility_of_its_regime() -> None:
    law = one_asset(0.05, 0.90, 8.0)
    rng = np.random.default_rng(4)
    for cell in (0, 5):
        move = np.concatenate([garch_moves(law, cell, 4_000, rng)[0] for _ in range(50)])
        assert move.std() == pytest.approx(0.004 * (1 + cell), rel=0.03)
        assert move.mean() == pytest.approx(0.0004, abs=4 * move.std() / math.sqrt(move.size))


def test_squares_of_garch_are_autocorrelated_as_theory_says() -> None:
    # Bollerslev 1986: rho_1 = alpha (1 - alpha beta - beta^2) / (1 - 2 alpha beta - beta^2), and
    # rho_k = rho_1 (alpha + beta)^(k - 1). Normal shocks, so that fourth moments exist.
    alpha, beta = 0.10, 0.80
    first = alpha * (1 - alpha * beta - beta**2) / (1 - 2 * alpha * beta - beta**2)
    rng = np.random.default_rng(5)
    move = garch_moves(one_asset(alpha, beta, 1e6), CELL, 400_000, rng)[0][:, 0]
    squares = (move - move.mean()) ** 2
    squares -= squares.mean()
    for lag in (1, 5, 10):
        found = float(squares[lag:] @ squares[:-lag]) / float(squares @ squares)
        assert found == pytest.approx(first * (alpha + beta) ** (lag - 1), abs=0.015)


def test_tail_index_of_the_shocks_is_their_degrees_of_freedom() -> None:
    rng = np.random.default_rng(6)
    move = np.abs(garch_moves(one_asset(0.0, 0.0, 4.0), CELL, 400_000, rng)[0][:, 0])
    # Hill (1975) on the largest 1,000.
    tail = np.sort(move)[-1_001:]
    hill = 1_000 / np.log(tail[1:] / tail[0]).sum()
    assert hill == pytest.approx(4.0, rel=0.12)


def test_symbols_are_correlated_like_the_source() -> None:
    rng = np.random.default_rng(7)
    draws = np.concatenate([garch_moves(MARKET.law, CELL, 2_000, rng)[0] for _ in range(20)])
    factor = np.array(MARKET.law.factor)
    wanted = factor @ factor.T
    np.testing.assert_allclose(np.corrcoef(draws, rowvar=False), wanted, atol=0.06)


# ---- jumps --------------------------------------------------------------------------------------


def test_hawkes_keeps_its_rate_and_clusters_as_its_branching_says() -> None:
    rate, branching = 0.02, 0.6
    out = hawkes(rate, branching, 0.8, np.random.default_rng(8).random(1_000_000))
    assert out.mean() == pytest.approx(rate, rel=0.06)
    counts = out.reshape(-1, 2_000).sum(axis=1)
    # Hawkes 1971: variance over mean of counts in long windows is 1 / (1 - n)^2; at most one jump
    # a bar keeps it a little below.
    assert counts.var() / counts.mean() == pytest.approx(1 / (1 - branching) ** 2, rel=0.2)
    alone = hawkes(rate, 0.0, 0.8, np.random.default_rng(8).random(1_000_000))
    lonely = alone.reshape(-1, 2_000).sum(axis=1)
    assert lonely.var() / lonely.mean() == pytest.approx(1.0, abs=0.2)


def test_jumps_keep_mean_and_variance_and_open_their_bar() -> None:
    law = one_asset(0.05, 0.9, 8.0)
    rng = np.random.default_rng(9)
    parts = [jump_moves(law, 5, 4_000, rng) for _ in range(60)]
    move, gap = (np.concatenate([part[k] for part in parts]) for k in (0, 2))
    assert move.mean() == pytest.approx(0.0004, abs=4 * move.std() / math.sqrt(move.size))
    assert move.std() == pytest.approx(0.024, rel=0.03)
    assert (gap != 0.0).mean() == pytest.approx(law.jumps.rate, rel=0.1)
    sizes = gap[gap != 0.0]
    assert sizes.mean() == pytest.approx(-0.03, abs=0.002)
    assert sizes.std() == pytest.approx(0.02, rel=0.05)


# ---- regime switching ---------------------------------------------------------------------------


def test_switching_stays_as_long_as_a_window_and_visits_all_regimes() -> None:
    law, window = one_asset(0.05, 0.9, 8.0), 40
    rng = np.random.default_rng(10)
    sd = np.concatenate([switching_moves(law, 0, 4_000, window, rng)[1] for _ in range(30)])
    changes = (np.diff(sd[:, 0]) != 0.0).mean()
    # A turn leads to another regime in five cases of six.
    assert changes == pytest.approx(5 / 6 / window, rel=0.1)
    shares = Counter(np.round(sd[:, 0], 6).tolist())
    assert len(shares) == CELLS
    assert min(shares.values()) / sd.size > 0.1
    assert switching_moves(law, 2, 1, 10**9, rng)[1][0, 0] == pytest.approx(0.012)


# ---- ranges -------------------------------------------------------------------------------------


def test_highs_and_lows_are_those_of_brownian_motion() -> None:
    rng = np.random.default_rng(11)
    sd = np.full((60_000, 1), 0.01)
    moves = with_ranges(0.01 * rng.standard_normal((60_000, 1)), sd, np.zeros_like(sd), rng)
    # E max of a Brownian motion over a unit of time is sqrt(2 / pi) sd, E range twice that.
    expected = 0.01 * math.sqrt(2.0 / math.pi)
    assert moves.up.mean() == pytest.approx(expected, rel=0.01)
    assert (moves.up - moves.down).mean() == pytest.approx(2 * expected, rel=0.01)


# ---- crashes ------------------------------------------------------------------------------------


def test_crash_is_what_it_says() -> None:
    rng = np.random.default_rng(12)
    sd = np.full((600, 4), 0.008)
    base = sd * rng.standard_normal((600, 4))
    found = crash_of(base, sd, HOUR_MS, rng)
    day = slice(found.start, found.stop)
    assert found.stop - found.start == 24
    np.testing.assert_allclose(np.exp(found.move[day].sum(axis=0)), 0.70)
    assert found.halted[day].sum() == found.halted.sum() == 6
    assert (found.spread[day] == 10.0).all()
    assert (np.delete(found.spread, np.r_[day]) == 1.0).all()
    assert (found.move[: found.start] == base[: found.start]).all()


def test_correlations_go_to_nine_tenths_in_a_crash() -> None:
    pairs = []
    for seed in range(150):
        rng = np.random.default_rng(seed)
        sd = np.full((600, 2), 0.008)
        found = crash_of(sd * rng.standard_normal((600, 2)), sd, HOUR_MS, rng)
        after = slice(found.stop, found.stop + 3 * 24)
        pairs.append(found.move[after] / found.sd[after])
    assert np.corrcoef(np.concatenate(pairs), rowvar=False)[0, 1] == pytest.approx(0.9, abs=0.01)


def test_the_open_after_the_halt_gaps_through_stops() -> None:
    key = keys_of(CRASH, 1)[0]
    path = MARKET.path(key)[0]
    first = int(np.flatnonzero(path.halted)[0])
    after = first + 6
    fall = np.log(path.open[:, after] / path.close[:, first - 1])
    np.testing.assert_allclose(fall, crash.HALT_SHARE * math.log(0.7), atol=1e-9)
    assert path.halted[first:after].all()
    assert not path.halted[after]


def test_bars_longer_than_the_halt_lose_one_bar() -> None:
    rng = np.random.default_rng(13)
    sd = np.full((300, 1), 0.02)
    daily = crash_of(sd * rng.standard_normal((300, 1)), sd, 24 * HOUR_MS, rng)
    assert daily.halted.sum() == 1
    np.testing.assert_allclose(np.exp(daily.move[daily.start : daily.stop].sum()), 0.70)
