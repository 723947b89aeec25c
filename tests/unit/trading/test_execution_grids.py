"""Parts of an order and limit prices lie on the grids that an exchange knows."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace

import pytest

from genesis.domain.instrument import Instrument
from genesis.trading.deployment import DeploymentOptions
from genesis.trading.gateway import OrderKind, Side
from genesis.trading.payloads import EntryPlan
from genesis.trading.planners import ExecutionPlanner
from genesis.trading.worker import ExecutionWorker

D = Decimal


def deployment(tick: float = 0.0, lot: float = 0.0) -> SimpleNamespace:
    options = DeploymentOptions(algorithm="iceberg", slices=3)
    return SimpleNamespace(options=options, instrument=Instrument("X", "X", tick=tick, lot=lot))


@pytest.mark.parametrize(
    ("size", "lot", "slices"),
    [
        ("25.137625604239864", 0.0, ("8.37920853", "8.37920853", "8.379208544239864")),
        ("1", 0.0, ("0.33333333", "0.33333333", "0.33333334")),
        ("1", 0.01, ("0.33", "0.33", "0.34")),
        ("0.00000002", 0.0, ("0.00000002",)),
    ],
)
def test_the_parts_of_a_size_add_up_and_have_an_end(
    size: str, lot: float, slices: tuple[str, ...]
) -> None:
    plan = ExecutionPlanner().plan(deployment(lot=lot), D(size))  # type: ignore[arg-type]
    assert plan.slices == tuple(map(D, slices))
    assert sum(plan.slices) == D(size)


@pytest.mark.parametrize(
    ("side", "tick", "price"),
    [(Side.BUY, 0.01, "79.28"), (Side.SELL, 0.01, "79.29"), (Side.SELL, 0.0, "79.2856913")],
)
def test_a_limit_is_on_the_tick_grid_and_no_worse_than_what_was_seen(
    side: Side, tick: float, price: str
) -> None:
    entry = EntryPlan(side, OrderKind.MARKET, D("79.2856913"))
    assert ExecutionWorker._limit(deployment(tick=tick), entry) == D(price)  # type: ignore[arg-type]
