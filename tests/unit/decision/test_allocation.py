"""Capital: weights against skfolio, caps, Kelly, admission, the published haircut."""

from __future__ import annotations

import math
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skfolio.cluster import HierarchicalClustering, LinkageMethod
from skfolio.distance import PearsonDistance
from skfolio.optimization import HierarchicalRiskParity, RiskBudgeting

from genesis.decision.allocation import Claim, admission_problem, allocate
from genesis.decision.in_force import Bound
from genesis.decision.live_measures import shrunk_sharpe
from genesis.decision.weights import clusters, correlation, covariance, equal_risk, hrp
from genesis.domain.errors import InputError
from genesis.evidence.measures import PromotionSettings

LOOSE = PromotionSettings(strategy_share=0.99, cluster_share=0.999)


def returns_of(n: int, seed: int, days: int = 300) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixing = rng.normal(0.0, 0.6, (n, n)) + np.eye(n)
    return rng.normal(0.0003, 1.0, (days, n)) @ mixing.T * rng.uniform(0.002, 0.03, n)


@pytest.mark.parametrize(("n", "seed"), [(2, 1), (5, 2), (9, 3), (16, 4)])
def test_hierarchical_weights_are_skfolios(n: int, seed: int) -> None:
    x = returns_of(n, seed)
    theirs = HierarchicalRiskParity(
        distance_estimator=PearsonDistance(),
        hierarchical_clustering_estimator=HierarchicalClustering(
            linkage_method=LinkageMethod.SINGLE
        ),
    ).fit(pd.DataFrame(x))
    np.testing.assert_allclose(hrp(covariance(x)), theirs.weights_, rtol=1e-6)


@pytest.mark.parametrize(("n", "seed"), [(2, 1), (5, 2), (9, 3), (16, 4)])
def test_equal_risk_weights_are_skfolios(n: int, seed: int) -> None:
    x = returns_of(n, seed)
    theirs = RiskBudgeting().fit(pd.DataFrame(x))
    cov = covariance(x)
    weights = equal_risk(cov)
    np.testing.assert_allclose(weights, theirs.weights_, atol=2e-3)
    share = weights * (cov @ weights)
    np.testing.assert_allclose(share / share.sum(), 1.0 / n, atol=1e-5)


@pytest.mark.parametrize("method", [hrp, equal_risk])
def test_weights_of_uncorrelated_strategies(method: object) -> None:
    cov = np.diag([0.01, 0.04, 0.16]) ** 1
    weights = method(cov)  # type: ignore[operator]
    inverse = 1.0 / (np.diag(cov) if method is hrp else np.sqrt(np.diag(cov)))
    np.testing.assert_allclose(weights, inverse / inverse.sum(), rtol=1e-4)
    assert method(np.array([[0.04]])) == pytest.approx([1.0])  # type: ignore[operator]


def test_the_haircut_is_the_published_one() -> None:
    assert round(shrunk_sharpe(2.0, 3.0, 0.5), 2) == 0.86
    assert shrunk_sharpe(2.0, 0.0, 0.5) == 0.0
    assert shrunk_sharpe(2.0, 1e9, 0.5) == pytest.approx(2.0)


def claims(n: int, cap: int = 10**9, sharpe: float = 1.0) -> list[Claim]:
    return [Claim(f"d{k}", sharpe, Decimal(cap)) for k in range(n)]


def test_a_quarter_of_kelly_is_the_leverage() -> None:
    """One strategy of annual Sharpe S and daily sd s: Kelly is S / sqrt(365) / s."""
    x = np.random.default_rng(1).normal(0.0, 0.1, (500, 1))
    sd = float(np.std(x, ddof=1))
    found = allocate([Claim("d", 1.0, Decimal(10**9))], x, Decimal(1000), LOOSE)
    assert found.leverage == pytest.approx(0.25 * (1.0 / math.sqrt(365.0)) / sd)
    assert found.shares[0].capital == (Decimal(1000) * Decimal(repr(found.leverage))).quantize(
        Decimal("0.01"), rounding="ROUND_DOWN"
    )
    assert "Kelly" in found.shares[0].reasons[0]


def test_the_better_gets_more_in_proportion() -> None:
    x = np.random.default_rng(2).normal(0.0, 0.01, (400, 2))
    first = [Claim("a", 1.0, Decimal(10**9)), Claim("b", 3.0, Decimal(10**9))]
    found = allocate(first, x, Decimal(1000), LOOSE).shares
    odds = (found[1].tilted / found[0].tilted) / (found[1].risk_weight / found[0].risk_weight)
    assert odds == pytest.approx(3.0)
    none = [Claim("a", 1.0, Decimal(10**9)), Claim("b", -1.0, Decimal(10**9))]
    found = allocate(none, x, Decimal(1000), LOOSE).shares
    assert found[1].capital == 0
    assert "no edge" in found[1].reasons[-1]


def test_caps_hold_a_strategy_a_cluster_and_what_was_approved() -> None:
    rng = np.random.default_rng(3)
    common = rng.normal(0.0, 0.001, (400, 1))
    # Five of one cluster, and three on their own.
    x = np.hstack([common + rng.normal(0, 0.0002, (400, 5)), rng.normal(0, 0.001, (400, 3))])
    groups = clusters(correlation(covariance(x)), 0.7)
    assert len(set(groups[:5].tolist())) == 1
    assert len(set(groups.tolist())) == 4
    found = allocate(claims(8), x, Decimal(100_000), PromotionSettings(), "erc").shares
    weights = np.array([one.weight for one in found])
    assert weights.max() <= 0.10 + 1e-12
    assert weights[:5].sum() <= 0.30 + 1e-9
    assert any("held at 0.1 a strategy" in r for r in found[7].reasons)
    held = allocate(claims(8, cap=50), x, Decimal(100_000), PromotionSettings()).shares
    assert all(one.capital <= 50 for one in held)
    assert any("approved 50 USD" in r for r in held[0].reasons)


def test_decisions_that_hold_cut_capital_and_never_add() -> None:
    x = np.random.default_rng(4).normal(0.0, 0.01, (400, 2))
    whole = allocate(claims(2), x, Decimal(1000), PromotionSettings()).shares
    half = Bound(0.5, "size_factor 0.5 by risk_adjustment, DEC_1")
    cut = allocate(claims(2), x, Decimal(1000), PromotionSettings(), factor=half).shares
    assert [one.capital for one in cut] == [
        (one.capital / 2).quantize(Decimal("0.01"), rounding="ROUND_DOWN") for one in whole
    ]
    assert cut[0].reasons[-1] == half.text


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 9),
    st.integers(0, 10**6),
    st.floats(0.1, 4.0),
    st.integers(1, 10**6),
    st.sampled_from(["hrp", "erc"]),
)
def test_no_cap_is_ever_exceeded(n: int, seed: int, sharpe: float, total: int, method: str) -> None:
    own = PromotionSettings()
    found = allocate(claims(n, sharpe=sharpe), returns_of(n, seed, 60), Decimal(total), own, method)
    assert 0.0 <= found.leverage <= 1.0
    groups: dict[int, float] = {}
    for one in found.shares:
        assert 0.0 <= one.weight <= own.strategy_share + 1e-12
        assert Decimal(0) <= one.capital <= Decimal(total) * Decimal("0.1")
        groups[one.cluster] = groups.get(one.cluster, 0.0) + one.weight
    assert all(weight <= own.cluster_share + 1e-9 for weight in groups.values())
    assert sum(one.tilted for one in found.shares) == pytest.approx(1.0)


def test_what_cannot_be_divided_is_told() -> None:
    x = returns_of(2, 1)
    assert allocate([], x[:, :0], Decimal(1), LOOSE).shares == ()
    for wrong in (lambda: allocate(claims(2), x[:29], Decimal(1), LOOSE),
                  lambda: allocate(claims(2), x, Decimal(1), LOOSE, "kelly"),
                  lambda: allocate(claims(2, sharpe=-1.0), x, Decimal(1), LOOSE),
                  lambda: allocate(claims(2), x * [1.0, 0.0], Decimal(1), LOOSE)):  # fmt: skip
        with pytest.raises(InputError):
            wrong()


def test_a_newcomer_must_beat_its_correlation_with_the_book() -> None:
    rng = np.random.default_rng(4)
    book = rng.normal(0, 1, 4000)
    same = book + rng.normal(0, 0.2, 4000)
    other = rng.normal(0, 1, 4000)
    rho = float(np.corrcoef(same, book)[0, 1])
    needed = rho * 2.0 + 0.1
    assert admission_problem(needed + 1e-6, same, book, 2.0, 0.1) == ""
    told = admission_problem(needed - 0.3, same, book, 2.0, 0.1)
    assert "missed by 0.30" in told
    assert admission_problem(0.3, other, book, 2.0, 0.1) == ""
    assert "30 are needed" in admission_problem(9.0, same[:29], book[:29], 2.0, 0.1)
