"""Plans: sides, sizes on the grid, distances, slices that add up."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genesis.domain.errors import InputError
from genesis.domain.instrument import Instrument
from genesis.strategy.strategy import PolicyParams
from genesis.trading.deployment import Deployment, DeploymentOptions, deployment_added, read_options
from genesis.trading.gateway import OrderKind, Side
from genesis.trading.money import exact
from genesis.trading.payloads import Causality, Origin, SignalGenerated
from genesis.trading.planners import (
    EntryPlanner,
    ExecutionPlanner,
    ExitPlanner,
    SizePlanner,
    StrategyPlanner,
    round_size,
)
from tests.unit.trading.core_rig import COIN, HOUR, START, STEPPED, wishful

ORIGIN = Origin("tick", "TCK_1", 7)
POLICY = PolicyParams(
    size=0.5, stop_atr=2.0, target_atr=3.0, trail_atr=4.0, breakeven_atr=1.5, time_stop=9
)


def deployment(
    instrument: Instrument = COIN, options: DeploymentOptions | None = None
) -> Deployment:
    added = deployment_added(
        "DEP", wishful(POLICY), "paper/a", instrument,
        capital=10_000.0, interval_ms=HOUR, anchor_ms=START, options=options,
    )  # fmt: skip
    return Deployment(added)


def signal(quantity: float, close: float = 100.0, reason: str = "none") -> SignalGenerated:
    values = {"close": close, "atr": 1.25}
    return SignalGenerated("SIG", "DEP", ORIGIN, 3, {"long": 1}, values, reason, quantity)


@pytest.mark.parametrize(
    ("value", "lot", "size"),
    [
        (0.30000000000000004, 0.1, "0.3"),  # three steps, as floats add them
        (0.7999999999999999, 0.1, "0.8"),  # eight
        (0.79, 0.1, "0.7"),
        (0.0999, 0.1, "0"),
        (5.0, 0.0, "5.0"),
        (1234.56789, 0.001, "1234.567"),
        (7.0, 5.0, "5"),
    ],
)
def test_sizes_are_rounded_down_to_the_lot(value: float, lot: float, size: str) -> None:
    rounded = round_size(exact(value), replace(COIN, lot=lot))
    assert rounded == Decimal(size)


@given(st.floats(1e-9, 1e9), st.sampled_from([1e-5, 1e-3, 0.01, 0.1, 1.0, 5.0, 100.0]))
def test_a_rounded_size_is_on_the_grid_and_never_more(value: float, lot: float) -> None:
    size, step = round_size(exact(value), replace(COIN, lot=lot)), exact(lot)
    assert size % step == 0
    assert size <= exact(value) + step * Decimal("1e-9")
    assert exact(value) - size < step


def test_the_side_is_that_of_the_quantity_and_the_reference_the_close() -> None:
    for quantity, side in ((3.0, Side.BUY), (-3.0, Side.SELL)):
        plan = EntryPlanner().plan(signal(quantity, 101.7))
        assert (plan.side, plan.kind, plan.reference) == (side, OrderKind.MARKET, Decimal("101.7"))


def test_the_size_is_unsigned_and_on_the_grid() -> None:
    plan = SizePlanner().plan(deployment(STEPPED), signal(-12.3456))
    assert (plan.wanted, plan.size, plan.method) == (Decimal("12.3456"), Decimal("12.34"), "policy")


@pytest.mark.parametrize(("quantity", "size"), [(0.1, "0.10"), (0.0999, "0")])
def test_nothing_is_ordered_below_the_least_notional(quantity: float, size: str) -> None:
    plan = SizePlanner().plan(deployment(replace(STEPPED, lot=0.0001)), signal(quantity))
    assert plan.size == Decimal(size)


def test_exits_are_the_distances_of_the_policy_in_the_range_of_the_decision() -> None:
    plan = ExitPlanner().plan(deployment(), signal(1.0))
    assert (plan.stop_atr, plan.target_atr, plan.trail_atr) == (2.0, 3.0, 4.0)
    assert (plan.breakeven_atr, plan.time_stop, plan.atr) == (1.5, 9, 1.25)


# ---- execution -------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(
    st.floats(1e-3, 1e6),
    st.integers(1, 100),
    st.sampled_from([0.0, 0.001, 0.01, 0.7, 1.0, 50.0]),
    st.sampled_from(["single", "twap", "iceberg"]),
)
def test_slices_are_the_size_in_parts_on_the_grid(
    value: float, count: int, lot: float, algorithm: str
) -> None:
    instrument = replace(COIN, lot=lot)
    size = round_size(exact(value), instrument)
    options = DeploymentOptions(algorithm=algorithm, slices=count, spacing_ms=60_000)
    plan = ExecutionPlanner().plan(deployment(instrument, options), size)
    assert sum(plan.slices) == size
    assert all(part > 0 for part in plan.slices) or size == 0
    assert len(plan.slices) in (1, count)
    grid = exact(lot) if lot else Decimal("1e-8")
    assert all(part % grid == 0 for part in plan.slices[:-1])
    if lot:
        assert plan.slices[-1] % grid == 0
    assert len(set(plan.slices[:-1])) <= 1, "equal parts, but for the last one"
    assert max(plan.slices) - min(plan.slices) <= grid * count
    if len(plan.slices) == 1:
        assert (plan.algorithm, plan.spacing_ms) == ("single", 0)
    else:
        assert plan.algorithm == algorithm
        assert plan.spacing_ms == (60_000 if algorithm == "twap" else 0)


def test_slices_have_no_digits_that_an_exchange_does_not_keep() -> None:
    options = DeploymentOptions(algorithm="twap", slices=3, spacing_ms=1_000)
    plan = ExecutionPlanner().plan(deployment(options=options), Decimal(50))
    assert [str(part) for part in plan.slices[:2]] == ["16.66666666", "16.66666666"]


def test_a_size_too_small_to_part_is_one_order() -> None:
    options = DeploymentOptions(algorithm="iceberg", slices=10)
    plan = ExecutionPlanner().plan(deployment(STEPPED, options), Decimal("0.05"))
    assert (plan.algorithm, plan.slices) == ("single", (Decimal("0.05"),))


def causality(*signals: str) -> Causality:
    return Causality(ORIGIN, signals, (), "STR", "TPL")


def test_a_strategy_leaves_by_its_algorithm_and_safety_at_once() -> None:
    options = DeploymentOptions(algorithm="iceberg", slices=2, intent_ttl_ms=500)
    mine = deployment(options=options)
    mine.position = -4.0
    for signals, algorithm, parts in ((("SIG",), "iceberg", 2), ((), "single", 1)):
        planner = StrategyPlanner()
        plan = planner.leave(mine, "why", Decimal(4), 99.5, causality(*signals), "INT", 1_000)
        assert (plan.scope, plan.reason, plan.expires_ms) == ("CLOSE", "why", 1_500)
        assert plan.entry is not None
        assert (plan.entry.side, plan.entry.reference) == (Side.BUY, Decimal("99.5"))
        assert plan.execution is not None
        assert (plan.execution.algorithm, len(plan.execution.slices)) == (algorithm, parts)


def test_an_entry_carries_all_four_plans_and_its_causes() -> None:
    mine, planner = deployment(STEPPED), StrategyPlanner()
    wish = signal(12.3456)
    intent = planner.enter(mine, wish, planner.sized(mine, wish), causality("SIG"), "INT", 5)
    assert (intent.scope, intent.deployment, intent.expires_ms) == ("NEW", "DEP", 60_005)
    assert intent.causality == causality("SIG")
    assert intent.size is not None
    assert intent.execution is not None
    assert intent.exit is not None
    assert intent.execution.slices == (intent.size.size,) == (Decimal("12.34"),)


@pytest.mark.parametrize(
    "wrong",
    [
        {"algorithm": "vwap"},
        {"stops": "mind"},
        {"slices": 0},
        {"slices": 101},
        {"slices": 2.5},
        {"spacing_ms": -1},
        {"intent_ttl_ms": 0},
        {"order_ttl_ms": -5},
        {"slice": 2},
        {"algorithm": "twap", "slices": 3, "spacing_ms": 0},
    ],
)
def test_options_that_are_not_allowed_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError) as caught:
        read_options(wrong)
    assert caught.value.what


def test_options_are_read_as_they_are_written() -> None:
    options = DeploymentOptions(algorithm="twap", slices=3, spacing_ms=60_000, stops="loop")
    import msgspec

    assert read_options(msgspec.to_builtins(options)) == options
