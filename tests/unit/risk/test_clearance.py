"""No order without a check: what a clearance is good for, and how it cannot be had."""

from __future__ import annotations

import ast
import copy
import pickle
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import genesis
from genesis.domain.errors import RefusedError
from genesis.risk.decision import Clearance, Seal
from genesis.risk.manager import GeneticRiskManager
from tests.unit.risk.cases import account, market_of, order_of, view_of


def cleared(size: float = 10, **market: Any) -> Clearance:
    decision = GeneticRiskManager().evaluate_trade_risk(
        order_of(size), view_of(), account(), market_of(**market)
    )
    assert decision.clearance is not None
    return decision.clearance


def test_nobody_else_can_make_one() -> None:
    for seal in (Seal(), None, object()):
        with pytest.raises(TypeError, match="risk manager alone"):
            Clearance(seal, order_of())  # type: ignore[arg-type]


def test_only_the_manager_uses_the_seal() -> None:
    root = Path(genesis.__file__).parent
    users = set()
    for path in sorted(root.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            named = isinstance(node, ast.Name) and node.id == "_SEAL"
            imported = isinstance(node, ast.ImportFrom) and any(
                alias.name == "_SEAL" for alias in node.names
            )
            reached = isinstance(node, ast.Attribute) and node.attr == "_SEAL"
            if named or imported or reached:
                users.add(path.relative_to(root).as_posix())
    assert users == {"risk/decision.py", "risk/manager.py"}


@pytest.mark.parametrize("act", [copy.copy, copy.deepcopy, pickle.dumps])
def test_it_cannot_be_copied_or_stored(act: Any) -> None:
    with pytest.raises(TypeError):
        act(cleared())


def test_it_cannot_be_changed() -> None:
    clearance = cleared()
    for name, value in (("_order", order_of(99)), ("_spent", False), ("order", None)):
        with pytest.raises(AttributeError):
            setattr(clearance, name, value)
    with pytest.raises(AttributeError):
        del clearance._spent


def test_it_is_good_for_one_order_no_larger_than_judged() -> None:
    clearance = cleared()
    clearance.spend("main", "BTC", Decimal("9.9"), None, reduce_only=False)
    with pytest.raises(RefusedError, match="second order"):
        clearance.spend("main", "BTC", Decimal("0.1"), None, reduce_only=False)


@pytest.mark.parametrize(
    "changed",
    [
        {"account": "other"},
        {"symbol": "ETH"},
        {"size": Decimal("10.000001")},
        {"size": Decimal(-10)},
        {"size": Decimal(0)},
        {"price": Decimal(101)},
        {"reduce_only": True},
    ],
)
def test_it_is_not_good_for_another_order(changed: dict[str, Any]) -> None:
    clearance = cleared()
    order = {"account": "main", "symbol": "BTC", "size": Decimal(10), "price": Decimal(100)}
    with pytest.raises(RefusedError, match="not the one"):
        clearance.spend(**({"reduce_only": False} | order | changed))
    clearance.spend(**order, reduce_only=False)


def test_it_carries_the_size_that_was_approved() -> None:
    clearance = cleared(strength=-2.0)
    assert float(clearance.order.size) == pytest.approx(7.0)
    with pytest.raises(RefusedError):
        clearance.spend("main", "BTC", Decimal(10), None, reduce_only=False)
