from __future__ import annotations

from decimal import Decimal

import pytest

from genesis.costs.margin import liquidation_level

D = Decimal


@pytest.mark.parametrize("position", [2.0, -2.0, 0.001, -750.0])
@pytest.mark.parametrize("accrued", [0.0, 0.3, -0.3])
@pytest.mark.parametrize(("leverage", "maintenance"), [(3.0, 0.01), (10.0, 0.005), (1.5, 0.05)])
def test_margin_and_loss_meet_the_maintenance_at_the_level(
    position: float, accrued: float, leverage: float, maintenance: float
) -> None:
    accrued *= abs(position)
    level = liquidation_level(position, 100.0, accrued, leverage, maintenance)
    q, p = D(position), D(level)
    left = abs(q) * 100 / D(leverage) - D(accrued) + q * (p - 100)
    assert float(left) == pytest.approx(float(D(maintenance) * abs(q) * p), rel=1e-12)
    assert (level < 100.0) == (position > 0.0)


def test_funding_that_was_paid_brings_the_level_nearer() -> None:
    for position in (1.0, -1.0):
        free = liquidation_level(position, 100.0, 0.0, 3.0, 0.01)
        paid = liquidation_level(position, 100.0, 5.0, 3.0, 0.01)
        assert (paid - free) * position > 0.0
