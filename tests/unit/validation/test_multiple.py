"""Adjusted p-values and haircuts against published numbers, statsmodels and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from genesis.domain.errors import InputError
from genesis.validation import multiple as m
from genesis.validation.sharpe import deflated_sharpe, moments, probabilistic_sharpe
from genesis.validation.snooping import reality_check


def test_haircut_is_harvey_and_liu() -> None:
    cut = m.haircut_sharpe(0.75, 20.0, 200)
    assert 0.75 * math.sqrt(20.0) == pytest.approx(3.354, abs=5e-4)
    assert cut.p == pytest.approx(0.000796, abs=5e-7)
    assert cut.adjusted == pytest.approx(0.1473, abs=5e-5)
    assert cut.sharpe == pytest.approx(0.324, abs=5e-4)
    assert cut.haircut == pytest.approx(0.57, abs=5e-3)


def test_haircut_of_one_test_is_nothing_and_of_a_loss_is_no_number() -> None:
    alone = m.haircut_sharpe(1.2, 4.0, 1)
    assert alone.sharpe == pytest.approx(1.2, rel=1e-9)
    assert alone.haircut == pytest.approx(0.0, abs=1e-9)
    hopeless = m.haircut_sharpe(0.1, 1.0, 1000, "bonferroni")
    assert (hopeless.adjusted, hopeless.sharpe, hopeless.haircut) == (1.0, 0.0, 1.0)
    loss = m.haircut_sharpe(-3.0, 4.0, 10)
    assert (loss.p, loss.adjusted, loss.sharpe) == (1.0, 1.0, 0.0)
    assert math.isnan(loss.haircut)
    with pytest.raises(InputError):
        m.haircut_sharpe(1.0, 1.0, 0.5)


def test_haircuts_of_a_whole_search_follow_the_ranks() -> None:
    sharpes = np.array([0.4, 1.3, -0.2, 0.9])
    p = 2.0 * stats.norm.sf(sharpes * math.sqrt(9.0))
    cuts = m.haircut_sharpes(sharpes, 9.0, "holm")
    assert cuts[1].adjusted == pytest.approx(4.0 * p[1])
    assert cuts[3].adjusted == pytest.approx(3.0 * p[3])
    assert cuts[1].sharpe == pytest.approx(stats.norm.isf(2.0 * p[1]) / 3.0)
    assert cuts[2].sharpe == 0.0
    assert [c.sharpe for c in m.haircut_sharpes(sharpes, 9.0, "bonferroni")] <= [
        c.sharpe for c in cuts
    ]


@pytest.mark.parametrize("sharpe", [0.01, 0.7, 2.0, 5.0])
def test_p_and_sharpe_are_inverse(sharpe: float) -> None:
    assert m.p_to_sharpe(m.sharpe_to_p(sharpe, 3.0), 3.0) == pytest.approx(sharpe, rel=1e-6)


def test_the_ends_of_p() -> None:
    assert m.p_to_sharpe(1.0, 3.0) == 0.0
    assert m.p_to_sharpe(0.0, 3.0) == math.inf
    assert math.isnan(m.sharpe_to_p(math.nan, 3.0))
    with pytest.raises(InputError):
        m.p_to_sharpe(1.1, 3.0)


@pytest.mark.parametrize("seed", range(3))
def test_adjusted_p_values_equal_statsmodels(seed: int) -> None:
    from statsmodels.stats import multitest

    rng = np.random.default_rng(seed)
    p = rng.uniform(size=40) ** 4
    p[3] = p[7]
    for ours, name in ((m.bonferroni, "bonferroni"), (m.holm, "holm"), (m.bhy, "fdr_by")):
        assert ours(p) == pytest.approx(multitest.multipletests(p, method=name)[1], rel=1e-12)
    sidak = multitest.multipletests(p, method="sidak")[1]
    assert [m.sidak(float(x), 40) for x in p] == pytest.approx(sidak, rel=1e-9)


def test_sidak_keeps_small_p_values() -> None:
    assert m.sidak(1e-18, 1000) == pytest.approx(1e-15)
    assert m.sidak(1.0, 5) == 1.0


@pytest.mark.parametrize("case", [(0, 20), (20, 20), (1, 300), (22, 300), (7, 11)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_binomial_interval_equals_scipy(case: tuple[int, int], confidence: float) -> None:
    exact = stats.binomtest(*case).proportion_ci(confidence, method="exact")
    assert m.binomial_interval(*case, confidence) == pytest.approx((exact.low, exact.high))


def test_impossible_counts_are_refused() -> None:
    for case in ((5, 4), (-1, 4), (0, 0)):
        with pytest.raises(InputError):
            m.binomial_interval(*case)
    for counts in ([5], [0, 0]):
        with pytest.raises(InputError):
            m.uniform_p(np.array(counts))


@pytest.mark.parametrize("counts", [[10, 12, 9, 14], [30, 1, 0, 2, 9], [7, 7]])
def test_uniform_p_equals_scipy(counts: list[int]) -> None:
    assert m.uniform_p(np.array(counts)) == pytest.approx(stats.chisquare(counts).pvalue)


def test_false_discoveries_of_the_best_of_a_thousand() -> None:
    """Best of 1,000 noise columns: how often each method calls it a discovery at 0.05.

    The published rates are 1.000 without a correction, 0.001 for the deflated ratio, 0.057 for
    Holm, 0.007 for BHY and 0.022 for the Reality Check. Bounds are three standard errors off.
    """
    trials, rows, columns = 60, 250, 1000
    rng = np.random.default_rng(2)
    hits = dict.fromkeys(("naive", "deflated", "holm", "bhy", "check"), 0)
    for k in range(trials):
        r = rng.standard_normal((rows, columns))
        annual = r.mean(axis=0) / r.std(axis=0, ddof=1) * math.sqrt(rows)
        # Two-sided, as published: the sign of noise is a matter of naming.
        p = np.array([m.sharpe_to_p(abs(float(x)), 1.0) for x in annual])
        best = moments(r[:, int(np.argmax(annual))])
        hits["naive"] += probabilistic_sharpe(best) > 0.95
        hits["deflated"] += deflated_sharpe(best, columns) > 0.95
        hits["holm"] += float(m.holm(p).min()) <= 0.05
        hits["bhy"] += float(m.bhy(p).min()) <= 0.05
        if k < 20:
            hits["check"] += reality_check(r, draws=99, block=1.0, rng=rng) <= 0.05

    def most(rate: float, n: int) -> float:
        return n * rate + 3.0 * math.sqrt(n * rate * (1.0 - rate))

    assert hits["naive"] == trials
    assert hits["deflated"] <= most(0.01, trials)
    assert hits["holm"] <= most(0.057, trials)
    assert hits["bhy"] <= most(0.007, trials)
    assert hits["check"] <= most(0.05, 20)
