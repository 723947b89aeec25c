from __future__ import annotations

from datetime import UTC, datetime

import pytest

from genesis.costs.execution import (
    Conditions,
    ExecutionModel,
    ExecutionQuality,
    execution_quality,
    session_factor,
    signed_slippage,
)
from genesis.domain.errors import ConfigError

MODEL = ExecutionModel(seed=1)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


NOON = at("2024-05-15T12:00")  # a Wednesday between sessions


@pytest.mark.parametrize(
    ("when", "factor"),
    [
        ("2024-05-15T00:00", 1.2),
        ("2024-05-15T02:59", 1.2),
        ("2024-05-15T03:00", 1.0),
        ("2024-05-15T07:00", 1.1),
        ("2024-05-15T09:59", 1.1),
        ("2024-05-15T10:00", 1.0),
        ("2024-05-15T13:00", 0.9),
        ("2024-05-15T16:00", 1.0),
        ("2024-05-17T23:59", 1.0),
        ("2024-05-18T00:00", 1.3),
        ("2024-05-19T23:59", 1.3),
        ("2024-05-20T00:00", 1.2),
        ("1969-12-31T13:00", 0.9),
        ("1970-01-03T13:00", 1.3),
    ],
)
def test_sessions_and_weekends(when: str, factor: float) -> None:
    assert session_factor(at(when)) == factor


@pytest.mark.parametrize(
    ("symbol", "size", "volatility", "when", "side", "want"),
    [
        # base bp · (1 + sqrt(100 size) / 2) · (1 + 10 vol) · session · 1.1 if sell, by hand
        ("BTCUSDT", 0.0, 0.0, "2024-05-15T12:00", 1.0, 0.5e-4),
        ("ETH", 0.01, 0.0, "2024-05-15T12:00", 1.0, 1.5e-4),
        ("SOLUSDT", 0.04, 0.02, "2024-05-15T12:00", 1.0, 2e-4 * 2.0 * 1.2),
        ("DOGEUSDT", 0.25, 0.05, "2024-05-18T12:00", 1.0, 3e-4 * 3.5 * 1.5 * 1.3),
        ("BTC/USDC:USDC", 0.01, 0.01, "2024-05-15T01:00", -1.0, 0.5e-4 * 1.5 * 1.1 * 1.2 * 1.1),
    ],
)
def test_slippage_is_the_formula_times_a_keyed_factor(
    symbol: str, size: float, volatility: float, when: str, side: float, want: float
) -> None:
    rates = [
        ExecutionModel(seed=s).slippage(symbol, size, volatility, at(when), side)
        for s in range(400)
    ]
    factors = [rate / want for rate in rates]
    assert 0.8 <= min(factors) < 0.82
    assert 1.18 < max(factors) < 1.2
    assert sum(factors) / len(factors) == pytest.approx(1.0, abs=0.02)


def test_slippage_is_a_function_of_its_key() -> None:
    one = MODEL.slippage("BTC", 0.1, 0.01, NOON, 1.0)
    assert ExecutionModel(seed=1).slippage("BTC", 0.1, 0.01, NOON, 1.0) == one
    others = {
        MODEL.slippage("BTC", 0.1, 0.01, NOON + 1, 1.0),
        ExecutionModel(seed=2).slippage("BTC", 0.1, 0.01, NOON, 1.0),
        MODEL.slippage("BTC", 0.1, 0.01, NOON, -1.0) / 1.1,
    }
    assert len(others | {one}) == 4


def test_slippage_is_bounded() -> None:
    assert MODEL.slippage("DOGE", 1e9, 5.0, NOON, 1.0) == 0.1


@pytest.mark.parametrize(
    ("kind", "conditions", "resting", "want"),
    [
        ("market", Conditions(), False, 250 * 0.8),
        ("limit", Conditions(), False, 250 * 1.2),
        ("market", Conditions("timeout", "extreme"), False, 250 * 0.8 * 5 * 2.2),
        ("limit", Conditions("excellent", "calm"), False, 250 * 1.2 * 0.7 * 0.9),
        ("stop", Conditions(), True, 100 * 0.8),
        ("target", Conditions("poor"), True, 100 * 1.2 * 2),
    ],
)
def test_latency_is_the_sum_of_its_parts_times_keyed_jitter(
    kind: str, conditions: Conditions, resting: bool, want: float
) -> None:
    waits = [
        MODEL.latency_ms(kind, NOON, f"order {i}", conditions, resting=resting) for i in range(400)
    ]
    assert 0.7 * want - 1 <= min(waits) < 0.72 * want
    assert 1.28 * want < max(waits) <= 1.3 * want + 1
    assert MODEL.latency_ms(kind, NOON, "order 7", conditions, resting=resting) == waits[7]


def test_a_model_survives_its_plain_form() -> None:
    model = ExecutionModel(3, 5_000.0, {"BTC": 0.7}, 4.0, Conditions("fair", "volatile"))
    assert ExecutionModel.from_plain(model.plain()) == model


@pytest.mark.parametrize(
    "wrong",
    [
        {"capital": 0.0},
        {"capital": float("nan")},
        {"other_bp": -1.0},
        {"base_bp": {"BTC": float("inf")}},
        {"conditions": {"network": "splendid"}},
        {"speed": 1},
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        ExecutionModel.from_plain(wrong)


@pytest.mark.parametrize(
    ("slippage", "latency", "rejected", "grade"),
    [
        (0.0009, 199, False, "excellent"),
        (-0.02, 10, False, "excellent"),
        (0.001, 199, False, "good"),
        (0.0009, 200, False, "good"),
        (0.0019, 499, False, "good"),
        (0.002, 100, False, "fair"),
        (0.0, 500, False, "fair"),
        (0.0049, 999, False, "fair"),
        (0.005, 10, False, "poor"),
        (0.0, 1000, False, "poor"),
        (0.0, 10, True, "failed"),
    ],
)
def test_quality_by_slippage_and_latency(
    slippage: float, latency: float, rejected: bool, grade: str
) -> None:
    assert execution_quality(slippage, latency, rejected=rejected) is ExecutionQuality(grade)


def test_slippage_of_a_fill_is_positive_where_it_cost_money() -> None:
    assert signed_slippage(1.0, 100.0, 101.0) == pytest.approx(0.01)
    assert signed_slippage(-1.0, 100.0, 99.0) == pytest.approx(0.01)
    assert signed_slippage(-1.0, 100.0, 101.0) == pytest.approx(-0.01)
