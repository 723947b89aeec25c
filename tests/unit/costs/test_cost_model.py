from __future__ import annotations

import numpy as np
import pytest

from genesis.costs.model import CostModel, fill_price, slippage_rate
from genesis.domain.errors import ConfigError


def test_defaults_are_the_stated_rates() -> None:
    costs = CostModel()
    assert (costs.taker, costs.maker, costs.slippage) == (4.5e-4, 1.5e-4, 2e-4)
    assert costs.slippage_noise == 0.0


@pytest.mark.parametrize("name", ["taker", "maker", "slippage", "slippage_noise"])
@pytest.mark.parametrize("value", [-1e-9, float("nan"), float("inf")])
def test_impossible_rates_are_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"costs.{name}"):
        CostModel(**{name: value})


def test_percent_instead_of_fraction_is_refused() -> None:
    with pytest.raises(ConfigError, match="fractions"):
        CostModel(taker=0.45)


def test_plain_round_trip_and_unknown_key() -> None:
    costs = CostModel(taker=3e-4, slippage_noise=0.5, seed=7)
    assert CostModel.from_plain(costs.plain()) == costs
    with pytest.raises(ConfigError, match="did you mean 'slippage'"):
        CostModel.from_plain({"slipage": 1e-4})


def test_fill_price_moves_against_the_order() -> None:
    assert fill_price(100.0, 1.0, 0.001) == 100.0 * 1.001
    assert fill_price(100.0, -1.0, 0.001) == 100.0 * 0.999


def test_noise_is_off_by_default_and_keyed_when_on() -> None:
    key = CostModel(seed=3).noise_key("BTC")
    assert slippage_rate(2e-4, 0.0, key, 1000, 1.0) == 2e-4
    one = slippage_rate(2e-4, 0.5, key, 1000, 1.0)
    assert one == slippage_rate(2e-4, 0.5, key, 1000, 1.0)
    others = {
        slippage_rate(2e-4, 0.5, key, 1000, -1.0),
        slippage_rate(2e-4, 0.5, key, 2000, 1.0),
        slippage_rate(2e-4, 0.5, CostModel(seed=3).noise_key("ETH"), 1000, 1.0),
        slippage_rate(2e-4, 0.5, CostModel(seed=4).noise_key("BTC"), 1000, 1.0),
    }
    assert len(others | {one}) == 5


def test_noise_is_uniform_around_the_base() -> None:
    key = CostModel().noise_key("BTC")
    rates = np.array([slippage_rate(1.0, 0.5, key, 3_600_000 * t, 1.0) for t in range(4000)])
    assert rates.min() >= 0.5
    assert rates.max() < 1.5
    # Mean 1 and variance 0.25 / 3 of U(0.5, 1.5), each within four standard errors.
    assert abs(rates.mean() - 1.0) < 4 * np.sqrt(1 / 12 / 4000)
    counts = np.histogram(rates, bins=10, range=(0.5, 1.5))[0]
    assert ((counts - 400) ** 2 / 400).sum() < 27.9  # chi-square, 9 degrees, p = 0.001
