"""The log of operations: what may follow on what, and what a second sitting sees."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from genesis.decision.operations import FOLDER, Draft, OperationsLog, read_event, read_operations
from genesis.decision.state import OperationsState, fold
from genesis.domain.errors import RefusedError, StorageError
from genesis.domain.timeline import DAY_MS
from genesis.trading.events import Event
from genesis.trading.payloads import (
    AlertRaised,
    CapitalAllocated,
    DecisionMade,
    KillLatched,
    Payload,
    Rearmed,
)
from genesis.trading.store import EventReader, EventStore, verify
from tests.unit.decision.operation_samples import (
    ACCOUNT,
    DEPLOYMENT,
    NOW,
    decided,
    granted,
    moved,
    resolved,
    sitting,
    used,
)
from tests.unit.trading.event_samples import HandClock


def write(home: Path, *payloads: Payload, at_ms: int = NOW) -> OperationsState:
    with sitting(home, HandClock(at_ms)) as log:
        log.append_all([Draft(data) for data in payloads])
    return read_operations(home)


def plain(state: OperationsState) -> dict[str, object]:
    return {
        name: msgspec.to_builtins(getattr(state, name))
        for name in ("seq", "decisions", "deployments", "approvals", "kills", "calibration")
    }


# ---- the log ---------------------------------------------------------------------------------


def test_a_workspace_without_operations_reads_as_empty_and_is_not_touched(tmp_path: Path) -> None:
    assert plain(read_operations(tmp_path)) == plain(OperationsState())
    assert read_event(tmp_path, 1) is None
    assert list(tmp_path.iterdir()) == []


def test_the_state_in_hand_is_the_fold_of_what_is_stored(tmp_path: Path) -> None:
    with sitting(tmp_path) as log:
        log.append(decided(), aggregate="DEC_1", correlation="flow")
        log.append_all([Draft(granted()), Draft(AlertRaised("info", "test", "t", "no row"))])
        log.append(moved("", "paper"))
        log.append_all([Draft(used()), Draft(moved("paper", "canary", approval="APR_1"))])
        log.append(KillLatched("all", "cli", "ann", "drill"))
        in_hand = plain(log.state)
    with EventReader(tmp_path / FOLDER) as reader:
        assert plain(fold(reader.events())) == in_hand
    assert plain(read_operations(tmp_path)) == in_hand
    with sitting(tmp_path) as log:
        assert plain(log.state) == in_hand
    event = read_event(tmp_path, 1)
    assert event is not None
    assert (event.aggregate, event.correlation, event.data) == ("DEC_1", "flow", decided())
    assert verify(tmp_path / FOLDER).damage is None


def test_a_transaction_with_one_refused_event_writes_none(tmp_path: Path) -> None:
    with sitting(tmp_path) as log:
        log.append(moved("", "paper"))
        before = plain(log.state)
        with pytest.raises(RefusedError, match="no approval of its own"):
            log.append_all([Draft(decided()), Draft(moved("paper", "canary"))])
        assert plain(log.state) == before
    assert plain(read_operations(tmp_path)) == before


def test_ids_are_unique_also_where_none_was_written(tmp_path: Path) -> None:
    with sitting(tmp_path) as log:
        first = [log.new_id("DEC") for _ in range(3)]
        log.append(decided(first[2]))
        assert log.new_id("DEC") not in first
    assert first[0] == "DEC_20231114_221320_00000001"


def test_time_does_not_go_back_with_the_clock(tmp_path: Path) -> None:
    write(tmp_path, decided(deadline_ms=NOW + 10), at_ms=NOW)
    write(tmp_path, decided("DEC_2"), at_ms=NOW + 11)
    with (
        sitting(tmp_path, HandClock(NOW - DAY_MS)) as log,
        pytest.raises(RefusedError, match="ended at"),
    ):
        log.append(resolved())


class Waiting:
    """A clock whose pauses pass."""

    def __init__(self) -> None:
        self.s = 0.0

    def now_ms(self) -> int:
        return NOW

    def monotonic(self) -> float:
        return self.s

    def pause(self, seconds: float) -> None:
        self.s += seconds


def test_a_second_sitting_waits_and_then_names_the_holder(tmp_path: Path) -> None:
    clock = Waiting()
    with sitting(tmp_path):
        with pytest.raises(RefusedError) as refused:
            OperationsLog.open(tmp_path, clock, wait_s=3.0, pause=clock.pause)
        assert "another command holds" in refused.value.what
        assert "python" in refused.value.why or "pytest" in refused.value.why
        assert 3.0 <= clock.s < 3.1


def test_a_second_sitting_gets_the_log_once_the_first_ends(tmp_path: Path) -> None:
    clock, first = Waiting(), sitting(tmp_path)
    first.append(decided())

    def pause(seconds: float) -> None:
        clock.pause(seconds)
        if clock.s > 0.5:
            first.close()

    with OperationsLog.open(tmp_path, clock, pause=pause) as log:
        assert list(log.state.decisions) == ["DEC_1"]


def test_another_refusal_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def later(*_: object, **__: object) -> EventStore:
        raise RefusedError("written by a later version")

    monkeypatch.setattr(EventStore, "open", later)
    clock = Waiting()
    with pytest.raises(RefusedError, match="later version"):
        OperationsLog.open(tmp_path, clock, pause=clock.pause)
    assert clock.s == 0.0


def test_a_log_that_nobody_could_have_written_is_no_state(tmp_path: Path) -> None:
    clock = HandClock(NOW)
    with EventStore.open(tmp_path / FOLDER, run=FOLDER, tables=(), clock=clock) as store:
        store.commit([Event(moved("", "paper"), NOW), Event(moved("paper", "live_100"), NOW)])
    with pytest.raises(StorageError, match=r"event 2 .* contradicts") as broken:
        read_operations(tmp_path)
    assert "no approval" in broken.value.why
    with pytest.raises(StorageError):
        sitting(tmp_path)
    # The sitting that failed holds nothing.
    with EventStore.open(tmp_path / FOLDER, run=FOLDER, tables=(), clock=clock):
        pass


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE events SET aggregate = 'other' WHERE seq = 1",
        "UPDATE events SET ts_ms = ts_ms + 1 WHERE seq = 2",
        "DELETE FROM events WHERE seq = 1",
    ],
)
def test_an_edited_row_is_no_state(tmp_path: Path, sql: str) -> None:
    write(tmp_path, decided(), granted(), moved("", "paper"))
    file = str(tmp_path / FOLDER / "events.db")
    code = f"import apsw; apsw.Connection({file!r}).execute({sql!r})"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(RefusedError, match="not what was written"):
        read_operations(tmp_path)
    with pytest.raises((RefusedError, StorageError), match=r"damaged at|not what was"):
        sitting(tmp_path)


# ---- reviews ---------------------------------------------------------------------------------


def test_a_review_is_resolved_once(tmp_path: Path) -> None:
    state = write(tmp_path, decided(), resolved())
    row = state.decisions["DEC_1"]
    assert (row.state, row.who, row.reason, row.resolved_ms) == (
        "approved",
        "ann",
        "looks right",
        NOW,
    )
    assert state.open_reviews() == []
    with pytest.raises(RefusedError, match=r"was approved by ann at .*: looks right"):
        write(tmp_path, resolved(resolution="rejected", who="bob"))


@pytest.mark.parametrize("review", ["none", "before"])
def test_only_what_asked_for_a_review_has_one(tmp_path: Path, review: str) -> None:
    write(tmp_path, decided(review=review))
    if review == "none":
        with pytest.raises(RefusedError, match="asked for no review"):
            write(tmp_path, resolved())
    else:
        write(tmp_path, resolved())
    with pytest.raises(RefusedError, match="no decision DEC_9"):
        write(tmp_path, resolved("DEC_9"))


def test_a_review_that_waited_ends_at_its_deadline(tmp_path: Path) -> None:
    write(tmp_path, decided(deadline_ms=NOW + 5), decided("DEC_2", deadline_ms=NOW + 5))
    write(tmp_path, resolved(), at_ms=NOW + 5)
    with pytest.raises(RefusedError, match="not expired"):
        write(tmp_path, resolved("DEC_2", resolution="expired"), at_ms=NOW + 5)
    with pytest.raises(RefusedError, match="DEC_2 ended at"):
        write(tmp_path, resolved("DEC_2"), at_ms=NOW + 6)
    state = write(tmp_path, resolved("DEC_2", resolution="expired"), at_ms=NOW + 6)
    assert state.decisions["DEC_2"].state == "expired"


@pytest.mark.parametrize("review", ["flagged", "after"])
def test_a_review_of_what_was_done_may_be_late(tmp_path: Path, review: str) -> None:
    state = write(tmp_path, decided(review=review, acts=True, deadline_ms=NOW))
    assert state.decisions["DEC_1"].is_late(NOW + 1)
    state = write(tmp_path, resolved(), at_ms=NOW + DAY_MS)
    assert state.decisions["DEC_1"].state == "approved"


def test_the_most_urgent_review_comes_first_and_holds_are_known(tmp_path: Path) -> None:
    state = write(
        tmp_path,
        decided("DEC_1", deadline_ms=None),
        decided("DEC_2", deadline_ms=NOW + 20),
        decided("DEC_3", deadline_ms=NOW + 10, holds=("strat_x",)),
        decided("DEC_4", review="none"),
    )
    assert [row.decision for row in state.open_reviews()] == ["DEC_3", "DEC_2", "DEC_1"]
    held = state.hold_of("strat_x")
    assert held is not None
    assert held.decision == "DEC_3"
    assert state.hold_of("strat_y") is None
    assert write(tmp_path, resolved("DEC_3")).hold_of("strat_x") is None
    assert write(tmp_path, decided("DEC_5", holds=("all",))).hold_of("strat_y") is not None


# ---- what holds ------------------------------------------------------------------------------


def factor(decision: str, value: float, **changes: object) -> DecisionMade:
    body = {"value": {"size_factor": value}, "cautious": {"size_factor": min(value, 1.0)}}
    options = {"kind": "risk_adjustment", "strategy": "", "action": "size", "body": body}
    return decided(decision, **options | {"acts": True, "review": "none"} | changes)


def in_force(state: OperationsState) -> tuple[str, object] | None:
    found = state.in_force.get(("risk_adjustment", ""))
    return None if found is None else (found.decision, found.value["size_factor"])


def test_what_was_carried_out_holds_until_the_next(tmp_path: Path) -> None:
    assert in_force(write(tmp_path, factor("DEC_1", 1.0), factor("DEC_2", 0.5))) == ("DEC_2", 0.5)
    waits = {"acts": False, "review": "before", "deadline_ms": NOW + 5}
    assert in_force(write(tmp_path, factor("DEC_3", 1.2, **waits))) == ("DEC_2", 0.5)
    agreed = resolved("DEC_3", action="size", value={"size_factor": 1.2})
    assert in_force(write(tmp_path, agreed)) == ("DEC_3", 1.2)
    write(tmp_path, factor("DEC_4", 1.1, **waits))
    ended = resolved("DEC_4", resolution="expired", action="size", value={"size_factor": 1.0})
    assert in_force(write(tmp_path, ended, at_ms=NOW + 6)) == ("DEC_4", 1.0)


def test_a_rejection_takes_back_what_holds_and_nothing_else(tmp_path: Path) -> None:
    after = {"review": "after", "deadline_ms": NOW}
    write(tmp_path, factor("DEC_1", 0.5, **after), factor("DEC_2", 0.7, **after))
    no = resolved("DEC_1", resolution="rejected")
    assert in_force(write(tmp_path, no)) == ("DEC_2", 0.7)
    assert in_force(write(tmp_path, resolved("DEC_2", resolution="rejected"))) is None


def test_a_later_decision_ends_the_flag_of_an_earlier_one_only(tmp_path: Path) -> None:
    write(
        tmp_path,
        factor("DEC_1", 1.0, review="flagged"),
        factor("DEC_2", 1.0, review="after"),
        factor("DEC_3", 1.0, acts=False, review="before"),
        decided("DEC_4", review="flagged", strategy="strat_x"),
    )
    state = write(tmp_path, factor("DEC_5", 1.0, review="flagged"))
    found = {name: row.state for name, row in state.decisions.items()}
    assert found == {
        "DEC_1": "superseded",
        "DEC_2": "open",
        "DEC_3": "open",
        "DEC_4": "open",
        "DEC_5": "open",
    }
    with pytest.raises(RefusedError, match="was superseded"):
        write(tmp_path, resolved("DEC_1"))


# ---- deployments and approvals ---------------------------------------------------------------


def test_a_step_towards_an_exchange_uses_an_approval_up(tmp_path: Path) -> None:
    state = write(
        tmp_path, moved("", "paper"), granted(), used(), moved("paper", "canary", approval="APR_1")
    )
    row = state.deployments[DEPLOYMENT]
    assert (row.stage, row.cap, row.is_real) == ("canary", Decimal(500), True)
    state = write(tmp_path, moved("canary", "paper"))
    assert state.deployments[DEPLOYMENT].cap is None
    with pytest.raises(RefusedError, match="no approval of its own"):
        write(tmp_path, moved("paper", "canary", approval="APR_1"))
    with pytest.raises(RefusedError, match="was used by"):
        write(tmp_path, used())
    with pytest.raises(RefusedError, match="given before"):
        write(tmp_path, granted("APR_2", token="token of APR_1"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"strategy": "strat_x"}, "for strategy strat_x"),
        ({"account": "0x0"}, "for account 0x0"),
        ({"symbols": ("ETH",)}, "for symbols"),
        ({"from_stage": "candidate"}, "for from_stage candidate"),
        ({"to_stage": "live_25"}, "for to_stage live_25"),
        ({"dossier_hash": "other"}, "for dossier_hash other"),
        ({"max_usd": Decimal("499.99")}, "499.99 USD is approved"),
    ],
)
def test_an_approval_of_something_else_is_none(
    tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    write(tmp_path, moved("", "paper"), granted(**changes))
    with pytest.raises(RefusedError, match=words):
        write(tmp_path, used(), moved("paper", "canary", approval="APR_1"))
    assert read_operations(tmp_path).deployments[DEPLOYMENT].stage == "paper"


def test_an_approval_that_nobody_used_up_in_the_log_is_none(tmp_path: Path) -> None:
    write(tmp_path, moved("", "paper"), granted())
    with pytest.raises(RefusedError, match="no approval of its own"):
        write(tmp_path, moved("paper", "canary", approval="APR_1"))


def test_an_approval_ends_at_its_instant(tmp_path: Path) -> None:
    write(tmp_path, moved("", "paper"), granted())
    with pytest.raises(RefusedError, match="expired"):
        write(tmp_path, used(), at_ms=NOW + DAY_MS + 1)
    with pytest.raises(RefusedError, match="expired"):
        write(tmp_path, granted("APR_2"), at_ms=NOW + DAY_MS)


def test_steps_down_need_no_approval_and_the_cap_stays(tmp_path: Path) -> None:
    write(tmp_path, moved("", "paper"))
    for number, (low, high) in enumerate((("paper", "canary"), ("canary", "live_25"))):
        name = f"APR_{number}"
        write(
            tmp_path,
            granted(name, from_stage=low, to_stage=high),
            used(name),
            moved(low, high, approval=name),
        )
    state = write(tmp_path, moved("live_25", "canary"))
    assert state.deployments[DEPLOYMENT].stage == "canary"
    with pytest.raises(RefusedError, match="500 USD is approved"):
        write(tmp_path, CapitalAllocated({DEPLOYMENT: Decimal(501)}, "test", "ann", ""))
    state = write(tmp_path, CapitalAllocated({DEPLOYMENT: Decimal(499)}, "test", "ann", ""))
    assert state.deployments[DEPLOYMENT].capital == Decimal(499)
    state = write(tmp_path, moved("canary", "retired"))
    assert state.active() == []
    with pytest.raises(RefusedError, match="no active deployment"):
        write(tmp_path, CapitalAllocated({DEPLOYMENT: Decimal(1)}, "test", "ann", ""))
    with pytest.raises(RefusedError, match="no approval of its own"):
        write(tmp_path, moved("retired", "live_25"))


@pytest.mark.parametrize("stage", ["canary", "live_100", "retired", "nowhere"])
def test_nothing_begins_beyond_paper(tmp_path: Path, stage: str) -> None:
    with pytest.raises(RefusedError, match=r"begins as|no stage"):
        write(tmp_path, moved("", stage))


def test_who_comes_second_is_told_where_it_stands(tmp_path: Path) -> None:
    write(tmp_path, moved("", "paper"), moved("paper", "retired"))
    with pytest.raises(RefusedError, match="is retired, not paper"):
        write(tmp_path, moved("paper", "candidate"))
    with pytest.raises(RefusedError, match="for life"):
        write(tmp_path, moved("retired", "paper", symbols=("ETH",)))


def test_a_symbol_of_an_account_has_one_deployment(tmp_path: Path) -> None:
    write(tmp_path, moved("", "paper"))
    second = {"deployment": "other", "strategy": "strat_x", "symbols": ("ETH", "BTC")}
    with pytest.raises(RefusedError, match=f"{DEPLOYMENT} trades BTC"):
        write(tmp_path, moved("", "paper", **second))
    write(tmp_path, moved("", "paper", **second | {"account": "0x1"}))
    write(tmp_path, moved("", "paper", **second | {"deployment": "third", "symbols": ("ETH",)}))
    write(tmp_path, moved("paper", "retired"))
    write(tmp_path, moved("", "paper", **second | {"deployment": "4th", "symbols": ("BTC",)}))
    with pytest.raises(RefusedError, match="4th trades BTC"):
        write(tmp_path, moved("retired", "paper"))


# ---- kills -----------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["all", ACCOUNT])
def test_a_killed_account_takes_no_step_up_until_somebody_says_why(
    tmp_path: Path, scope: str
) -> None:
    step = (used(), moved("paper", "canary", approval="APR_1"))
    write(tmp_path, moved("", "paper"), granted(), KillLatched(scope, "cli", "ann", "drill"))
    with pytest.raises(RefusedError, match="killed: drill"):
        write(tmp_path, *step)
    state = write(tmp_path, KillLatched(scope, "signal", "bob", "again"))
    assert state.kills[scope].reason == "drill"
    with pytest.raises(RefusedError, match="reason"):
        write(tmp_path, Rearmed(scope, "ann", "  "))
    state = write(tmp_path, Rearmed(scope, "ann", "drill over"), *step)
    assert state.kills == {}
    with pytest.raises(RefusedError, match="no kill"):
        write(tmp_path, Rearmed(scope, "ann", "drill over"))


def test_a_kill_of_one_account_leaves_others_alone(tmp_path: Path) -> None:
    state = write(tmp_path, KillLatched("0xother", "cli", "ann", "drill"))
    assert state.kill_of(ACCOUNT) is None
    assert state.kill_of("0xother") is not None
