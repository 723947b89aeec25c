"""What the decisions that hold take away from capital and from the number of deployments."""

from __future__ import annotations

from typing import Any

from genesis.decision.in_force import most_deployments, size_factor
from genesis.decision.state import OperationsState
from genesis.trading.events import Event
from tests.unit.decision.operation_samples import NOW, decided, resolved


def made(name: str, kind: str, value: dict[str, Any], **changes: Any) -> Any:
    common = {"kind": kind, "strategy": "", "acts": True, "review": "none", "action": "keep"}
    return decided(name, **(common | {"body": {"value": value}} | changes))


def state_of(*rows: Any) -> OperationsState:
    state = OperationsState()
    for seq, row in enumerate(rows, start=1):
        state.apply(Event(row, NOW + seq, seq=seq))
    return state


def session(name: str, size: float, most: int, risk: float) -> Any:
    value = {"size_factor": size, "max_positions": most, "risk_factor": risk}
    return made(name, "trading_session_optimization", value)


def test_without_a_decision_nothing_is_taken() -> None:
    assert size_factor(state_of()).value == 1.0
    assert most_deployments(state_of(), 12).value == 12


def test_the_smallest_factor_holds_and_is_named() -> None:
    calm = made("DEC_1", "risk_adjustment", {"size_factor": 1.2})
    assert size_factor(state_of(calm)).value == 1.0, "nobody is given more than was approved"
    found = size_factor(state_of(calm, session("DEC_2", 0.8, 15, 0.7)))
    assert (found.value, "risk_factor" in found.text, "DEC_2" in found.text) == (0.7, True, True)
    hard = made("DEC_3", "risk_adjustment", {"size_factor": 0.5})
    assert size_factor(state_of(session("DEC_2", 0.8, 15, 0.7), hard)).value == 0.5


def test_what_waits_or_was_rejected_takes_nothing() -> None:
    waits = {"acts": False, "review": "before"}
    hard = made("DEC_1", "risk_adjustment", {"size_factor": 0.5}, **waits)
    assert size_factor(state_of(hard)).value == 1.0
    seen = made("DEC_1", "risk_adjustment", {"size_factor": 0.5}, review="flagged")
    assert size_factor(state_of(seen)).value == 0.5
    assert size_factor(state_of(seen, resolved(resolution="rejected"))).value == 1.0


def test_the_pool_is_as_large_as_gates_and_decisions_allow() -> None:
    pool = made("DEC_1", "strategy_pool_sizing", {"strategies": 8})
    assert most_deployments(state_of(pool), 12).value == 8
    assert most_deployments(state_of(pool), 5).value == 5
    assert most_deployments(state_of(pool, session("DEC_2", 1.0, 3, 1.0)), 12).value == 3
