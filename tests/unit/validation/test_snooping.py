"""Reality Check, SPA and StepM against arch on the same resamples, and where arch is wrong."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from arch.bootstrap import SPA, StationaryBootstrap, StepM

from genesis.domain.errors import InputError
from genesis.validation import snooping as sn

Floats = np.ndarray
BLOCK, DRAWS, SEED = 5, 400, 77


def edges(seed: int, rows: int = 300, columns: int = 12) -> Floats:
    """Columns of different loudness: two with an edge, some plain, some losing."""
    rng = np.random.default_rng(seed)
    returns = rng.standard_normal((rows, columns))
    returns[1:] += 0.3 * returns[:-1]
    returns[:, :2] += 0.25
    returns[:, -4:] -= 0.4
    return returns * rng.uniform(0.5, 4.0, columns)


@pytest.fixture
def as_arch(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let our tests draw the very resamples that arch draws from its seed."""

    def means(columns: Floats, draws: int, length: float, rng: np.random.Generator) -> Floats:
        bootstrap = StationaryBootstrap(int(length), columns, seed=SEED)
        return np.array([x[0][0].mean(axis=0) for x in bootstrap.bootstrap(draws)])

    return lambda: monkeypatch.setattr(sn, "resampled_means", means)


def arch_p(columns: Floats) -> dict[str, float]:
    """P-values of arch for columns of returns, with the observation counted as a draw."""
    test = SPA(np.zeros(len(columns)), -columns, BLOCK, DRAWS, studentize=True, seed=SEED)
    test.compute()
    return {k: (1.0 + DRAWS * float(v)) / (1.0 + DRAWS) for k, v in test.pvalues.items()}


def test_long_run_sd_equals_arch() -> None:
    returns = edges(0)
    test = SPA(np.zeros(300), -returns, BLOCK, 10, seed=SEED)
    test.compute()
    assert sn.long_run_sd(returns, BLOCK) == pytest.approx(np.sqrt(test._loss_diff_var), rel=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_spa_equals_arch_on_scaled_columns(seed: int, as_arch: Callable[[], None]) -> None:
    returns = edges(seed)
    if seed:
        returns = returns[:, 2:]
    expected = arch_p(returns / sn.long_run_sd(returns, BLOCK))
    as_arch()
    ours = sn.spa(returns, draws=DRAWS, block=BLOCK, rng=np.random.default_rng(0))
    assert {k: getattr(ours, k) for k in expected} == pytest.approx(expected, abs=1e-12)
    t = np.sqrt(300) * returns.mean(axis=0) / sn.long_run_sd(returns, BLOCK)
    assert ours.statistic == pytest.approx(t.max())


@pytest.mark.parametrize("seed", range(3))
def test_reality_check_equals_arch_unscaled(seed: int, as_arch: Callable[[], None]) -> None:
    returns = edges(seed)[:, 1 if seed == 1 else 2 :]
    expected = arch_p(returns)["upper"]
    as_arch()
    p = sn.reality_check(returns, draws=DRAWS, block=BLOCK, rng=np.random.default_rng(0))
    assert p == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_step_m_equals_arch_on_scaled_columns(seed: int, as_arch: Callable[[], None]) -> None:
    returns = edges(seed)
    scaled = returns / sn.long_run_sd(returns, BLOCK)
    test = StepM(np.zeros(300), -scaled, 0.05, BLOCK, DRAWS, seed=SEED)
    test.compute()
    as_arch()
    mask = sn.step_m(returns, draws=DRAWS, block=BLOCK, rng=np.random.default_rng(0))
    assert np.flatnonzero(mask).tolist() == list(test.superior_models)
    assert mask[:2].any()


def test_step_m_finds_what_one_step_hides() -> None:
    """A later step drops the columns found, whose own deviations kept the bar high."""
    rng = np.random.default_rng(8)
    noise = rng.standard_normal((400, 60))
    noise -= noise.mean(axis=0)
    t = np.full(60, -1.0)
    t[:40] = 6.0
    t[40] = 3.0
    returns = noise / noise.std(axis=0, ddof=0) + t / 20.0
    mask = sn.step_m(returns, draws=4000, block=1.0, rng=rng)
    assert mask.tolist() == (t > 0.0).tolist()
    # The first step's bar, that of all 60 columns, is above 3.
    deviations = sn.resampled_means(returns, 4000, 1.0, rng) - returns.mean(axis=0)
    assert np.quantile(deviations.max(axis=1) * 20.0, 0.95) > 3.0


def test_loud_columns_without_an_edge_do_not_hide_a_quiet_one() -> None:
    """20 loud columns of zero mean hide an edge of t > 4 from arch, studentised or not."""
    rng = np.random.default_rng(11)
    loud = 50.0 * rng.standard_normal((1000, 20))
    quiet = rng.standard_normal((1000, 1)) + 0.15
    returns = np.column_stack([loud, quiet])
    assert quiet.mean() / quiet.std(ddof=1) * np.sqrt(1000) > 4.0
    unscaled = [
        SPA(np.zeros(1000), -returns, 1, 300, studentize=flag, seed=1) for flag in (True, False)
    ]
    for test in unscaled:
        test.compute()
    assert unscaled[0].pvalues.tolist() == unscaled[1].pvalues.tolist()
    assert unscaled[0].pvalues["consistent"] > 0.2
    assert sn.reality_check(returns, draws=300, block=1.0, rng=rng) > 0.2
    assert sn.spa(returns, draws=300, block=1.0, rng=rng).consistent < 0.005
    assert sn.step_m(returns, draws=300, block=1.0, rng=rng).tolist() == [False] * 20 + [True]


def test_losing_columns_move_only_the_upper_p() -> None:
    rng = np.random.default_rng(13)
    fair = rng.standard_normal((500, 5)) + 0.02
    losing = rng.standard_normal((500, 45)) - 0.3
    alone = sn.spa(fair, block=2.0, rng=np.random.default_rng(1))
    among = sn.spa(np.column_stack([fair, losing]), block=2.0, rng=np.random.default_rng(1))
    assert (among.lower, among.consistent) == (alone.lower, alone.consistent)
    assert among.upper > alone.upper + 0.1
    assert among.lower <= among.consistent <= among.upper


def test_nothing_positive_has_p_one() -> None:
    rng = np.random.default_rng(14)
    losing = rng.standard_normal((200, 6)) - 1.0
    assert sn.spa(losing, draws=50, rng=rng) == sn.SpaResult(1.0, 1.0, 1.0, 0.0)
    assert not sn.step_m(losing, draws=50, rng=rng).any()


def test_columns_without_variation_are_never_superior() -> None:
    rng = np.random.default_rng(15)
    returns = np.column_stack([np.full(200, 0.3), rng.standard_normal(200) + 0.5, np.zeros(200)])
    assert sn.step_m(returns, rng=rng).tolist() == [False, True, False]
    still = sn.spa(returns[:, [0, 2]], rng=rng)
    assert still == sn.SpaResult(1.0, 1.0, 1.0, 0.0)


def test_what_cannot_be_tested_is_refused() -> None:
    rng = np.random.default_rng(0)
    for bad in (np.zeros(5), np.zeros((2, 3)), np.zeros((9, 0)), np.full((9, 2), np.nan)):
        with pytest.raises(InputError):
            sn.spa(bad, rng=rng)


def test_the_tests_have_their_size_on_noise() -> None:
    """With autocorrelated noise and the automatic block: about 1 in 20 rejected at 0.05."""
    rng = np.random.default_rng(16)
    p = []
    for _ in range(150):
        noise = rng.standard_normal((250, 10))
        noise[1:] += 0.3 * noise[:-1]
        p.append(sn.spa(noise, draws=99, rng=rng).consistent)
    rejected = int(np.count_nonzero(np.array(p) <= 0.05))
    # The bootstrap under-states long-run variances a little; 0.05 to 0.1 is its usual size.
    assert 1 <= rejected <= 0.1 * 150 + 3.0 * np.sqrt(150 * 0.09)
    assert np.mean(p) == pytest.approx(0.5, abs=0.12)


def test_a_panel_of_300_takes_well_under_two_seconds() -> None:
    returns = np.random.default_rng(17).standard_normal((1500, 300))
    started = time.process_time()
    sn.spa(returns, rng=np.random.default_rng(1))
    assert time.process_time() - started < 4.0  # 0.3 s here, on one core
