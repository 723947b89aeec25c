"""GeneticPositionSizer: vectors of the reference, caps, and no size without a reason."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from genesis.domain.errors import ConfigError
from genesis.risk.genome import RiskGenes
from genesis.risk.sizer import (
    GeneticPositionSizer,
    SizingInputs,
    SizingMethod,
    SizingRules,
    equal_risk,
    ever_halve,
    kelly,
)

GOOD = SizingInputs(
    win_rate=0.55,
    payoff=1.5,
    volatility=0.6,
    volatilities=(0.6, 0.8),
    correlations=((1.0, 0.5), (0.5, 1.0)),
)


def test_kelly_vectors() -> None:
    # Reference: p 0.5 and b 1.2 give 0.083.
    assert kelly(0.5, 1.2) == pytest.approx(0.0833, abs=5e-5)
    assert kelly(0.6, 1.0) == pytest.approx(0.2)
    assert kelly(0.4, 1.0) == 0.0
    for win_rate, payoff in ((math.nan, 1.0), (0.5, math.nan), (1.1, 1.0), (0.5, 0.0)):
        assert math.isnan(kelly(win_rate, payoff))


@pytest.mark.parametrize(("fraction", "chance"), [(1.0, 0.5), (0.5, 0.125), (0.25, 0.0078)])
def test_chance_ever_to_halve(fraction: float, chance: float) -> None:
    """Vectors of the reference: 0.5 ** (2 / c - 1)."""
    assert ever_halve(fraction) == pytest.approx(chance, abs=5e-5)


@pytest.mark.parametrize(("fraction", "low", "high"), [(1.0, 0.43, 0.5), (0.5, 0.09, 0.125)])
def test_chance_ever_to_halve_by_simulation(fraction: float, low: float, high: float) -> None:
    """Discrete betting sees fewer halvings: the reference found 0.46 and 0.107."""
    rng = np.random.default_rng(7)
    mu, sigma, steps = 0.0005, 0.01, 20_000
    bet = fraction * mu / sigma**2
    halved = 0
    for _ in range(40):
        growth = np.log1p(bet * rng.normal(mu, sigma, (50, steps)))
        halved += int((np.cumsum(growth, axis=1).min(axis=1) < math.log(0.5)).sum())
    assert low <= halved / 2000 <= high + 0.02


def test_equal_risk_carries_equal_risk() -> None:
    rng = np.random.default_rng(5)
    factors = rng.standard_normal((6, 4))
    covariance = factors @ factors.T + np.diag(rng.uniform(0.1, 1.0, 6))
    volatilities = np.sqrt(np.diag(covariance))
    correlations = np.clip(covariance / np.outer(volatilities, volatilities), -1, 1)
    weights = np.array(equal_risk(volatilities.tolist(), correlations.tolist()))
    contributions = weights * (covariance @ weights)
    np.testing.assert_allclose(contributions / contributions.sum(), 1 / 6, rtol=1e-6)
    assert weights.sum() == pytest.approx(1.0)
    assert (weights > 0).all()


def test_equal_risk_of_uncorrelated_holdings_is_inverse_volatility() -> None:
    weights = equal_risk((0.2, 0.4), ((1.0, 0.0), (0.0, 1.0)))
    assert weights == pytest.approx((2 / 3, 1 / 3))


@pytest.mark.parametrize(
    ("method", "share"),
    [
        (SizingMethod.FIXED, 0.05),
        (SizingMethod.KELLY, 0.25 * 0.25),
        (SizingMethod.VOLATILITY_ADJUSTED, 0.25),
        (SizingMethod.RISK_PARITY, 0.25),  # four sevenths of it, capped
        (SizingMethod.EVOLVED, 0.4 * 0.0625 + 0.6 * 0.25),
    ],
)
def test_methods(method: SizingMethod, share: float) -> None:
    sizing = GeneticPositionSizer(method=method).size(GOOD)
    assert sizing.share == pytest.approx(share)
    assert str(method) in sizing.text


@pytest.mark.parametrize("method", list(SizingMethod))
@pytest.mark.parametrize(
    "broken",
    [
        {"strength": math.nan},
        {"strength": 1.5},
        {"strength": -0.1},
        {"used": math.nan},
        {"used": -1.0},
        {"used": 5.0},
    ],
)
def test_a_broken_input_sizes_to_zero(method: SizingMethod, broken: dict[str, float]) -> None:
    sizing = GeneticPositionSizer(method=method).size(replace(GOOD, **broken))
    assert sizing.share == 0.0
    assert sizing.text.startswith("no size")


@pytest.mark.parametrize(
    ("method", "broken"),
    [
        (SizingMethod.KELLY, {"win_rate": math.nan}),
        (SizingMethod.KELLY, {"payoff": -1.0}),
        (SizingMethod.EVOLVED, {"win_rate": math.nan}),
        (SizingMethod.EVOLVED, {"volatility": math.nan}),
        (SizingMethod.EVOLVED, {"momentum": math.nan}),
        (SizingMethod.EVOLVED, {"win_rate": 0.3}),  # no edge, no bet
        (SizingMethod.VOLATILITY_ADJUSTED, {"volatility": 0.0}),
        (SizingMethod.VOLATILITY_ADJUSTED, {"volatility": "abc"}),
        (SizingMethod.RISK_PARITY, {"volatilities": ()}),
        (SizingMethod.RISK_PARITY, {"volatilities": (0.5, math.nan)}),
        (SizingMethod.RISK_PARITY, {"correlations": ((1.0,),)}),
        (SizingMethod.RISK_PARITY, {"correlations": ((1.0, math.nan), (math.nan, 1.0))}),
        (SizingMethod.RISK_PARITY, {"place": 7}),
    ],
)
def test_an_error_never_opens_a_position(method: SizingMethod, broken: dict[str, object]) -> None:
    """In the origin an error sized to one percent."""
    sizing = GeneticPositionSizer(method=method).size(replace(GOOD, **broken))  # type: ignore
    assert sizing.share == 0.0
    assert sizing.text.startswith("no size")


def test_kelly_is_not_inert_and_the_volatility_target_is_not_pinned() -> None:
    """There the default Kelly size was 0.5 %; a target of 2 % a year pinned the scale at 0.1."""
    sizer = GeneticPositionSizer(method=SizingMethod.KELLY)
    assert sizer.size(SizingInputs(win_rate=0.5, payoff=1.2)).share == pytest.approx(
        0.0208, abs=1e-4
    )
    sizer = GeneticPositionSizer(method=SizingMethod.VOLATILITY_ADJUSTED)
    shares = [sizer.size(SizingInputs(volatility=v)).share for v in (0.5, 0.8, 1.2, 2.0)]
    assert shares[0] == 0.25
    assert len(set(shares)) == 4


def test_final_caps_hold_whatever_the_method() -> None:
    rules = SizingRules(fixed=0.9, max_position=0.2, max_total=0.5, least=0.01)
    sizer = GeneticPositionSizer(rules, SizingMethod.FIXED)
    assert sizer.size(SizingInputs()).share == 0.2
    assert sizer.size(SizingInputs(used=0.45)).share == pytest.approx(0.05)
    assert "caps" in sizer.size(SizingInputs(used=0.45)).text
    assert sizer.size(SizingInputs(used=0.495)).share == 0.0
    assert sizer.size(SizingInputs(strength=0.01)).share == 0.0


@pytest.mark.parametrize(
    "values",
    [
        {"kelly_fraction": 0.9},
        {"blend": (0.5, 0.5, 0.5)},
        {"blend": (1.0,)},
        {"fixed": math.nan},
        {"max_position": -0.1},
        {"scale_low": 1.0, "scale_high": 0.5},
    ],
)
def test_rules_out_of_bounds_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        SizingRules(**values)  # type: ignore[arg-type]


def test_rules_round_trip_and_come_from_genes() -> None:
    rules = SizingRules(blend=(0.2, 0.5, 0.3))
    assert SizingRules.from_plain(rules.plain()) == rules
    made = SizingRules.from_genes(RiskGenes(max_position=0.1, max_gross=0.5))
    assert (made.max_position, made.max_total) == (0.1, 0.5)
