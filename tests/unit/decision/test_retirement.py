"""The layers that demote a live deployment, and the measures of G4 to G6 from daily returns."""

from __future__ import annotations

import math

import numpy as np
import pytest

from genesis.decision.live_measures import (
    canary_measures,
    max_drawdown,
    sanity,
    step_measures,
)
from genesis.decision.retirement import Alarm, Fidelity, health
from genesis.evidence.measures import PromotionSettings
from genesis.validation.cusum import bound_for, cusum
from tests.unit.decision.deployment_desk import BASELINE

OWN = PromotionSettings()
SD = BASELINE.daily_sd
GOOD = Fidelity(1.0, 1.0)
DAILY = BASELINE.haircut_sharpe / math.sqrt(365.0)


def steady(days: int, mean: float = 0.0) -> np.ndarray:
    """Returns that swing around a mean, in standard deviations, without a deep fall."""
    return SD * (mean + 0.05 * np.where(np.arange(days) % 2, 1.0, -1.0))


def test_calm_is_green() -> None:
    assert health(steady(100, DAILY), BASELINE, GOOD, OWN).alarm is Alarm.GREEN


def test_no_data_is_no_health() -> None:
    found = health(np.empty(0), BASELINE, Fidelity(), OWN)
    assert found.alarm is Alarm.UNKNOWN
    assert "no log has a day of its own orders" in found.reasons[0]
    found = health(steady(100, DAILY), BASELINE, Fidelity(None, 1.0), OWN)
    assert found.alarm is Alarm.UNKNOWN
    assert "no bar's position was compared" in found.reasons[0]
    fallen = health(np.full(60, -SD), BASELINE, Fidelity(), OWN)
    assert fallen.alarm is Alarm.RED  # what is known to be broken is broken


def test_a_fall_beyond_the_bound_of_its_days_is_red_at_once() -> None:
    bound = BASELINE.drawdown_bound(60, 0.99)
    assert bound == 0.13
    returns = np.zeros(60)
    returns[-4:] = -bound / 4 - 1e-9
    found = health(returns, BASELINE, GOOD, OWN)
    assert found.alarm is Alarm.RED
    assert "99 % bound" in found.reasons[0]
    returns[-4:] = -bound / 4 * 0.999
    assert health(returns, BASELINE, GOOD, OWN).alarm is not Alarm.RED


def test_the_bound_grows_with_the_days_and_is_never_that_of_more() -> None:
    assert BASELINE.drawdown_bound(365, 0.95) == 0.2
    assert BASELINE.drawdown_bound(364, 0.95) == 0.09
    assert BASELINE.drawdown_bound(9999, 0.95) == 0.2
    assert BASELINE.drawdown_bound(30, 0.95) == 0.06
    assert BASELINE.drawdown_bound(15, 0.95) == pytest.approx(0.06 * math.sqrt(0.5))
    assert max_drawdown(np.array([0.1, -0.3, 0.1, -0.2])) == pytest.approx(0.4)
    assert max_drawdown(np.array([-0.1])) == pytest.approx(0.1)  # the start is a peak


def test_the_cusum_is_amber_before_it_is_red() -> None:
    red, amber = (bound_for(365.0 * years, DAILY) for years in (5.0, 1.0))
    assert red > amber
    seen = []
    for days in range(40, 2_000, 10):
        returns = steady(days, -0.02)
        found = health(returns, BASELINE, GOOD, OWN)
        level = float(cusum(returns / SD, DAILY)[-1])
        expected = Alarm.RED if level >= red else Alarm.AMBER if level >= amber else Alarm.GREEN
        drawdown = max_drawdown(returns) > BASELINE.drawdown_bound(days, 0.99)
        assert found.alarm is (Alarm.RED if drawdown else expected)
        seen.append(found.alarm)
    assert seen[0] is Alarm.GREEN
    assert Alarm.AMBER in seen
    assert seen.index(Alarm.AMBER) < seen.index(Alarm.RED)


@pytest.mark.parametrize(
    ("fidelity", "alarm"),
    [
        (Fidelity(0.95, 2.0), Alarm.GREEN),
        (Fidelity(0.9499, 1.0), Alarm.RED),
        (Fidelity(1.0, 2.01), Alarm.RED),
        (Fidelity(1.0, None), Alarm.GREEN),
        (Fidelity(None, None), Alarm.UNKNOWN),
    ],
)
def test_broken_fidelity_is_red(fidelity: Fidelity, alarm: Alarm) -> None:
    assert health(steady(10), BASELINE, fidelity, OWN).alarm is alarm


def test_the_first_days_break_no_fidelity() -> None:
    broken = Fidelity(0.3, 9.0)
    assert health(steady(4), BASELINE, broken, OWN).alarm is Alarm.GREEN
    assert health(steady(5), BASELINE, broken, OWN).alarm is Alarm.RED


def test_single_days_beyond_four_deviations_count_as_four() -> None:
    returns = np.zeros(100)
    returns[50] = -0.085  # within the drawdown's bound, 8.5 deviations
    level = health(returns, BASELINE, GOOD, OWN).numbers["cusum"]
    assert level == pytest.approx(4.0 + 0.5 * DAILY * 100)


def test_measures_of_the_canary() -> None:
    assert canary_measures(np.empty(0), BASELINE, OWN) == {"canary_days": 0.0}
    bad = canary_measures(np.full(120, -0.5 * SD), BASELINE, OWN)
    assert bad["canary_drawdown"][0] == pytest.approx(0.6 / 0.09)
    assert bad["canary_upper_bound"] < 0.0  # no edge is left even at the upper end
    fine = canary_measures(steady(60), BASELINE, OWN)
    assert fine["canary_days"] == 60.0
    assert fine["canary_upper_bound"] > 0.0
    assert fine["canary_drawdown"][0] < 1.0


def test_measures_of_a_step() -> None:
    flat = step_measures(np.zeros(100), 10, 30.0, BASELINE, OWN)
    assert flat["step_days"][0] == 10.0
    assert flat["step_sprt"][0] == pytest.approx(-0.5 * DAILY**2 * 100)
    strong = step_measures(np.full(100, 3.0 * SD), 10, 30.0, BASELINE, OWN)
    assert strong["step_sprt"][0] > 2.77
    assert strong["step_days"][0] == 30.0  # accelerated
    assert "10 days; the ratio accelerates" in strong["step_days"][1]
    assert step_measures(np.full(100, 3.0 * SD), 45, 30.0, BASELINE, OWN)["step_days"][0] == 45.0


def test_paper_that_refutes_the_backtest_is_insane() -> None:
    rng = np.random.default_rng(1)
    assert sanity(rng.normal(DAILY, 1.0, 60) * SD, BASELINE, OWN) < 20.0
    assert sanity(rng.normal(-0.6, 1.0, 90) * SD, BASELINE, OWN) > 20.0
    assert sanity(np.empty(0), BASELINE, OWN) == 1.0
